//! Durable state behind one trait.
//!
//! # Layout
//! - [`contract`]: the trait [`Store`] with [`WorkStore`], and what every implementation promises.
//! - [`memory`]: memory entries, their versions, and the questions and answers about them.
//!   [`Quotas`]: what they may take.
//! - [`search`]: finding entries by what they say.
//! - [`learning`]: patterns, what was observed of them, and their tallies.
//! - [`measurement`]: what was measured of a project at a commit.
//! - [`work`]: fleets, runs and tasks.
//! - [`error`], [`limits`]: what can go wrong, and the bounds.
//! - [`sqlite`]: the embedded implementation, [`SqliteStore`]; what an operator does with its file, [`StoreFile`].
//! - [`transfer`]: the lines of an export.
//! - `suite` (feature `suite`): the promises of the contract as tests that any implementation must pass.
//! - [`cache`]: the result cache's level on disk, [`DiskCache`]: a file of its own, which may be lost.
//! - [`derived`]: what was computed from contents and can be computed again, [`Derived`]: another such file.
//! - `disposable`: how such files are opened and thrown away.
//!
//! Nothing here reads the wall clock: each operation that depends on the time takes it as an argument, in
//! milliseconds since the Unix epoch ([`UnixMillis`]).

pub mod cache;
pub mod contract;
pub mod derived;
mod disposable;
pub mod error;
mod exact;
pub mod learning;
pub mod limits;
pub mod measurement;
pub mod memory;
mod quotas;
pub mod search;
pub mod sqlite;
#[cfg(feature = "suite")]
pub mod suite;
pub mod transfer;
pub mod work;

pub use cache::{DiskCache, DiskCacheOptions};
pub use contract::{LearningStore, Manifest, MemorySearch, Reembedded, Store, StoreFuture, WorkStore};
pub use derived::{Derived, DerivedKey};
pub use error::StoreError;
pub use measurement::Measurement;
pub use memory::{
    Absence, At, Attributes, Delete, Deleted, Entry, EntryId, EntryRef, Get, List, Listed, Lookup,
    NamespaceUse, OnConflict, Put, Stored, VersionInfo,
};
pub use quotas::Quotas;
pub use search::{Candidate, Candidates, Embedder, Filters, Search};
pub use sqlite::{Durability, SqliteOptions, SqliteStore, StoreFile};
pub use transfer::{Conflicts, Imported, TransferError};

/// Milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
pub type UnixMillis = i64;
