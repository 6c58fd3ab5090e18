//! Durable state behind one trait.
//!
//! # Layout
//! - [`contract`]: the trait [`Store`] and what every implementation promises.
//! - [`memory`]: memory entries, their versions, and the questions and answers about them.
//! - [`learning`]: patterns, what was observed of them, and their tallies.
//! - [`measurement`]: what was measured of a project at a commit.
//! - [`error`], [`limits`]: what can go wrong, and the bounds.
//! - `suite` (feature of that name): what any implementation must pass.
//! - [`sqlite`]: the embedded implementation, [`SqliteStore`].
//! - [`cache`]: the result cache's level on disk, [`DiskCache`]: a file of its own, which may be lost.
//!
//! Nothing here reads the wall clock: each operation that depends on the time takes it as an argument, in
//! milliseconds since the Unix epoch ([`UnixMillis`]).

pub mod cache;
pub mod contract;
pub mod error;
pub mod learning;
pub mod limits;
pub mod measurement;
pub mod memory;
pub mod sqlite;
#[cfg(feature = "suite")]
pub mod suite;

pub use cache::{DiskCache, DiskCacheOptions};
pub use contract::{LearningStore, Manifest, Store, StoreFuture};
pub use error::StoreError;
pub use measurement::Measurement;
pub use memory::{
    Absence, At, Attributes, Entry, EntryId, EntryRef, Get, Lookup, OnConflict, Put, Stored, VersionInfo,
};
pub use sqlite::{SqliteOptions, SqliteStore};

/// Milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
pub type UnixMillis = i64;
