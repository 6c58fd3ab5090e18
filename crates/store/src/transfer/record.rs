//! The records of an export.

use serde::{Deserialize, Serialize};

use crate::UnixMillis;
use crate::learning::{Polarity, Seen, State, Tally};

/// What a line holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Record {
    /// The first line.
    Export {
        format: u32,
        counts: Counts,
    },
    Entry(EntryRecord),
    Version(VersionRecord),
    Learner(LearnerRecord),
    Pattern(PatternRecord),
    Observation(ObservationRecord),
    /// The last line: how many are before it, and the SHA-256 of these, in hexadecimal digits.
    End {
        lines: u64,
        sha256: String,
    },
}

/// How much there is of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Memory entries.
    pub entries: u64,
    /// Their versions.
    pub versions: u64,
    /// Principals that have learnt something.
    pub learners: u64,
    /// Their patterns.
    pub patterns: u64,
    /// Observations of these that are kept one by one.
    pub observations: u64,
}

/// An entry; its versions follow, the oldest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EntryRecord {
    pub(crate) principal: String,
    pub(crate) namespace: String,
    pub(crate) key: String,
    pub(crate) created: UnixMillis,
    pub(crate) versions: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VersionRecord {
    pub(crate) version: u64,
    pub(crate) created: UnixMillis,
    pub(crate) valid_from: UnixMillis,
    pub(crate) expires: Option<UnixMillis>,
    pub(crate) kind: Option<String>,
    #[serde(deserialize_with = "crate::exact::option")]
    pub(crate) importance: Option<f64>,
    pub(crate) tags: Option<Vec<String>>,
    pub(crate) source: Option<String>,
    /// The JSON text as it was written, as text: parsed and written anew it would be another.
    pub(crate) value: String,
}

/// What a principal has learnt; its patterns follow in the order of polarity and title, then the observations in theirs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LearnerRecord {
    pub(crate) principal: String,
    pub(crate) sums: Seen,
    pub(crate) last: Option<UnixMillis>,
    pub(crate) forecasts: Vec<Forecast>,
    pub(crate) uplift: Vec<Uplift>,
    pub(crate) patterns: u64,
    pub(crate) observations: u64,
}

/// Outcomes with and without use of what was learnt, measured or asserted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Uplift {
    pub(crate) measured: bool,
    pub(crate) used: bool,
    pub(crate) successes: u64,
    pub(crate) failures: u64,
}

/// Forecasts of one range beside what came.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Forecast {
    pub(crate) bin: u64,
    pub(crate) trials: u64,
    #[serde(deserialize_with = "crate::exact::number")]
    pub(crate) predicted: f64,
    pub(crate) successes: u64,
    #[serde(deserialize_with = "crate::exact::number")]
    pub(crate) squared: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PatternRecord {
    pub(crate) polarity: Polarity,
    pub(crate) title: String,
    pub(crate) created: UnixMillis,
    pub(crate) last: Option<UnixMillis>,
    pub(crate) state: State,
    pub(crate) retired: Option<UnixMillis>,
    /// The place, among the patterns of its principal, of the one that it became a part of.
    pub(crate) merged_into: Option<u64>,
    /// How often its texts were told.
    pub(crate) told: u64,
    /// When it was handed out, if that has not been answered by an outcome.
    pub(crate) suggested: Option<UnixMillis>,
    pub(crate) tally: Tally,
    /// What of the tally our own tools have measured.
    pub(crate) measured: Tally,
    pub(crate) sums: Seen,
    pub(crate) description: String,
    pub(crate) content: String,
    pub(crate) tags: Vec<String>,
    pub(crate) contexts: Vec<Context>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Context {
    pub(crate) name: String,
    pub(crate) tally: Tally,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ObservationRecord {
    /// The pattern's place among those of its principal.
    pub(crate) pattern: u64,
    pub(crate) context: Option<String>,
    pub(crate) successes: u32,
    pub(crate) failures: u32,
    pub(crate) infrastructure: u32,
    pub(crate) flaky: u32,
    #[serde(deserialize_with = "crate::exact::option")]
    pub(crate) reward: Option<f64>,
    pub(crate) evidence: Option<String>,
    pub(crate) asserted_by: Option<String>,
    pub(crate) at: UnixMillis,
}
