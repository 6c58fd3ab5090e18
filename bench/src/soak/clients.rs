//! Clients that come and go: each opens a connection, shakes hands if it is a legacy one, sends some hundred read-only
//! calls one after the other, and leaves, with or without a word. Another takes its place at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fastrand::Rng;
use hdrhistogram::Histogram;
use serde_json::Value;
use tokio::task::LocalSet;

use crate::Result;
use crate::cases::nested_call;
use crate::connection::{Connection, Reply};
use crate::echo::TOOLS;
use crate::http::Server;
use crate::message::{Era, Request};
use crate::place::{Place, go_to};

/// Calls of one client.
const CALLS: std::ops::Range<u32> = 50..500;
/// The upstreams that are called.
pub(super) const UPSTREAMS: [&str; 2] = ["web", "kid"];
/// How long a client whose call failed waits before it comes again.
const PAUSE: Duration = Duration::from_millis(20);
/// Parts of the time of which the latency is kept.
pub(super) const PARTS: usize = 10;
/// Longest name of a fault in characters.
const NAME: usize = 160;

/// What the clients met.
#[derive(Debug)]
pub(super) struct Tally {
    /// Nanoseconds of the calls in each tenth of the time.
    pub(super) latency: Vec<Histogram<u64>>,
    pub(super) calls: u64,
    /// Clients that came, and those of them that left without a word or without their last answer.
    pub(super) came: u64,
    pub(super) vanished: u64,
    /// What went wrong, how often, and when first, in seconds.
    pub(super) faults: BTreeMap<String, (u64, f64)>,
}

impl Tally {
    /// Calls or handshakes that failed.
    pub(super) fn failures(&self) -> u64 {
        self.faults.values().map(|(count, _)| count).sum()
    }
}

/// A load that goes on until it is ended.
#[derive(Debug)]
pub(super) struct Load {
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<Result<()>>>,
}

#[derive(Debug)]
struct Shared {
    server: Server,
    started: Instant,
    part: Duration,
    over: AtomicBool,
    tally: Mutex<Tally>,
}

impl Load {
    /// Starts so many clients, for about this time.
    pub(super) fn start(server: &Server, clients: usize, time: Duration, seed: u64) -> Result<Self> {
        let latency = (0..PARTS).map(|_| Histogram::new(3)).collect::<std::result::Result<_, _>>()?;
        let tally = Tally { latency, calls: 0, came: 0, vanished: 0, faults: BTreeMap::new() };
        let shared = Arc::new(Shared {
            server: server.clone(),
            started: Instant::now(),
            part: time / PARTS as u32,
            over: AtomicBool::new(false),
            tally: Mutex::new(tally),
        });
        let mine = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let _ = go_to(Place::Other);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let mut rng = Rng::with_seed(seed);
            LocalSet::new().block_on(&runtime, async {
                let clients: Vec<_> = (0..clients)
                    .map(|_| tokio::task::spawn_local(one_after_the_other(Arc::clone(&mine), rng.fork())))
                    .collect();
                for client in clients {
                    client.await?;
                }
                Ok(())
            })
        });
        Ok(Self { shared, thread: Some(thread) })
    }

    /// What the clients have met so far.
    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.shared.tally()
    }

    /// Lets each client end its call and leave.
    pub(super) fn end(&mut self) -> Result<()> {
        self.shared.over.store(true, Ordering::Relaxed);
        match self.thread.take().map(std::thread::JoinHandle::join) {
            Some(Err(_)) => Err("the load has panicked".into()),
            Some(Ok(ended)) => ended,
            None => Ok(()),
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("warning: {error}");
        }
    }
}

impl Shared {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

async fn one_after_the_other(shared: Arc<Shared>, mut rng: Rng) {
    while !shared.is_over() {
        shared.tally().came += 1;
        if let Err(fault) = client(&shared, &mut rng).await {
            let at = shared.started.elapsed().as_secs_f64();
            shared.tally().faults.entry(name(&fault.to_string())).or_insert((0, at)).0 += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn client(shared: &Shared, rng: &mut Rng) -> Result<()> {
    let mut server = shared.server.clone();
    let mut connection = Connection::open(server.address).await?;
    let era = if rng.bool() { Era::Legacy } else { Era::Modern };
    if era == Era::Legacy {
        let answer = connection.ask(server.opening().as_bytes()).await?;
        succeeded("initialize", &answer)?;
        server.take_session_of(answer.head);
        succeeded("initialized", &connection.ask(server.opened().as_bytes()).await?)?;
    }
    // Mostly small calls, and some that take several reads.
    let mut requests: Vec<Request> = Vec::new();
    for (tool, size) in &TOOLS[..2] {
        for upstream in UPSTREAMS {
            requests.push(server.request(&nested_call(era, upstream, tool, *size)));
        }
    }
    for number in 0..rng.u32(CALLS) {
        if shared.is_over() {
            break;
        }
        let large = if rng.u32(..10) == 0 { UPSTREAMS.len() } else { 0 };
        let request = &mut requests[large + rng.usize(..UPSTREAMS.len())];
        let sent = Instant::now();
        let reply = connection.ask(request.numbered(number.into())).await?;
        let took = sent.elapsed();
        reply.check(request).map_err(|_| refusal("call", &reply))?;
        let mut tally = shared.tally();
        tally.calls += 1;
        let part = (shared.started.elapsed().as_secs_f64() / shared.part.as_secs_f64()) as usize;
        tally.latency[part.min(PARTS - 1)].record(took.as_nanos() as u64)?;
    }
    match rng.u32(..8) {
        // Gone while its call runs.
        0 => connection.send(requests[0].numbered(u64::from(CALLS.end))).await?,
        1 => {}
        _ => {
            if era == Era::Legacy {
                succeeded("end of session", &connection.ask(server.farewell().as_bytes()).await?)?;
            }
            return Ok(());
        }
    }
    shared.tally().vanished += 1;
    Ok(())
}

fn succeeded(what: &str, reply: &Reply<'_>) -> Result<()> {
    if (200..300).contains(&reply.status) { Ok(()) } else { Err(refusal(what, reply).into()) }
}

/// What a refusal says, in short.
fn refusal(what: &str, reply: &Reply<'_>) -> String {
    let said: Value = serde_json::from_slice(reply.body).unwrap_or_default();
    let (code, message) = (&said["error"]["code"], &said["error"]["message"]);
    match message.as_str() {
        Some(message) => format!("{what}: status {}: {code} {message}", reply.status),
        None => format!("{what}: status {}: {}", reply.status, String::from_utf8_lossy(reply.body)),
    }
}

/// A fault without what differs each time.
fn name(fault: &str) -> String {
    let mut name = String::new();
    for character in fault.chars() {
        let character = if character.is_ascii_digit() { '#' } else { character };
        if character != '#' || !name.ends_with('#') {
            name.push(character);
        }
    }
    name.chars().take(NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_that_differ_in_numbers_only_have_one_name() {
        let said = |port: u16| format!("call: status 200: -32000 cannot reach 127.0.0.1:{port}");
        assert_eq!(name(&said(4_242)), name(&said(51_713)));
        assert_eq!(name(&said(1)), "call: status #: -# cannot reach #.#.#.#:#");
        assert_eq!(name(&"x".repeat(1_000)).len(), NAME);
    }
}
