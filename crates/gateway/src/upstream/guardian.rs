//! The guardian: a tiny process that outlives us, so that nothing we started does.
//!
//! Being killed with SIGKILL leaves no time to stop children. The kernel kills the direct ones
//! (`PR_SET_PDEATHSIG`), but not what they have started. The guardian holds the reading end of a pipe whose other
//! end only we hold; when we end, however, it reads the end of the pipe and kills every process group that we
//! named to it, and every process of our user that carries our [`RUN_TAG`] in its environment
//! (found in `/proc`; elsewhere than on Linux only the groups).
//!
//! It is our own executable, started again with [`ARGUMENT`]; `main` must call [`run_if_asked`] before anything else.
//! If it dies, the next child starts a new one; if it cannot be started, that is logged and the gateway works on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use super::child::{self, RUN_TAG};

/// The hidden first argument that makes our executable a guardian.
pub const ARGUMENT: &str = "__guardian";

/// Tells the guardian that the end of the pipe means nothing.
const DISMISSED: &str = "done";

/// The guardian looks again until it finds nothing, because a process that is about to be killed may fork.
const MAX_SWEEPS: u32 = 100;
const SWEEP_PAUSE: Duration = Duration::from_millis(20);

static GUARDIAN: Mutex<Guardian> = Mutex::new(Guardian {
    executable: None,
    pipe: None,
    groups: BTreeSet::new(),
    warned: false,
    reaper: None,
});

#[derive(Debug)]
struct Guardian {
    executable: Option<PathBuf>,
    pipe: Option<OwnedFd>,
    groups: BTreeSet<i32>,
    warned: bool,
    reaper: Option<thread::JoinHandle<()>>,
}

/// How long a dismissed guardian may take to end, so that it is reaped before we end ourselves.
const LAST_WAIT: Duration = Duration::from_millis(200);

fn lock() -> MutexGuard<'static, Guardian> {
    GUARDIAN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts guardians from this file instead of from our own executable, for a program that embeds this crate and does
/// not call [`run_if_asked`] itself. Call it before the first child is started.
pub fn use_executable(path: impl Into<PathBuf>) {
    lock().executable = Some(path.into());
}

/// Tells the guardian that all is in order, for the end of a normal shutdown when every connection is closed.
/// Without it the guardian would look once through the processes and find nothing.
pub fn dismiss() {
    let reaper = {
        let mut guardian = lock();
        guardian.tell(DISMISSED);
        guardian.pipe = None;
        guardian.reaper.take()
    };
    let until = Instant::now() + LAST_WAIT;
    while reaper.as_ref().is_some_and(|reaper| !reaper.is_finished()) && Instant::now() < until {
        thread::sleep(Duration::from_millis(1));
    }
}

/// Registers a process group: it is killed when this process has ended, however that came.
pub fn watch(group: Pid) {
    let group = group.as_raw_nonzero().get();
    let mut guardian = lock();
    guardian.groups.insert(group);
    if !guardian.tell(&addition(group)) {
        guardian.start();
    }
}

/// Forgets a process group. To be called while its number is still taken.
pub fn unwatch(group: Pid) {
    let group = group.as_raw_nonzero().get();
    let mut guardian = lock();
    guardian.groups.remove(&group);
    guardian.tell(&format!("- {group}"));
}

fn addition(group: i32) -> String {
    format!("+ {group} {}", start_time(group).unwrap_or_default())
}

