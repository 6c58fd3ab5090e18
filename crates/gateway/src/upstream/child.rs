//! Child processes: the one place that starts them, and where each one ends.
//!
//! Every child has a thread of its own, its *keeper*, which forks it, waits for it, kills what is left of its
//! process group and reaps it. That thread is why three things hold:
//! - `PR_SET_PDEATHSIG` follows the thread that forked, not the process (prctl(2)). The keeper lives until the child
//!   is reaped, so the signal comes when we die and at no other time, whichever task asked for the child.
//! - The group is killed while its dead leader is still unreaped, so that its number cannot belong to anyone else.
//! - A slow fork or exec holds up nobody but the caller.
//!
//! `PR_SET_PDEATHSIG` exists on Linux only, is not inherited by grandchildren and is lost by a set-user-id program;
//! the [`guardian`] covers the rest.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use tokio::net::unix::pipe;
use tokio::sync::{oneshot, watch};

use super::guardian;

/// The environment variable that marks every child of one run of the gateway, and what they start in turn.
pub const RUN_TAG: &str = "AQE_V3_RUN";

/// Stack of a keeper: it forks and waits, nothing deep.
const KEEPER_STACK_BYTES: usize = 256 * 1024;

/// The value of [`RUN_TAG`]: unique among the runs on one machine.
pub fn run_id() -> &'static str {
    static RUN: OnceLock<String> = OnceLock::new();
    RUN.get_or_init(|| {
        // The process id alone comes back after a while; the hasher's keys are random per process.
        let salt = RandomState::new().hash_one(std::time::SystemTime::now());
        format!("{}-{salt:016x}", std::process::id())
    })
}

/// What to start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChildSpec {
    /// The program: a path (relative to `cwd`), or a name that is looked up in the `PATH` of `env`.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its whole environment; nothing of ours is inherited. [`RUN_TAG`] is added.
    pub env: Vec<(String, String)>,
    /// Its working directory; ours if absent.
    pub cwd: Option<PathBuf>,
}

/// Why a child could not be started.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    /// No such program.
    #[error("command not found: {0}")]
    NotFound(String),
    /// The file exists, but what its first line names as interpreter (or its loader) does not.
    #[error("the interpreter of {0} does not exist")]
    NoInterpreter(String),
    /// The file is no program, or we may not execute it.
    #[error("not executable: {0}")]
    NotExecutable(String),
    /// The working directory is missing or no directory.
    #[error("working directory {0} does not exist")]
    NoDirectory(String),
    /// Anything else, such as a limit on processes.
    #[error("{command}: {source}")]
    Io {
        /// The command.
        command: String,
        /// What the system said.
        source: io::Error,
    },
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exit(Option<ExitStatus>);

impl Exit {
    /// Whether it exited with status 0.
    pub(super) fn is_success(self) -> bool {
        self.0.is_some_and(|status| status.success())
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(status) = self.0 else { return f.write_str("exited") };
        match (status.code(), status.signal()) {
            (Some(code), _) => write!(f, "exited with status {code}"),
            (None, Some(signal)) => write!(f, "was killed by signal {signal}"),
            (None, None) => f.write_str("exited"),
        }
    }
}

/// A child that was started, with our ends of its pipes (all non-blocking).
#[derive(Debug)]
pub(super) struct Started {
    pub(super) process: Process,
    pub(super) stdin: pipe::Sender,
    pub(super) stdout: pipe::Receiver,
    pub(super) stderr: pipe::Receiver,
}

/// A running child and its process group. Dropping it kills both.
#[derive(Debug)]
pub(super) struct Process {
    pid: Pid,
    life: Arc<Life>,
    exit: watch::Receiver<Option<Exit>>,
}

/// Guards the number of the group: while this is locked and not reaped, the number is ours.
#[derive(Debug, Default)]
struct Life {
    reaped: Mutex<bool>,
}

impl Life {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.reaped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Process {
    /// The process id, which is its group's number too.
    pub(super) fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Signals the whole group; nothing if the leader has been reaped, because then the group is dead.
    pub(super) fn signal_group(&self, signal: Signal) {
        let reaped = self.life.lock();
        if !*reaped {
            kill_group(self.pid, signal);
        }
    }

    /// Waits until the leader has exited and its group is dead.
    pub(super) async fn exited(&mut self) -> Exit {
        match self.exit.wait_for(Option::is_some).await {
            Ok(exit) => exit.unwrap_or(Exit(None)),
            // The keeper sends before it ends.
            Err(_) => Exit(None),
        }
    }

