//! Patterns of working, how often each went well, and in which contexts.
//!
//! A pattern belongs to a principal. What is known of it is a [`Tally`]: sums of successes and failures, each weighted by
//! one half for every half-life of its age. Such sums need not be computed anew from the observations: a sum of some
//! moment is that of an earlier one times one weight. So a tally is exact however few observations are still kept.

mod reading;
mod tasks;

use serde::{Deserialize, Serialize};

use crate::limits::{
    ASSERTED_BY_MAX_BYTES, CONTEXT_MAX_BYTES, EVIDENCE_MAX_BYTES, PATTERN_CONTENT_MAX_BYTES,
    PATTERN_DESCRIPTION_MAX_BYTES, PATTERN_TITLE_MAX_BYTES, TAG_MAX_BYTES, TAGS_MAX,
};
use crate::memory::limit;
use crate::{StoreError, UnixMillis};
pub use reading::{BINS, Bin, Compared, Extent, Kept, Learned, Outcomes, Pattern, Seen, Which};
pub use tasks::{Ended, Lesson, Lessons};

/// Weighted sums of what was observed, as of a moment.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    #[serde(deserialize_with = "crate::exact::number")]
    pub successes: f64,
    #[serde(deserialize_with = "crate::exact::number")]
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

/// Trials that ended at one moment, and what is known of them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Trials {
    pub successes: u32,
    pub failures: u32,
    /// Trials that failed for reasons that say nothing of the pattern.
    pub infrastructure: u32,
    /// Those of the successes that came after a failure of the same thing: it is flaky.
    pub flaky: u32,
    pub reward: Option<f64>,
    /// What it is known from. The same evidence counts once for a pattern, as long as the observation is kept.
    pub evidence: Option<String>,
    /// Who says so; `None`: our own tools saw it.
    pub asserted_by: Option<String>,
    pub at: UnixMillis,
}

impl Trials {
    /// How many there are, infrastructure failures included. None: the pattern is only told.
    pub fn count(&self) -> u64 {
        self.judged() + u64::from(self.infrastructure)
    }

    /// Those of which the outcome says something.
    pub fn judged(&self) -> u64 {
        u64::from(self.successes) + u64::from(self.failures)
    }
}

/// Trials of one pattern in one context.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    pub pattern: Subject,
    /// The context's own name and those of the wider ones that it counts in too, the narrowest first. "Any" is not among
    /// them: there all count.
    pub levels: Vec<String>,
    pub trials: Trials,
    /// Whether what was learnt was made use of, if our own tool knows that. Of trials that somebody asserts the store knows it
    /// by what was suggested before.
    pub used: Option<bool>,
}

impl Observation {
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
        if let Some(evidence) = &self.trials.evidence {
            name("evidence", "evidence in bytes", evidence, EVIDENCE_MAX_BYTES)?;
        }
        if let Some(who) = &self.trials.asserted_by {
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
    /// The state that follows from the last one, from all that is known now, and from what of it our own tools have measured.
    /// Pure; called inside of a transaction.
    pub decide: fn(State, &Tally, &Tally) -> State,
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
    /// Whether what was learnt was made use of; `None`: nothing is compared with it.
    pub used: Option<bool>,
}
