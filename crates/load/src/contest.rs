//! Rounds of one or several targets in turns, and what they come to.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::Result;
use crate::check::{Checker, Faults};
use crate::load::Until;
use crate::message::Call;
use crate::process::cpu_time;
use crate::stats::{Ratio, Spread};
use crate::target::{Drive, Target};

/// The quantiles that are shown, with their names.
pub const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.50), ("p90", 0.90), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999)];
/// The quantiles of the curve in a chart.
const CURVE: [f64; 13] = [0.0, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9999, 0.99999];

/// How to measure.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How calls are sent.
    pub drive: Drive,
    /// One round of one target.
    pub round: Until,
    /// Rounds of each target.
    pub rounds: usize,
    /// Calls before each round that do not count.
    pub warm_up: Duration,
}

/// One round of one target.
#[derive(Debug, Clone, Serialize)]
pub struct Round {
    /// Good replies.
    pub calls: u64,
    /// Good replies per second.
    pub calls_per_s: f64,
    /// Quantiles in microseconds, by name; null without a good reply.
    pub latency_us: BTreeMap<&'static str, Option<f64>>,
    /// Processor time of the server's processes per good reply, in microseconds.
    pub cpu_us_per_call: Option<f64>,
    /// Memory of the server's processes after the round, in KiB (proportional set size).
    pub memory_kib: Option<u64>,
}

/// What the rounds of one target come to.
#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    /// Good replies.
    pub calls: u64,
    /// The others, and those of them by kind with the first example.
    pub errors: u64,
    /// By kind.
    pub errors_by_kind: Faults,
    /// Errors during warm-ups, which are not in the other figures.
    pub warm_up_errors: u64,
    /// Good replies per second.
    pub calls_per_s: Option<Spread>,
    /// Quantiles over all rounds, in microseconds; null without a good reply.
    pub latency_us: BTreeMap<&'static str, Option<f64>>,
    /// The mean and the greatest over all rounds, in microseconds.
    pub mean_us: Option<f64>,
    /// The greatest.
    pub max_us: Option<f64>,
    /// Quantile and microseconds, for a chart.
    pub curve: Vec<(f64, f64)>,
    /// Processor time of the server's processes per good reply, in microseconds.
    pub cpu_us_per_call: Option<Spread>,
    /// The greatest memory after a round, in KiB.
    pub memory_kib: Option<u64>,
    /// Processes of the server after the last round.
    pub processes: Option<usize>,
    /// Why there is no processor time or memory.
    pub processes_unknown: Option<String>,
    /// Each round.
    pub rounds: Vec<Round>,
    /// Ratios to the first target, from rounds beside each other; none for the first.
    pub ratios: Option<Ratios>,
}

/// A target beside the first one. Null where there are fewer than two rounds, or a figure is missing.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Ratios {
    /// Of good replies per second.
    pub calls_per_s: Option<Ratio>,
    /// Of the median latency.
    pub p50: Option<Ratio>,
    /// Of the 95th percentile.
    pub p95: Option<Ratio>,
    /// Of the 99th percentile.
    pub p99: Option<Ratio>,
    /// Of processor time per good reply.
    pub cpu_us_per_call: Option<Ratio>,
}

/// What a contest comes to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// In the order of the targets.
    pub results: Vec<Figures>,
    /// How much of one processor the load took in the busiest round: near 100 it, and not the server, is what was
    /// measured. `None` where that is not known.
    pub load_cpu_percent: Option<f64>,
}

/// The state of one target during a contest.
struct Side {
    checker: Checker,
    latency: Histogram<u64>,
    rounds: Vec<Round>,
    faults: Faults,
    warm_up_faults: u64,
}

