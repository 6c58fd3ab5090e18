//! The process of an agent: runs one program after another as its server says, and ends with it.
//!
//! Each program runs in a process group of its own. When it has ended, was cancelled or has had its time, the group is killed,
//! and with it whatever carries this agent's mark. The end of standard input means that the server is gone: what runs is
//! killed at once.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};

use super::keep::Keeping;
use super::wire::{End, Job, Order, Word};
use crate::project::child::Program;
use crate::project::child::running::{Running, kill_marked};

/// The variable by which what an agent has started is found again.
pub(crate) const MARK: &str = "AQE_V3_AGENT";

/// How long a program may take to end after it was asked to.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

/// How often a program at work is reported.
const BEAT: Duration = Duration::from_secs(1);

/// How long the outputs of a dead group may stay open before it is looked for who holds them.
const OUTPUT_WAIT: Duration = Duration::from_millis(200);

/// Events that wait to be looked at.
const EVENTS: usize = 16;

enum Event {
    Order(Order),
    /// The server is gone.
    Alone,
    /// The program of that number has ended, and waits to be reaped.
    Exited(u32),
    /// One of the outputs of the program of that number has ended.
    Silent(u32),
}

/// Works until standard input ends. For the process that the engine starts; does nothing useful elsewhere.
pub fn work() -> ExitCode {
    // What a person sees in `ps`.
    let _ = std::fs::write("/proc/self/comm", "aqe-v3-agent");
    let (tell, events) = sync_channel(EVENTS);
    let orders = tell.clone();
    let listener = thread::Builder::new().name("orders".into()).spawn(move || {
        for line in BufReader::new(io::stdin()).lines() {
            let Ok(order) = line.and_then(|line| Ok(serde_json::from_str::<Order>(&line)?)) else { break };
            if orders.send(Event::Order(order)).is_err() {
                break;
            }
        }
        let _ = orders.send(Event::Alone);
    });
    if listener.is_err() || say(&Word::Ready).is_err() {
        return ExitCode::FAILURE;
    }
    let mut number = 0;
    while let Ok(event) = events.recv() {
        match event {
            Event::Alone => break,
            Event::Order(Order::Run(job)) => {
                number += 1;
                let end = run(&job, number, &tell, &events);
                let Some(end) = end else { break };
                if say(&Word::End(Box::new(end))).is_err() {
                    break;
                }
            }
            // It came too late, or is of the program before.
            Event::Order(Order::Cancel) | Event::Exited(_) | Event::Silent(_) => {}
        }
    }
    ExitCode::SUCCESS
}

