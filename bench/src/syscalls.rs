//! System calls of the gateway per message, counted by strace: what writes together saves, and what a call costs.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, Command, Stdio};

use aqe_load::pipe::Talk;
use rustix::process::{Pid, Signal, kill_process};

use crate::Result;
use crate::calls::progress;
use crate::cases::retrieve;
use crate::load::{self, Until};
use crate::message::{Call, Era};
use crate::place::{Place, on};
use crate::process::Process;
use crate::report::{Cell, Section};
use crate::serve::Serve;
use crate::stats::Spread;
use crate::subject::{Home, Running, Subject};

/// Notifications of one call.
const NOTIFICATIONS: u64 = 2_000;
/// Requests with one on its way at a time, and with many.
const ALONE: u64 = 1_000;
const TOGETHER: u64 = 10_000;

/// Calls by what they are for.
#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    writes: u64,
    reads: u64,
    /// For something to happen.
    waits: u64,
    /// Of other threads, or waiting for them.
    wakes: u64,
    others: u64,
}

/// Whether strace is there.
pub(crate) fn is_installed() -> bool {
    let version = Command::new("strace").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

/// Measures all cases.
pub(crate) fn measure(subject: &Subject) -> Result<Section> {
    if !is_installed() {
        return Err("the part syscalls needs strace".into());
    }
    let mut rows = Vec::new();
    let mut add = |name: &str, messages: u64, counts: Result<Counts>| {
        let counts = counts.map_err(|error| format!("{name}: {error}"))?;
        let each = |count: u64| Cell::Figure(Spread::exactly(count as f64 / messages as f64), 3);
        let all = counts.writes + counts.reads + counts.waits + counts.wakes + counts.others;
        rows.push(vec![
            Cell::text(name),
            Cell::Figure(Spread::exactly(messages as f64), 0),
            each(counts.writes),
            each(counts.reads),
            each(counts.waits),
            each(counts.wakes),
            each(counts.others),
            each(all),
        ]);
        Result::Ok(())
    };
    for (pause_us, spaced) in [(0, "as fast as it can"), (500, "every 0.5 ms")] {
        for batching in [true, false] {
            let off = if batching { "" } else { ", batching off" };
            for over in ["stdio", "HTTP"] {
                let name = format!("progress {spaced}, {over}{off}");
                progress(&format!("syscalls: {name}"));
                add(&name, NOTIFICATIONS, storm(subject, over == "stdio", pause_us, batching))?;
            }
        }
    }
    let forwarded = Call::tool(Era::Legacy, "up__talk_0", r#"{"notify":0}"#);
    for (what, call) in [("in-process call", retrieve(Era::Legacy)), ("call to a child", forwarded)] {
        for (requests, in_flight) in [(ALONE, 1), (TOGETHER, 64)] {
            let name = format!("{what}, stdio, {in_flight} in flight");
            progress(&format!("syscalls: {name}"));
            add(&name, requests, stdio(subject, &call, requests, in_flight))?;
        }
        for (requests, connections, threads) in
            [(ALONE, 1, "one thread"), (TOGETHER, 16, "one thread"), (TOGETHER, 16, "its own threads")]
        {
            let name = format!("{what}, HTTP, {connections} connections, {threads}");
            progress(&format!("syscalls: {name}"));
            let has_one_thread = threads == "one thread";
            add(&name, requests, http(subject, &call, requests, connections, has_one_thread))?;
        }
    }
    Ok(Section {
        title:
            "System calls of the gateway per message (notification, or request with its answer), by strace"
                .into(),
        columns: vec!["case", "messages", "writes", "reads", "waits", "wakes", "others", "all"],
        rows,
    })
}

/// A child that is never replaced: strace would follow the new one too.
fn home(batching: bool) -> Result<Home> {
    let talker = Serve::Talker { tools: 1, aside: true };
    Home::with(&format!(
        "[transport]\nbatching = {batching}\n\n[pool]\nmax_uses = {}\n\n[[upstream]]\nname = \"up\"\n{}\n",
        u32::MAX,
        talker.toml()?
    ))
}

/// One call with many notifications.
fn storm(subject: &Subject, stdio: bool, pause_us: u64, batching: bool) -> Result<Counts> {
    let call = |count: u64| {
        // What follows the arguments belongs to the parameters: these have no other `_meta` in the legacy era.
        let arguments =
            format!(r#"{{"notify":{count},"pause_us":{pause_us}}},"_meta":{{"progressToken":1}}"#);
        Call::tool(Era::Legacy, "up__talk_0", arguments)
    };
    let home = home(batching)?;
    if stdio {
        let mut talk = on(Place::Measured, || Talk::start(subject.stdio(&home)))?;
        talk.initialize()?;
        talk.ask(call(1).line().fresh())?;
        let trace = Trace::of(talk.id())?;
        talk.ask(call(NOTIFICATIONS).line().fresh())?;
        return trace.count();
    }
    let mut running = Running::start(subject.http(&home), Some(home))?;
    running.server.initialize()?;
    running.server.ask(&call(1))?;
    let trace = Trace::of(running.process.id())?;
    running.server.ask(&call(NOTIFICATIONS))?;
    trace.count()
}

fn stdio(subject: &Subject, call: &Call, requests: u64, in_flight: usize) -> Result<Counts> {
    let home = home(true)?;
    let mut talk = on(Place::Measured, || Talk::start(subject.stdio(&home)))?;
    talk.initialize()?;
    load::pipe(&mut talk, &call.line(), in_flight, Until::Requests(ALONE))?;
    let trace = Trace::of(talk.id())?;
    load::pipe(&mut talk, &call.line(), in_flight, Until::Requests(requests))?;
    trace.count()
}

fn http(
    subject: &Subject,
    call: &Call,
    requests: u64,
    connections: usize,
    has_one_thread: bool,
) -> Result<Counts> {
    let home = home(true)?;
    let mut running = if has_one_thread {
        Running::start(subject.http(&home), Some(home))?
    } else {
        Running::start_at(Place::Anywhere, subject.http_with_its_threads(&home), Some(home))?
    };
    running.server.initialize()?;
    let (address, request) = (running.server.address, running.server.request(call));
    load::run(address, &request, connections, Until::Requests(ALONE))?;
    let trace = Trace::of(running.process.id())?;
    load::run(address, &request, connections, Until::Requests(requests))?;
    trace.count()
}

/// A strace that follows a process.
struct Trace {
    process: Process,
    /// Kept open: strace names each new thread there, and would end if nobody could read that.
    _said: BufReader<ChildStderr>,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

impl Trace {
    /// Follows all threads of a process, and whatever processes it starts from now on; see [`home`].
    fn of(pid: u32) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("trace");
        let mut command = Command::new("strace");
        command.args(["-f", "-y", "-s", "0", "-o"]).arg(&file).args(["-p", &pid.to_string()]);
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        let mut process = on(Place::Other, || Process::start(command))?;
        let said = process.child().stderr.take().ok_or("strace has no standard error")?;
        let mut said = BufReader::new(said);
        let mut line = String::new();
        said.read_line(&mut line)?;
        if !line.contains("attached") {
            return Err(format!("strace cannot attach to process {pid}: {}", line.trim()).into());
        }
        Ok(Self { process, _said: said, file, _folder: folder })
    }

    /// What was called since.
    fn count(mut self) -> Result<Counts> {
        let pid = Pid::from_child(self.process.child());
        kill_process(pid, Signal::INT)?;
        self.process.child().wait()?;
        count(&self.file)
    }
}

fn count(file: &Path) -> Result<Counts> {
    let mut counts = Counts::default();
    for line in std::fs::read_to_string(file)?.lines() {
        // `PID name(FD<what>, …`; `PID <... name resumed>` is the rest of a call that was counted.
        let call = line.split_once(' ').map_or("", |(_, call)| call.trim_start());
        let Some((name, arguments)) = call.split_once('(') else { continue };
        let is_event = arguments.split(',').next().is_some_and(|fd| fd.contains("eventfd"));
        let count = match name {
            _ if name.starts_with('<') => continue,
            "futex" => &mut counts.wakes,
            "read" | "write" if is_event => &mut counts.wakes,
            "write" | "writev" | "sendto" | "sendmsg" => &mut counts.writes,
            "read" | "readv" | "recvfrom" | "recvmsg" => &mut counts.reads,
            _ if name.starts_with("epoll_") && name != "epoll_ctl" => &mut counts.waits,
            _ => &mut counts.others,
        };
        *count += 1;
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_once_and_by_what_they_are_for() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("trace");
        let lines = [
            "12 writev(9<TCP:[127.0.0.1:1->127.0.0.1:2]>, [{iov_base=\"\"..., iov_len=3}], 1) = 3",
            "12 write(1<pipe:[4]>, \"\"..., 8 <unfinished ...>",
            "12 <... write resumed>) = 8",
            "12 write(4<anon_inode:[eventfd]>, \"\"..., 8) = 8",
            "12 futex(0x7f, FUTEX_WAKE_PRIVATE, 1) = 1",
            "12 recvfrom(9<TCP:[x]>, \"\"..., 8192, 0, NULL, NULL) = 3",
            "13 epoll_wait(3<anon_inode:[eventpoll]>, [], 1024, 9) = 0",
            "13 epoll_ctl(3<anon_inode:[eventpoll]>, EPOLL_CTL_ADD, 9) = 0",
            "13 +++ exited with 0 +++",
        ];
        std::fs::write(&file, lines.join("\n")).unwrap();
        let Counts { writes, reads, waits, wakes, others } = count(&file).unwrap();
        assert_eq!((writes, reads, waits, wakes, others), (2, 1, 1, 2, 1));
    }
}
