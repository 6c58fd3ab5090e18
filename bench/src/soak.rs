//! Full load for minutes, while clients come and go, replicas are restarted and settings change: whether memory,
//! descriptors, threads and processes stay what they are, and every call is answered.

mod clients;
mod replicas;
mod sample;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use self::clients::{Load, PARTS, Tally};
use self::replicas::Replicas;
use self::sample::Sample;
use crate::Result;
use crate::report::{Cell, Goal, Section};
use crate::stats::Spread;
use crate::subject::{Home, Running, Subject};
use crate::trend;

/// Between two looks at the gateway.
const LOOK: Duration = Duration::from_secs(5);
/// Between two ends of a replica.
const END: Duration = Duration::from_secs(20);
/// How long a server that was ended stays away.
const AWAY: Duration = Duration::from_secs(1);
/// Between two changes of settings.
const CHANGE: Duration = Duration::from_secs(15);
/// Load before the start is looked at, so that every connection has been opened once.
const WARM_UP: Duration = Duration::from_secs(5);
/// How long the gateway may take, when no client is left, to be as it was at the start.
const SETTLE: Duration = Duration::from_secs(120);
/// Share of the time after which memory counts.
const GROWN: f64 = 0.2;

/// Most descriptors, threads and processes more or less than at the start (reliability.md 5).
const AROUND: f64 = 2.0;
/// Most MiB by which memory may grow from the end of the warm-up to the end, as its trend says.
const GROWTH_MIB: f64 = 1.0;
/// Greatest ratio of the 99th percentile in the last tenth of the time to that in the second.
const DRIFT: f64 = 1.2;

/// How to soak.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// How long.
    pub(crate) time: Duration,
    /// Clients at a time.
    pub(crate) clients: usize,
    /// What the clients do follows from this; when they do it does not.
    pub(crate) seed: u64,
}

/// When something is due again.
struct Every {
    pause: Duration,
    next: Instant,
}

impl Every {
    fn from_now(pause: Duration) -> Self {
        Self { pause, next: Instant::now() + pause }
    }

    fn is_due(&mut self) -> bool {
        let due = Instant::now() >= self.next;
        if due {
            self.next += self.pause;
        }
        due
    }
}

