//! A client of a child process.

use std::{
    ffi::OsStr,
    path::Path,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use rustix::process::{Pid, Signal};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
};

use super::{Answer, DEADLINE, Message, Revision, must, within};
use crate::buffered::Buffered;

/// Bytes of standard error that are kept; the first ones go first.
const STDERR_BYTES: usize = 1024 * 1024;

/// A child process in a process group of its own, spoken to line by line.
///
/// Dropping it kills the whole group with SIGKILL. Standard output is only read when asked for, so a
/// test can let the pipe fill.
#[derive(Debug)]
pub struct StdioClient {
    child: Child,
    pid: u32,
    stdin: Option<ChildStdin>,
    stdout: Buffered<ChildStdout>,
    stderr: Arc<Mutex<Vec<u8>>>,
    deadline: Duration,
    revision: Revision,
}

impl StdioClient {
    /// Starts `program` with `arguments`.
    pub fn spawn(program: &Path, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let mut command = Command::new(program);
        command.args(arguments);
        Self::start(command)
    }

    /// Starts a command; its three standard streams become ours.
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        let what = format!("expected to start {}", command.as_std().get_program().display());
        let mut child = must(command.spawn(), &what);
        let (Some(pid), Some(stdin), Some(stdout), Some(stderr)) =
            (child.id(), child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            panic!("{what} with three pipes");
        };
        let kept = Arc::default();
        tokio::spawn(keep(stderr, Arc::clone(&kept)));
        Self {
            child,
            pid,
            stdin: Some(stdin),
            stdout: Buffered::new(stdout),
            stderr: kept,
            deadline: DEADLINE,
            revision: Revision::V2025_11_25,
        }
    }

    /// Sets the deadline of every wait from now on.
    pub fn set_deadline(&mut self, deadline: Duration) {
        self.deadline = deadline;
    }

    /// The child's process id, also the id of its process group.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What the child wrote to standard error so far (the last MiB).
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Waits until standard error holds `needle`; returns all of it.
    pub async fn stderr_with(&self, needle: &str) -> String {
        crate::process::wait_until(self.deadline, &format!("{needle:?} on standard error"), || {
            Some(self.stderr()).filter(|text| text.contains(needle))
        })
        .await
    }

    /// Writes a line.
    pub async fn send(&mut self, line: &str) {
        self.send_bytes(format!("{line}\n").as_bytes()).await;
    }

    /// Writes bytes as they are.
    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        let Some(stdin) = &mut self.stdin else { panic!("expected an open standard input, closed before") };
        let write = within(self.deadline, "the child to read its standard input", stdin.write_all(bytes));
        must(write.await, "expected to write to the child");
    }

    /// Closes the child's standard input.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// The next line without its line feed, `None` at the end of standard output. The last line may
    /// have had no line feed.
    pub async fn raw_line(&mut self) -> Option<Bytes> {
        let line = within(self.deadline, "a line from the child", self.stdout.until(b"\n")).await;
        let line = must(line, "expected to read from the child")?;
        Some(line.strip_suffix(b"\n").map_or(line.clone(), |text| line.slice_ref(text)))
    }

    /// Waits until something of a line has come.
    pub async fn line_begun(&mut self) {
        if self.stdout.peek().is_empty() {
            let read = within(self.deadline, "a line from the child to begin", self.stdout.fill()).await;
            must(read, "expected to read from the child");
        }
    }

    /// The next line as text.
    pub async fn line(&mut self) -> String {
        match self.raw_line().await {
            Some(line) => must(String::from_utf8(line.to_vec()), "expected a line of UTF-8"),
            None => panic!("expected a line, standard output ended; standard error: {}", self.stderr()),
        }
    }

    /// The URL of a server whose first line on standard output is `listening URL`.
    pub async fn listening_url(&mut self) -> String {
        let line = self.line().await;
        match line.strip_prefix("listening ") {
            Some(url) => url.to_owned(),
            None => panic!("expected `listening URL`, got {line:?}"),
        }
    }

    /// The next line if one comes within `patience`, `None` otherwise and at the end of the output.
    pub async fn line_within(&mut self, patience: Duration) -> Option<Bytes> {
        let line = tokio::time::timeout(patience, self.stdout.until(b"\n")).await.ok()?;
        must(line, "expected to read from the child")
    }

    /// Does the handshake of `revision` (nothing in the stateless one) and speaks it from now on;
    /// returns the answer to `initialize`.
    pub async fn open(&mut self, revision: Revision) -> Option<Answer> {
        self.open_with(revision, "{}").await
    }

    /// As [`StdioClient::open`], declaring these capabilities (JSON text). In the stateless revision give
    /// them with each [`Message`] instead.
    pub async fn open_with(&mut self, revision: Revision, capabilities: &str) -> Option<Answer> {
        self.revision = revision;
        if revision.is_modern() {
            return None;
        }
        let message = Message::initialize("\"init\"", revision).capabilities(capabilities);
        let answer = self.request(&message).await;
        self.notify(&Message::initialized()).await;
        Some(answer)
    }

    /// Sends a message without waiting for anything.
    pub async fn notify(&mut self, message: &Message) {
        let text = message.text(self.revision);
        self.send(&text).await;
    }

    /// Sends a request and waits for its answer.
    pub async fn request(&mut self, message: &Message) -> Answer {
        let Some(id) = message.id() else { panic!("expected a request, got {message:?}") };
        self.notify(message).await;
        self.answer(id).await
    }

    /// Waits for the answer to the request with this id (JSON text).
    pub async fn answer(&mut self, id: &str) -> Answer {
        let mut before = Vec::new();
        loop {
            let Some(line) = self.raw_line().await else {
                let stderr = self.stderr();
                panic!("expected the answer to {id}, the output ended after {before:?}; stderr: {stderr}");
            };
            let text = String::from_utf8_lossy(&line).into_owned();
            if Answer::is_for(&text, id) {
                return Answer { before, text };
            }
            before.push(text);
        }
    }

    /// Waits for the child's end.
    pub async fn wait(&mut self) -> ExitStatus {
        let status = within(self.deadline, "the child to end", self.child.wait()).await;
        must(status, "expected to wait for the child")
    }

    /// Sends a signal to the child alone.
    pub fn signal(&self, signal: Signal) {
        let Some(pid) = pid(self.pid) else { return };
        must(rustix::process::kill_process(pid, signal), "expected to signal the child");
    }

    /// Kills the whole process group and waits for the child's end.
    pub async fn kill(&mut self) -> ExitStatus {
        kill_group(self.pid);
        self.wait().await
    }
}

impl Drop for StdioClient {
    fn drop(&mut self) {
        kill_group(self.pid);
    }
}

fn pid(pid: u32) -> Option<Pid> {
    Pid::from_raw(pid.try_into().ok()?)
}

/// Kills a process group; that nothing is left of it is as good.
fn kill_group(group: u32) {
    if let Some(group) = pid(group) {
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
    }
}

/// Drains standard error into `kept` until its end.
async fn keep(mut stderr: ChildStderr, kept: Arc<Mutex<Vec<u8>>>) {
    let mut chunk = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = stderr.read(&mut chunk).await {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(chunk.get(..count).unwrap_or_default());
        if let Some(surplus) = kept.len().checked_sub(STDERR_BYTES) {
            kept.drain(..surplus);
        }
    }
}