/// Measures the targets in turns, each with its call; the one that begins changes with each round, so that what changes on
/// the machine meanwhile meets all. `progress` is told the round and the target, from 0, before each turn.
///
/// # Errors
/// If the load itself cannot run; what a server does wrong is counted.
pub fn run(
    targets: &mut [Target],
    calls: &[Call],
    plan: &Plan,
    mut progress: impl FnMut(usize, usize),
) -> Result<Outcome> {
    let mut sides = Vec::new();
    for _ in &*targets {
        sides.push(Side {
            checker: Checker::new(plan.drive.expect),
            latency: Histogram::new(3)?,
            rounds: Vec::new(),
            faults: Faults::default(),
            warm_up_faults: 0,
        });
    }
    // No number comes twice in one contest, and hardly in two of them: a cache has seen none of them.
    let mut number =
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64 * 100);
    let mut load_cpu_percent = None;
    let count = targets.len();
    for round in 0..plan.rounds {
        for turn in 0..count {
            let at = (round + turn) % count;
            progress(round, at);
            let (target, side, call) = (&mut targets[at], &mut sides[at], &calls[at]);
            let mut go = |target: &mut Target, side: &mut Side, until| -> Result<_> {
                let checker = std::mem::take(&mut side.checker);
                let (done, checker) = target.run(call, plan.drive, checker, number, until)?;
                side.checker = checker;
                number += done.requests + done.faults.total();
                Ok(done)
            };
            if plan.warm_up > Duration::ZERO {
                side.warm_up_faults += go(target, side, Until::Elapsed(plan.warm_up))?.faults.total();
            }
            let before = used(target);
            let (own_before, started) = (cpu_time(std::process::id()).ok(), Instant::now());
            let done = go(target, side, plan.round)?;
            let elapsed = started.elapsed();
            let after = used(target);
            let own = own_before.zip(cpu_time(std::process::id()).ok());
            let own = own.map(|(before, after)| {
                100.0 * after.saturating_sub(before).as_secs_f64() / elapsed.as_secs_f64()
            });
            load_cpu_percent = own.into_iter().chain(load_cpu_percent).reduce(f64::max);
            let cpu = before.zip(after).filter(|_| done.requests > 0);
            side.rounds.push(Round {
                calls: done.requests,
                calls_per_s: done.rate(),
                latency_us: quantiles(&done.latency),
                cpu_us_per_call: cpu.map(|(before, after)| {
                    after.saturating_sub(before).as_secs_f64() * 1e6 / done.requests as f64
                }),
                memory_kib: target.tree.as_ref().ok().and_then(|tree| tree.pss_kib().ok()),
            });
            side.latency.add(&done.latency)?;
            side.faults.merge(&done.faults);
        }
    }
    let mut results: Vec<Figures> =
        targets.iter().zip(&sides).map(|(target, side)| side.result(target)).collect();
    for at in 1..results.len() {
        results[at].ratios = Some(ratios(&results[at], &results[0]));
    }
    Ok(Outcome { results, load_cpu_percent })
}

fn used(target: &Target) -> Option<Duration> {
    target.tree.as_ref().ok().and_then(|tree| tree.cpu_time().ok())
}

fn quantiles(latency: &Histogram<u64>) -> BTreeMap<&'static str, Option<f64>> {
    let at = |quantile| (!latency.is_empty()).then(|| latency.value_at_quantile(quantile) as f64 / 1_000.0);
    QUANTILES.iter().map(|(name, quantile)| (*name, at(*quantile))).collect()
}

impl Side {
    fn result(&self, target: &Target) -> Figures {
        let latency = &self.latency;
        let has_any = !latency.is_empty();
        // A quantile that fewer than one call lies beyond says nothing more than the greatest.
        let is_resolved = |quantile: &f64| latency.len() as f64 * (1.0 - quantile) >= 1.0;
        let mut curve: Vec<(f64, f64)> = CURVE
            .into_iter()
            .filter(is_resolved)
            .map(|quantile| (quantile, latency.value_at_quantile(quantile) as f64 / 1_000.0))
            .collect();
        if !has_any {
            curve.clear();
        }
        let cpu: Vec<f64> = self.rounds.iter().filter_map(|round| round.cpu_us_per_call).collect();
        let memory_kib = self.rounds.iter().filter_map(|round| round.memory_kib).max();
        let processes_unknown = match &target.tree {
            Err(reason) => Some(reason.clone()),
            Ok(_) if cpu.is_empty() || memory_kib.is_none() => {
                Some("the processes have ended, may not be seen, or gave no good reply".into())
            }
            Ok(_) => None,
        };
        Figures {
            calls: self.rounds.iter().map(|round| round.calls).sum(),
            errors: self.faults.total(),
            errors_by_kind: self.faults.clone(),
            warm_up_errors: self.warm_up_faults,
            calls_per_s: Spread::of(self.rounds.iter().map(|round| round.calls_per_s)),
            latency_us: quantiles(latency),
            mean_us: has_any.then(|| latency.mean() / 1_000.0),
            max_us: has_any.then(|| latency.max() as f64 / 1_000.0),
            curve,
            cpu_us_per_call: Spread::of(cpu),
            memory_kib,
            processes: target.tree.as_ref().ok().map(|tree| tree.processes().len()),
            processes_unknown,
            rounds: self.rounds.clone(),
            ratios: None,
        }
    }
}

fn ratios(subject: &Figures, baseline: &Figures) -> Ratios {
    // Rounds of which one has no figure are left out on both sides.
    let of = |figure: &dyn Fn(&Round) -> Option<f64>| {
        let pairs = subject.rounds.iter().zip(&baseline.rounds);
        let pairs = pairs.filter_map(|(subject, baseline)| figure(subject).zip(figure(baseline)));
        let (subject, baseline): (Vec<f64>, Vec<f64>) = pairs.unzip();
        Ratio::of(&subject, &baseline)
    };
    let latency = |name: &'static str| move |round: &Round| round.latency_us.get(name).copied().flatten();
    Ratios {
        calls_per_s: of(&|round| Some(round.calls_per_s)),
        p50: of(&latency("p50")),
        p95: of(&latency("p95")),
        p99: of(&latency("p99")),
        cpu_us_per_call: of(&|round| round.cpu_us_per_call),
    }
}
