//! Load over HTTP: some connections, on each one request at a time.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::task::LocalSet;

use crate::Result;
use crate::connection::Connection;
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

    /// One more request was answered.
    pub(crate) fn add(&mut self, took: Duration) -> Result<()> {
        self.requests += 1;
        Ok(self.latency.record(took.as_nanos() as u64)?)
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
        let shared = Rc::new(Shared {
            until,
            started: Instant::now(),
            sent: Cell::new(0),
            done: RefCell::new(Done::nothing()?),
        });
        let mut running = Vec::new();
        for _ in 0..connections {
            let connection = Connection::open(address).await?;
            running.push(tokio::task::spawn_local(client(connection, request.clone(), shared.clone())));
        }
        for client in running {
            client.await??;
        }
        shared.done.borrow_mut().elapsed = shared.started.elapsed();
        Ok(shared.done.replace(Done::nothing()?))
    });
    let _ = go_to(Place::Anywhere);
    done
}

async fn client(mut connection: Connection, mut request: Request, shared: Rc<Shared>) -> Result<()> {
    let mut usual = None;
    while let Some(number) = shared.next() {
        let sent = Instant::now();
        let reply = connection.ask(request.numbered(number)).await?;
        let took = sent.elapsed();
        reply.check(&request)?;
        let length = reply.body.len();
        let usual = *usual.get_or_insert(length);
        if usual.abs_diff(length) > COUNTER {
            return Err(format!("{length} bytes after {usual}").into());
        }
        shared.done.borrow_mut().add(took)?;
    }
    Ok(())
}
