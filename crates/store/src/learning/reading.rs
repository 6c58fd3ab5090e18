//! What is read of what was learnt.

use serde::{Deserialize, Serialize};

use super::{PatternId, Polarity, State, Tally, Texts, Trials};
use crate::UnixMillis;

/// How often a pattern was tried, unweighted.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    pub successes: u64,
    pub failures: u64,
    pub infrastructure: u64,
    /// Those of the successes that came after a failure of the same thing.
    pub flaky: u64,
    /// Those of the trials that somebody asserted, and our own tools did not see.
    pub asserted: u64,
    pub rewards: u64,
    #[serde(deserialize_with = "crate::exact::number")]
    pub reward_sum: f64,
}

/// A pattern, as read.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    pub id: PatternId,
    pub polarity: Polarity,
    pub title: String,
    pub created: UnixMillis,
    /// When it was last tried.
    pub last: Option<UnixMillis>,
    /// As of its last observation.
    pub state: State,
    /// When somebody retired it; that holds whatever is observed.
    pub retired: Option<UnixMillis>,
    /// The pattern that it became a part of.
    pub merged_into: Option<PatternId>,
    /// In all contexts.
    pub tally: Tally,
    /// The part of it that our own tools have measured.
    pub measured: Tally,
    pub seen: Seen,
    /// In the contexts that were asked for: the place in the question, and the tally there.
    pub levels: Vec<(usize, Tally)>,
    /// How often it was told: its texts are the same as long as this is.
    pub told: u64,
    /// If asked for.
    pub texts: Option<Texts>,
}

/// How much of a pattern's texts is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Extent {
    #[default]
    Nothing,
    /// Without the content.
    Summary,
    Whole,
}

/// Which patterns to read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Which {
    /// Only these; `None`: all.
    pub ids: Option<Vec<PatternId>>,
    /// Only those after this one, in the order of their ids.
    pub after: Option<PatternId>,
    /// At most so many.
    pub most: u32,
    /// The contexts whose tallies are wanted.
    pub levels: Vec<String>,
    pub texts: Extent,
    /// Also those that became parts of others.
    pub merged: bool,
}

/// An observation that is still kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// The narrowest.
    pub context: Option<String>,
    pub trials: Trials,
}

/// How right forecasts of one range were.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bin {
    /// Trials that were foretold.
    pub trials: u64,
    /// Sum of the forecasts.
    pub predicted: f64,
    pub successes: u64,
    /// Sum of the squared differences between forecast and outcome (0 or 1).
    pub squared: f64,
}

/// Ranges of forecasts: tenths.
pub const BINS: usize = 10;

/// What a principal has learnt in all.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Learned {
    /// Those that became parts of others not counted.
    pub patterns: u64,
    /// Trials ever counted; `last` is that of the last one.
    pub seen: Seen,
    pub last: Option<UnixMillis>,
    /// Observations that are still kept one by one.
    pub kept: u64,
    pub calibration: [Bin; BINS],
    /// Outcomes that callers asserted, of what to do: suggested before, or not.
    pub suggestions: Compared,
    /// Outcomes of our own tools, which made use of what was learnt, or not.
    pub tools: Compared,
}

/// Outcomes with and without what was learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Compared {
    pub used: Outcomes,
    pub unused: Outcomes,
}

/// How often something went well, and did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcomes {
    pub successes: u64,
    pub failures: u64,
}

impl Outcomes {
    /// Both.
    pub fn trials(self) -> u64 {
        self.successes + self.failures
    }
}
