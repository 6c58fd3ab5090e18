//! The result cache at work: its levels asked in turn, and equal calls made one.
//!
//! What may be kept and when it no longer counts is decided in [`aqe_core::cache`]; which calls come here is decided in
//! the catalog.

pub mod flight;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aqe_core::cache::{
    Body, Disk, DiskReading, Entry, Forget, Hit, Key, Keys, Kind, Level, LevelReading, Life, Memory,
    Namespace, Parts, Place, Question, Record, Stamp, result_of,
};
use bytes::Bytes;

use crate::settings::CacheSettings;
use flight::Flights;

/// A call that took less than this is sent again sooner than its answer is read from the disk.
const WORTH_THE_DISK: Duration = Duration::from_millis(1);

/// The result cache.
#[derive(Debug)]
pub struct ResultCache {
    memory: Memory,
    disk: Option<Arc<dyn Disk>>,
    namespaces: Mutex<HashMap<Box<str>, Arc<Namespace>>>,
    pub(crate) flights: Arc<Flights<crate::proxy::Come>>,
    refreshed: AtomicU64,
}

/// How the cache is.
#[derive(Debug, Clone)]
pub struct CacheReading {
    /// The levels in memory.
    pub memory: [LevelReading; 2],
    /// The level on disk, if there is one.
    pub disk: Option<DiskReading>,
    /// Calls under way whose answers may be kept.
    pub under_way: usize,
    /// How often a call was not sent because an equal one was under way.
    pub joined: u64,
    /// How often a stale answer was fetched anew in the background.
    pub refreshed: u64,
}

impl CacheReading {
    /// Answers found at each level (hot, memory, disk), and questions that none had the answer to.
    pub fn found(&self) -> ([u64; 3], u64) {
        let [hot, memory] = &self.memory;
        let disk = self.disk.as_ref().map(|disk| disk.counts);
        let misses = disk.map_or(memory.counts.misses, |disk| disk.misses);
        ([hot.counts.hits, memory.counts.hits, disk.map_or(0, |disk| disk.hits)], misses)
    }
}

/// An answer that has come, and may be kept.
#[derive(Debug)]
pub(crate) struct Arrived<'a> {
    pub(crate) place: &'a Place,
    /// The upstream's own name of the tool or prompt, or the URI.
    pub(crate) name: &'a str,
    pub(crate) keys: &'a Keys,
    /// From before it was asked for.
    pub(crate) stamp: Stamp,
    /// The JSON-RPC response as its client gets it.
    pub(crate) response: &'a Bytes,
    /// How long it was under way.
    pub(crate) took: Duration,
}

/// What became of an answer that has come.
#[derive(Debug)]
pub(crate) enum Kept {
    /// It is kept.
    Here(Arc<Entry>),
    /// It is not.
    Not,
    /// It asks for input or is a task, and so belongs to the one who asked.
    Unfinished,
}

