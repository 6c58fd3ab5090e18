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
    let (mut answer, took) = on_server(server, |socket| drained(socket, no_wait))?;
    let calls = text(&answer["calls_in_flight"]);
    if server.json {
        answer["ended_after_ms"] = took.map_or(Value::Null, Value::from);
        output::line(&answer.to_string())?;
        return Ok(());
    }
    let pid = text(&answer["pid"]);
    output::line(&match took {
        Some(ms) => {
            format!("the server (pid {pid}) has finished {calls} calls and ended after {:.1} s", ms / 1000.0)
        }
        None => format!("the server (pid {pid}) finishes {calls} calls and ends"),
    })?;
    Ok(())
}

/// The server's answer, and how many milliseconds it took to end, if that was waited for.
async fn drained(socket: PathBuf, no_wait: bool) -> Result<(Value, Option<f64>), Failure> {
    let info = client::get(&socket, "/admin/info").await?;
    let pid = info["pid"].as_i64().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    // Held before it is told to end, so that no other process can be taken for it.
    let process = pid.filter(|_| !no_wait).map(end::Process::hold);
    let started = Instant::now();
    let answer = client::post(&socket, "/admin/drain", Bytes::new()).await?;
    let answer = serde_json::from_slice(&answer).map_err(ClientError::from)?;
    let Some(process) = process else { return Ok((answer, None)) };
    process.ended().await;
    Ok((answer, Some(started.elapsed().as_secs_f64() * 1000.0)))
}

/// The end of a process that is not our child.
#[cfg(target_os = "linux")]
mod end {
    use std::os::fd::OwnedFd;

    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    /// A hold on a process; `None` if it has ended already.
    pub(super) struct Process(Option<OwnedFd>);

    impl Process {
        pub(super) fn hold(pid: Pid) -> Self {
            Self(pidfd_open(pid, PidfdFlags::NONBLOCK).ok())
        }

        /// Resolves when it has ended; the descriptor is readable then (`pidfd_open(2)`).
        pub(super) async fn ended(self) {
            let Some(fd) = self.0 else { return };
            if let Ok(fd) = AsyncFd::try_with_interest(fd, Interest::READABLE) {
                let _ = fd.readable().await;
            }
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
        pub(super) fn hold(pid: Pid) -> Self {
            Self(pid)
        }

        /// Resolves when there is no such process.
        pub(super) async fn ended(self) {
            while test_kill_process(self.0).is_ok() {
                tokio::time::sleep(STEP).await;
            }
        }
    }
}
