//! Programs that run beside us until they end or are ended, and what they leave behind.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{ChildStderr, ChildStdin, ChildStdout, ExitStatus, Stdio};

use rustix::process::{
    Pid, Resource, Rlimit, Signal, getrlimit, kill_process, kill_process_group, setrlimit,
};

use super::{Group, Program, RunError};

/// Rounds of looking for processes of a mark: one that is about to be killed may fork.
const ROUNDS: u32 = 50;

/// A program that runs. Neither it nor its process group outlives this.
pub(crate) struct Running {
    group: Group,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<ChildStdout>,
    /// `None` if it shares ours.
    pub(crate) stderr: Option<ChildStderr>,
}

impl Program<'_> {
    /// What lists of processes show instead of the program's name.
    pub(crate) fn shown_as(mut self, name: &str) -> Self {
        self.command.arg0(name);
        self
    }

    /// Starts it. `has_own_errors`: whether its standard error is a pipe and not ours. `memory_mb`: the most address space of
    /// each of its processes.
    pub(crate) fn start(mut self, has_own_errors: bool, memory_mb: Option<u64>) -> Result<Running, RunError> {
        self.command.stderr(if has_own_errors { Stdio::piped() } else { Stdio::inherit() });
        let mut group = self.begin(|program| {
            let _limit = memory_mb.map(Limited::to);
            program.command.spawn()
        })?;
        let (stdin, stdout) = (group.child.stdin.take(), group.child.stdout.take());
        let stderr = group.child.stderr.take();
        Ok(Running { group, stdin, stdout, stderr })
    }
}

impl Running {
    /// Its number, and that of its group.
    pub(crate) fn id(&self) -> Option<Pid> {
        self.group.id()
    }

    /// Signals the whole group. The number is the group's until [`end`](Self::end).
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(id) = self.group.id().filter(|_| !self.group.is_reaped) {
            // That nothing is left is no failure.
            let _ = kill_process_group(id, signal);
        }
    }

    /// Kills what is left of the group, and says how the program ended.
    pub(crate) fn end(&mut self) -> io::Result<ExitStatus> {
        self.group.end()
    }
}

/// A limit of address space that children take over, for as long as this lives.
struct Limited(Rlimit);

impl Limited {
    fn to(megabytes: u64) -> Self {
        let before = getrlimit(Resource::As);
        let bytes = megabytes.saturating_mul(1 << 20);
        let most = before.maximum.map_or(bytes, |maximum| maximum.min(bytes));
        // Below what may be set anyway, so it cannot be refused; without it the program runs with the limit that we have.
        let _ = setrlimit(Resource::As, Rlimit { current: Some(most), maximum: before.maximum });
        Self(before)
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        let _ = setrlimit(Resource::As, self.0);
    }
}

/// Kills every process of our user, but us, that has `name=value` in its environment, and what those start meanwhile. Such a
/// one may have left its process group. Only where there is a `/proc`.
pub(crate) fn kill_marked(name: &str, value: &str) {
    let mark = format!("{name}={value}");
    let user = rustix::process::geteuid().as_raw();
    let us = std::process::id();
    for _ in 0..ROUNDS {
        let Ok(processes) = std::fs::read_dir("/proc") else { return };
        let mut is_clean = true;
        for entry in processes.flatten() {
            let number = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
            let Some(id) = number.filter(|&id| id.unsigned_abs() != us).and_then(Pid::from_raw) else {
                continue;
            };
            if !entry.metadata().is_ok_and(|metadata| metadata.uid() == user) {
                continue;
            }
            let is_marked = std::fs::read(entry.path().join("environ"))
                .is_ok_and(|variables| variables.split(|byte| *byte == 0).any(|it| it == mark.as_bytes()));
            if is_marked {
                is_clean = false;
                let _ = kill_process(id, Signal::KILL);
            }
        }
        if is_clean {
            return;
        }
        std::thread::sleep(super::LOOK);
    }
}
