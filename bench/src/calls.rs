//! What a call over HTTP costs, beside a baseline.

use std::path::Path;
use std::time::Duration;

use crate::Result;
use crate::callgrind;
use crate::cases::{Case, Contender, all};
use crate::load::{self, Done, Until};
use crate::process::cpu_time;
use crate::report::{Cell, Goal, Section};
use crate::stats::Spread;
use crate::subject::Subject;

/// Requests before a round that do not count.
pub(crate) const WARM_UP: Duration = Duration::from_millis(200);

/// How to measure.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// One round of one side.
    pub(crate) round: Duration,
    /// Rounds of each side.
    pub(crate) rounds: usize,
    /// Connections over HTTP.
    pub(crate) connections: usize,
    /// Only cases whose name holds this.
    pub(crate) only: String,
}

/// The rounds of one side.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rounds {
    /// CPU microseconds per call.
    pub(crate) cpu: Vec<f64>,
    /// Calls per second.
    pub(crate) rate: Vec<f64>,
    /// Microseconds from request to reply.
    pub(crate) p50: Vec<f64>,
    pub(crate) p99: Vec<f64>,
}

impl Rounds {
    /// Adds one.
    pub(crate) fn add(&mut self, done: &Done, cpu: Duration) {
        self.cpu.push(cpu.as_secs_f64() * 1e6 / done.requests as f64);
        self.rate.push(done.rate());
        self.p50.push(done.latency_us(0.50));
        self.p99.push(done.latency_us(0.99));
    }
}

/// The middle of some rounds as a cell.
pub(crate) fn cell(rounds: &[f64], digits: usize) -> Result<Cell> {
    Ok(Cell::Figure(Spread::of(rounds.iter().copied()).ok_or("no rounds")?, digits))
}

/// A middle alone, where the range would only widen the table.
pub(crate) fn middle(rounds: &[f64], digits: usize) -> Result<Cell> {
    let spread = Spread::of(rounds.iter().copied()).ok_or("no rounds")?;
    Ok(Cell::Figure(Spread::exactly(spread.median), digits))
}

/// CPU time, rate and latency of calls over HTTP.
pub(crate) fn times(subject: &Subject, plan: &Plan) -> Result<Section> {
    let mut rows = Vec::new();
    for case in selected(plan) {
        progress(&case.name);
        rows.push(time(&case, subject, plan).map_err(|error| format!("{}: {error}", case.name))?);
    }
    Ok(Section {
        title: format!(
            "Calls over HTTP, {} connections, {} rounds of {:?}: CPU µs of the process per call",
            plan.connections, plan.rounds, plan.round
        ),
        columns: vec![
            "case",
            "cpu_us",
            "baseline",
            "baseline_cpu_us",
            "ratio",
            "goal",
            "calls_per_s",
            "baseline_calls_per_s",
            "p50_us",
            "baseline_p50_us",
            "p99_us",
            "baseline_p99_us",
        ],
        rows,
    })
}

/// The cases over HTTP that were asked for.
pub(crate) fn selected(plan: &Plan) -> impl Iterator<Item = Case> {
    let only = plan.only.clone();
    all().into_iter().filter(move |case| case.name.contains(&only))
}

/// Says what is measured now.
pub(crate) fn progress(name: &str) {
    eprintln!("  {name} …");
}

fn time(case: &Case, subject: &Subject, plan: &Plan) -> Result<Vec<Cell>> {
    let contest = case.start(subject, &|_, command| command)?;
    let (mut ours, mut theirs) = (Rounds::default(), Rounds::default());
    for _ in 0..plan.rounds {
        round(&contest.baseline, plan, &mut theirs)?;
        round(&contest.subject, plan, &mut ours)?;
    }
    let ratio = Spread::ratio(&ours.cpu, &theirs.cpu).ok_or("no rounds")?;
    Ok(vec![
        Cell::text(&case.name),
        cell(&ours.cpu, 1)?,
        Cell::text(case.baseline.name()),
        cell(&theirs.cpu, 1)?,
        Cell::Figure(ratio, 2),
        Cell::Goal(case.cpu.map(|limit| Goal::AtMost(ratio.median, limit))),
        middle(&ours.rate, 0)?,
        middle(&theirs.rate, 0)?,
        middle(&ours.p50, 0)?,
        middle(&theirs.p50, 0)?,
        middle(&ours.p99, 0)?,
        middle(&theirs.p99, 0)?,
    ])
}

/// One round of one side, warmed up.
pub(crate) fn round(contender: &Contender, plan: &Plan, rounds: &mut Rounds) -> Result<()> {
    let address = contender.running.server.address;
    let pid = contender.running.process.id();
    load::run(address, &contender.request, plan.connections, Until::Elapsed(WARM_UP))?;
    let before = cpu_time(pid)?;
    let done = load::run(address, &contender.request, plan.connections, Until::Elapsed(plan.round))?;
    rounds.add(&done, cpu_time(pid)?.saturating_sub(before));
    Ok(())
}

/// Instructions of calls over HTTP. Profiles are kept in `folder`.
pub(crate) fn instructions(subject: &Subject, plan: &Plan, folder: &Path) -> Result<Section> {
    let mut rows = Vec::new();
    for case in selected(plan) {
        progress(&case.name);
        let (ours, theirs) = count(&case, subject, folder)?;
        let ratio = ours / theirs;
        rows.push(vec![
            Cell::text(&case.name),
            Cell::Figure(Spread::exactly(ours), 0),
            Cell::text(case.baseline.name()),
            Cell::Figure(Spread::exactly(theirs), 0),
            Cell::Figure(Spread::exactly(ratio), 2),
            Cell::Goal(case.instructions.map(|limit| Goal::AtMost(ratio, limit))),
        ]);
    }
    Ok(Section {
        title: "Calls over HTTP, one connection: user instructions of the process per call (callgrind)"
            .into(),
        columns: vec!["case", "instructions", "baseline", "baseline_instructions", "ratio", "goal"],
        rows,
    })
}

/// Instructions per call of subject and baseline.
pub(crate) fn count(case: &Case, subject: &Subject, folder: &Path) -> Result<(f64, f64)> {
    let out = |side: &str| callgrind::profile(folder, &case.name, side);
    let counted = || {
        let contest = case.start(subject, &|side, command| callgrind::under(&command, &out(side)))?;
        let theirs = callgrind::count(contest.baseline, &out("baseline"))?;
        Ok((callgrind::count(contest.subject, &out("subject"))?, theirs))
    };
    counted().map_err(|error: crate::Error| format!("{}: {error}", case.name).into())
}
