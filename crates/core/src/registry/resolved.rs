//! The bounded cache of names that were resolved to a near one.
//!
//! It stands beside the snapshots, not in front of the exact index: an exact lookup is faster than any cache. An
//! entry is bound to the fingerprint of the snapshot that it was made from, so that it can never answer for another.

use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::Equivalent;
use quick_cache::sync::Cache;

use super::nearest::Candidate;

/// A cache of resolved names, shared by all callers and all snapshots.
#[derive(Debug)]
pub struct ResolvedNames {
    /// `None` where the capacity is zero.
    cache: Option<Cache<Key, Candidate>>,
    hits: AtomicU64,
    misses: AtomicU64,
    resolved: AtomicU64,
}

/// The figures of a [`ResolvedNames`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResolvedNamesReading {
    /// Names held, of this and of earlier snapshots.
    pub entries: usize,
    /// Unknown names that the cache knew.
    pub hits: u64,
    /// Unknown names that had to be searched for.
    pub misses: u64,
    /// Calls that went to the tool of a near name.
    pub resolved: u64,
}

impl ResolvedNamesReading {
    /// Hits among all searches; `None` before the first.
    pub fn hit_rate(&self) -> Option<f64> {
        let searches = self.hits + self.misses;
        (searches > 0).then(|| self.hits as f64 / searches as f64)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    fingerprint: u128,
    name: Box<str>,
}

/// A [`Key`] that borrows the name; hashes alike.
#[derive(Hash)]
struct KeyRef<'a> {
    fingerprint: u128,
    name: &'a str,
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.fingerprint == key.fingerprint && *self.name == *key.name
    }
}

impl ResolvedNames {
    /// Default capacity, in names.
    pub const DEFAULT_CAPACITY: usize = 1_000;

    /// A cache of at most `capacity` names; with 0 nothing is kept. Which name gives way when it is full is decided
    /// by how recently and how often names were asked for.
    pub fn new(capacity: usize) -> Self {
        Self {
            cache: (capacity > 0).then(|| Cache::new(capacity)),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            resolved: AtomicU64::new(0),
        }
    }

    /// The figures so far.
    pub fn read(&self) -> ResolvedNamesReading {
        ResolvedNamesReading {
            entries: self.cache.as_ref().map_or(0, Cache::len),
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            resolved: self.resolved.load(Ordering::Relaxed),
        }
    }

    pub(super) fn get(&self, fingerprint: u128, name: &str) -> Option<Candidate> {
        let found = self.cache.as_ref().and_then(|cache| cache.get(&KeyRef { fingerprint, name }));
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    pub(super) fn insert(&self, fingerprint: u128, name: &str, candidate: Candidate) {
        if let Some(cache) = &self.cache {
            cache.insert(Key { fingerprint, name: name.into() }, candidate);
        }
    }

    pub(super) fn count_resolved(&self) {
        self.resolved.fetch_add(1, Ordering::Relaxed);
    }
}

impl Default for ResolvedNames {
    fn default() -> Self {
        Self::new(Self::DEFAULT_CAPACITY)
    }
}
