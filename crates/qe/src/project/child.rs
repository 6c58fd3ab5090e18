//! Programs that are run to their end: Git, interpreters. Bounded in time and output, and none outlives its call.

pub(crate) mod running;

use std::ffi::OsStr;
use std::io::{self, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, waitid,
};

use super::confine::Confinement;
use crate::stop::Stop;

/// How often is looked whether the call is to end; and, where the kernel does not tell of a program's end, whether the program
/// has ended. The first looks come sooner.
const LOOK: Duration = Duration::from_millis(5);

/// What sees to it that no program outlives this process, even one that is killed. Programs run for milliseconds to
/// minutes; each is told of when it has begun, and before its number may be used again.
#[derive(Debug, Clone, Copy)]
pub struct Keeper {
    /// A variable that is added to the environment of each program: name and value.
    pub mark: (&'static str, &'static str),
    /// A process group has begun.
    pub began: fn(Pid),
    /// It is about to be reaped.
    pub ended: fn(Pid),
}

/// One for the process, as the processes that it starts are the process's.
static KEEPER: OnceLock<Keeper> = OnceLock::new();

/// Says who keeps the programs from now on. The first one stays.
pub(crate) fn keep_with(keeper: Keeper) {
    KEEPER.get_or_init(|| keeper);
}

/// A program that is to be run.
#[derive(Debug)]
pub(crate) struct Program<'a> {
    command: Command,
    name: &'a str,
    input: Vec<u8>,
    most_output: usize,
    confinement: Option<Confinement>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    /// The first bytes of it, for people.
    pub(crate) stderr: String,
}

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error("{program} is not installed")]
    NotFound { program: String },
    #[error("{program} was stopped: its time was up, or the call was cancelled")]
    Stopped { program: String },
    #[error("{program} has written more than {most} bytes")]
    TooMuch { program: String, most: usize },
    #[error("{program}: {source}")]
    Io { program: String, source: io::Error },
}

/// Bytes of standard error that are kept.
const STDERR_BYTES: usize = 16 * 1024;

impl<'a> Program<'a> {
    /// `name` is looked up in the `PATH`. Of the environment the program gets that and what is needed to find the user's
    /// settings and a place for temporary files.
    pub(crate) fn new(name: &'a str, folder: &Path) -> Self {
        let mut command = Command::new(name);
        command.current_dir(folder).env_clear();
        for kept in ["PATH", "HOME", "LANG", "TMPDIR"] {
            if let Some(value) = std::env::var_os(kept) {
                command.env(kept, value);
            }
        }
        Self { command, name, input: Vec::new(), most_output: 64 << 20, confinement: None }
    }

    pub(crate) fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Bytes for its standard input, which then ends.
    pub(crate) fn input(mut self, bytes: Vec<u8>) -> Self {
        self.input = bytes;
        self
    }

    /// Most bytes of standard output; 64 MiB if nothing is said.
    pub(crate) fn most_output(mut self, bytes: usize) -> Self {
        self.most_output = bytes;
        self
    }

    /// Only within this, where the kernel can hold it to it.
    pub(crate) fn within(mut self, confinement: Confinement) -> Self {
        self.confinement = Some(confinement);
        self
    }

    /// Starts it, by a thread of its own where it is to be held to something.
    fn spawn(&mut self) -> io::Result<Child> {
        let Some(confinement) = self.confinement.take() else { return self.command.spawn() };
        let command = &mut self.command;
        thread::scope(|scope| {
            let started = scope.spawn(move || {
                confinement.enter().map_err(io::Error::other)?;
                command.spawn()
            });
            started.join().map_err(|_| io::Error::other("the thread that starts it has panicked"))?
        })
    }

    /// Starts it by `spawn`, in a process group that is kept, and with pipes for its input and output.
    fn begin(&mut self, spawn: impl FnOnce(&mut Self) -> io::Result<Child>) -> Result<Group, RunError> {
        if let Some(Keeper { mark: (name, value), .. }) = KEEPER.get() {
            self.command.env(name, value);
        }
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let program = self.name.to_owned();
        let child = spawn(self).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => RunError::NotFound { program },
            _ => RunError::Io { program, source },
        })?;
        let group = Group { child, is_reaped: false };
        if let (Some(keeper), Some(id)) = (KEEPER.get(), group.id()) {
            (keeper.began)(id);
        }
        Ok(group)
    }

    /// Runs it to its end, or to `stop`'s. Its process group does not outlive this.
    pub(crate) fn run(mut self, stop: &Stop) -> Result<Output, RunError> {
        if stop.left().is_zero() {
            return Err(RunError::Stopped { program: self.name.to_owned() });
        }
        self.command.stderr(Stdio::piped());
        let mut group = self.begin(Self::spawn)?;
        let program = || self.name.to_owned();
        let input = std::mem::take(&mut self.input);
        let mut stdin = group.child.stdin.take();
        let (stdout, stderr) = (group.child.stdout.take(), group.child.stderr.take());
        let most = self.most_output;
        thread::scope(|scope| {
            scope.spawn(move || {
                // Who does not read its input does not want it.
                stdin.as_mut().map(|pipe| pipe.write_all(&input))
            });
            let out = scope.spawn(move || read(stdout, most));
            let err = scope.spawn(move || read(stderr, STDERR_BYTES));
            let failed = |source| RunError::Io { program: program(), source };
            let has_ended = group.wait(stop).map_err(failed)?;
            // Before the pipes are waited for: a grandchild may hold them.
            let status = group.end().map_err(failed)?;
            let (out, err) = (out.join(), err.join());
            let panicked = || failed(io::Error::other("a reader has panicked"));
            let (stdout, is_all) = out.map_err(|_| panicked())?.map_err(failed)?;
            let (stderr, _) = err.map_err(|_| panicked())?.map_err(failed)?;
            if !is_all {
                return Err(RunError::TooMuch { program: program(), most });
            }
            if !has_ended {
                return Err(RunError::Stopped { program: program() });
            }
            Ok(Output { status, stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() })
        })
    }
}

