//! Storing and retrieving: beside a ping over the same line, with nothing stored and with 10,000 entries in turns.

use std::rc::Rc;
use std::time::Duration;

use super::{Plan, at_most, median, ms, one, tool};
use crate::Result;
use crate::calls::progress;
use crate::line::{Line, Transport};
use crate::load::Done;
use crate::message::{Call, Era};
use crate::place::Place;
use crate::report::{Cell, Goal, Section};
use crate::stats::Spread;
use crate::subject::{Home, Subject};

/// Entries of the fuller store.
const ENTRIES: u64 = 10_000;
/// The most that p50 may be, in ms (design.md 8).
const STORE: f64 = 0.2;
const RETRIEVE: f64 = 0.1;
/// How much more p50 may be with [`ENTRIES`] entries than with none, where nothing else is to be seen than the machine's own unrest.
const FLAT: f64 = 1.2;
/// Calls on their way at once, and the least of retrievals per second then.
const IN_FLIGHT: usize = 32;
const RATE: f64 = 20_000.0;
/// Of as many calls as are retrieved, one in so many is stored: a store that begins empty shall stay nearly so.
const STORED: u64 = 4;

const NOTE: &str = r#"{"text":"sixty characters of a note that an agent keeps for later","n":1}"#;

fn store(key: &str) -> Call {
    tool("qe_memory_store", format!(r#"{{"namespace":"bench","key":"{key}","value":{NOTE}}}"#))
}

fn retrieve(key: &str) -> Call {
    tool("qe_memory_retrieve", format!(r#"{{"namespace":"bench","key":"{key}"}}"#))
}

/// The rounds of one kind of call.
#[derive(Debug, Default)]
struct Rounds {
    p50: Vec<f64>,
    p95: Vec<f64>,
    cpu: Duration,
    calls: u64,
}

impl Rounds {
    fn run(&mut self, line: &mut Line, work: impl FnOnce(&mut Line) -> Result<Done>) -> Result<Done> {
        let before = line.cpu()?;
        let done = work(line)?;
        self.cpu += line.cpu()?.saturating_sub(before);
        self.calls += done.requests;
        self.p50.push(ms(&done, 0.50));
        self.p95.push(ms(&done, 0.95));
        Ok(done)
    }

    /// CPU microseconds of the process per call.
    fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.calls as f64
    }
}

/// A gateway with so many entries.
struct Side {
    line: Line,
    entries: u64,
    ping: Rounds,
    retrieve: Rounds,
    store: Rounds,
}

impl Side {
    fn start(subject: &Subject, transport: Transport, entries: u64, lines: &str) -> Result<Self> {
        let home = Rc::new(Home::with("")?);
        home.configure(lines, "")?;
        let mut line = Line::start(subject, &home, transport, Place::Measured, |_| ())?;
        // The one that is retrieved where there is no other.
        line.run_from(0, &store("k{number}"), IN_FLIGHT, entries.max(1))?;
        Ok(Self {
            line,
            entries,
            ping: Rounds::default(),
            retrieve: Rounds::default(),
            store: Rounds::default(),
        })
    }

    fn round(&mut self, calls: u64) -> Result<()> {
        let line = &mut self.line;
        let ping = Call::method(Era::Legacy, "ping");
        self.ping.run(line, |line| line.run(&ping, 1, calls))?;
        let key = if self.entries == 0 { "k100000001" } else { "k{number}" };
        self.retrieve.run(line, |line| line.run_from(0, &retrieve(key), 1, calls))?;
        self.store.run(line, |line| line.run(&store("new-{number}"), 1, (calls / STORED).max(1)))?;
        Ok(())
    }

    fn row(&self, transport: Transport, name: &str, empty: &Rounds, limit: f64) -> Result<Vec<Cell>> {
        let rounds = if name == "store" { &self.store } else { &self.retrieve };
        let (p50, ping) = (median(&rounds.p50)?, median(&self.ping.p50)?);
        let to_empty = Spread::ratio(&rounds.p50, &empty.p50).ok_or("no rounds")?;
        Ok(vec![
            Cell::text(transport.name()),
            Cell::text(name),
            Cell::text(self.entries.to_string()),
            one(p50, 3),
            one(median(&rounds.p95)?, 3),
            one(rounds.cpu_us(), 1),
            at_most(p50, Some(limit)),
            one(ping, 3),
            one(self.ping.cpu_us(), 1),
            one(p50 / ping, 2),
            one(to_empty.median, 2),
            at_most(to_empty.median, (self.entries > 0).then_some(FLAT)),
        ])
    }
}

/// One call at a time, and many.
pub(super) fn measure(subject: &Subject, plan: Plan) -> Result<[Section; 2]> {
    let (mut single, mut many) = (Vec::new(), Vec::new());
    for transport in Transport::ALL {
        progress(&format!("store: {}, one call at a time", transport.name()));
        let mut sides = [0, ENTRIES]
            .into_iter()
            .map(|entries| Side::start(subject, transport, entries, ""))
            .collect::<Result<Vec<_>>>()?;
        for _ in 0..plan.rounds {
            sides.iter_mut().try_for_each(|side| side.round(plan.calls.min(ENTRIES)))?;
        }
        for (name, limit) in [("store", STORE), ("retrieve", RETRIEVE)] {
            for side in &sides {
                let empty = if name == "store" { &sides[0].store } else { &sides[0].retrieve };
                single.push(side.row(transport, name, empty, limit)?);
            }
        }
        drop(sides);
        many.extend(flood(subject, transport, plan)?);
    }
    Ok([
        Section {
            title: format!(
                "Memory, one call at a time, {} rounds of {} calls: ms, CPU µs of the process per call; entries stored before",
                plan.rounds, plan.calls
            ),
            columns: vec![
                "over",
                "call",
                "entries",
                "p50_ms",
                "p95_ms",
                "cpu_us",
                "goal",
                "ping_p50_ms",
                "ping_cpu_us",
                "to_ping",
                "to_empty",
                "flat",
            ],
            rows: single,
        },
        Section {
            title: format!(
                "Memory, {ENTRIES} entries and more, many calls in flight: calls per second, ms, CPU µs per call"
            ),
            columns: vec![
                "over",
                "call",
                "durability",
                "in_flight",
                "per_s",
                "p50_ms",
                "p95_ms",
                "cpu_us",
                "goal",
            ],
            rows: many,
        },
    ])
}

/// Many calls at once, and what it costs to wait for the disk.
fn flood(subject: &Subject, transport: Transport, plan: Plan) -> Result<Vec<Vec<Cell>>> {
    let mut rows = Vec::new();
    for durability in ["normal", "full"] {
        progress(&format!("store: {}, {IN_FLIGHT} calls at a time, {durability}", transport.name()));
        let lines = format!("durability = \"{durability}\"\n");
        let mut line = Side::start(subject, transport, ENTRIES, &lines)?.line;
        let is_normal = durability == "normal";
        let calls = plan.calls * plan.rounds as u64;
        for (name, in_flight, calls) in [
            ("retrieve", IN_FLIGHT, calls.min(ENTRIES)),
            ("store", IN_FLIGHT, calls),
            ("store", 1, calls / STORED),
        ] {
            let is_store = name == "store";
            if !is_normal && !is_store {
                continue;
            }
            let mut rounds = Rounds::default();
            let done = rounds.run(&mut line, |line| {
                if is_store {
                    line.run(&store("more-{number}"), in_flight, calls.max(1))
                } else {
                    line.run_from(0, &retrieve("k{number}"), in_flight, calls)
                }
            })?;
            rows.push(vec![
                Cell::text(transport.name()),
                Cell::text(name),
                Cell::text(if is_store { durability } else { "" }),
                Cell::text(in_flight.to_string()),
                one(done.rate(), 0),
                one(ms(&done, 0.50), 3),
                one(ms(&done, 0.95), 3),
                one(rounds.cpu_us(), 1),
                Cell::Goal((!is_store).then_some(Goal::AtLeast(done.rate(), RATE))),
            ]);
        }
    }
    Ok(rows)
}