/// Soaks the gateway.
pub(crate) fn measure(subject: &Subject, plan: Plan) -> Result<Vec<Section>> {
    let mut replicas = Replicas::start()?;
    // Clients that leave without a word leave a session behind.
    let home = Home::with(&format!("[server]\nsession_idle_timeout_s = 10\n\n{}", replicas.toml()?))?;
    let gateway = Running::start(subject.http_with_its_threads(&home), Some(home))?;
    let pid = gateway.process.id();

    let mut load = Load::start(&gateway.server, plan.clients, WARM_UP, plan.seed)?;
    std::thread::sleep(WARM_UP);
    load.end()?;
    let warm_up = std::mem::take(&mut load.tally().faults);
    let start = at_rest(pid)?;
    eprintln!("  at the start: {start:?}");

    let mut samples = Vec::new();
    let mut injected: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut load = Load::start(&gateway.server, plan.clients, plan.time, plan.seed.wrapping_add(1))?;
    let started = Instant::now();
    let (mut look, mut end, mut change) =
        (Every::from_now(LOOK), Every::from_now(END), Every::from_now(CHANGE));
    let mut away_until = None;
    let mut changes = 0;
    while started.elapsed() < plan.time {
        if look.is_due() {
            let (calls, failures) = counted(&load);
            let sample = Sample::take(pid, started.elapsed().as_secs_f64(), calls, failures)?;
            eprintln!("  {sample:?}");
            samples.push(sample);
        }
        if end.is_due() {
            *injected.entry(replicas.end_next(pid)?).or_default() += 1;
            away_until = Some(Instant::now() + AWAY);
        }
        if away_until.is_some_and(|until| until <= Instant::now()) {
            replicas.restore()?;
            away_until = None;
        }
        if change.is_due() {
            changes += 1;
            let (path, settings) = setting(changes);
            gateway.admin()?.post(path, &settings)?;
            *injected.entry("change of settings").or_default() += 1;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    load.end()?;
    replicas.restore()?;
    // As at the start.
    for change in [0, 1] {
        let (path, settings) = setting(change);
        gateway.admin()?.post(path, &settings)?;
    }
    let (finish, settled) = back_at(pid, &start)?;
    eprintln!("  at the end, after {settled:.0?}: {finish:?}");
    let pool = gateway.admin()?.get("/admin/pool")?;
    let mut tally = load.tally();
    for (name, (count, _)) in warm_up {
        tally.faults.entry(name).or_insert((0, 0.0)).0 += count;
    }
    Ok(vec![
        timeline(&samples, plan),
        tenths(&tally, plan),
        happened(&injected, &tally, &pool),
        faults(&tally),
        verdict(&start, &finish, &samples, &tally, plan)?,
    ])
}

fn counted(load: &Load) -> (u64, u64) {
    let tally = load.tally();
    (tally.calls, tally.failures())
}

/// The change of settings number `turn`: the pool's and the balancer's in turns, those of 0 and 1 being the defaults.
fn setting(turn: usize) -> (&'static str, Value) {
    const STRATEGIES: [&str; 5] = ["least-connections", "round-robin", "response-time", "weighted", "p2c"];
    if turn.is_multiple_of(2) {
        let (min, max) = if turn.is_multiple_of(4) { (5, 50) } else { (2, 30) };
        ("/admin/pool", json!({ "min_connections": min, "max_connections": max }))
    } else {
        ("/admin/balance", json!({ "strategy": STRATEGIES[turn / 2 % STRATEGIES.len()] }))
    }
}

/// Waits until descriptors and children have been the same for a while.
fn at_rest(pid: u32) -> Result<Sample> {
    let (quiet, deadline) = (Duration::from_secs(4), Instant::now() + SETTLE);
    let (mut last, mut since) = (Sample::take(pid, 0.0, 0, 0)?, Instant::now());
    loop {
        std::thread::sleep(Duration::from_millis(200));
        let now = Sample::take(pid, 0.0, 0, 0)?;
        if (now.descriptors, now.children) != (last.descriptors, last.children) {
            since = Instant::now();
        }
        last = now;
        if since.elapsed() > quiet || Instant::now() > deadline {
            return Ok(last);
        }
    }
}

/// Waits until all is as it was at the start, but not forever; returns what then is, and how long that took.
fn back_at(pid: u32, start: &Sample) -> Result<(Sample, Duration)> {
    let begun = Instant::now();
    loop {
        let now = Sample::take(pid, 0.0, 0, 0)?;
        let near = differences(start, &now).iter().all(|(_, difference)| difference.abs() <= AROUND);
        if near || begun.elapsed() > SETTLE {
            return Ok((now, begun.elapsed()));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// What there is more of at the end than at the start.
fn differences(start: &Sample, end: &Sample) -> [(&'static str, f64); 3] {
    let more = |of: fn(&Sample) -> u64| of(end) as f64 - of(start) as f64;
    [
        ("descriptors", more(|sample| sample.descriptors)),
        ("threads", more(|sample| sample.threads)),
        ("processes", more(|sample| sample.children)),
    ]
}

fn timeline(samples: &[Sample], plan: Plan) -> Section {
    Section {
        title: format!(
            "Soak: {:?} with {} clients that come and go, three HTTP and three stdio replicas, one of which ends every \
             {END:?}",
            plan.time, plan.clients
        ),
        columns: Sample::COLUMNS.to_vec(),
        rows: samples.iter().map(Sample::row).collect(),
    }
}

fn tenths(tally: &Tally, plan: Plan) -> Section {
    let part = plan.time.as_secs_f64() / PARTS as f64;
    let rows = tally.latency.iter().enumerate().map(|(tenth, latency)| {
        let us =
            |quantile| Cell::Figure(Spread::exactly(latency.value_at_quantile(quantile) as f64 / 1_000.0), 0);
        let mut row = vec![
            Cell::text((tenth + 1).to_string()),
            Cell::Figure(Spread::exactly(latency.len() as f64 / part), 0),
        ];
        row.extend([us(0.50), us(0.95), us(0.99), us(0.999), us(1.0)]);
        row
    });
    Section {
        title: "Soak: calls in each tenth of the time".into(),
        columns: vec!["tenth", "calls_per_s", "p50_us", "p95_us", "p99_us", "p999_us", "max_us"],
        rows: rows.collect(),
    }
}

fn happened(injected: &BTreeMap<&'static str, u64>, tally: &Tally, pool: &Value) -> Section {
    let row = |what: &str, count: f64| vec![Cell::text(what), Cell::Figure(Spread::exactly(count), 0)];
    let mut rows = vec![
        row("calls answered", tally.calls as f64),
        row("clients that came", tally.came as f64),
        row("clients that left without a word", tally.vanished as f64),
    ];
    rows.extend(injected.iter().map(|(what, count)| row(what, *count as f64)));
    for figure in ["hits", "misses", "timeouts", "refused", "opened", "open_failures"] {
        rows.push(row(&format!("pool: {figure}"), pool["all"][figure].as_f64().unwrap_or(f64::NAN)));
    }
    for (reason, count) in pool["all"]["retired"].as_object().into_iter().flatten() {
        rows.push(row(&format!("pool: closed, {reason}"), count.as_f64().unwrap_or(f64::NAN)));
    }
    Section { title: "Soak: what happened".into(), columns: vec!["what", "count"], rows }
}

fn faults(tally: &Tally) -> Section {
    let rows = tally.faults.iter().map(|(name, (count, first))| {
        let number = |value, digits| Cell::Figure(Spread::exactly(value), digits);
        vec![Cell::text(name), number(*count as f64, 0), number(*first, 1)]
    });
    Section {
        title: "Soak: failures that nobody injected".into(),
        columns: vec!["failure", "count", "first_at_s"],
        rows: rows.collect(),
    }
}

fn verdict(start: &Sample, end: &Sample, samples: &[Sample], tally: &Tally, plan: Plan) -> Result<Section> {
    let row = |what: &str, figure: Spread, digits, goal| {
        vec![Cell::text(what), Cell::Figure(figure, digits), Cell::Goal(Some(goal))]
    };
    let failures = tally.failures() as f64;
    let mut rows = vec![row("failures", Spread::exactly(failures), 0, Goal::AtMost(failures, 0.0))];
    let after = plan.time.as_secs_f64() * GROWN;
    let rest = plan.time.as_secs_f64() - after;
    let grown = || samples.iter().filter(|sample| sample.at >= after);
    let rss: Vec<_> = grown().map(|sample| (sample.at, sample.rss_mib)).collect();
    let pss: Vec<_> = grown().map(|sample| (sample.at, sample.pss_mib)).collect();
    for (what, points) in [("growth of RSS, MiB", rss), ("growth of PSS, MiB", pss)] {
        let slope = trend::slope(&points).ok_or("too few samples for a trend: soak for longer")?;
        let growth = Spread { median: slope.median * rest, min: slope.min * rest, max: slope.max * rest };
        rows.push(row(what, growth, 2, Goal::AtMost(growth.median, GROWTH_MIB)));
    }
    for (what, difference) in differences(start, end) {
        let goal = Goal::AtMost(difference.abs(), AROUND);
        rows.push(row(&format!("{what}, end - start"), Spread::exactly(difference), 0, goal));
    }
    let p99 = |tenth: usize| tally.latency[tenth].value_at_quantile(0.99) as f64;
    let drift = p99(PARTS - 1) / p99(1);
    rows.push(row("p99, last tenth / second", Spread::exactly(drift), 2, Goal::AtMost(drift, DRIFT)));
    Ok(Section {
        title: format!(
            "Soak: the bars; growth is the Theil–Sen slope over the last {:.0} % of the time, times that time",
            100.0 * (1.0 - GROWN)
        ),
        columns: vec!["what", "figure", "goal"],
        rows,
    })
}
