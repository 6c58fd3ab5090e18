//! What can go wrong.

use std::path::PathBuf;

/// Why an operation failed. `Clone`, because one failed commit answers every write of its batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The entry is not at the version that the writer expected (0: absent).
    #[error("the entry is at version {actual}, not {expected} (0 means absent)")]
    VersionConflict {
        /// What the writer named.
        expected: u64,
        /// What is there.
        actual: u64,
    },
    /// The entry exists and the writer asked to fail then.
    #[error("the entry exists, at version {version}")]
    Exists {
        /// Its latest version.
        version: u64,
    },
    /// One of the two values to merge is no JSON object.
    #[error("only JSON objects can be merged: the {which} value is not one")]
    NotMergeable {
        /// `stored` or `new`.
        which: &'static str,
    },
    /// Something is larger than a bound of [`crate::limits`].
    #[error("{what} is {actual}, the limit is {limit}")]
    Limit {
        /// What is bounded, with its unit: `value in bytes`.
        what: &'static str,
        /// The bound.
        limit: u64,
        /// What was asked for.
        actual: u64,
    },
    /// A text that names something is empty or contains control characters.
    #[error("{what} must not be empty nor contain control characters")]
    BadName {
        /// `namespace`, `key`.
        what: &'static str,
    },
    /// An entry of an export has no room.
    #[error(
        "{unit}: {reason}; what stands before it in the file was written, and is left alone when it is imported again"
    )]
    Import {
        /// Which.
        unit: String,
        /// Which quota.
        reason: String,
    },
    /// There is no file.
    #[error("there is no store at {}: it is made when something is first stored", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file that is not to be overwritten is there.
    #[error("{} is there already: choose another name, or move it away", path.display())]
    FileExists {
        /// The file.
        path: PathBuf,
    },
    /// What an operation names is not there.
    #[error("there is no such {what}")]
    NotFound {
        /// `fleet`.
        what: &'static str,
    },
    /// The id of something new is that of something that is there.
    #[error("there is a {what} of that id already: choose another id")]
    Taken {
        /// `run`, `fleet`.
        what: &'static str,
    },
    /// The dependencies among submitted tasks are wrong.
    #[error(transparent)]
    Graph(#[from] aqe_core::work::GraphError),
    /// A pattern is not there, or not such that this can be done.
    #[error("pattern {id}: {what}")]
    Pattern {
        /// Its id.
        id: i64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The queue of writes is full. Nothing was written; try again.
    #[error("the store has too many writes waiting; try again")]
    Overloaded,
    /// Another process held the file for longer than we wait. Nothing was written; try again.
    #[error("another process holds {} locked; try again", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// No room: the disk is full or the file is at its configured limit. Nothing was written.
    #[error("no room to write {}: free disk space or raise the file's limit", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// The file or its directory cannot be written.
    #[error("{} cannot be written: make the file and its directory writable for this user", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// The file is damaged. It has been left as it is.
    #[error(
        "{} is damaged ({detail}); it was left untouched: move it away together with its -wal and -shm files, \
         put a backup in its place if you have one, and start again",
        path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The file is a database of some other program.
    #[error("{} is a database of another program; it was left untouched: choose another path", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a newer release.
    #[error(
        "{} has schema {found}, this release knows up to {known}: upgrade, or choose another path",
        path.display()
    )]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Any other failure of the file system or the engine.
    #[error("{}: {detail}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was reported.
        detail: String,
    },
    /// The store is shut down.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Whether the same operation may succeed a moment later with nothing changed.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Overloaded | Self::Locked { .. })
    }
}
