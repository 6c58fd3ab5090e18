//! One scene: every side started, weighed, and called in turns.

use std::time::{Duration, Instant};

use aqe_load::check::{Checker, Expect};
use aqe_load::contest::{self, Figures, Outcome};
use aqe_load::http::Server;
use aqe_load::load::Until;
use aqe_load::target::{Drive, Place as At, Target};

use crate::Result;
use crate::calls::{WARM_UP, progress};
use crate::echo::TOOLS;
use crate::message::{Call, Era, nested};
use crate::peers::Plan;
use crate::peers::start::{Launch, Started, Whole, tool};
use crate::place::{Place, on};
use crate::stats::Spread;

/// Calls after which memory is weighed again.
pub(crate) const CALLS: u64 = 2_000;
/// How long those may take.
const TIME: Duration = Duration::from_secs(10);
/// Of those, a part after which is looked at the clock.
const BATCH: u64 = 100;
/// How long to wait until nothing is going on.
const SETTLE: Duration = Duration::from_millis(500);
/// A start that takes longer is measured once.
const SLOW: f64 = 5_000.0;

/// A side before it has started.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its name in tables.
    pub(crate) name: String,
    /// How it is started; or why it cannot.
    pub(crate) launch: std::result::Result<Launch, String>,
    /// Whether its start and its memory say anything.
    pub(crate) is_peer: bool,
}

/// What was found about one side.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) found: std::result::Result<Found, String>,
}

/// The figures of a side that has run.
#[derive(Debug)]
pub(crate) struct Found {
    /// Whether its start and its memory say anything.
    pub(crate) is_peer: bool,
    /// Milliseconds from spawning it to the first list with the upstream's tools.
    pub(crate) start_ms: Option<Spread>,
    /// Milliseconds that the first call takes.
    pub(crate) first_call_ms: f64,
    /// MiB before any call, and after some.
    pub(crate) idle_mib: Option<f64>,
    pub(crate) used_mib: Option<f64>,
    /// How many those were.
    pub(crate) calls: u64,
    /// Tools in its list, and the bytes of the reply.
    pub(crate) tools: usize,
    pub(crate) list_bytes: Option<usize>,
    /// On one connection, and on many.
    pub(crate) one: Figures,
    pub(crate) many: Figures,
}

/// A side that runs.
struct Side {
    name: String,
    is_peer: bool,
    starts: Vec<f64>,
    first_call_ms: f64,
    idle_mib: Option<f64>,
    used_mib: Option<f64>,
    calls: u64,
    list_bytes: Option<usize>,
    call: Call,
    _whole: Option<Whole>,
}

