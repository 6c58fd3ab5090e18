//! Patterns of working, how often each went well, and in which contexts.
//!
//! A pattern belongs to a principal. What is known of it is a [`Tally`]: sums of successes and failures, each weighted by
//! one half for every half-life of its age. Such sums need not be computed anew from the observations: a sum of some
//! moment is that of an earlier one times one weight. So a tally is exact however few observations are still kept.

use serde::{Deserialize, Serialize};

use crate::limits::{
    ASSERTED_BY_MAX_BYTES, CONTEXT_MAX_BYTES, EVIDENCE_MAX_BYTES, PATTERN_CONTENT_MAX_BYTES,
    PATTERN_DESCRIPTION_MAX_BYTES, PATTERN_TITLE_MAX_BYTES, TAG_MAX_BYTES, TAGS_MAX,
};
use crate::memory::limit;
use crate::{StoreError, UnixMillis};

/// Weighted sums of what was observed, as of a moment.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Tally {
    pub successes: f64,
    pub failures: f64,
    /// The moment at which the weights hold.
    pub at: UnixMillis,
}

impl Tally {
    /// The same observations as of `now`. The weight of what is of the future is one: before the tally's own moment nothing
    /// changes.
    #[must_use]
    pub fn at(self, now: UnixMillis, half_life_ms: f64) -> Self {
        let age = now.saturating_sub(self.at).max(0);
        let weight = weight(age, half_life_ms);
        Self { successes: self.successes * weight, failures: self.failures * weight, at: self.at.max(now) }
    }

    /// With further trials, of the moment `at`, which may lie before those that are in it.
    #[must_use]
    pub fn with(self, successes: f64, failures: f64, at: UnixMillis, half_life_ms: f64) -> Self {
        let now = self.at(at, half_life_ms);
        let weight = weight(now.at.saturating_sub(at).max(0), half_life_ms);
        Self {
            successes: now.successes + successes * weight,
            failures: now.failures + failures * weight,
            at: now.at,
        }
    }

    /// Both tallies' observations, as of the later moment.
    #[must_use]
    pub fn and(self, other: Self, half_life_ms: f64) -> Self {
        self.at(other.at, half_life_ms).with(other.successes, other.failures, other.at, half_life_ms)
    }

    /// How many trials of now it weighs as much as.
    pub fn n_eff(&self) -> f64 {
        self.successes + self.failures
    }

    /// The mean of the posterior Beta(1 + successes, 1 + failures).
    pub fn mean(&self) -> f64 {
        (1.0 + self.successes) / (2.0 + self.n_eff())
    }
}

fn weight(age: UnixMillis, half_life_ms: f64) -> f64 {
    (-(age as f64) / half_life_ms).exp2()
}

/// Whether a pattern says what to do or what to leave. The same text of both is two patterns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Polarity {
    #[default]
    Do,
    Avoid,
}

/// How far a pattern is to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    #[default]
    Candidate,
    Active,
    Promoted,
    Retired,
}

impl State {
    pub const ALL: [Self; 4] = [Self::Candidate, Self::Active, Self::Promoted, Self::Retired];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Candidate => "candidate",
            Self::Active => "active",
            Self::Promoted => "promoted",
            Self::Retired => "retired",
        }
    }
}

/// Identifies a pattern for ever: never used again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PatternId(pub i64);

/// What a pattern says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Texts {
    pub description: String,
    pub content: String,
    pub tags: Vec<String>,
}

/// Which pattern an observation is of.
#[derive(Debug, Clone, PartialEq)]
pub enum Subject {
    Id(PatternId),
    /// By polarity and title; made if there is none.
    Titled {
        polarity: Polarity,
        title: String,
        /// For a new one, and in the place of an older one's texts if the observation has no trials.
        texts: Texts,
    },
}

/// Trials of one pattern in one context that ended at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    pub pattern: Subject,
    /// The context's own name and those of the wider ones that it counts in too, the narrowest first. "Any" is not among
    /// them: there all count.
    pub levels: Vec<String>,
    pub successes: u32,
    pub failures: u32,
    /// Trials that failed for reasons that say nothing of the pattern.
    pub infrastructure: u32,
    pub reward: Option<f64>,
    /// What it is known from. The same evidence counts once for a pattern, as long as the observation is kept.
    pub evidence: Option<String>,
    /// Who says so; `None`: our own tools saw it.
    pub asserted_by: Option<String>,
    pub at: UnixMillis,
}

impl Observation {
    /// Trials, infrastructure failures included. None: the pattern is only told.
    pub fn trials(&self) -> u64 {
        u64::from(self.successes) + u64::from(self.failures) + u64::from(self.infrastructure)
    }

    /// Checks names and sizes. Every implementation calls it before anything else.
    pub fn validate(&self) -> Result<(), StoreError> {
        if let Subject::Titled { title, texts, .. } = &self.pattern {
            name("title", "title in bytes", title, PATTERN_TITLE_MAX_BYTES)?;
            limit("description in bytes", texts.description.len(), PATTERN_DESCRIPTION_MAX_BYTES)?;
            limit("content in bytes", texts.content.len(), PATTERN_CONTENT_MAX_BYTES)?;
            limit("number of tags", texts.tags.len(), TAGS_MAX)?;
            for tag in &texts.tags {
                name("tag", "tag in bytes", tag, TAG_MAX_BYTES)?;
            }
        }
        for level in &self.levels {
            limit("context in bytes", level.len(), CONTEXT_MAX_BYTES)?;
        }
        if let Some(evidence) = &self.evidence {
            name("evidence", "evidence in bytes", evidence, EVIDENCE_MAX_BYTES)?;
        }
        if let Some(who) = &self.asserted_by {
            name("asserted_by", "asserted_by in bytes", who, ASSERTED_BY_MAX_BYTES)?;
        }
        Ok(())
    }
}

fn name(what: &'static str, what_in_bytes: &'static str, text: &str, max: usize) -> Result<(), StoreError> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(StoreError::BadName { what });
    }
    limit(what_in_bytes, text.len(), max)
}

/// How observations are weighed and what follows from them: the caller's, the same for all of its calls.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    pub half_life_ms: f64,
    /// A context with less is not asked, but the next wider one.
    pub back_off_below: f64,
    /// The state that follows from the last one and what is known now. Pure; called inside of a transaction.
    pub decide: fn(State, &Tally) -> State,
}

/// What an observation did.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    pub id: PatternId,
    /// Whether the pattern is new.
    pub created: bool,
    /// Not if the same evidence was counted before, or there were no trials.
    pub counted: bool,
    /// The chance of success that was foretold before the trials counted.
    pub predicted: f64,
}

/// How often a pattern was tried, unweighted.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Seen {
    pub successes: u64,
    pub failures: u64,
    pub infrastructure: u64,
    /// Those of the trials that somebody asserted, and our own tools did not see.
    pub asserted: u64,
    pub rewards: u64,
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
    pub seen: Seen,
    /// In the contexts that were asked for: the place in the question, and the tally there.
    pub levels: Vec<(usize, Tally)>,
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
    pub context: Option<String>,
    pub successes: u32,
    pub failures: u32,
    pub infrastructure: u32,
    pub reward: Option<f64>,
    pub evidence: Option<String>,
    pub asserted_by: Option<String>,
    pub at: UnixMillis,
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
}
