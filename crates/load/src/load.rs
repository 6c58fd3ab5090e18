//! Load over HTTP: some clients, each with a connection on which it sends one request at a time. A closed loop: a slow
//! server is asked less often. See [`crate::open_loop`] for the other kind.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::task::LocalSet;

use crate::Result;
use crate::check::{Checker, Fault, Faults};
use crate::connection::Connection;
use crate::endpoint::Endpoint;
use crate::http::REPLY;
use crate::message::Request;

/// How long a client waits after it could not connect.
const PAUSE: Duration = Duration::from_millis(10);

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// After this many requests.
    Requests(u64),
    /// After this time.
    Elapsed(Duration),
}

impl Until {
    /// How long that takes at so many requests a second.
    pub fn at_rate(self, rate: f64) -> Duration {
        match self {
            Self::Requests(requests) => Duration::from_secs_f64(requests as f64 / rate),
            Self::Elapsed(time) => time,
        }
    }
}

/// What was done.
#[derive(Debug)]
pub struct Done {
    /// Requests with a good reply.
    pub requests: u64,
    /// From the first request to the last reply.
    pub elapsed: Duration,
    /// Nanoseconds from request to good reply; in an open loop from when the request was due.
    pub latency: Histogram<u64>,
    /// The other requests.
    pub faults: Faults,
}

impl Done {
    /// Nothing yet.
    pub fn nothing() -> Result<Self> {
        // Three digits: a part in a thousand.
        let latency = Histogram::new(3)?;
        Ok(Self { requests: 0, elapsed: Duration::ZERO, latency, faults: Faults::default() })
    }

    /// One more request was answered.
    pub fn add(&mut self, took: Duration, outcome: std::result::Result<(), Fault>) -> Result<()> {
        match outcome {
            Ok(()) => {
                self.requests += 1;
                Ok(self.latency.record(took.as_nanos() as u64)?)
            }
            Err(fault) => {
                self.faults.add(&fault);
                Ok(())
            }
        }
    }

    /// A quantile of the latency in microseconds.
    pub fn latency_us(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1_000.0
    }

    /// Good replies per second.
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64()
    }

    /// The same, if every reply was good.
    ///
    /// # Errors
    /// If not, what the first bad one was.
    pub fn flawless(self) -> Result<Self> {
        match self.faults.kinds().values().next() {
            Some(kind) => Err(format!("{} bad replies; one is: {}", self.faults.total(), kind.first).into()),
            None => Ok(self),
        }
    }
}

/// One client: where it connects, and the request as it sends it there.
#[derive(Debug, Clone)]
pub struct Client {
    /// Where it connects.
    pub endpoint: Endpoint,
    /// What it sends.
    pub request: Request,
}

impl Client {
    /// So many that send the same.
    pub fn alike(endpoint: impl Into<Endpoint>, request: &Request, count: usize) -> Vec<Self> {
        vec![Self { endpoint: endpoint.into(), request: request.clone() }; count]
    }
}

/// Some clients of one server, and what is known of its replies.
#[derive(Debug)]
pub struct Load {
    clients: Vec<Client>,
    patience: Duration,
    pub(crate) checker: RefCell<Checker>,
    /// The last request's number.
    number: Cell<u64>,
    pub(crate) done: RefCell<Done>,
}

impl Load {
    /// The requests' numbers follow `number`.
    ///
    /// # Errors
    /// If there is no room for a histogram.
    pub fn new(clients: Vec<Client>, checker: Checker, number: u64) -> Result<Rc<Self>> {
        Self::patient(clients, checker, number, REPLY)
    }

    /// The same, where each reply, with a new connection if it needs one, may take `patience`.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn patient(
        clients: Vec<Client>,
        checker: Checker,
        number: u64,
        patience: Duration,
    ) -> Result<Rc<Self>> {
        let (checker, done) = (RefCell::new(checker), RefCell::new(Done::nothing()?));
        Ok(Rc::new(Self { clients, patience, checker, number: Cell::new(number), done }))
    }

    /// What has been learnt about the replies.
    pub fn take_checker(&self) -> Checker {
        self.checker.take()
    }

    /// The next request's number.
    pub(crate) fn next(&self) -> u64 {
        self.number.set(self.number.get() + 1);
        self.number.get()
    }

    /// Connects all clients. One that cannot tries again when its turn comes.
    pub(crate) async fn connect(&self) -> Vec<Caller> {
        let mut callers = Vec::new();
        for client in &self.clients {
            let Client { endpoint, request } = client.clone();
            let opened = tokio::time::timeout(self.patience, Connection::open(endpoint.clone())).await;
            callers.push(Caller { endpoint, request, connection: opened.ok().and_then(Result::ok) });
        }
        callers
    }

    pub(crate) fn take_done(&self, elapsed: Duration) -> Result<Done> {
        Ok(Done { elapsed, ..self.done.replace(Done::nothing()?) })
    }
}

/// A client at work.
#[derive(Debug)]
pub(crate) struct Caller {
    endpoint: Endpoint,
    request: Request,
    connection: Option<Connection>,
}

impl Caller {
    /// Sends the next request, whose latency counts from `since`, and notes what came of it.
    pub(crate) async fn call(&mut self, load: &Load, since: Instant) -> Result<()> {
        let number = load.next();
        let answered = match tokio::time::timeout(load.patience, self.ask(load, number)).await {
            Ok(Ok((arrived, outcome))) => (arrived, outcome),
            Ok(Err(fault)) => (Instant::now(), Err(fault)),
            Err(_) => (Instant::now(), Err(Fault::Timeout(load.patience))),
        };
        let (arrived, outcome) = answered;
        let pause = matches!(outcome, Err(Fault::Connect(_)));
        load.done.borrow_mut().add(arrived - since, outcome)?;
        if pause {
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// One exchange: when its message had arrived, and whether that is good.
    async fn ask(
        &mut self,
        load: &Load,
        number: u64,
    ) -> std::result::Result<(Instant, std::result::Result<(), Fault>), Fault> {
        let mut connection = if let Some(connection) = self.connection.take() {
            connection
        } else {
            let opened = Connection::open(self.endpoint.clone()).await;
            opened.map_err(|error| Fault::Connect(error.to_string()))?
        };
        let reply = connection.ask(self.request.numbered(number)).await;
        let reply = reply.map_err(|error| Fault::Broken(error.to_string()))?;
        let arrived = Instant::now();
        let outcome = load.checker.borrow_mut().check_http(self.request.id(), reply.status, reply.body);
        if connection.finish().await {
            self.connection = Some(connection);
        }
        Ok((arrived, outcome))
    }
}

/// Lets every client send one request after the other.
///
/// # Errors
/// If the load itself cannot run; what the server does wrong is counted.
pub fn run(load: &Rc<Load>, until: Until) -> Result<Done> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let callers = load.connect().await;
        let started = Instant::now();
        let sent = Rc::new(Cell::new(0));
        let mut running = Vec::new();
        for mut caller in callers {
            let (load, sent) = (Rc::clone(load), Rc::clone(&sent));
            running.push(tokio::task::spawn_local(async move {
                while match until {
                    Until::Requests(requests) => sent.get() < requests,
                    Until::Elapsed(time) => started.elapsed() < time,
                } {
                    sent.set(sent.get() + 1);
                    caller.call(&load, Instant::now()).await?;
                }
                Result::Ok(())
            }));
        }
        for client in running {
            client.await??;
        }
        load.take_done(started.elapsed())
    })
}
