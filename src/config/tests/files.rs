//! Which files are read, and which are refused.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::config::{Environment, Flags, Loaded, Request, check, load};

/// An empty project and an empty home.
struct Folders {
    root: TempDir,
}

impl Folders {
    fn new() -> Self {
        let folders = Self { root: tempfile::tempdir().unwrap() };
        fs::create_dir_all(folders.project()).unwrap();
        fs::create_dir_all(folders.home().join(".config/aqe-v3")).unwrap();
        folders
    }

    fn project(&self) -> PathBuf {
        self.root.path().join("project")
    }

    fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    fn users(&self) -> PathBuf {
        self.home().join(".config/aqe-v3/aqe.toml")
    }

    fn request(&self) -> Request {
        let env: Environment = [("HOME", self.home())].into_iter().collect();
        Request { folder: self.project(), config: None, mcp_config: Vec::new(), flags: Flags::default(), env }
    }
}

/// Writes a file that only its owner may write, whatever the umask.
fn write(path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
    fs::write(&path, content).unwrap();
    #[cfg(unix)]
    chmod(path.as_ref(), 0o644);
}

#[cfg(unix)]
fn chmod(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn sources(loaded: &Loaded) -> Vec<&str> {
    loaded.sources.iter().map(|s| &*s.name).collect()
}

const JSON: &str = r#"{"mcpServers": {"a": {"command": "./a"}}}"#;

#[test]
fn without_any_file_all_defaults_hold_and_a_note_says_so() {
    let folders = Folders::new();
    let loaded = load(&folders.request()).unwrap();
    assert!(loaded.sources.is_empty() && loaded.config.upstreams.is_empty());
    assert_eq!(loaded.notes[0].to_string(), "note: no aqe.toml and no .mcp.json found; all defaults");
}

#[test]
fn the_file_in_the_folder_stands_before_the_users() {
    let folders = Folders::new();
    write(folders.users(), "[server]\nmax_sessions = 1\n");
    let loaded = load(&folders.request()).unwrap();
    assert_eq!(sources(&loaded), [folders.users().to_str().unwrap()]);
    assert_eq!(loaded.config.server.max_sessions, 1);

    write(folders.project().join("aqe.toml"), "[server]\nmax_sessions = 2\n");
    write(folders.project().join(".mcp.json"), JSON);
    let loaded = load(&folders.request()).unwrap();
    assert_eq!(sources(&loaded), ["aqe.toml", ".mcp.json"]);
    assert_eq!((loaded.config.server.max_sessions, loaded.config.upstreams.len()), (2, 1));
    assert!(loaded.notes[0].message.starts_with("not read: "), "{:?}", loaded.notes);
}

#[test]
fn a_named_file_switches_the_search_off() {
    let folders = Folders::new();
    write(folders.project().join("aqe.toml"), "broken");
    write(folders.project().join(".mcp.json"), "broken");
    write(folders.project().join("my.toml"), "[server]\nmax_sessions = 3\n");
    write(folders.project().join("one.json"), JSON);
    write(folders.project().join("two.json"), JSON.replace("\"a\"", "\"b\""));
    let mut request = folders.request();
    request.config = Some("my.toml".into());
    assert_eq!(sources(&load(&request).unwrap()), ["my.toml"]);
    request.mcp_config = vec!["one.json".into(), "two.json".into()];
    let loaded = load(&request).unwrap();
    assert_eq!(sources(&loaded), ["my.toml", "one.json", "two.json"]);
    assert_eq!(loaded.config.upstreams.len(), 2);
    request.config = None;
    assert_eq!(sources(&load(&request).unwrap()), ["one.json", "two.json"]);
}

#[test]
fn xdg_config_home_moves_the_users_file_only_when_it_is_absolute() {
    let folders = Folders::new();
    let elsewhere = folders.root.path().join("xdg");
    fs::create_dir_all(elsewhere.join("aqe-v3")).unwrap();
    write(elsewhere.join("aqe-v3/aqe.toml"), "");
    write(folders.users(), "");
    let read = |xdg: &Path| {
        let env = [("HOME", folders.home()), ("XDG_CONFIG_HOME", xdg.to_owned())].into_iter().collect();
        load(&Request { env, ..folders.request() }).unwrap().sources[0].path.clone()
    };
    assert_eq!(read(&elsewhere), elsewhere.join("aqe-v3/aqe.toml"));
    assert_eq!(read(Path::new("xdg")), folders.users());
}

#[test]
fn files_that_cannot_be_read_are_faults_by_name() {
    let folders = Folders::new();
    let project = folders.project();
    write(project.join("latin1.toml"), b"[server]\n# caf\xe9\n");
    write(project.join("large.toml"), "#".repeat((1 << 20) + 1));
    write(project.join("most.toml"), "#".repeat(1 << 20));
    write(project.join("bom.toml"), "\u{feff}[server]\n");
    for (name, expected) in [
        ("absent.toml", Some("absent.toml: there is no such file")),
        ("latin1.toml", Some("latin1.toml:2:6: the file is not UTF-8 text")),
        ("large.toml", Some("large.toml: is larger than 1048576 bytes")),
        (".", Some(".: is not a regular file")),
        ("most.toml", None),
        ("bom.toml", None),
    ] {
        let request = Request { config: Some(name.into()), ..folders.request() };
        let faults = load(&request).err().map(|f| f.to_string());
        assert_eq!(faults.as_deref(), expected);
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_others_may_write_is_refused_wherever_it_was_found() {
    let folders = Folders::new();
    let ours = folders.project().join("aqe.toml");
    let theirs = folders.project().join(".mcp.json");
    write(&ours, "");
    write(&theirs, JSON);
    chmod(&ours, 0o646);
    chmod(&theirs, 0o666);
    let report = check(&folders.request());
    assert!(!report.is_sound() && report.sources.is_empty());
    let faults: Vec<String> = report.faults.iter().map(ToString::to_string).collect();
    let run = |path: &Path| format!("run: chmod go-w {}", path.display());
    assert!(faults[0].starts_with("aqe.toml: can be changed by other users (mode 0646)"), "{faults:?}");
    assert!(faults[0].ends_with(&run(&ours)) && faults[1].ends_with(&run(&theirs)), "{faults:?}");
    chmod(&ours, 0o644);
    chmod(&theirs, 0o644);
    assert!(check(&folders.request()).is_sound());
}

#[cfg(unix)]
#[test]
fn a_fifo_is_refused_instead_of_waited_for() {
    let folders = Folders::new();
    let path = folders.project().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let faults = load(&Request { config: Some(path), ..folders.request() }).unwrap_err();
    assert!(faults.to_string().ends_with("is not a regular file"));
}

#[test]
fn a_source_carries_the_digest_of_its_content() {
    let folders = Folders::new();
    write(folders.project().join("aqe.toml"), "");
    let loaded = load(&folders.request()).unwrap();
    // SHA-256 of nothing, FIPS 180-4.
    let expected = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(loaded.sources[0].sha256, expected);
}
