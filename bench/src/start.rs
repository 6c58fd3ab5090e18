//! From starting a process to its answer to the first `tools/list`.

use std::process::Command;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::Value;

use aqe_load::pipe::Talk;

use crate::Result;
use crate::message::{Call, Era};
use crate::report::{Cell, Goal, Section};
use crate::serve::Serve;
use crate::stats::Spread;
use crate::subject::{Home, Subject, Upstream};

/// Tools of the upstream.
pub(crate) const TOOLS: usize = 300;
/// Greatest 95th percentile in milliseconds (design.md 8).
const P95_MS: f64 = 15.0;
/// How long the first start of all may take to learn what the upstream offers.
const PRIME: Duration = Duration::from_secs(20);

/// Starts and lists `runs` times, the gateway and the upstream alone in turns.
pub(crate) fn measure(subject: &Subject, runs: usize) -> Result<Section> {
    let home = primed(subject)?;
    let (mut ours, mut floor) = (Histogram::<u64>::new(3)?, Histogram::<u64>::new(3)?);
    for _ in 0..runs {
        let echo = Serve::EchoStdio { tools: TOOLS, aside: false };
        floor.record(once(echo.command()?)?.as_micros() as u64)?;
        ours.record(once(subject.stdio(&home))?.as_micros() as u64)?;
    }
    let row = |name: &str, times: &Histogram<u64>, goal: bool| {
        let ms = |us: u64| Cell::Figure(Spread::exactly(us as f64 / 1_000.0), 1);
        let p95 = times.value_at_quantile(0.95);
        let goal = goal.then_some(Goal::AtMost(p95 as f64 / 1_000.0, P95_MS));
        vec![
            Cell::text(name),
            ms(times.value_at_quantile(0.5)),
            ms(p95),
            ms(times.min()),
            ms(times.max()),
            Cell::Goal(goal),
        ]
    };
    Ok(Section {
        title: format!(
            "Start: from spawning the process to the answer to tools/list, after initialize, over stdio, {TOOLS} tools \
             known from an earlier run, {runs} starts: ms"
        ),
        columns: vec!["process", "p50_ms", "p95_ms", "min_ms", "max_ms", "p95_goal"],
        rows: vec![row("gateway", &ours, true), row("an echo server alone", &floor, false)],
    })
}

/// A folder whose store knows the upstream's tools.
pub(crate) fn primed(subject: &Subject) -> Result<Home> {
    let home = Home::new(&Upstream::Child { tools: TOOLS })?;
    let mut talk = Talk::start(subject.stdio(&home))?;
    talk.initialize()?;
    let deadline = Instant::now() + PRIME;
    while listed(&talk.ask(&list())?)? < TOOLS {
        if Instant::now() > deadline {
            return Err("the gateway does not list the upstream's tools".into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(home)
}

fn list() -> Vec<u8> {
    Call::method(Era::Legacy, "tools/list").line().fresh().to_vec()
}

fn listed(reply: &[u8]) -> Result<usize> {
    let reply: Value = serde_json::from_slice(reply)?;
    Ok(reply["result"]["tools"].as_array().map_or(0, Vec::len))
}

fn once(command: Command) -> Result<Duration> {
    let started = Instant::now();
    let mut talk = Talk::start(command)?;
    talk.initialize()?;
    let reply = talk.ask(&list())?;
    let took = started.elapsed();
    let listed = listed(&reply)?;
    if listed < TOOLS { Err(format!("{listed} tools at the first tools/list").into()) } else { Ok(took) }
}
