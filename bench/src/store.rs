//! What the tools that keep things take through the running server: memory, learning, fleets.
//!
//! - [`steady`]: storing and retrieving with nothing stored and with much, one call at a time and many.
//! - [`large`]: all of these tools over a large store, where each memory write waits for the disk.
//! - [`words`]: texts that are made up.

mod large;
mod steady;
mod words;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use crate::Result;
use crate::line::Line;
use crate::load::Done;
use crate::message::{Call, Era};
use crate::report::{Cell, Goal, Section};
use crate::stats::Spread;
use crate::subject::Subject;

/// The command line of it.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Rounds of what is compared; they take turns.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Calls of each kind in a round.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u16).range(10..=10_000))]
    calls: u16,
    /// Entries of the large store.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1_000..=400_000))]
    entries: u32,
    /// What the entries say.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// The gateway to measure, instead of a release build of this workspace.
    #[arg(long, value_name = "FILE")]
    pub(crate) subject: Option<PathBuf>,
}

impl Options {
    pub(crate) fn plan(&self) -> Plan {
        Plan {
            rounds: self.rounds.into(),
            calls: self.calls.into(),
            entries: self.entries.into(),
            seed: self.seed,
        }
    }
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Rounds of what is compared; the sides take turns.
    pub(crate) rounds: usize,
    /// Calls of each kind in a round.
    pub(crate) calls: u64,
    /// Entries of the large store.
    pub(crate) entries: u64,
    /// What the entries say follows from it.
    pub(crate) seed: u64,
}

/// Measures everything over both transports.
pub(crate) fn measure(subject: &Subject, plan: Plan) -> Result<Vec<Section>> {
    let [one, many] = steady::measure(subject, plan)?;
    Ok(vec![one, many, large::measure(subject, plan)?])
}

fn tool(name: &str, arguments: impl Into<String>) -> Call {
    Call::tool(Era::Legacy, name, arguments)
}

/// What a call that must succeed came to.
fn done(line: &mut Line, call: &Call) -> Result<(Duration, Value)> {
    let (took, answer) = line.ask(call)?;
    let mut answer: Value = serde_json::from_slice(&answer)?;
    let result = answer["result"].take();
    if !result.is_object() || result["isError"] == true {
        let tool = call.tool.as_deref().unwrap_or(call.method);
        return Err(format!("{tool}: {result}{}", answer["error"]).into());
    }
    Ok((took, result))
}

/// Latency in ms.
fn ms(done: &Done, quantile: f64) -> f64 {
    done.latency_us(quantile) / 1e3
}

/// The middle of some rounds.
fn median(rounds: &[f64]) -> Result<f64> {
    Ok(Spread::of(rounds.iter().copied()).ok_or("no rounds")?.median)
}

/// A figure of which there is one.
fn one(figure: f64, digits: usize) -> Cell {
    Cell::Figure(Spread::exactly(figure), digits)
}

fn at_most(figure: f64, limit: Option<f64>) -> Cell {
    Cell::Goal(limit.map(|limit| Goal::AtMost(figure, limit)))
}
