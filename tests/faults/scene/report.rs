//! What became of the calls of a scene.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::load::{Call, Ended, Kind, is_late};
use super::witness::Witness;

/// Examples of each kind of trouble that a report shows.
const EXAMPLES: usize = 5;

/// Marks of calls, and how often each was seen.
pub(super) type Marks = HashMap<String, usize>;

/// What became of the calls of a scene.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) calls: Vec<Call>,
    /// How often each mark was written down at the upstream.
    told: Marks,
    /// How often each arrived there.
    arrived: Marks,
    deadline: Duration,
    witness: Arc<Witness>,
}

impl Report {
    pub(super) fn new(
        calls: Vec<Call>,
        told: Marks,
        arrived: Marks,
        deadline: Duration,
        witness: Arc<Witness>,
    ) -> Self {
        let report = Self { calls, told, arrived, deadline, witness };
        eprintln!("{}", report.summary());
        report
    }

    /// Calls of this kind that failed, with their errors.
    pub(crate) fn failed(&self, kind: Kind) -> Vec<&str> {
        let failed =
            self.calls.iter().filter(|call| call.kind == kind).filter_map(|call| match &call.ended {
                Ended::Failed(error) => Some(&**error),
                _ => None,
            });
        failed.collect()
    }

    /// How often a mark was written down at the upstream.
    pub(crate) fn times_told(&self, mark: &str) -> usize {
        self.told.get(mark).copied().unwrap_or_default()
    }

    /// How often calls arrived that had arrived before.
    pub(crate) fn retries(&self) -> usize {
        self.arrived.values().map(|times| times - 1).sum()
    }

    /// What must hold whatever has failed.
    pub(crate) fn assert_sound(&self) {
        let of = |wanted: fn(&Ended) -> bool| -> Vec<&Call> {
            self.calls.iter().filter(|call| wanted(&call.ended)).take(EXAMPLES).collect()
        };
        let wrong = of(|ended| matches!(ended, Ended::Wrong(_)));
        assert!(wrong.is_empty(), "wrong answers: {wrong:#?}");
        let lost = of(|ended| matches!(ended, Ended::Lost(_)));
        assert!(lost.is_empty(), "lost answers: {lost:#?}");
        let late: Vec<&Call> = self
            .calls
            .iter()
            .filter(|call| is_late(call, self.deadline, &self.witness))
            .take(EXAMPLES)
            .collect();
        assert!(late.is_empty(), "answers after their deadline: {late:#?}");
        let twice: Vec<_> = self.told.iter().filter(|(_, times)| **times > 1).take(EXAMPLES).collect();
        assert!(twice.is_empty(), "done more than once: {twice:?}");
        let answered = |call: &&Call| call.kind == Kind::Tells && call.ended == Ended::Answered;
        let never: Vec<&Call> = self
            .calls
            .iter()
            .filter(answered)
            .filter(|call| !self.told.contains_key(&call.mark))
            .take(EXAMPLES)
            .collect();
        assert!(never.is_empty(), "answered, and never done: {never:#?}");
    }

    /// As [`Report::assert_sound`], and no call failed that only asks.
    pub(crate) fn assert_no_ask_failed(&self) {
        self.assert_sound();
        let failed = self.failed(Kind::Asks);
        assert!(
            failed.is_empty(),
            "{} calls failed, such as {:#?}",
            failed.len(),
            &failed[..failed.len().min(EXAMPLES)]
        );
    }

    /// As [`Report::assert_no_ask_failed`], and no other call failed either.
    pub(crate) fn assert_none_failed(&self) {
        self.assert_no_ask_failed();
        let failed = self.failed(Kind::Tells);
        assert!(
            failed.is_empty(),
            "{} calls failed, such as {:#?}",
            failed.len(),
            &failed[..failed.len().min(EXAMPLES)]
        );
    }

    fn summary(&self) -> String {
        let mut ended: BTreeMap<String, usize> = BTreeMap::new();
        for call in &self.calls {
            let kind = call.kind;
            let what = match &call.ended {
                Ended::Answered => format!("{kind:?}: answered"),
                Ended::Failed(error) => format!("{kind:?}: failed: {}", gist(error)),
                Ended::Wrong(_) => format!("{kind:?}: wrong"),
                Ended::Lost(why) => format!("{kind:?}: lost: {why}"),
            };
            *ended.entry(what).or_default() += 1;
        }
        let mut took: Vec<Duration> = self.calls.iter().map(|call| call.took).collect();
        took.sort_unstable();
        let at = |share: f64| took.get((took.len() as f64 * share) as usize).copied().unwrap_or_default();
        let (p50, p99, longest) = (at(0.5), at(0.99), took.last().copied().unwrap_or_default());
        format!("{} calls, p50 {p50:.1?}, p99 {p99:.1?}, longest {longest:.1?}: {ended:#?}", self.calls.len())
    }
}

/// An error without its numbers, so that alike ones are counted together.
fn gist(error: &str) -> String {
    let text = error.split_once("\"message\":").map_or(error, |(_, text)| text);
    text.chars().filter(|letter| !letter.is_ascii_digit()).take(200).collect()
}
