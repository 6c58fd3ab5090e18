//! What people carry from one store to another: memory entries with all of their versions, and what was learnt, as lines of
//! JSON.
//!
//! Each line holds a record and the SHA-256 of its bytes; the first says what follows, the last the number and the SHA-256 of
//! all lines before it. So a changed line, a missing one and a file that was cut off are noticed before anything is written.
//! Equal contents make equal bytes: neither ids, nor the time of the export, nor how often an entry was read are in it.
//!
//! Fleets, runs and tasks are not in it: leases and processes of one machine mean nothing on another. A backup has all.

mod lines;
mod record;
mod units;

use crate::StoreError;

pub(crate) use lines::{Lines, Reading};
pub use record::Counts;
pub(crate) use record::{
    Context, EntryRecord, Forecast, LearnerRecord, ObservationRecord, PatternRecord, Record, Uplift,
    VersionRecord,
};
pub(crate) use units::{EntryUnit, FORMAT, LearnerUnit, Unit, Units};

/// What an import does where an entry, or what a principal has learnt, is there and differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Conflicts {
    /// Keep what is there.
    #[default]
    Skip,
    /// Put what the file has in its place.
    Replace,
    /// Write nothing at all.
    Fail,
}

/// What an import did, or would do. Units are entries, and what one principal has learnt.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Imported {
    /// What the file holds.
    pub file: Counts,
    /// Units that were not there.
    pub added: u64,
    /// Units that were there and equal.
    pub unchanged: u64,
    /// Units that were there, differed and were replaced.
    pub replaced: u64,
    /// Units that were there, differed and were kept.
    pub skipped: u64,
    /// Entries that expired so long ago that the store would forget them at once.
    pub expired: u64,
    /// The first units that differed, by name.
    pub conflicts: Vec<String>,
}

/// Why an export or an import stopped.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file cannot be read or written.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// A line is not what was exported.
    #[error("line {line}: {what}; nothing of the file was written")]
    Line {
        /// Counted from 1.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
    /// The end is missing.
    #[error("the file ends after line {line} and was cut off: its last line must say how many there are")]
    CutOff {
        /// Counted from 1.
        line: u64,
    },
    /// Units differ, and nothing was to be done then.
    #[error(
        "{count} of the file's entries differ from those that are there ({first}, …); nothing was written: choose what holds"
    )]
    Conflicts {
        /// How many.
        count: u64,
        /// The first of them.
        first: String,
    },
}
