//! Load over a pipe: one process, some requests in flight.

use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::Instant;

use memchr::{memchr_iter, memmem};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe;
use tokio::runtime::Runtime;

use crate::Result;
use crate::echo::token;
use crate::http::{INITIALIZED, initialize};
use crate::load::{Done, Until};
use crate::message::{Request, number_of};
use crate::process::{Place, Process, go_to};

/// A stdio server with which hands were shaken.
#[derive(Debug)]
pub(crate) struct Talk {
    /// The pipes go first: their end is what ends the process in order.
    input: Option<pipe::Sender>,
    output: pipe::Receiver,
    unread: Vec<u8>,
    process: Process,
    runtime: Runtime,
}

impl Talk {
    /// Starts a server.
    pub(crate) fn start(mut command: Command, place: Place) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start(command, place)?;
        let child = process.child();
        let input = child.stdin.take().map(OwnedFd::from).ok_or("the input is not a pipe")?;
        let output = child.stdout.take().map(OwnedFd::from).ok_or("the output is not a pipe")?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let within = runtime.enter();
        let input = Some(pipe::Sender::from_owned_fd(input)?);
        let output = pipe::Receiver::from_owned_fd(output)?;
        drop(within);
        Ok(Self { input, output, unread: Vec::with_capacity(1 << 20), process, runtime })
    }

    /// Shakes hands as a legacy client.
    pub(crate) fn initialize(&mut self) -> Result<()> {
        self.ask(initialize().as_bytes())?;
        self.send(INITIALIZED.as_bytes())
    }

    /// The server's process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    fn send(&mut self, line: &[u8]) -> Result<()> {
        let input = self.input.as_mut().ok_or("the input is closed")?;
        let line = [line.trim_ascii_end(), b"\n"].concat();
        Ok(self.runtime.block_on(input.write_all(&line))?)
    }

    /// Sends a line and returns the next response.
    pub(crate) fn ask(&mut self, line: &[u8]) -> Result<Vec<u8>> {
        self.send(line)?;
        loop {
            while let Some(end) = memchr::memchr(b'\n', &self.unread) {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                if !is_notification(&line) {
                    return Ok(line);
                }
            }
            if self.runtime.block_on(self.output.read_buf(&mut self.unread))? == 0 {
                return Err("the server ended its output".into());
            }
        }
    }

    /// Keeps `in_flight` requests on their way.
    ///
    /// # Errors
    /// If a reply is an error, or has an id that is not in flight.
    pub(crate) fn run(&mut self, request: &Request, in_flight: usize, until: Until) -> Result<Done> {
        let _ = go_to(Place::Other);
        let input = self.input.as_mut().ok_or("the input is closed")?;
        let (output, unread) = (&mut self.output, &mut self.unread);
        let done = self.runtime.block_on(flood(input, output, unread, request.clone(), in_flight, until));
        let _ = go_to(Place::Anywhere);
        done
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        // The end of its input is the end of the server; SIGTERM follows only then.
        self.input = None;
    }
}

/// Whether a line is no response; replies to the requests here hold no member `method`.
fn is_notification(line: &[u8]) -> bool {
    memmem::find(&line[..line.len().min(200)], b"\"method\":").is_some()
}

/// When each request in flight was sent: ids in flight lie close together.
const SLOTS: usize = 1 << 16;

async fn flood(
    input: &mut pipe::Sender,
    output: &mut pipe::Receiver,
    unread: &mut Vec<u8>,
    mut request: Request,
    in_flight: usize,
    until: Until,
) -> Result<Done> {
    let mut done = Done::nothing()?;
    let mut sent_at: Vec<Option<Instant>> = vec![None; SLOTS];
    let (mut sent, started) = (0, Instant::now());
    let mut batch = Vec::new();
    loop {
        let now = Instant::now();
        let more = |sent: u64| match until {
            Until::Requests(requests) => sent < requests,
            Until::Elapsed(time) => now - started < time,
        };
        while sent - done.requests < in_flight as u64 && more(sent) {
            sent += 1;
            sent_at[sent as usize % SLOTS] = Some(now);
            batch.extend_from_slice(request.numbered(sent));
        }
        if sent == done.requests {
            done.elapsed = started.elapsed();
            return Ok(done);
        }
        // A server that does not read while it writes must not stop us from reading.
        tokio::select! {
            written = input.write(&batch), if !batch.is_empty() => drop(batch.drain(..written?)),
            read = output.read_buf(unread) => if read? == 0 {
                return Err("the server ended its output".into());
            },
        }
        let (now, mut start) = (Instant::now(), 0);
        for end in memchr_iter(b'\n', unread) {
            let line = &unread[start..end];
            start = end + 1;
            if is_notification(line) {
                continue;
            }
            let id = memmem::find(line, b"\"id\":").map(|at| token(&line[at + 5..]));
            let slot = id.and_then(number_of).and_then(|number| sent_at.get_mut(number as usize % SLOTS));
            let sent = slot.and_then(Option::take).filter(|_| memmem::find(line, b"\"result\":").is_some());
            let Some(sent) = sent else {
                return Err(format!("no reply to a request: {}", String::from_utf8_lossy(line)).into());
            };
            done.requests += 1;
            done.latency.record((now - sent).as_nanos() as u64)?;
        }
        unread.drain(..start);
    }
}
