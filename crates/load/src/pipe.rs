//! Load over a pipe: one process, some requests in flight or at a fixed rate.

use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use memchr::memchr_iter;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe;
use tokio::runtime::Runtime;

use crate::Result;
use crate::check::{Checker, Fault};
use crate::http::{INITIALIZED, REPLY, initialize};
use crate::load::{Done, Until};
use crate::message::{self, Request, number_of};
use crate::open_loop::Schedule;
use crate::process::Process;

/// Bytes of a server's standard error that are kept, for the case that it does not start.
const SAID: usize = 2_000;

/// A stdio server.
#[derive(Debug)]
pub struct Talk {
    /// The pipes go first: their end is what ends the process in order.
    input: Option<pipe::Sender>,
    output: pipe::Receiver,
    unread: Vec<u8>,
    process: Process,
    runtime: Runtime,
    said: Arc<Mutex<Vec<u8>>>,
    patience: Duration,
}

/// When requests are sent.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// A closed loop: so many are in flight.
    InFlight(usize, Until),
    /// An open loop: so many a second for a time, and at most so many in flight; the wait for a place counts.
    Rate(f64, Duration, usize),
}

impl Talk {
    /// Starts a server.
    pub fn start(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start(command)?;
        let child = process.child();
        let input = child.stdin.take().map(OwnedFd::from).ok_or("the input is not a pipe")?;
        let output = child.stdout.take().map(OwnedFd::from).ok_or("the output is not a pipe")?;
        let said = Arc::new(Mutex::new(Vec::new()));
        if let Some(mut errors) = child.stderr.take() {
            let said = Arc::clone(&said);
            // Read to its end, so that the process is never held up; the thread ends with the process.
            std::thread::spawn(move || {
                let mut chunk = [0; 4096];
                while let Ok(read @ 1..) = errors.read(&mut chunk) {
                    let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                    said.extend_from_slice(&chunk[..read]);
                    let old = said.len().saturating_sub(SAID);
                    said.drain(..old);
                }
            });
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let within = runtime.enter();
        let input = Some(pipe::Sender::from_owned_fd(input)?);
        let output = pipe::Receiver::from_owned_fd(output)?;
        drop(within);
        Ok(Self {
            input,
            output,
            unread: Vec::with_capacity(1 << 20),
            process,
            runtime,
            said,
            patience: REPLY,
        })
    }

    /// Shakes hands as a legacy client, and returns what the server answers.
    pub fn initialize(&mut self) -> Result<Vec<u8>> {
        let answer = self.ask(initialize().as_bytes())?;
        self.send(INITIALIZED.as_bytes())?;
        Ok(answer)
    }

    /// Waits so long for each answer; with several in flight, for any of them.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// The server's process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The end of what it has written to standard error, where that is a pipe.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&self.said.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    fn send(&mut self, line: &[u8]) -> Result<()> {
        let input = self.input.as_mut().ok_or("the input is closed")?;
        let line = [line.trim_ascii_end(), b"\n"].concat();
        Ok(self.runtime.block_on(input.write_all(&line))?)
    }

    /// Sends a line and returns the next response.
    pub fn ask(&mut self, line: &[u8]) -> Result<Vec<u8>> {
        self.ask_within(line, self.patience)
    }

    /// The same with a time of its own.
    pub fn ask_within(&mut self, line: &[u8], time: Duration) -> Result<Vec<u8>> {
        self.send(line)?;
        let deadline = Instant::now() + time;
        loop {
            while let Some(end) = memchr::memchr(b'\n', &self.unread) {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                if message::is_response(line.trim_ascii()) {
                    return Ok(line);
                }
            }
            let read = self.runtime.block_on(async {
                tokio::time::timeout_at(deadline.into(), self.output.read_buf(&mut self.unread)).await
            });
            if read.map_err(|_| format!("no answer within {time:?}"))?? == 0 {
                return Err("the server ended its output".into());
            }
        }
    }

    /// Sends requests whose numbers follow `number`, and waits for all answers.
    ///
    /// # Errors
    /// If the load itself cannot run; what the server does wrong is counted.
    pub fn run(&mut self, request: &Request, checker: &mut Checker, number: u64, pace: Pace) -> Result<Done> {
        let input = self.input.as_mut().ok_or("the input is closed")?;
        let flood = Flood {
            input,
            output: &mut self.output,
            unread: &mut self.unread,
            request: request.clone(),
            checker,
            batch: Vec::new(),
            sent_at: vec![None; SLOTS],
            number,
            in_flight: 0,
            patience: self.patience,
            done: Done::nothing()?,
        };
        self.runtime.block_on(flood.run(pace))
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        // The end of its input is the end of the server; SIGTERM follows only then.
        self.input = None;
    }
}

