//! A pattern as it is shown.

use aqe_store::UnixMillis;
use aqe_store::learning::{Kept, Pattern, Polarity, State};
use serde::Serialize;

use super::context::{Level, Surroundings};
use super::posterior::{HALF_LIFE_MS, Posterior, decide};
use super::shown;
use crate::arguments::rfc3339;

/// The chance of success, and what it is known from.
#[derive(Debug, Serialize)]
pub(super) struct Chance {
    mean: f64,
    /// With 95 % certainty it is not below, and not above.
    lower95: f64,
    upper95: f64,
    /// How many trials of now the observations weigh as much as.
    n_eff: f64,
    alpha: f64,
    beta: f64,
}

impl From<Posterior> for Chance {
    fn from(known: Posterior) -> Self {
        Self {
            mean: known.mean(),
            lower95: known.lower(),
            upper95: known.upper(),
            n_eff: known.n_eff(),
            alpha: known.alpha,
            beta: known.beta,
        }
    }
}

/// Trials as they were counted, whatever their age.
#[derive(Debug, Serialize)]
pub(super) struct Trials {
    successes: u64,
    failures: u64,
    /// Failures that say nothing of the pattern, and count in nothing else.
    infrastructure: u64,
    /// Successes that came after a failure of the same thing.
    flaky: u64,
    /// How many of all these a caller asserted; our own tools saw the others.
    asserted: u64,
    /// `null` if no observation had a reward.
    reward_mean: Option<f64>,
}

impl From<&aqe_store::learning::Seen> for Trials {
    fn from(seen: &aqe_store::learning::Seen) -> Self {
        Self {
            successes: seen.successes,
            failures: seen.failures,
            infrastructure: seen.infrastructure,
            flaky: seen.flaky,
            asserted: seen.asserted,
            reward_mean: (seen.rewards > 0).then(|| seen.reward_sum / seen.rewards as f64),
        }
    }
}

/// What is known of a pattern, in all contexts.
#[derive(Debug, Serialize)]
pub(super) struct Standing {
    pub(super) id: String,
    polarity: Polarity,
    title: String,
    state: State,
    /// Whether somebody retired it, and not its outcomes.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    retired_by_hand: bool,
    posterior: Chance,
    /// What our own tools have seen of it, which alone promotes; `null` if that is nothing.
    measured: Option<Chance>,
    trials: Trials,
    created: String,
    /// `null` if it was never tried.
    last: Option<String>,
}

impl Standing {
    pub(super) fn of(pattern: &Pattern, now: UnixMillis) -> Self {
        Self {
            id: shown(pattern.id),
            polarity: pattern.polarity,
            title: pattern.title.clone(),
            state: state(pattern, now),
            retired_by_hand: pattern.retired.is_some(),
            posterior: Posterior::of(pattern.tally, now).into(),
            measured: (pattern.measured.n_eff() > 0.0).then(|| Posterior::of(pattern.measured, now).into()),
            trials: (&pattern.seen).into(),
            created: rfc3339(pattern.created),
            last: pattern.last.map(rfc3339),
        }
    }
}

/// The state of now: what was decided at the last observation, and what time has made of it.
pub(super) fn state(pattern: &Pattern, now: UnixMillis) -> State {
    if pattern.retired.is_some() {
        return State::Retired;
    }
    let (all, measured) = (pattern.tally.at(now, HALF_LIFE_MS), pattern.measured.at(now, HALF_LIFE_MS));
    decide(pattern.state, &all, &measured)
}

/// The chance in the narrowest context that has enough, and which one that is.
pub(super) fn nearest(pattern: &Pattern, levels: &[(String, Level)], now: UnixMillis) -> (Posterior, Level) {
    let known = pattern.levels.iter().filter_map(|(place, tally)| {
        let (_, level) = levels.get(*place)?;
        Some((Posterior::of(*tally, now), *level))
    });
    let enough = super::posterior::RULE.back_off_below;
    let found = known.into_iter().find(|(known, _)| known.n_eff() >= enough);
    found.unwrap_or_else(|| (Posterior::of(pattern.tally, now), Level::Any))
}

/// An observation that is still kept.
#[derive(Debug, Serialize)]
pub(super) struct Record {
    at: String,
    successes: u32,
    failures: u32,
    infrastructure: u32,
    /// Successes that came after a failure of the same thing.
    #[serde(skip_serializing_if = "is_nought")]
    flaky: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    reward: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<String>,
    /// `measured` by our own tools, or `asserted`.
    source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    asserted_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Surroundings>,
}

impl From<Kept> for Record {
    fn from(kept: Kept) -> Self {
        let trials = kept.trials;
        Self {
            at: rfc3339(trials.at),
            successes: trials.successes,
            failures: trials.failures,
            infrastructure: trials.infrastructure,
            flaky: trials.flaky,
            reward: trials.reward,
            evidence: trials.evidence,
            source: if trials.asserted_by.is_some() { "asserted" } else { "measured" },
            asserted_by: trials.asserted_by,
            context: kept.context.as_deref().map(Surroundings::of_name),
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde wants it so.
fn is_nought(count: &u32) -> bool {
    *count == 0
}
