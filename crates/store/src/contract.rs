//! What any store promises, one trait for each kind of thing.

mod learning;
mod memory;
mod work;

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use aqe_core::monitor::alerts::Firing;

use crate::measurement::Measurement;
use crate::memory::{Delete, Deleted, Get, List, Listed, Lookup, NamespaceUse, Put, Stored, VersionInfo};
use crate::{StoreError, UnixMillis};

pub use learning::LearningStore;
pub use memory::{MemorySearch, Reembedded};
pub use work::WorkStore;

/// An operation under way. A write whose future is dropped before it began is not made.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Durable state. Every method may be called from async code: none blocks the runtime on a write.
///
/// A write is answered when it is durable: a crash of this process, at any moment, loses no answered
/// write and leaves no half of one.
pub trait Store: LearningStore + MemorySearch + WorkStore + fmt::Debug {
    /// Writes one version of one memory entry.
    ///
    /// # Errors
    /// [`StoreError::VersionConflict`], [`StoreError::Exists`] and [`StoreError::NotMergeable`] by the
    /// rules of [`Put`], [`StoreError::Limit`], or what the medium does.
    fn put(&self, put: Put) -> StoreFuture<'_, Stored>;

    /// Reads one memory entry as of a moment or a version. What is not there is an answer
    /// ([`Lookup::Absent`]), not an error.
    fn get<'a>(&'a self, get: Get<'a>) -> StoreFuture<'a, Lookup>;

    /// Deletes one memory entry; `None` if there is none. An entry that was deleted or has expired is none but for a purge.
    ///
    /// # Errors
    /// [`StoreError::VersionConflict`], or what the medium does. Never a quota.
    fn delete(&self, delete: Delete) -> StoreFuture<'_, Option<Deleted>>;

    /// Memory entries of a namespace that are there now, in the order of their keys. Counts no retrieval.
    fn list(&self, list: List) -> StoreFuture<'_, Vec<Listed>>;

    /// All versions that are kept of an entry, newest first, also of one that has expired or was deleted; none if there is
    /// no such entry. The question's moment and `history` say nothing here. Counts no retrieval.
    fn history(&self, get: Get<'_>) -> StoreFuture<'_, Vec<VersionInfo>>;

    /// What a principal's namespaces take, in the order of their names.
    fn namespaces(&self, principal: String) -> StoreFuture<'_, Vec<NamespaceUse>>;

    /// All saved manifests, in the order of their keys.
    fn load_manifests(&self) -> StoreFuture<'_, Vec<Manifest>>;

    /// Saves a manifest in the place of one with the same key.
    fn save_manifest(&self, manifest: Manifest) -> StoreFuture<'_, ()>;

    /// Removes a manifest; answers whether there was one.
    fn delete_manifest(&self, key: String) -> StoreFuture<'_, bool>;

    /// The newest firings of a server's alerts, at most so many, the newest first; those that are open before all others.
    fn load_alerts(&self, server: String, most: u32) -> StoreFuture<'_, Vec<Firing>>;

    /// Saves a firing of a server's alert in the place of one with the same id. The oldest beyond
    /// [`ALERTS_PER_SERVER`](crate::limits::ALERTS_PER_SERVER) and [`ALERTS_MAX`](crate::limits::ALERTS_MAX) go.
    ///
    /// # Errors
    /// [`StoreError::Limit`] for texts beyond [`ALERT_MAX_BYTES`](crate::limits::ALERT_MAX_BYTES), or what the medium
    /// does.
    fn save_alert(&self, server: String, firing: Firing) -> StoreFuture<'_, ()>;

    /// The newest measurements of a branch of a project, at most so many commits, the oldest first.
    fn load_measurements(
        &self,
        project: String,
        branch: String,
        most: u32,
    ) -> StoreFuture<'_, Vec<Measurement>>;

    /// Saves values in the place of those of the same project, branch, commit and metric. The oldest beyond
    /// [`MEASUREMENTS_PER_BRANCH`](crate::limits::MEASUREMENTS_PER_BRANCH) and
    /// [`MEASUREMENTS_MAX`](crate::limits::MEASUREMENTS_MAX) go.
    ///
    /// # Errors
    /// [`StoreError::Limit`] beyond [`MEASUREMENT_MAX_BYTES`](crate::limits::MEASUREMENT_MAX_BYTES), or what the medium
    /// does.
    fn save_measurement(&self, measurement: Measurement) -> StoreFuture<'_, ()>;

    /// Reads everything and answers with the faults found, none if it is sound. Takes time in proportion
    /// to the size of the store; for `doctor` and the like.
    fn check(&self) -> StoreFuture<'_, Vec<String>>;
}

/// What an upstream offered when it was last asked: lets a list be answered before the upstream runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Identifies the upstream and its configuration.
    pub key: String,
    /// Fingerprint of the offer, for the comparison with a later one.
    pub fingerprint: String,
    /// The offer, in a form that the gateway chooses.
    pub body: Vec<u8>,
    /// When it was saved.
    pub saved_at: UnixMillis,
}
