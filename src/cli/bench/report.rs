//! A contest that is over, as it is shown.

use aqe_load::check::Expect;
use aqe_load::contest::{Outcome, Plan};
use aqe_load::load::Until;
use aqe_load::message::{Call, PLACEHOLDER};
use aqe_load::target::Target;

/// One contest: all there is, or a step of a ladder.
pub(super) struct Report<'a> {
    pub(super) plan: Plan,
    /// Bytes for each `{payload}`.
    pub(super) payload: Option<usize>,
    pub(super) targets: &'a [Target],
    /// What was sent to each, with the arguments as the user wrote them.
    pub(super) calls: &'a [Call],
    pub(super) outcome: Outcome,
}

impl Report<'_> {
    /// What each request was, in a few words.
    pub(super) fn request(call: &Call) -> String {
        let tool = call.tool.as_ref().map(|tool| format!(" {tool} {}", call.arguments));
        format!("{}{}", call.method, tool.unwrap_or_default())
    }

    /// How it was measured.
    pub(super) fn method(&self) -> String {
        let Plan { drive, round, rounds, warm_up } = &self.plan;
        let load = match drive.rate {
            Some(rate) => format!(
                "open loop, {rate} requests/s, latency from the intended time, at most {} at once",
                drive.connections
            ),
            None => format!("closed loop, {} at once", drive.connections),
        };
        let payload = self.payload.map(|bytes| format!(", payload of {bytes} bytes"));
        let round = match round {
            Until::Requests(calls) => format!("{calls} calls"),
            Until::Elapsed(time) => format!("{} s", time.as_secs_f64()),
        };
        let payload = payload.unwrap_or_default();
        format!("{load}{payload}; {rounds} rounds of {round} after {} s of warm-up", warm_up.as_secs_f64())
    }

    /// What a reader must know to trust the figures.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(percent) = self.outcome.load_cpu_percent.filter(|percent| *percent > 80.0) {
            notes.push(format!(
                "The load took {percent:.0} % of one processor: the fastest target may be faster than shown."
            ));
        }
        if self.plan.drive.expect == Expect::Result
            && !self.calls.iter().any(|call| call.arguments.contains(PLACEHOLDER))
        {
            notes.push(format!(
                "All requests were alike: a cache may have answered them. {PLACEHOLDER} in --arguments makes each another one."
            ));
        }
        for (target, figures) in self.targets.iter().zip(&self.outcome.results) {
            if let Some(reason) = &figures.processes_unknown {
                notes.push(format!("{}: no processor time or memory: {reason}.", target.place.name()));
            }
            if figures.warm_up_errors > 0 {
                notes.push(format!(
                    "{}: {} wrong replies during warm-up, which are in no figure.",
                    target.place.name(),
                    figures.warm_up_errors
                ));
            }
            if let Some((rate, is)) =
                self.plan.drive.rate.zip(figures.calls_per_s).filter(|(rate, is)| is.median < rate * 0.95)
            {
                notes.push(format!(
                    "{} answered {:.0} of {rate} requests a second: latency is that of a queue that grows.",
                    target.place.name(),
                    is.median
                ));
            }
        }
        notes
    }

    /// Whether every reply was good, and there was one from each target.
    pub(super) fn is_good(&self) -> bool {
        self.outcome.results.iter().all(|figures| figures.errors == 0 && figures.calls > 0)
    }
}