/// Milliseconds since the Unix epoch.
fn unix_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl ResultCache {
    /// An empty one; what is on disk is found when it is asked for.
    pub fn new(settings: CacheSettings) -> Self {
        Self {
            memory: Memory::new(settings.memory),
            disk: settings.disk,
            namespaces: Mutex::default(),
            flights: Flights::new(),
            refreshed: AtomicU64::new(0),
        }
    }

    /// Longest answer that is kept in memory.
    pub(crate) fn max_entry_bytes(&self) -> usize {
        usize::try_from(self.memory.max_entry_bytes()).unwrap_or(usize::MAX)
    }

    /// That of the upstream with this name: the same as long as the process lives.
    pub fn namespace(&self, upstream: &str) -> Arc<Namespace> {
        let mut all = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get(upstream) {
            Some(known) => Arc::clone(known),
            None => {
                Arc::clone(all.entry(upstream.into()).or_insert_with(|| Arc::new(Namespace::new(upstream))))
            }
        }
    }

    /// Whether answers may be here that this process has not put here.
    pub(crate) fn outlives_processes(&self) -> bool {
        self.disk.is_some()
    }

    /// Asks the first level for the response to the request `id` (raw JSON).
    pub(crate) fn hot(&self, question: &Question<'_>, id: &str) -> Option<[Bytes; 3]> {
        self.memory.hot(question, id, Instant::now())
    }

    /// Asks the other levels, the nearer first.
    pub(crate) fn find(&self, question: &Question<'_>, keys: &Keys, now: Instant) -> Option<Hit> {
        let place = question.place;
        let near = place.scopes().iter().find_map(|scope| self.memory.get(&keys.of(*scope), question, now));
        near.or_else(|| {
            let disk = self.disk.as_deref()?;
            place.earlier_scopes().iter().find_map(|scope| self.fetch(disk, question, &keys.of(*scope), now))
        })
    }

    /// Asks the disk, and takes what is there into memory.
    fn fetch(&self, disk: &dyn Disk, question: &Question<'_>, key: &Key, now: Instant) -> Option<Hit> {
        let (place, clock) = (question.place, unix_millis());
        let record = disk.get(key, &place.namespace, place.kind, question.name, clock)?;
        let body = Body::read(record.result)?;
        let life = Life {
            fresh: Duration::from_millis(record.fresh_ms),
            stale: Duration::from_millis(record.stale_ms),
            scope: record.scope,
        };
        let age = Duration::from_millis(u64::try_from(clock - record.made_at).unwrap_or_default());
        let parts = Parts { place, name: question.name, body, life, stamp: record.stamp, age };
        place.namespace.set_keeps(place.kind, record.scope);
        let entry = self.memory.put(key, Entry::new(parts, now), now)?;
        Hit::of(&entry, entry.state(now), Level::Disk, now)
    }

    /// Keeps an answer, if it may be.
    pub(crate) fn keep(&self, arrived: &Arrived<'_>) -> Kept {
        let Arrived { place, name, keys, stamp, response, took } = *arrived;
        let Some(body) = result_of(response).and_then(Body::read) else { return Kept::Not };
        if !body.is_final {
            return Kept::Unfinished;
        }
        let Some(life) = Life::of(&place.rule, &body) else { return Kept::Not };
        let (key, now) = (keys.of(life.scope), Instant::now());
        let result = body.bytes().clone();
        let parts = Parts { place, name, body, life, stamp, age: Duration::ZERO };
        let Some(entry) = self.memory.put(&key, Entry::new(parts, now), now) else { return Kept::Not };
        place.namespace.set_keeps(place.kind, life.scope);
        if let Some(disk) = self.disk.as_deref().filter(|_| took >= WORTH_THE_DISK) {
            place.namespace.set_on_disk(place.kind);
            disk.put(Record {
                key,
                namespace: Arc::clone(&place.namespace),
                kind: place.kind,
                name: name.into(),
                // What waits to be written must not hold a whole response.
                result: Bytes::copy_from_slice(&result),
                stamp,
                scope: life.scope,
                made_at: unix_millis(),
                fresh_ms: millis(life.fresh),
                stale_ms: millis(life.stale),
            });
        }
        Kept::Here(entry)
    }

    /// A stale answer is fetched anew.
    pub(crate) fn count_refresh(&self) {
        self.refreshed.fetch_add(1, Ordering::Relaxed);
    }

    /// Everything of an upstream is invalid.
    pub fn invalidate(&self, namespace: &Namespace) {
        namespace.invalidate();
        let Some(disk) = &self.disk else { return };
        // Each is asked: a call that writes must not have the file searched for nothing.
        if Kind::ALL.map(|kind| namespace.take_on_disk(kind)).contains(&true) {
            disk.forget(Forget::Upstream(namespace.name().into()));
        }
    }

    /// What an upstream has answered to one method is.
    pub(crate) fn invalidate_kind(&self, namespace: &Namespace, kind: Kind) {
        namespace.invalidate_kind(kind);
        if let Some(disk) = self.disk.as_deref().filter(|_| namespace.take_on_disk(kind)) {
            disk.forget(Forget::Kind(namespace.name().into(), kind));
        }
    }

    /// What an upstream has answered to one name or URI is.
    pub(crate) fn invalidate_name(&self, namespace: &Namespace, kind: Kind, name: &str) {
        namespace.invalidate_name(name);
        if let Some(disk) = self.disk.as_deref().filter(|_| namespace.is_on_disk(kind)) {
            disk.forget(Forget::Name(namespace.name().into(), name.into()));
        }
    }

    /// A call that may write is under way: when it ends, in whatever way, what is kept of its upstream is invalid.
    pub(crate) fn writing<'a>(&'a self, namespace: &'a Namespace) -> Writing<'a> {
        Writing { cache: self, namespace }
    }

    /// Forgets what is kept of an upstream, or of one tool, prompt or resource of it by its own name, or everything. How
    /// many entries were in memory.
    pub fn clear(&self, what: &Forget) -> usize {
        match what {
            Forget::All => {
                let all = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
                for namespace in all.values() {
                    namespace.invalidate();
                }
            }
            Forget::Upstream(upstream) => self.namespace(upstream).invalidate(),
            Forget::Kind(upstream, kind) => self.namespace(upstream).invalidate_kind(*kind),
            Forget::Name(upstream, name) => self.namespace(upstream).invalidate_name(name),
        }
        if let Some(disk) = &self.disk {
            disk.forget(what.clone());
        }
        self.memory.retain(|entry| match what {
            Forget::All => false,
            Forget::Upstream(upstream) => entry.upstream() != &**upstream,
            Forget::Kind(upstream, kind) => entry.upstream() != &**upstream || entry.kind() != *kind,
            Forget::Name(upstream, name) => entry.upstream() != &**upstream || entry.name != *name,
        })
    }

    /// How it is.
    pub fn read(&self) -> CacheReading {
        CacheReading {
            memory: self.memory.read(),
            disk: self.disk.as_ref().map(|disk| disk.read()),
            under_way: self.flights.len(),
            joined: self.flights.joined(),
            refreshed: self.refreshed.load(Ordering::Relaxed),
        }
    }
}

/// See [`ResultCache::writing`].
#[derive(Debug)]
pub(crate) struct Writing<'a> {
    cache: &'a ResultCache,
    namespace: &'a Namespace,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.cache.invalidate(self.namespace);
    }
}
