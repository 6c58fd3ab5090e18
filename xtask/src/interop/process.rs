//! Programs of a run: started with a mark in their environment, bounded in
//! time, and looked for when they should be gone.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::Result;

/// The variable by which the processes of a run know each other, also those
/// that a gateway started and forgot.
const MARK: &str = "AQE_INTEROP_RUN";
/// Time for a server to say where it listens.
const READY: Duration = Duration::from_secs(60);
/// Time for a server to end when asked to.
const STOP: Duration = Duration::from_secs(10);
/// Time for the children of a server that ended to end as well.
const ORPHANS: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(10);

/// One interop run: its mark, its folder, its logs.
#[derive(Debug)]
pub(super) struct Run {
    id: String,
    folder: PathBuf,
    logs: PathBuf,
}

impl Run {
    /// Makes the folder, which is short and outside the project so that Unix
    /// sockets (at most 107 bytes of path) and project discovery work in it.
    pub(super) fn new(base: &Path) -> Result<Self> {
        let id = format!("aqe-interop-{}", std::process::id());
        let folder = std::env::temp_dir().join(&id);
        let logs = base.join("logs");
        if logs.exists() {
            fs::remove_dir_all(&logs)?;
        }
        fs::create_dir_all(&logs)?;
        for part in ["config", "data", "state", "cache", "runtime"] {
            fs::create_dir_all(folder.join(part))?;
        }
        Ok(Self { id, folder: folder.canonicalize()?, logs })
    }

    /// The folder of the run; [`Run::clean`] removes it.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the standard error streams of all programs go.
    pub(super) fn logs(&self) -> &Path {
        &self.logs
    }

    pub(super) fn clean(&self) -> Result<()> {
        Ok(fs::remove_dir_all(&self.folder)?)
    }

    /// The mark, as an environment variable.
    pub(super) fn mark(&self) -> (&'static str, &str) {
        (MARK, &self.id)
    }

    /// A command that works in the run's folder, keeps its files there and logs to `log`.
    pub(super) fn command(&self, program: &Path, log: &str) -> Result<Command> {
        let (name, value) = self.mark();
        let log = File::options().create(true).append(true).open(self.logs.join(format!("{log}.log")))?;
        let mut command = Command::new(program);
        command.current_dir(&self.folder).stdin(Stdio::null()).stderr(log).env(name, value);
        for (variable, part) in [
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_DATA_HOME", "data"),
            ("XDG_STATE_HOME", "state"),
            ("XDG_CACHE_HOME", "cache"),
            ("XDG_RUNTIME_DIR", "runtime"),
        ] {
            command.env(variable, self.folder.join(part));
        }
        Ok(command)
    }

    /// A gateway that serves HTTP on a free port of its own, to be told what to serve.
    pub(super) fn over_http(&self, gateway: &Path, log: &str) -> Result<Command> {
        let mut command = self.command(gateway, log)?;
        command.args(["mcp", "start", "--json", "--transport", "http", "--listen", "127.0.0.1:0"]);
        Ok(command)
    }

    /// Waits for all marked processes to end; ends and describes those that do not.
    pub(super) fn sweep(&self) -> Result<Vec<String>> {
        let started = Instant::now();
        let mut left = self.marked();
        while !left.is_empty() && started.elapsed() < ORPHANS {
            thread::sleep(POLL);
            left = self.marked();
        }
        let mut described = Vec::new();
        for pid in left {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            described.push(format!("{pid} {}", String::from_utf8_lossy(&line).replace('\0', " ")));
            signal(pid, Signal::KILL)?;
        }
        Ok(described)
    }

    fn marked(&self) -> Vec<u32> {
        let mark = format!("{MARK}={}", self.id);
        let marked = |pid: &u32| {
            // A process that ends meanwhile, or a zombie, has no environment.
            fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environment| {
                environment.split(|&byte| byte == 0).any(|entry| entry == mark.as_bytes())
            })
        };
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(marked).collect()
    }
}