/// When each request in flight was sent: ids in flight lie close together.
const SLOTS: usize = 1 << 16;

struct Flood<'a> {
    input: &'a mut pipe::Sender,
    output: &'a mut pipe::Receiver,
    unread: &'a mut Vec<u8>,
    request: Request,
    checker: &'a mut Checker,
    /// What is yet to be written.
    batch: Vec<u8>,
    sent_at: Vec<Option<Instant>>,
    number: u64,
    in_flight: usize,
    patience: Duration,
    done: Done,
}

impl Flood<'_> {
    async fn run(mut self, pace: Pace) -> Result<Done> {
        let started = Instant::now();
        let (most, mut schedule) = match pace {
            Pace::InFlight(most, _) => (most, None),
            Pace::Rate(rate, time, most) => (most, Some(Schedule::start(rate, time))),
        };
        let first = self.number;
        let mut heard = started;
        loop {
            if let Pace::InFlight(_, until) = pace {
                let now = Instant::now();
                while self.in_flight < most
                    && match until {
                        Until::Requests(requests) => self.number - first < requests,
                        Until::Elapsed(time) => now - started < time,
                    }
                {
                    self.push(now);
                }
            }
            if self.in_flight == 0 && schedule.is_none() {
                break;
            }
            if self.in_flight == 0 {
                heard = Instant::now();
            }
            // A server that does not read while it writes must not stop us from reading.
            let (mut due, mut over) = (None, None);
            tokio::select! {
                next = next_of(&mut schedule), if self.in_flight < most => due = Some(next),
                written = self.input.write(&self.batch), if !self.batch.is_empty() => match written {
                    Ok(written) => drop(self.batch.drain(..written)),
                    Err(error) => over = Some(Fault::Broken(error.to_string())),
                },
                read = self.output.read_buf(self.unread) => match read {
                    Ok(0) => over = Some(Fault::Broken("the server ended its output".into())),
                    Ok(_) => heard = Instant::now(),
                    Err(error) => over = Some(Fault::Broken(error.to_string())),
                },
                () = tokio::time::sleep_until((heard + self.patience).into()) => {
                    over = Some(Fault::Timeout(self.patience));
                }
            }
            match due {
                Some(Some(due)) => self.push(due),
                Some(None) => schedule = None,
                None => {}
            }
            self.take_lines()?;
            if let Some(fault) = over {
                // What is in flight gets no answer any more.
                for _ in 0..self.in_flight.max(1) {
                    self.done.faults.add(&fault);
                }
                break;
            }
        }
        Ok(Done { elapsed: started.elapsed(), ..self.done })
    }

    /// Puts the next request behind those that are to be written.
    fn push(&mut self, since: Instant) {
        self.number += 1;
        self.in_flight += 1;
        self.batch.extend_from_slice(self.request.numbered(self.number));
        if let Some(number) = number_of(self.request.id()) {
            self.sent_at[number as usize % SLOTS] = Some(since);
        }
    }

    fn take_lines(&mut self) -> Result<()> {
        let (now, mut start) = (Instant::now(), 0);
        for end in memchr_iter(b'\n', self.unread) {
            let line = self.unread[start..end].trim_ascii();
            start = end + 1;
            if line.is_empty() {
                continue;
            }
            let Some(id) = message::response_id(line) else {
                // A notification or a request of the server is its right; text is not.
                if message::read(line).is_none() {
                    self.done.faults.add(&Fault::NoResponse(text(line)));
                }
                continue;
            };
            let slot = number_of(id).and_then(|number| self.sent_at.get_mut(number as usize % SLOTS));
            let Some(since) = slot.and_then(Option::take) else {
                self.done.faults.add(&Fault::WrongId(text(line)));
                continue;
            };
            self.in_flight -= 1;
            let outcome = self.checker.check(id, line);
            self.done.add(now - since, outcome)?;
        }
        self.unread.drain(..start);
        Ok(())
    }
}

async fn next_of(schedule: &mut Option<Schedule>) -> Option<Instant> {
    match schedule {
        Some(schedule) => schedule.next().await,
        None => std::future::pending().await,
    }
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(&line[..line.len().min(300)]).into_owned()
}
