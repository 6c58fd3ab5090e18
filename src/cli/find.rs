//! Which running server is meant.

use std::io;
use std::path::{Path, PathBuf};

use rustix::process::Pid;
use serde_json::Value;

use super::client::{self, ClientError};
use super::{Failure, Server, output, places};
use crate::app::runtime_dir;
use crate::config::Environment;

/// A running server.
#[derive(Debug)]
pub(super) struct Found {
    /// Its socket.
    pub(super) socket: PathBuf,
    /// What `/admin/info` says.
    pub(super) info: Value,
}

impl Found {
    fn folder(&self) -> Option<&Path> {
        self.info["folder"].as_str().map(Path::new)
    }

    fn text(&self, key: &str) -> &str {
        self.info[key].as_str().unwrap_or("?")
    }
}

/// The socket to ask: the one that was named, or that of the server of this folder, of the nearest folder above it,
/// or of the only server there is. Of several in one folder the one that was started last.
pub(super) async fn socket(server: &Server) -> Result<PathBuf, Failure> {
    let mut remarks = Vec::new();
    let found = look(server, &mut remarks).await;
    for remark in &remarks {
        output::complain(remark);
    }
    found
}

/// As [`socket`], for a screen that must not be written over: what a person should know goes into `remarks`.
pub(super) async fn look(server: &Server, remarks: &mut Vec<String>) -> Result<PathBuf, Failure> {
    if let Some(path) = &server.socket {
        return match client::get(path, "/admin/info").await {
            Ok(_) => Ok(path.clone()),
            Err(ClientError::Connect(error)) if is_nobody(&error) => {
                Err(Failure::NoServer(format!(" at {} ({error})", path.display())))
            }
            Err(error) => Err(error.into()),
        };
    }
    let here = places::folder()?;
    let mut found = answering(&Environment::of_process(), remarks).await;
    let above = |found: &Found| found.folder().is_some_and(|folder| here.starts_with(folder));
    let depth = |found: &Found| found.folder().map_or(0, |folder| folder.components().count());
    let nearest = found.iter().filter(|found| above(found)).max_by(|one, other| {
        depth(one).cmp(&depth(other)).then_with(|| one.text("started_at").cmp(other.text("started_at")))
    });
    if let Some(nearest) = nearest {
        return Ok(nearest.socket.clone());
    }
    match (found.pop(), found.is_empty()) {
        (None, _) => Err(Failure::NoServer(String::new())),
        (Some(only), true) => {
            remarks.push(format!("asking the server of {}", only.text("folder")));
            Ok(only.socket)
        }
        (Some(last), false) => {
            found.push(last);
            let mut lines = vec!["several servers are running, none of this folder; choose one:".to_owned()];
            let choice =
                |found: &Found| format!("  --socket {}   {}", found.socket.display(), found.text("folder"));
            lines.extend(found.iter().map(choice));
            Err(Failure::Usage(lines.join("\n")))
        }
    }
}

/// All servers of this user that answer. Sockets that a dead process has left are removed.
pub(super) async fn servers(env: &Environment) -> Vec<Found> {
    let mut remarks = Vec::new();
    let found = answering(env, &mut remarks).await;
    for remark in &remarks {
        output::complain(remark);
    }
    found
}

async fn answering(env: &Environment, remarks: &mut Vec<String>) -> Vec<Found> {
    let folder = runtime_dir::path(env);
    // A folder of somebody else's could lead us to a server of somebody else's.
    if runtime_dir::is_ours(&folder).is_err() {
        return Vec::new();
    }
    let Ok(entries) = std::fs::read_dir(&folder) else { return Vec::new() };
    let mut found = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        let Some(pid) = pid_of(&path) else { continue };
        match client::get(&path, "/admin/info").await {
            Ok(info) => found.push(Found { socket: path, info }),
            // The socket of a living process may only just be in the making.
            Err(ClientError::Connect(error)) if is_nobody(&error) && !is_alive(pid) => {
                let _ = std::fs::remove_file(&path);
            }
            Err(error) => remarks.push(format!("{}: {error}", path.display())),
        }
    }
    found
}

fn is_nobody(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

fn pid_of(path: &Path) -> Option<Pid> {
    if path.extension()? != "sock" {
        return None;
    }
    Pid::from_raw(path.file_stem()?.to_str()?.parse().ok()?)
}

fn is_alive(pid: Pid) -> bool {
    !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH))
}