/// Measures all sides; the first is the one that the others are compared with.
///
/// # Errors
/// If the first one does not run.
pub(crate) fn scene(name: &str, entries: &[Entry], era: Era, plan: &Plan) -> Result<Vec<Row>> {
    let order: Vec<String> = entries.iter().map(|entry| entry.name.clone()).collect();
    let (mut sides, mut targets, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for entry in entries {
        progress(&format!("{name}: {}", entry.name));
        let ready = match &entry.launch {
            Ok(launch) => prepare(entry, launch, era, plan).map_err(|error| error.to_string()),
            Err(reason) => Err(reason.clone()),
        };
        match ready {
            Ok((side, target)) => {
                sides.push(side);
                targets.push(target);
            }
            Err(reason) if sides.is_empty() => return Err(format!("{}: {reason}", entry.name).into()),
            Err(reason) => failed.push(Row { name: entry.name.clone(), found: Err(reason) }),
        }
    }
    let calls: Vec<Call> = sides.iter().map(|side| side.call.clone()).collect();
    progress(&format!("{name}: one connection"));
    let one = contest(&mut targets, &calls, 1, plan)?;
    progress(&format!("{name}: {} connections", plan.connections));
    let many = contest(&mut targets, &calls, plan.connections, plan)?;
    let tools: Vec<usize> = targets.iter().map(|target| target.tools.len()).collect();
    // They take leave of their servers while those run.
    drop(targets);
    let found = sides.into_iter().zip(tools).zip(one.results.into_iter().zip(many.results));
    let mut rows: Vec<Row> = found.map(|((side, tools), (one, many))| side.row(tools, one, many)).collect();
    rows.append(&mut failed);
    rows.sort_by_key(|row| order.iter().position(|name| *name == row.name));
    Ok(rows)
}

impl Side {
    fn row(self, tools: usize, one: Figures, many: Figures) -> Row {
        let found = Found {
            is_peer: self.is_peer,
            start_ms: Spread::of(self.starts.iter().copied()),
            first_call_ms: self.first_call_ms,
            idle_mib: self.idle_mib,
            used_mib: self.used_mib,
            calls: self.calls,
            tools,
            list_bytes: self.list_bytes,
            one,
            many,
        };
        Row { name: self.name, found: Ok(found) }
    }
}

fn contest(targets: &mut [Target], calls: &[Call], connections: usize, plan: &Plan) -> Result<Outcome> {
    let drive = Drive { connections, rate: None, expect: Expect::Result };
    let plan =
        contest::Plan { drive, round: Until::Elapsed(plan.round), rounds: plan.rounds, warm_up: WARM_UP / 2 };
    on(Place::Other, || contest::run(targets, calls, &plan, |_, _| ()))
}

/// Starts a side, first to let it keep what it keeps, then to time it; weighs it before calls and after.
fn prepare(entry: &Entry, launch: &Launch, era: Era, plan: &Plan) -> Result<(Side, Target)> {
    let mut started = launch.start(era)?;
    let mut starts = Vec::new();
    if entry.is_peer && plan.starts > 0 {
        let slow = started.took.as_secs_f64() * 1e3 > SLOW;
        for _ in 0..if slow { 1 } else { plan.starts } {
            drop(started);
            started = launch.start(era)?;
            starts.push(started.took.as_secs_f64() * 1e3);
        }
    }
    let Started { mut target, whole, headers, .. } = started;
    let tool = tool(&target).ok_or("lists no tool of the upstream")?;
    // Another number in each call: nothing that keeps answers has seen it.
    let arguments = nested(TOOLS[0].1).replacen("status:open", "status:{number}", 1);
    let call = Call::tool(era, tool, arguments);
    let first_call_ms = run(&mut target, &call, 1, 1)? * 1e3;
    let mib = |target: &Target| {
        std::thread::sleep(SETTLE);
        target.tree.as_ref().ok().and_then(|tree| tree.pss_kib().ok()).map(|kib| kib as f64 / 1024.0)
    };
    let (mut idle_mib, mut used_mib, mut calls) = (None, None, 0);
    if entry.is_peer {
        idle_mib = mib(&target);
        let begun = Instant::now();
        while calls < CALLS && begun.elapsed() < TIME {
            run(&mut target, &call, plan.connections, BATCH)?;
            calls += BATCH;
        }
        used_mib = mib(&target);
    }
    let list_bytes = list_bytes(&target, era, &headers)?;
    let side = Side {
        name: entry.name.clone(),
        is_peer: entry.is_peer,
        starts,
        first_call_ms,
        idle_mib,
        used_mib,
        calls,
        list_bytes,
        call,
        _whole: whole,
    };
    Ok((side, target))
}

/// So many calls: seconds that the longest one took.
fn run(target: &mut Target, call: &Call, connections: usize, calls: u64) -> Result<f64> {
    let drive = Drive { connections, rate: None, expect: Expect::Result };
    let number = NUMBER.fetch_add(1 << 20, std::sync::atomic::Ordering::Relaxed);
    let checker = Checker::new(Expect::Result);
    let (done, _) = on(Place::Other, || target.run(call, drive, checker, number, Until::Requests(calls)))?;
    Ok(done.flawless()?.latency.max() as f64 / 1e9)
}

/// Far from the numbers that a contest gives its calls.
static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

/// The bytes of `tools/list` over HTTP.
fn list_bytes(target: &Target, era: Era, headers: &[(String, String)]) -> Result<Option<usize>> {
    let At::Url(url) = &target.place else { return Ok(None) };
    let mut server = Server::at(url)?;
    for (name, value) in headers {
        server.add_header(name, value)?;
    }
    if era == Era::Legacy {
        server.initialize()?;
    }
    let bytes = server.ask_raw(&Call::method(era, "tools/list"))?.len();
    server.leave();
    Ok(Some(bytes))
}
