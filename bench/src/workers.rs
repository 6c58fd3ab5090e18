//! What several processes of a server with one thread gain.

use std::process::Command;
use std::time::Duration;

use crate::Result;
use crate::calls::{Plan, cell, middle, progress};
use crate::cases::{Contender, contender};
use crate::load::{self, Until};
use crate::message::{Call, Era};
use crate::place::{Place, processors};
use crate::report::{Cell, Section};
use crate::stats::Spread;
use crate::subject::{Home, Running, Subject};

/// Processes of the upstream. The first is what the others are compared with.
const WORKERS: [u32; 3] = [1, 2, 4];
/// Processor time of a call.
const WORK_MS: u32 = 5;
/// Requests before the first round, while processes start.
const GROW: Duration = Duration::from_secs(1);
/// Requests before the later ones.
const WARM_UP: Duration = Duration::from_millis(200);

/// A gateway with so many processes behind it.
struct Side {
    workers: u32,
    exclusive: bool,
    gateway: Contender,
    rate: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
}

/// Calls a tool that takes [`WORK_MS`] of a processor, with all numbers of processes taking turns; once with calls
/// handed to a process while it works on another, once (`exclusive`) with one at a time.
pub(crate) fn measure(subject: &Subject, plan: &Plan) -> Result<Section> {
    let rounds = calibrate()?;
    let mut sides = Vec::new();
    for exclusive in [false, true] {
        for workers in WORKERS {
            sides.push(Side::start(workers, exclusive, rounds, subject)?);
        }
    }
    for side in &sides {
        side.load(plan, GROW)?;
    }
    for round in 1..=plan.rounds {
        progress(&format!("workers, round {round} of {}", plan.rounds));
        for side in &mut sides {
            side.load(plan, WARM_UP)?;
            let done = side.load(plan, plan.round)?;
            side.rate.push(done.rate());
            side.p50.push(done.latency_us(0.50) / 1_000.0);
            side.p99.push(done.latency_us(0.99) / 1_000.0);
        }
    }
    let rows = sides.iter().map(|side| side.row(&sides)).collect::<Result<Vec<_>>>()?;
    Ok(Section {
        title: format!(
            "Workers: stdio processes of a Node.js server with one thread, {WORK_MS} ms of processor time a call, {} \
             connections, {} rounds of {:?}, on {} processors, which the gateway and the load share with them; ratios \
             are to one worker",
            plan.connections,
            plan.rounds,
            plan.round,
            processors().len()
        ),
        columns: vec![
            "exclusive",
            "workers",
            "running",
            "calls_per_s",
            "ratio",
            "p50_ms",
            "p99_ms",
            "p99_ratio",
        ],
        rows,
    })
}

/// How often the server has to do its piece of work so that it takes [`WORK_MS`].
fn calibrate() -> Result<u64> {
    let output = Command::new("node").arg(script()).args(["calibrate", &WORK_MS.to_string()]).output();
    let output = output.map_err(|error| format!("node cannot be started: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let rounds = said.trim().parse().ok().filter(|_| output.status.success());
    rounds.ok_or_else(|| format!("{} said {said:?}", script()).into())
}

fn script() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/servers/hash.mjs")
}

impl Side {
    fn start(workers: u32, exclusive: bool, rounds: u64, subject: &Subject) -> Result<Self> {
        let args = [script(), &rounds.to_string()];
        let home = Home::with(&format!(
            "[[upstream]]\nname = \"up\"\ncommand = \"node\"\nargs = {args:?}\nworkers = {workers}\nexclusive = {exclusive}\n"
        ))?;
        let mut running = Running::start_at(Place::Anywhere, subject.http(&home), Some(home))?;
        running.server.initialize()?;
        let gateway = contender(running, &Call::tool(Era::Legacy, "up__hash", r#"{"text":"a text"}"#))?;
        Ok(Self { workers, exclusive, gateway, rate: Vec::new(), p50: Vec::new(), p99: Vec::new() })
    }

    fn load(&self, plan: &Plan, time: Duration) -> Result<load::Done> {
        let address = self.gateway.running.server.address;
        load::run(address, &self.gateway.request, plan.connections, Until::Elapsed(time))
    }

    fn row(&self, all: &[Self]) -> Result<Vec<Cell>> {
        let alone = all.iter().find(|side| side.exclusive == self.exclusive && side.workers == WORKERS[0]);
        let alone = alone.ok_or("nothing to compare with")?;
        let running = self.gateway.running.admin()?.get("/admin/pool")?["all"]["total"].as_f64();
        let ratio = |own: &[f64], alone: &[f64]| {
            Spread::ratio(own, alone).map(|ratio| Cell::Figure(ratio, 2)).ok_or("no rounds")
        };
        Ok(vec![
            Cell::text(if self.exclusive { "yes" } else { "no" }),
            Cell::text(self.workers.to_string()),
            Cell::Figure(Spread::exactly(running.ok_or("no total in /admin/pool")?), 0),
            cell(&self.rate, 0)?,
            ratio(&self.rate, &alone.rate)?,
            middle(&self.p50, 1)?,
            cell(&self.p99, 1)?,
            ratio(&self.p99, &alone.p99)?,
        ])
    }
}