    /// How it ended, if it has.
    pub(super) fn exit(&self) -> Option<Exit> {
        *self.exit.borrow()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal_group(Signal::KILL);
    }
}

fn kill_group(group: Pid, signal: Signal) {
    match rustix::process::kill_process_group(group, signal) {
        // Nobody left is what we want; zombies alone count as not permitted on some systems.
        Ok(()) | Err(rustix::io::Errno::SRCH | rustix::io::Errno::PERM) => {}
        Err(error) => {
            tracing::warn!(group = group.as_raw_nonzero().get(), %error, "cannot signal a process group");
        }
    }
}

/// Starts a child in a process group of its own.
///
/// # Errors
/// [`StartError`], in words for the person who wrote the configuration.
pub(super) async fn start(spec: &ChildSpec) -> Result<Started, StartError> {
    let failed = |source| StartError::Io { command: spec.command.clone(), source };
    let (reply, answer) = oneshot::channel();
    let theirs = spec.clone();
    thread::Builder::new()
        .name("upstream-child".into())
        .stack_size(KEEPER_STACK_BYTES)
        .spawn(move || keep(&theirs, reply))
        .map_err(failed)?;
    let (process, [stdin, stdout, stderr]) =
        answer.await.map_err(|_| failed(io::Error::other("its keeper thread has died")))??;
    Ok(Started {
        process,
        stdin: pipe::Sender::from_owned_fd(stdin).map_err(failed)?,
        stdout: pipe::Receiver::from_owned_fd(stdout).map_err(failed)?,
        stderr: pipe::Receiver::from_owned_fd(stderr).map_err(failed)?,
    })
}

type Reply = oneshot::Sender<Result<(Process, [OwnedFd; 3]), StartError>>;

/// The life of a keeper thread.
fn keep(spec: &ChildSpec, reply: Reply) {
    let (mut child, pid, pipes) = match fork(spec) {
        Ok(started) => started,
        Err(error) => {
            // The caller may have lost interest; then nobody needs the error.
            let _ = reply.send(Err(error));
            return;
        }
    };
    let (exit, receiver) = watch::channel(None);
    let life = Arc::new(Life::default());
    let process = Process { pid, life: Arc::clone(&life), exit: receiver };
    // If the caller has lost interest, dropping the process kills it.
    let _ = reply.send(Ok((process, pipes)));
    guardian::watch(pid);

    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while matches!(rustix::process::waitid(WaitId::Pid(pid), options), Err(rustix::io::Errno::INTR)) {}
    let status = {
        let mut reaped = life.lock();
        kill_group(pid, Signal::KILL);
        guardian::unwatch(pid);
        let status = child.wait();
        *reaped = true;
        status
    };
    // Unknown where a parent made us ignore SIGCHLD, so that the kernel reaps.
    exit.send_replace(Some(Exit(status.ok())));
}

fn fork(spec: &ChildSpec) -> Result<(Child, Pid, [OwnedFd; 3]), StartError> {
    if let Some(cwd) = &spec.cwd
        && !cwd.is_dir()
    {
        return Err(StartError::NoDirectory(cwd.display().to_string()));
    }
    let mut command = Command::new(&spec.command);
    command
        .args(&spec.args)
        .env_clear()
        .envs(spec.env.iter().map(|(name, value)| (name, value)))
        .env(RUN_TAG, run_id())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    if let Some(cwd) = &spec.cwd {
        command.current_dir(cwd);
    }
    die_with_us(&mut command);
    let mut child = command.spawn().map_err(|source| explain(spec, source))?;
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(pid), (Some(stdin), Some(stdout), Some(stderr))) =
        (Pid::from_raw(child.id().cast_signed()), pipes)
    else {
        let source = io::Error::other("started without pipes");
        return Err(StartError::Io { command: spec.command.clone(), source });
    };
    Ok((child, pid, [stdin.into(), stdout.into(), stderr.into()]))
}

fn explain(spec: &ChildSpec, source: io::Error) -> StartError {
    let command = spec.command.clone();
    match source.kind() {
        io::ErrorKind::NotFound if command.contains('/') => {
            let path = spec.cwd.as_deref().unwrap_or(Path::new("")).join(&command);
            if path.exists() { StartError::NoInterpreter(command) } else { StartError::NotFound(command) }
        }
        io::ErrorKind::NotFound => StartError::NotFound(command),
        io::ErrorKind::PermissionDenied => StartError::NotExecutable(command),
        _ if source.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) => {
            StartError::NotExecutable(command)
        }
        _ => StartError::Io { command, source },
    }
}

/// Starts the guardian from `executable`: in a session of its own, so that no signal to our group or terminal
/// reaches it, holding nothing of ours but the reading end of the returned pipe.
pub(super) fn start_guardian(executable: &Path) -> io::Result<(Child, OwnedFd)> {
    let mut command = Command::new(executable);
    command
        .arg0("aqe-v3")
        .arg(guardian::ARGUMENT)
        .arg(run_id())
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    leave_session(&mut command);
    let mut child = command.spawn()?;
    let stdin = child.stdin.take().ok_or_else(|| io::Error::other("started without a pipe"))?;
    Ok((child, stdin.into()))
}

/// Makes the kernel kill the child when the thread that forks it ends.
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "pre_exec is the only way to run code between fork and exec")]
fn die_with_us(command: &mut Command) {
    let parent = rustix::process::getpid();
    let ask = move || {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        // If we died before the line above, no signal will come any more: the child has a new parent by now.
        if rustix::process::getppid() == Some(parent) { Ok(()) } else { Err(rustix::io::Errno::SRCH.into()) }
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed. The closure makes two system calls,
    // allocates nothing and takes no lock; turning an errno into an `io::Error` does not allocate either.
    unsafe {
        command.pre_exec(ask);
    }
}

/// Other systems have no such signal; there the guardian alone cleans up.
#[cfg(not(target_os = "linux"))]
fn die_with_us(_command: &mut Command) {}

#[allow(unsafe_code, reason = "pre_exec is the only way to run code between fork and exec")]
fn leave_session(command: &mut Command) {
    // SAFETY: as above; setsid(2) is one async-signal-safe system call.
    unsafe {
        command.pre_exec(|| Ok(rustix::process::setsid().map(drop)?));
    }
}