/// Reads to the end and keeps at most `most` bytes; whether those are all. A program that goes on writing after that is
/// ended by the closed pipe.
fn read(pipe: Option<impl Read>, most: usize) -> io::Result<(Vec<u8>, bool)> {
    let mut kept = Vec::new();
    let Some(pipe) = pipe else { return Ok((kept, true)) };
    pipe.take(most as u64 + 1).read_to_end(&mut kept)?;
    let is_all = kept.len() <= most;
    kept.truncate(most);
    Ok((kept, is_all))
}

/// A child and its process group; neither outlives it.
struct Group {
    child: Child,
    is_reaped: bool,
}

impl Group {
    /// The child's number, which is its group's too. Both are ours until the child is reaped.
    fn id(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
    }

    /// Waits for the end of the child without reaping it; `false`: it was to stop before.
    fn wait(&self, stop: &Stop) -> io::Result<bool> {
        let Some(id) = self.id() else { return Ok(true) };
        let mut pause = Duration::from_micros(200);
        // From Linux 5.3 on.
        let end = pidfd_open(id, PidfdFlags::empty()).ok();
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        while waitid(WaitId::Pid(id), look)?.is_none() {
            if stop.left().is_zero() {
                return Ok(false);
            }
            if let Some(end) = &end {
                let longest = Timespec::try_from(LOOK.min(stop.left())).ok();
                // Whatever it says, what has become of the program is asked next.
                let _ = poll(&mut [PollFd::new(end, PollFlags::IN)], longest.as_ref());
            } else {
                thread::sleep(pause.min(stop.left()));
                pause = (pause * 2).min(LOOK);
            }
        }
        Ok(true)
    }

    /// Kills whatever is left of the group, then reaps the child.
    fn end(&mut self) -> io::Result<ExitStatus> {
        if let Some(id) = self.id() {
            // That nothing is left is no failure.
            let _ = kill_process_group(id, Signal::KILL);
            if let Some(keeper) = KEEPER.get() {
                (keeper.ended)(id);
            }
        }
        self.is_reaped = true;
        self.child.wait()
    }
}

/// For the ways out that are errors.
impl Drop for Group {
    fn drop(&mut self) {
        if !self.is_reaped {
            let _ = self.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::stop::StopOnDrop;

    fn soon(millis: u64) -> (Stop, StopOnDrop) {
        Stop::at(Instant::now() + Duration::from_millis(millis))
    }

    fn sh(script: &str) -> Program<'static> {
        Program::new("sh", Path::new("/")).args(["-c", script])
    }

    #[test]
    fn output_input_and_status_arrive() {
        let (stop, _call) = soon(10_000);
        let output = sh("cat; echo oops >&2; exit 3").input(b"hello".to_vec()).run(&stop).unwrap();
        assert_eq!((&output.stdout[..], output.stderr.as_str()), (&b"hello"[..], "oops\n"));
        assert_eq!(output.status.code(), Some(3));
    }

    #[test]
    fn neither_a_program_nor_what_it_started_outlives_its_time() {
        let (stop, _call) = soon(200);
        let began = Instant::now();
        let error = sh("sleep 60 & sleep 60").run(&stop).unwrap_err();
        assert!(matches!(error, RunError::Stopped { .. }), "{error}");
        assert!(began.elapsed() < Duration::from_secs(20));
        let (stop, _call) = soon(20_000);
        assert!(sh("sleep 61 & exit 0").run(&stop).unwrap().status.success());
        assert!(began.elapsed() < Duration::from_secs(20), "what is left behind holds nobody up");
    }

    #[test]
    fn too_much_output_is_an_error() {
        let (stop, _call) = soon(20_000);
        let error = sh("yes").most_output(1_000).run(&stop).unwrap_err();
        assert!(matches!(error, RunError::TooMuch { most: 1_000, .. }), "{error}");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let (stop, _call) = soon(1_000);
        let error = Program::new("no-such-program", Path::new("/")).run(&stop).unwrap_err();
        assert_eq!(error.to_string(), "no-such-program is not installed");
    }
}