fn say(word: &Word) -> io::Result<()> {
    let mut line = serde_json::to_vec(word)?;
    line.push(b'\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(&line)?;
    stdout.flush()
}

/// Why a program is asked to end, and since when.
struct Ending {
    since: Instant,
    is_killed: bool,
}

/// Runs a program to its end; `None`: the server is gone, and so is the program.
fn run(job: &Job, number: u32, tell: &SyncSender<Event>, events: &Receiver<Event>) -> Option<End> {
    let began = Instant::now();
    let mut end = End::default();
    let mut running = match start(job) {
        Ok(running) => running,
        Err(error) => return Some(End { not_started: Some(error), ..end }),
    };
    end.pid = running.id().map(|id| id.as_raw_nonzero().get().unsigned_abs());
    let kept = Arc::new([Mutex::new(Keeping::default()), Mutex::new(Keeping::default())]);
    let watched = watch(&mut running, number, tell, &kept);
    let deadline = began.checked_add(Duration::from_millis(job.timeout_ms));
    let mut ending: Option<Ending> = None;
    let mut is_alone = watched.is_err();
    let mut beat_at = began + BEAT;
    let mut silent = 0;
    while !is_alone {
        let now = Instant::now();
        match &mut ending {
            None if deadline.is_some_and(|deadline| now >= deadline) => {
                end.timed_out = true;
                ending = Some(ask_to_end(&running));
            }
            Some(ending) if !ending.is_killed && now >= ending.since + GRACE => {
                running.signal(Signal::KILL);
                ending.is_killed = true;
            }
            _ => {}
        }
        if now >= beat_at {
            let (lines, last) = progress(&kept);
            is_alone = say(&Word::Beat { lines, last }).is_err();
            beat_at = now + BEAT;
        }
        let next = [
            Some(beat_at),
            deadline.filter(|_| ending.is_none()),
            ending.as_ref().map(|it| it.since + GRACE),
        ];
        let next = next.into_iter().flatten().filter(|at| *at > now).min().unwrap_or(beat_at);
        match events.recv_timeout(next.saturating_duration_since(now)) {
            Ok(Event::Exited(which)) if which == number => break,
            Ok(Event::Silent(which)) if which == number => silent += 1,
            Ok(Event::Order(Order::Cancel)) if ending.is_none() => {
                end.cancelled = true;
                ending = Some(ask_to_end(&running));
            }
            Ok(Event::Alone) | Err(RecvTimeoutError::Disconnected) => is_alone = true,
            // A second program at a time is nothing that the engine orders.
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
        }
    }
    let status = running.end();
    end.ms = began.elapsed().as_millis() as u64;
    if is_alone {
        kill_left();
        return None;
    }
    if let Ok(status) = status {
        (end.code, end.signal) = (status.code(), status.signal());
    }
    if ending.is_some() {
        kill_left();
    }
    is_alone = !outputs_end(number, silent, events);
    let [stdout, stderr] = &*kept;
    end.stdout = lock(stdout).kept();
    end.stderr = lock(stderr).kept();
    (!is_alone).then_some(end)
}

fn start(job: &Job) -> Result<Running, String> {
    let (program, args) = job.argv.split_first().ok_or("no program")?;
    let mut command = Program::new(program, Path::new(&job.cwd)).args(args);
    for (name, value) in &job.env {
        command = command.env(name, value);
    }
    let mut running = command.start(true, job.memory_mb).map_err(|error| error.to_string())?;
    running.stdin = None;
    Ok(running)
}

/// Starts the threads that wait for the program and read what it writes.
fn watch(
    running: &mut Running,
    number: u32,
    tell: &SyncSender<Event>,
    kept: &Arc<[Mutex<Keeping>; 2]>,
) -> io::Result<()> {
    let id = running.id();
    let exited = tell.clone();
    thread::Builder::new().name("wait".into()).spawn(move || {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while id.is_some_and(|id: Pid| matches!(waitid(WaitId::Pid(id), look), Err(rustix::io::Errno::INTR)))
        {
        }
        let _ = exited.send(Event::Exited(number));
    })?;
    let outputs: [Option<Box<dyn io::Read + Send>>; 2] = [
        running.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn io::Read + Send>),
        running.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn io::Read + Send>),
    ];
    for (place, pipe) in outputs.into_iter().enumerate() {
        let (kept, silent) = (Arc::clone(kept), tell.clone());
        thread::Builder::new().name("output".into()).spawn(move || {
            let mut buffer = vec![0; 16 << 10];
            if let Some(mut pipe) = pipe {
                while let Ok(read @ 1..) = pipe.read(&mut buffer) {
                    lock(&kept[place]).take(&buffer[..read]);
                }
            }
            let _ = silent.send(Event::Silent(number));
        })?;
    }
    Ok(())
}

fn ask_to_end(running: &Running) -> Ending {
    running.signal(Signal::TERM);
    // A stopped process ends only when it goes on.
    running.signal(Signal::CONT);
    Ending { since: Instant::now(), is_killed: false }
}

/// Waits until both outputs have ended; who holds them after the end of the group has left it, and is killed. `false`: the
/// server is gone.
fn outputs_end(number: u32, mut silent: u32, events: &Receiver<Event>) -> bool {
    for is_last in [false, true] {
        let until = Instant::now() + OUTPUT_WAIT;
        while silent < 2 {
            match events.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Event::Silent(which)) if which == number => silent += 1,
                Ok(Event::Alone) | Err(RecvTimeoutError::Disconnected) => {
                    kill_left();
                    return false;
                }
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => break,
            }
        }
        if silent < 2 && !is_last {
            kill_left();
        }
    }
    true
}

fn kill_left() {
    if let Ok(mark) = std::env::var(MARK) {
        kill_marked(MARK, &mark);
    }
}

fn progress(kept: &[Mutex<Keeping>; 2]) -> (u64, String) {
    let [stdout, stderr] = kept;
    let (out, err) = (lock(stdout), lock(stderr));
    let last = if out.last_line().is_empty() { err.last_line() } else { out.last_line() };
    (out.lines() + err.lines(), last)
}

fn lock(kept: &Mutex<Keeping>) -> std::sync::MutexGuard<'_, Keeping> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
