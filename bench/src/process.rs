//! Processes: where they run, what they have used, how they end.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::Value;

use crate::Result;

/// How long a process may take to say where it listens. Under valgrind that is seconds.
const START: Duration = Duration::from_secs(60);
/// How long it may take to end when asked to.
const END: Duration = Duration::from_secs(20);

/// A process that ends with this value.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pid: Pid,
}

impl Process {
    /// Starts a command.
    pub(crate) fn start(mut command: Command, place: Place) -> Result<Self> {
        let child = on(place, || command.spawn());
        let child = child.map_err(|error| format!("cannot start {command:?}: {error}"))?;
        let pid = Pid::from_child(&child);
        Ok(Self { child, pid })
    }

    /// Starts a command that says in one line of JSON where it listens, and returns that.
    pub(crate) fn server(mut command: Command, place: Place) -> Result<(Self, Value)> {
        let what = format!("{command:?}");
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = Self::start(command, place)?;
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
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its standard output, once, where it is a pipe.
    pub(crate) fn stdout(&mut self) -> Result<ChildStdout> {
        self.child.stdout.take().ok_or_else(|| "the output is not a pipe".into())
    }

    /// The child process, whose pipes can be taken.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(&mut self) -> Result<()> {
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
        if let Err(error) = self.stop() {
            eprintln!("warning: {error}");
        }
    }
}

/// User and system time that a process and its threads have used; its children not.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name is in parentheses and may itself hold parentheses and spaces; the state follows.
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields).unwrap_or_default();
    let mut fields = fields.split_whitespace().skip(11).map(str::parse::<u64>);
    let mut next =
        || fields.next().and_then(std::result::Result::ok).ok_or("/proc/PID/stat is not as proc(5) says");
    let ticks = next()? + next()?;
    Ok(Duration::from_nanos(ticks * 1_000_000_000 / rustix::param::clock_ticks_per_second()))
}

/// The proportional set size of a process in KiB: its own pages, and its share of shared ones.
pub(crate) fn pss_kib(pid: u32) -> Result<u64> {
    member(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
}

/// The resident set size of a process in KiB.
pub(crate) fn rss_kib(pid: u32) -> Result<u64> {
    member(&format!("/proc/{pid}/status"), "VmRSS:")
}

/// Threads of a process.
pub(crate) fn threads(pid: u32) -> Result<u64> {
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
pub(crate) fn descriptors(pid: u32) -> Result<(u64, u64)> {
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
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
    let children = lists.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    children.filter_map(|pid| pid.parse().ok()).collect()
}

/// The children of a process that run the same program.
pub(crate) fn own_children(pid: u32) -> Vec<u32> {
    let own = program(pid);
    children(pid).into_iter().filter(|child| own.is_some() && program(*child) == own).collect()
}

/// The program that a process runs.
pub(crate) fn program(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/exe")).ok()
}

/// Which processor something runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The one that whatever is measured has for itself.
    Measured,
    /// The other one: the load, and the upstream.
    Other,
    /// Any.
    Anywhere,
}

/// Runs `work` at a place, and whatever it starts. Without a second processor every place is the same.
pub(crate) fn on<T>(place: Place, work: impl FnOnce() -> T) -> T {
    let before = sched_getaffinity(None);
    let _ = go_to(place);
    let result = work();
    if let Ok(before) = before {
        let _ = sched_setaffinity(None, &before);
    }
    result
}

/// Moves this thread. Failing to is no error: the figures then mix with those of whoever shares the processor.
pub(crate) fn go_to(place: Place) -> Result<()> {
    let all = processors();
    let mut set = CpuSet::new();
    match (place, all.as_slice()) {
        (Place::Other, [first, _, ..]) => set.set(*first),
        (Place::Measured, [_, .., last]) => set.set(*last),
        _ => all.iter().for_each(|cpu| set.set(*cpu)),
    }
    Ok(sched_setaffinity(None, &set)?)
}

/// The processors that we may use, as they were when first asked for.
pub(crate) fn processors() -> Vec<usize> {
    static ALL: std::sync::OnceLock<Vec<usize>> = std::sync::OnceLock::new();
    ALL.get_or_init(|| {
        let set = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
        (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect()
    })
    .clone()
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
    fn a_place_holds_only_for_the_work_done_there() {
        let here = || sched_getaffinity(None).unwrap().count();
        let all = here();
        assert_eq!(on(Place::Measured, here), 1);
        assert_eq!(here(), all);
    }

    #[test]
    fn a_process_ends_with_its_value() {
        let mut command = Command::new("sleep");
        command.arg("100");
        let pid = Process::start(command, Place::Anywhere).unwrap().id();
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }
}