impl Guardian {
    fn start(&mut self) {
        // The running file itself on Linux, even if an upgrade has replaced it on disk.
        let own =
            if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() };
        let started = self.executable.clone().map_or(own, Ok).and_then(|path| child::start_guardian(&path));
        let (mut process, pipe) = match started {
            Ok(started) => started,
            Err(error) => {
                if !std::mem::replace(&mut self.warned, true) {
                    tracing::warn!(%error, "no guardian: grandchildren may survive if this process is killed");
                }
                return;
            }
        };
        // A guardian that is stopped must not stop us: what does not fit into the pipe is not told.
        if let Err(error) = rustix::io::ioctl_fionbio(&pipe, true) {
            tracing::warn!(%error, "the pipe to the guardian stays blocking");
        }
        self.pipe = Some(pipe);
        for line in self.groups.iter().copied().map(addition).collect::<Vec<_>>() {
            self.tell(&line);
        }
        let reap = thread::Builder::new().name("guardian".into()).stack_size(64 * 1024);
        match reap.spawn(move || {
            let _ = process.wait();
        }) {
            Ok(reaper) => self.reaper = Some(reaper),
            Err(error) => tracing::warn!(%error, "the guardian will not be reaped"),
        }
    }

    /// Whether there is still a guardian to be told.
    fn tell(&mut self, line: &str) -> bool {
        let Some(pipe) = &self.pipe else { return false };
        // Shorter than PIPE_BUF, so the line is written whole or not at all (pipe(7)).
        match rustix::io::write(pipe, format!("{line}\n").as_bytes()) {
            Ok(_) | Err(rustix::io::Errno::AGAIN) => true,
            Err(error) => {
                tracing::warn!(%error, "the guardian has died");
                self.pipe = None;
                false
            }
        }
    }
}

/// Does the guardian's work if this process was started as one.
///
/// Call it first thing in `main`, while the process has one thread and no open files, and return when it says
/// `true`.
pub fn run_if_asked() -> bool {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_none_or(|first| first != ARGUMENT) {
        return false;
    }
    if let Some(run) = arguments.next() {
        // What a person sees in `ps`; without it the kernel calls us "exe".
        let _ = fs::write("/proc/self/comm", "aqe-v3-guardian");
        stand_guard(&run.to_string_lossy());
    }
    true
}

fn stand_guard(run: &str) {
    let mut groups = BTreeMap::new();
    for line in BufReader::with_capacity(512, io::stdin()).lines() {
        let Ok(line) = line else { break };
        let mut words = line.split(' ');
        match (words.next(), words.next().and_then(|group| group.parse::<i32>().ok())) {
            (Some("+"), Some(group)) => {
                groups.insert(group, words.next().unwrap_or_default().to_owned());
            }
            (Some("-"), Some(group)) => {
                groups.remove(&group);
            }
            (Some(DISMISSED), None) => return,
            _ => {}
        }
    }
    for (group, started) in groups {
        // If the number has a leader with another start time, it belongs to somebody else now.
        if start_time(group).is_none_or(|now| now == started)
            && let Some(group) = Pid::from_raw(group)
        {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
    }
    let tag = format!("{RUN_TAG}={run}");
    for _ in 0..MAX_SWEEPS {
        if kill_tagged(tag.as_bytes()) == 0 {
            return;
        }
        thread::sleep(SWEEP_PAUSE);
    }
}

/// Kills every process of our user whose environment holds `tag`, and counts them.
fn kill_tagged(tag: &[u8]) -> usize {
    let us = rustix::process::geteuid().as_raw();
    let Ok(processes) = fs::read_dir("/proc") else { return 0 };
    let mut killed = 0;
    for entry in processes.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw)
        else {
            continue;
        };
        let ours = entry.metadata().is_ok_and(|metadata| metadata.uid() == us);
        // A dead process that waits to be reaped has an empty environment.
        let tagged = || {
            fs::read(entry.path().join("environ"))
                .is_ok_and(|vars| vars.split(|byte| *byte == 0).any(|var| var == tag))
        };
        if ours && tagged() {
            killed += usize::from(rustix::process::kill_process(pid, Signal::KILL).is_ok());
        }
    }
    killed
}

/// When a process was started, in ticks since boot (field 22 of proc_pid_stat(5)); `None` if there is no such
/// process or no such file on this system.
fn start_time(pid: i32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, so count from behind it: the next field is the third.
    let behind_name = &stat[stat.rfind(')')? + 1..];
    behind_name.split_whitespace().nth(22 - 3).map(str::to_owned)
}
