//! `mcp pool drain`: asks a server to stop, and waits until it has.

use std::path::PathBuf;
use std::time::Instant;

use bytes::Bytes;
use rustix::process::Pid;
use serde_json::Value;

use super::ask::{on_server, text};
use super::client::{self, ClientError};
use super::{Failure, Server, output};

/// Drains the server; unless `no_wait`, until its process has ended.
pub(super) fn drain(server: &Server, no_wait: bool) -> Result<(), Failure> {
    let started = Instant::now();
    let (mut answer, process) = on_server(server, ask)?;
    let process = process.filter(|_| !no_wait);
    let took = process.map(|process| {
        process.wait();
        started.elapsed().as_secs_f64()
    });
    if server.json {
        answer["ended_after_ms"] = took.map_or(Value::Null, |seconds| (seconds * 1000.0).into());
        output::line(&answer.to_string())?;
        return Ok(());
    }
    let pid = text(&answer["pid"]);
    let calls = text(&answer["calls_in_flight"]);
    output::line(&match took {
        Some(seconds) => {
            format!("the server (pid {pid}) had {calls} calls in flight; it ended after {seconds:.1} s")
        }
        None => format!("the server (pid {pid}) has {calls} calls in flight; it ends after them"),
    })?;
    Ok(())
}

/// Tells the server to drain: its answer, and a hold on its process.
async fn ask(socket: PathBuf) -> Result<(Value, Option<end::Process>), Failure> {
    let info = client::get(&socket, "/admin/info").await?;
    let pid = info["pid"].as_i64().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    // Held before it is told to end, so that no other process can be taken for it.
    let process = pid.and_then(end::Process::hold);
    let answer = client::post(&socket, "/admin/drain", Bytes::new()).await?;
    Ok((serde_json::from_slice(&answer).map_err(ClientError::from)?, process))
}

/// The end of a process that is not our child.
#[cfg(target_os = "linux")]
mod end {
    use std::os::fd::OwnedFd;

    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::io::Errno;
    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    /// A hold on a process.
    pub(super) struct Process(OwnedFd);

    impl Process {
        /// `None` if there is no such process.
        pub(super) fn hold(pid: Pid) -> Option<Self> {
            pidfd_open(pid, PidfdFlags::empty()).ok().map(Self)
        }

        /// Returns when it has ended: its descriptor is readable then (`pidfd_open(2)`).
        pub(super) fn wait(&self) {
            while poll(&mut [PollFd::new(&self.0, PollFlags::IN)], None) == Err(Errno::INTR) {}
        }
    }
}

/// The end of a process that is not our child.
#[cfg(not(target_os = "linux"))]
mod end {
    use std::time::Duration;

    use rustix::process::{Pid, test_kill_process};

    /// How often it is looked at.
    const STEP: Duration = Duration::from_millis(20);

    /// A process, by its number.
    pub(super) struct Process(Pid);

    impl Process {
        /// `None` if there is no such process.
        pub(super) fn hold(pid: Pid) -> Option<Self> {
            test_kill_process(pid).is_ok().then_some(Self(pid))
        }

        /// Returns when there is no such process any more.
        pub(super) fn wait(&self) {
            while test_kill_process(self.0).is_ok() {
                std::thread::sleep(STEP);
            }
        }
    }
}
