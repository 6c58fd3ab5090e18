//! Load over HTTP: some connections, on each one request at a time.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::Result;
use crate::http::Head;
use crate::message::Request;
use crate::process::{Place, go_to};

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// After this many requests.
    Requests(u64),
    /// After this time.
    Elapsed(Duration),
}

/// What was done.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) requests: u64,
    pub(crate) elapsed: Duration,
    /// Nanoseconds from request to reply.
    pub(crate) latency: Histogram<u64>,
}

impl Done {
    /// Nothing yet.
    pub(crate) fn nothing() -> Result<Self> {
        // Three digits: a part in a thousand.
        Ok(Self { requests: 0, elapsed: Duration::ZERO, latency: Histogram::new(3)? })
    }

    /// A quantile of the latency in microseconds.
    pub(crate) fn latency_us(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1_000.0
    }

    /// Requests per second.
    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }
}

struct Shared {
    until: Until,
    started: Instant,
    sent: Cell<u64>,
    done: RefCell<Done>,
}

impl Shared {
    /// The number of the next request, if there shall be one.
    fn next(&self) -> Option<u64> {
        let more = match self.until {
            Until::Requests(requests) => self.sent.get() < requests,
            Until::Elapsed(time) => self.started.elapsed() < time,
        };
        more.then(|| {
            self.sent.set(self.sent.get() + 1);
            self.sent.get()
        })
    }
}

/// Replies may differ in length by this many digits: one of a tool counts how often it was given.
const COUNTER: usize = 12;

/// Sends a request over and over.
///
/// # Errors
/// If any reply is not like the first one: status 200, the same length, the request's id.
pub(crate) fn run(address: SocketAddr, request: &Request, connections: usize, until: Until) -> Result<Done> {
    let _ = go_to(Place::Other);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = LocalSet::new().block_on(&runtime, async {
        let shared = std::rc::Rc::new(Shared {
            until,
            started: Instant::now(),
            sent: Cell::new(0),
            done: RefCell::new(Done::nothing()?),
        });
        let mut running = Vec::new();
        for _ in 0..connections {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            running.push(tokio::task::spawn_local(connection(stream, request.clone(), shared.clone())));
        }
        for connection in running {
            connection.await??;
        }
        shared.done.borrow_mut().elapsed = shared.started.elapsed();
        Ok(shared.done.replace(Done::nothing()?))
    });
    let _ = go_to(Place::Anywhere);
    done
}

async fn connection(mut stream: TcpStream, mut request: Request, shared: std::rc::Rc<Shared>) -> Result<()> {
    let mut reply = Vec::with_capacity(256 * 1024);
    let mut length = None;
    while let Some(number) = shared.next() {
        let sent = Instant::now();
        stream.write_all(request.numbered(number)).await?;
        reply.clear();
        let head = loop {
            if stream.read_buf(&mut reply).await? == 0 {
                return Err(format!("a connection ended within {:?}", String::from_utf8_lossy(&reply)).into());
            }
            if let Some(head) = Head::parse(&reply)? {
                break head;
            }
        };
        while reply.len() < head.body_at + head.length {
            if stream.read_buf(&mut reply).await? == 0 {
                return Err("a connection ended within a body".into());
            }
        }
        let took = sent.elapsed();
        let body = &reply[head.body_at..];
        let usual = *length.get_or_insert(head.length);
        let fault = if head.status != 200 {
            format!("status {}", head.status)
        } else if usual.abs_diff(head.length) > COUNTER {
            format!("{} bytes after {usual}", head.length)
        } else if !request.is_answered_by(body) {
            format!("no result for id {}", String::from_utf8_lossy(request.id()))
        } else {
            String::new()
        };
        if !fault.is_empty() {
            let start = String::from_utf8_lossy(&reply[..reply.len().min(600)]);
            return Err(format!("{fault}: {start}").into());
        }
        let mut done = shared.done.borrow_mut();
        done.requests += 1;
        done.latency.record(took.as_nanos() as u64)?;
    }
    Ok(())
}
