//! Finds the files, and reads only those that nobody else can have written.

use std::fs::{self, File as OsFile};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::Request;
use super::place::{Place, Severity, Sink};

/// Largest file read, bytes.
const MAX_BYTES: usize = 1 << 20;

/// Name of our own file.
const TOML_NAME: &str = "aqe.toml";

/// Name of the agents' file.
const JSON_NAME: &str = ".mcp.json";

/// The two formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// Our own TOML.
    Toml,
    /// An agent's JSON with `mcpServers` or `servers`.
    McpJson,
}

/// A file that was read.
#[derive(Clone, Debug, Serialize)]
pub struct Source {
    /// The file as the user would name it; [`Place`]s use the same name.
    pub name: Arc<str>,
    /// Where it is.
    pub path: PathBuf,
    /// Its format.
    pub kind: SourceKind,
    /// Why it was read: a flag, or the folder in which it was found.
    pub why: &'static str,
    /// Its length, bytes.
    pub bytes: usize,
    /// SHA-256 of its content, hexadecimal: what a log needs to say which commands were in force.
    pub sha256: String,
}

/// A file's text and where it came from.
#[derive(Debug)]
pub(super) struct File {
    pub(super) source: Source,
    pub(super) text: String,
}

impl File {
    /// Takes text that is already in memory for a file.
    pub(super) fn new(
        name: Arc<str>,
        path: PathBuf,
        kind: SourceKind,
        why: &'static str,
        text: String,
    ) -> Self {
        let digest = Sha256::digest(text.as_bytes());
        let hex = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('?');
        let sha256 = digest.iter().flat_map(|byte| [hex(byte >> 4), hex(byte & 15)]).collect();
        Self { source: Source { name, path, kind, why, bytes: text.len(), sha256 }, text }
    }
}

/// Reads the files that a request names or, when it names none, those that are where they are looked
/// for: our own first.
///
/// A named file switches the search off. Commands come from these files, and who says which file to use
/// must not get commands from the folder that they happen to stand in.
pub(super) fn gather(request: &Request, sink: &Sink) -> Vec<File> {
    let mut files = Vec::new();
    if let Some(path) = &request.config {
        files.extend(named(request, path, SourceKind::Toml, "--config", sink));
    }
    for path in &request.mcp_config {
        files.extend(named(request, path, SourceKind::McpJson, "--mcp-config", sink));
    }
    if request.config.is_some() || !request.mcp_config.is_empty() {
        return files;
    }
    files.extend(found_toml(request, sink));
    let path = request.folder.join(JSON_NAME);
    if path.exists() {
        files.extend(read(&path, JSON_NAME.into(), SourceKind::McpJson, "found in the folder", sink));
    }
    if files.is_empty() {
        sink.note(Severity::Info, None, format!("no {TOML_NAME} and no {JSON_NAME} found; all defaults"));
    }
    files
}

fn named(request: &Request, path: &Path, kind: SourceKind, why: &'static str, sink: &Sink) -> Option<File> {
    read(&request.folder.join(path), path.display().to_string().into(), kind, why, sink)
}

fn found_toml(request: &Request, sink: &Sink) -> Option<File> {
    let here = request.folder.join(TOML_NAME);
    let users = request.env.config_dir().map(|folder| folder.join(TOML_NAME)).filter(|path| path.exists());
    if here.exists() {
        if let Some(users) = users {
            let place = Place::whole(users.display().to_string());
            sink.note(
                Severity::Info,
                Some(place),
                format!("not read: {TOML_NAME} in the folder stands before it"),
            );
        }
        return read(&here, TOML_NAME.into(), SourceKind::Toml, "found in the folder", sink);
    }
    let users = users?;
    let name = users.display().to_string();
    read(&users, name.into(), SourceKind::Toml, "found in the user's configuration folder", sink)
}