fn signal(pid: u32, signal: Signal) -> Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or("no such process id")?;
    match kill_process(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// What a program said and how it ended.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) stdout: String,
    /// `None`: it had to be killed at the end of its time.
    pub(super) status: Option<ExitStatus>,
}

impl Finished {
    /// Why this is not a success, if it is not.
    pub(super) fn failure(&self) -> Option<String> {
        match self.status {
            Some(status) if status.success() => None,
            Some(status) => Some(status.to_string()),
            None => Some("killed at the end of its time".to_owned()),
        }
    }
}

/// Runs a program to its end, or to the end of `limit`.
pub(super) fn finish(command: &mut Command, limit: Duration) -> Result<Finished> {
    let name = command.get_program().display().to_string();
    let mut child =
        command.stdout(Stdio::piped()).spawn().map_err(|error| format!("cannot start {name}: {error}"))?;
    let mut stdout = child.stdout.take().ok_or("stdout was not piped")?;
    let (sender, output) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What could be read before an error is still worth showing.
        let _ = stdout.read_to_end(&mut bytes);
        let _ = sender.send(bytes);
    });
    let status = wait(&mut child, limit)?;
    // A grandchild may hold the pipe open longer than its parent lived.
    let bytes = output.recv_timeout(ORPHANS).unwrap_or_default();
    Ok(Finished { stdout: String::from_utf8_lossy(&bytes).into_owned(), status })
}

/// Waits for a child, kills it at the end of `limit`, and reaps it in any case.
fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if started.elapsed() >= limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(POLL);
    }
}

/// A server that runs until it is stopped or dropped.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    /// Where it listens.
    pub(super) url: String,
}

impl Server {
    /// Starts a server and waits until it says where it listens: a line
    /// `listening URL`, or a JSON object with a member `url`.
    pub(super) fn start(command: &mut Command) -> Result<Self> {
        let name = command.get_program().display().to_string();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {name}: {error}"))?;
        let stdout = child.stdout.take().ok_or("stdout was not piped")?;
        let (sender, urls) = mpsc::channel();
        thread::spawn(move || {
            // Reads to the end, so that the server is never blocked by a full pipe.
            for line in BufReader::new(stdout).lines().map_while(std::result::Result::ok) {
                if let Some(url) = url_in(&line) {
                    let _ = sender.send(url);
                }
            }
        });
        // From here on, a drop ends the child.
        let mut server = Self { child, url: String::new() };
        server.url = urls.recv_timeout(READY).map_err(|_| format!("{name} did not say where it listens"))?;
        Ok(server)
    }

    /// How the server ended, if it did so unasked.
    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Asks the server to end; an error when it has to be killed.
    pub(super) fn stop(mut self) -> Result<()> {
        signal(self.child.id(), Signal::TERM)?;
        match wait(&mut self.child, STOP)? {
            Some(_) => Ok(()),
            None => Err(format!("still running {} s after SIGTERM", STOP.as_secs()).into()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only for a child that has already been reaped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn url_in(line: &str) -> Option<String> {
    match serde_json::from_str::<Value>(line) {
        Ok(value) => Some(value.get("url")?.as_str()?.to_owned()),
        Err(_) => Some(line.strip_prefix("listening ")?.trim().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_found_in_either_form_of_announcement() {
        let url = Some("http://127.0.0.1:8/mcp".to_owned());
        assert_eq!(url_in("listening http://127.0.0.1:8/mcp"), url);
        assert_eq!(url_in(r#"{"pid":1,"url":"http://127.0.0.1:8/mcp"}"#), url);
        assert_eq!(url_in("Starting on http://127.0.0.1:8/mcp"), None);
        assert_eq!(url_in(r#"{"pid":1}"#), None);
    }

    #[test]
    fn a_program_that_outlives_its_time_is_killed_and_what_it_said_is_kept() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo early; exec sleep 600"]);
        let finished = finish(&mut command, Duration::from_millis(200)).unwrap();
        assert_eq!(finished.stdout, "early\n");
        assert!(finished.status.is_none());
    }
}
