//! What has become of the questions that were put to each level.

use super::count::Counter;
use super::entry::State;

/// A level of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The few entries that are asked for most, by the text of the question.
    Hot,
    /// Memory.
    Memory,
    /// Disk.
    Disk,
}

impl Level {
    /// `l1`, `l2` or `l3`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hot => "l1",
            Self::Memory => "l2",
            Self::Disk => "l3",
        }
    }
}

/// The counters of a level.
#[derive(Debug, Default)]
pub struct Counts {
    pub(super) hits: Counter,
    pub(super) stale: Counter,
    pub(super) misses: Counter,
    pub(super) expired: Counter,
    pub(super) invalid: Counter,
    pub(super) inserted: Counter,
    pub(super) evicted: Counter,
}

/// The counts so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Reading {
    /// Questions that were answered, also with a stale answer.
    pub hits: u64,
    /// Those of them that were answered with a stale one.
    pub stale: u64,
    /// Questions that were not.
    pub misses: u64,
    /// Misses because the time of the answer was over.
    pub expired: u64,
    /// Misses because something had changed.
    pub invalid: u64,
    /// Answers that were taken in.
    pub inserted: u64,
    /// Answers that gave way to others, or were not admitted for their sake.
    pub evicted: u64,
}

impl Reading {
    /// Hits among all questions; `None` before the first.
    pub fn hit_rate(&self) -> Option<f64> {
        let asked = self.hits + self.misses;
        (asked > 0).then(|| self.hits as f64 / asked as f64)
    }
}

impl Counts {
    /// Counts a question whose answer was in this state, or was not there.
    pub fn asked(&self, found: Option<State>) {
        match found {
            Some(State::Fresh) => self.hits.one(),
            Some(State::Stale) => {
                self.hits.one();
                self.stale.one();
            }
            Some(State::Expired) => {
                self.misses.one();
                self.expired.one();
            }
            Some(State::Invalid) => {
                self.misses.one();
                self.invalid.one();
            }
            None => self.misses.one(),
        }
    }

    /// Counts an answer that was taken in.
    pub fn inserted(&self) {
        self.inserted.one();
    }

    /// Counts answers that gave way.
    pub fn evicted(&self, number: u64) {
        self.evicted.add(number);
    }

    /// The counts so far.
    pub fn read(&self) -> Reading {
        Reading {
            hits: self.hits.sum(),
            stale: self.stale.sum(),
            misses: self.misses.sum(),
            expired: self.expired.sum(),
            invalid: self.invalid.sum(),
            inserted: self.inserted.sum(),
            evicted: self.evicted.sum(),
        }
    }
}