fn read(path: &Path, name: Arc<str>, kind: SourceKind, why: &'static str, sink: &Sink) -> Option<File> {
    let fault = |message: String| {
        sink.fault(Place::whole(Arc::clone(&name)), message);
        None
    };
    let bytes = match read_bytes(path) {
        Ok(bytes) => bytes,
        Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
            return fault("there is no such file".to_owned());
        }
        Err(error) => return fault(error.to_string()),
    };
    match String::from_utf8(bytes) {
        Ok(mut text) => {
            // Some editors begin a file with a byte order mark; neither format needs it.
            if text.starts_with('\u{feff}') {
                text.drain(..'\u{feff}'.len_utf8());
            }
            Some(File::new(name, path.to_owned(), kind, why, text))
        }
        Err(error) => {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let before = String::from_utf8_lossy(before);
            sink.fault(Place::after(name, &before), "the file is not UTF-8 text".to_owned());
            None
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("is not a regular file")]
    NotAFile,
    #[error("is larger than {MAX_BYTES} bytes")]
    TooLarge,
    #[cfg(unix)]
    #[error(
        "belongs to another user (uid {owner}), who could change the commands in it; take it over with chown, or copy it"
    )]
    Foreign { owner: u32 },
    #[cfg(unix)]
    #[error(
        "can be changed by other users (mode {mode:04o}), and with it the commands in it; run: chmod go-w {path}"
    )]
    Writable { mode: u32, path: String },
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, ReadError> {
    // Before opening: to open a FIFO is to wait for its writer.
    if !fs::metadata(path)?.is_file() {
        return Err(ReadError::NotAFile);
    }
    let file = OsFile::open(path)?;
    // From here on the open file is asked, not its name, which could mean another file by now.
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(ReadError::NotAFile);
    }
    #[cfg(unix)]
    refuse_foreign_hands(path, &metadata)?;
    if metadata.len() > MAX_BYTES as u64 {
        return Err(ReadError::TooLarge);
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_BYTES { Err(ReadError::TooLarge) } else { Ok(bytes) }
}

/// Refuses a file that someone else owns or may write: whoever writes it decides what we run.
#[cfg(unix)]
fn refuse_foreign_hands(path: &Path, metadata: &fs::Metadata) -> Result<(), ReadError> {
    use std::os::unix::fs::MetadataExt;
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    verdict(path, metadata.uid(), metadata.gid(), metadata.mode(), user, group)
}

#[cfg(unix)]
fn verdict(path: &Path, uid: u32, gid: u32, mode: u32, user: u32, group: u32) -> Result<(), ReadError> {
    const GROUP_WRITES: u32 = 0o020;
    const OTHERS_WRITE: u32 = 0o002;
    const ROOT: u32 = 0;
    if uid != user && uid != ROOT {
        return Err(ReadError::Foreign { owner: uid });
    }
    // Where each user has a group of the same number for themselves, files are group-writable by default.
    let own_group = gid == group && gid == user;
    if mode & OTHERS_WRITE != 0 || (mode & GROUP_WRITES != 0 && !own_group) {
        let path = path.display().to_string();
        return Err(ReadError::Writable { mode: mode & 0o7777, path });
    }
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn only_files_that_nobody_else_can_write_are_read() {
        let (me, mine) = (1000, 1000);
        for (uid, gid, mode, fine) in [
            (me, mine, 0o100_600, true),
            (me, mine, 0o100_644, true),
            (me, mine, 0o100_664, true), // my own group
            (me, 100, 0o100_664, false), // a group of many
            (me, 100, 0o100_644, true),
            (me, mine, 0o100_646, false), // the world
            (me, mine, 0o100_666, false),
            (0, 0, 0o100_644, true), // root's
            (0, 0, 0o100_664, false),
            (1001, mine, 0o100_644, false), // a stranger's
        ] {
            let verdict = verdict(Path::new("aqe.toml"), uid, gid, mode, me, mine);
            assert_eq!(verdict.is_ok(), fine, "{uid} {gid} {mode:o}");
        }
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let refusal = verdict(Path::new("aqe.toml"), 1, 1, 0o100_666, 1, 1).unwrap_err().to_string();
        assert!(
            refusal.ends_with("(mode 0666), and with it the commands in it; run: chmod go-w aqe.toml"),
            "{refusal}"
        );
    }
}
