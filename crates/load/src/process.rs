//! Processes: how they start, what they have used, how they end.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::Result;

/// How long a process may take to say where it listens. Under valgrind that is seconds.
const START: Duration = Duration::from_secs(60);
/// How long it may take to end when asked to.
const END: Duration = Duration::from_secs(20);

/// A process that ends with this value.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pid: Pid,
}

impl Process {
    /// Starts a command.
    pub fn start(mut command: Command) -> Result<Self> {
        let child = command.spawn().map_err(|error| format!("cannot start {command:?}: {error}"))?;
        let pid = Pid::from_child(&child);
        Ok(Self { child, pid })
    }

    /// Starts a command that says in one line of JSON where it listens, and returns that.
    pub fn server(mut command: Command) -> Result<(Self, Value)> {
        let what = format!("{command:?}");
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = Self::start(command)?;
        let lines = BufReader::new(process.stdout()?);
        // A process that says nothing is found by this thread's end when the process is killed.
        let (said, heard) = std::sync::mpsc::sync_channel(1);
        std::thread::spawn(move || {
            for line in lines.lines().map_while(std::result::Result::ok) {
                // Only the first line is asked for; the rest is read so that the process is never held up.
                let _ = said.try_send(line);
            }
        });
        let line = heard.recv_timeout(START).map_err(|_| format!("{what} did not say where it listens"))?;
        let said = serde_json::from_str(&line).map_err(|_| format!("{what} said {line:?}"))?;
        Ok((process, said))
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its standard output, once, where it is a pipe.
    pub fn stdout(&mut self) -> Result<ChildStdout> {
        self.child.stdout.take().ok_or_else(|| "the output is not a pipe".into())
    }

    /// The child process, whose pipes can be taken.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Ends it at once.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(&mut self) -> Result<()> {
        drop(self.child.stdin.take());
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        kill_process(self.pid, Signal::TERM)?;
        let deadline = Instant::now() + END;
        while Instant::now() < deadline {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        self.child.kill()?;
        self.child.wait()?;
        Err("a process did not end within its time and was killed".into())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It is killed if it does not end by itself; that it had to be is nobody's news here.
        let _ = self.stop();
    }
}

/// A command that runs in a folder and finds no configuration, store, cache or running server but what is there.
pub fn apart(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).env("HOME", folder).env("XDG_RUNTIME_DIR", folder);
    for variable in ["XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"] {
        command.env(variable, folder.join("data"));
    }
    command
}

/// User and system time that a process and its threads have used; its children not.
pub fn cpu_time(pid: u32) -> Result<Duration> {
    Ok(ticks(stat_fields::<2>(pid, 11)?.iter().sum()))
}

/// Some numbers of /proc/PID/stat in a row, from one that comes `skip` fields after the state (proc_pid_stat(5)).
pub(crate) fn stat_fields<const N: usize>(pid: u32, skip: usize) -> Result<[u64; N]> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name is in parentheses and may itself hold parentheses and spaces; the state follows.
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
    let fields = fields.split_whitespace().skip(skip).take(N).filter_map(|field| field.parse().ok());
    let fields: Vec<u64> = fields.collect();
    fields.try_into().map_err(|_| "/proc/PID/stat is not as proc(5) says".into())
}

/// The kernel's unit of time.
pub(crate) fn ticks(count: u64) -> Duration {
    Duration::from_nanos(count * 1_000_000_000 / rustix::param::clock_ticks_per_second())
}

/// The proportional set size of a process in KiB: its own pages, and its share of shared ones.
pub fn pss_kib(pid: u32) -> Result<u64> {
    member(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
}

/// The resident set size of a process in KiB.
pub fn rss_kib(pid: u32) -> Result<u64> {
    member(&format!("/proc/{pid}/status"), "VmRSS:")
}

/// Threads of a process.
pub fn threads(pid: u32) -> Result<u64> {
    member(&format!("/proc/{pid}/status"), "Threads:")
}

/// The number after a name in a file of lines.
fn member(path: &str, name: &str) -> Result<u64> {
    let text = fs::read_to_string(path)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse().ok());
    number.ok_or_else(|| format!("no {name} in {path}").into())
}

/// Open descriptors of a process, and the sockets among them.
pub fn descriptors(pid: u32) -> Result<(u64, u64)> {
    let (mut all, mut sockets) = (0, 0);
    for descriptor in fs::read_dir(format!("/proc/{pid}/fd"))? {
        // One that is closed meanwhile is none.
        let Ok(target) = fs::read_link(descriptor?.path()) else { continue };
        all += 1;
        sockets += u64::from(target.to_string_lossy().starts_with("socket:"));
    }
    Ok((all, sockets))
}

/// The children of a process.
pub fn children(pid: u32) -> Vec<u32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
    let children = lists.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    children.filter_map(|pid| pid.parse().ok()).collect()
}

/// The children of a process that run the same program.
pub fn own_children(pid: u32) -> Vec<u32> {
    let own = program(pid);
    children(pid).into_iter().filter(|child| own.is_some() && program(*child) == own).collect()
}

/// The words of a process's command line.
pub fn arguments(pid: u32) -> Vec<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = line.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// The program that a process runs.
pub fn program(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/exe")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_works_uses_time_and_memory() {
        let own = std::process::id();
        let before = cpu_time(own).unwrap();
        let started = Instant::now();
        while cpu_time(own).unwrap() == before && started.elapsed() < Duration::from_secs(30) {
            std::hint::black_box((0..100_000_u64).sum::<u64>());
        }
        assert!(cpu_time(own).unwrap() > before);
        assert!(pss_kib(own).unwrap() > 0 && rss_kib(own).unwrap() > 0 && threads(own).unwrap() > 0);
        let socket = std::os::unix::net::UnixDatagram::unbound().unwrap();
        let (all, sockets) = descriptors(own).unwrap();
        assert!(sockets >= 1 && all > sockets);
        drop(socket);
    }

    #[test]
    fn a_process_ends_with_its_value() {
        let mut command = Command::new("sleep");
        command.arg("100");
        let pid = Process::start(command).unwrap().id();
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }
}
