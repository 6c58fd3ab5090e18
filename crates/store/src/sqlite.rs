//! The embedded store: one SQLite file.
//!
//! - **Writes** go through a bounded queue to one thread, which commits what has gathered in one
//!   transaction and then answers each writer (group commit). A write of a memory entry runs on the caller's
//!   thread instead while nobody else writes.
//! - **Reads** run on the caller's thread, on connections of their own. In WAL mode a reader waits for no
//!   writer, and a read is a few microseconds of memory access, less than handing it to another thread
//!   and waking up again costs; `crates/qe/benches/memory.rs` measures both. Only where the file turns
//!   out to be locked by another process (rare: recovery after a crash) the read moves to the writer's
//!   thread, which may wait.
//! - **Durability** is `synchronous=NORMAL` in WAL mode: an answered write survives the death of this
//!   process at any moment; the last ones before a power failure can be lost, but the file stays sound.
//!   Writes that must not be lost even so wait for the disk (`FULL`): submissions and ends of tasks, and
//!   what was learnt; memory entries where [`SqliteOptions::memory`] says so.
//! - **Several processes** may share the file, on one machine and a local file system.

mod alert;
mod delete;
mod desk;
mod get;
mod hits;
mod learning;
mod list;
mod manifest;
mod measurement;
mod merge;
pub(crate) mod open;
mod pace;
mod put;
mod room;
mod schema;
mod search;
mod transfer;
mod upkeep;
mod vector;
mod work;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::thread;
use std::time::Instant;

use aqe_core::monitor::alerts::Firing;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::contract::{Manifest, Store, StoreFuture};
use crate::limits::{FILE_MAX_BYTES, READERS, SHORT_VALUE_BYTES};
use crate::measurement::Measurement;
use crate::memory::{
    Delete, Deleted, EntryRef, Get, List, Listed, Lookup, NamespaceUse, OnConflict, Put, Stored, VersionInfo,
};
use crate::search::Embedder;
use crate::{Quotas, StoreError};
use hits::Hits;
use pace::Pace;
use search::Searcher;
use writer::Writer;

pub use upkeep::{Checked, Compacted, Stats, StoreFile};

/// What an answered write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// The death of this process, at any moment.
    #[default]
    Normal,
    /// A power failure, too: each commit waits for the disk.
    Full,
}

/// What may be chosen about the file.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// Bytes that the file may grow to (its write-ahead log of a few MiB not counted).
    pub max_file_bytes: u64,
    /// Makes the vectors of memory entries; without one entries are found by their words alone.
    pub embedder: Option<Arc<dyn Embedder>>,
    /// What memory entries may take.
    pub quotas: Quotas,
    /// What an answered write of a memory entry survives.
    pub memory: Durability,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            max_file_bytes: FILE_MAX_BYTES,
            embedder: None,
            quotas: Quotas::default(),
            memory: Durability::Normal,
        }
    }
}

/// What the threads of a store share.
#[derive(Debug)]
struct Shared {
    path: PathBuf,
    /// Set once the file was found damaged: nothing is written to it any more.
    damaged: AtomicBool,
    hits: Hits,
    /// Of short writes.
    pace: Pace,
}

impl Shared {
    fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    /// Gives an engine's error its meaning, and remembers damage.
    fn fault(&self, fault: Fault) -> StoreError {
        let error = match fault {
            Fault::Store(error) => error,
            Fault::Engine(error) => open::classify(&self.path, &error),
        };
        if matches!(error, StoreError::Corrupt { .. }) {
            self.damaged.store(true, Ordering::Relaxed);
        }
        error
    }
}

/// A failure inside an operation, before it is known to which file it belongs.
#[derive(Debug)]
enum Fault {
    Store(StoreError),
    Engine(rusqlite::Error),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Engine(error)
    }
}

/// The embedded [`Store`]. Dropping it waits for the queued writes, a few milliseconds: do that where
/// blocking is allowed.
#[derive(Debug)]
pub struct SqliteStore {
    shared: Arc<Shared>,
    writer: Writer,
    readers: Vec<Mutex<Connection>>,
    searcher: Arc<Searcher>,
    quotas: Quotas,
    memory: Durability,
}

impl SqliteStore {
    /// Opens the file, or makes it (mode 0600, missing directories 0700). Blocks for a few milliseconds.
    ///
    /// # Errors
    /// A file that is damaged, of another program or of a newer release is refused and left as it is.
    pub fn open(path: &Path, options: &SqliteOptions) -> Result<Self, StoreError> {
        let write = open::writable(path, options)?;
        let readers =
            (0..READERS).map(|_| open::reader(path).map(Mutex::new)).collect::<Result<Vec<_>, _>>()?;
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            damaged: AtomicBool::new(false),
            hits: Hits::default(),
            pace: Pace::new(Instant::now()),
        });
        let writer = Writer::start(write, Arc::clone(&shared))?;
        let searcher = Arc::new(Searcher::new(path.to_owned(), options.embedder.clone()));
        let SqliteOptions { quotas, memory, .. } = *options;
        Ok(Self { shared, writer, readers, searcher, quotas, memory })
    }

    /// Reads on this thread, on whichever connection is free.
    fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Fault>) -> Result<T, StoreError> {
        let free = self.readers.iter().find_map(|reader| match reader.try_lock() {
            Ok(connection) => Some(connection),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        });
        let connection =
            free.unwrap_or_else(|| self.readers[0].lock().unwrap_or_else(PoisonError::into_inner));
        read(&connection).map_err(|fault| self.shared.fault(fault))
    }

    /// A read that sees one state of the file, on this thread if it need not wait.
    async fn look<T: Send + 'static>(
        &self,
        look: impl Fn(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let look = move |connection: &Connection| {
            let one_state = connection.unchecked_transaction()?;
            look(&one_state)
        };
        match self.read(&look) {
            Err(StoreError::Locked { .. }) => self.writer.read(look).await,
            other => other,
        }
    }

    async fn find(&self, get: Get<'_>) -> Result<Lookup, StoreError> {
        let mut found = match self.read(|connection| get::get(connection, &get)) {
            Err(StoreError::Locked { .. }) => self.find_waiting(get).await?,
            other => other?,
        };
        if let Lookup::Found(entry) = &mut found {
            let counted = self.shared.hits.count(entry.id);
            entry.hits += counted.pending;
            if counted.flush_wanted {
                self.writer.flush_hits_soon();
            }
        }
        Ok(found)
    }

    /// Reads on the writer's thread, which may wait for a lock.
    async fn find_waiting(&self, get: Get<'_>) -> Result<Lookup, StoreError> {
        let (principal, namespace) = (get.principal.to_owned(), get.namespace.to_owned());
        let (id, key) = match get.entry {
            EntryRef::Key(key) => (None, key.to_owned()),
            EntryRef::Id(id) => (Some(id), String::new()),
        };
        let Get { at, history, now, .. } = get;
        self.writer
            .read(move |connection| {
                let entry = id.map_or(EntryRef::Key(&key), EntryRef::Id);
                let (principal, namespace) = (&principal, &namespace);
                get::get(connection, &Get { principal, namespace, entry, at, history, now })
            })
            .await
    }
}

impl Store for SqliteStore {
    fn put(&self, put: Put) -> StoreFuture<'_, Stored> {
        Box::pin(async move {
            put.validate()?;
            let (embedder, quotas) = (self.searcher.embedder().cloned(), self.quotas);
            let is_short = put.value.len() <= SHORT_VALUE_BYTES && put.on_conflict != OnConflict::Merge;
            let write =
                move |connection: &Connection| put::put(connection, &put, embedder.as_deref(), &quotas);
            if is_short {
                self.writer.write_short(self.memory, write).await
            } else {
                self.writer.write_as(self.memory, write).await
            }
        })
    }

    fn delete(&self, delete: Delete) -> StoreFuture<'_, Option<Deleted>> {
        Box::pin(async move {
            let embedder = self.searcher.embedder().cloned();
            let write =
                move |connection: &Connection| delete::delete(connection, &delete, embedder.as_deref());
            self.writer.write_as(self.memory, write).await
        })
    }

    fn list(&self, list: List) -> StoreFuture<'_, Vec<Listed>> {
        Box::pin(self.look(move |connection| list::entries(connection, &list)))
    }

    fn history(&self, get: Get<'_>) -> StoreFuture<'_, Vec<VersionInfo>> {
        let (principal, namespace) = (get.principal.to_owned(), get.namespace.to_owned());
        let (id, key) = match get.entry {
            EntryRef::Key(key) => (None, Some(key.to_owned())),
            EntryRef::Id(id) => (Some(id), None),
        };
        Box::pin(self.look(move |connection| {
            get::all_versions(connection, (&principal, &namespace), (id, key.as_deref()))
        }))
    }

    fn namespaces(&self, principal: String) -> StoreFuture<'_, Vec<NamespaceUse>> {
        Box::pin(self.look(move |connection| list::namespaces(connection, Some(&principal))))
    }

    fn get<'a>(&'a self, get: Get<'a>) -> StoreFuture<'a, Lookup> {
        Box::pin(self.find(get))
    }

    fn load_manifests(&self) -> StoreFuture<'_, Vec<Manifest>> {
        Box::pin(self.writer.read(manifest::load))
    }

    fn save_manifest(&self, manifest: Manifest) -> StoreFuture<'_, ()> {
        Box::pin(self.writer.write(move |connection| manifest::save(connection, &manifest)))
    }

    fn delete_manifest(&self, key: String) -> StoreFuture<'_, bool> {
        Box::pin(self.writer.write(move |connection| manifest::delete(connection, &key)))
    }

    fn load_alerts(&self, server: String, most: u32) -> StoreFuture<'_, Vec<Firing>> {
        Box::pin(self.writer.read(move |connection| alert::load(connection, &server, most)))
    }

    fn save_alert(&self, server: String, firing: Firing) -> StoreFuture<'_, ()> {
        Box::pin(self.writer.write(move |connection| alert::save(connection, &server, &firing)))
    }

    fn load_measurements(
        &self,
        project: String,
        branch: String,
        most: u32,
    ) -> StoreFuture<'_, Vec<Measurement>> {
        Box::pin(self.writer.read(move |connection| measurement::load(connection, &project, &branch, most)))
    }

    fn save_measurement(&self, measurement: Measurement) -> StoreFuture<'_, ()> {
        Box::pin(self.writer.write(move |connection| measurement::save(connection, &measurement)))
    }

    /// On a thread and a connection of its own: it may take seconds and must delay nobody.
    fn check(&self) -> StoreFuture<'_, Vec<String>> {
        let (reply, faults) = oneshot::channel();
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new().name("store-check".into()).spawn(move || {
            let faults = open::reader(&shared.path).and_then(|connection| {
                let one_state = connection.unchecked_transaction();
                one_state
                    .and_then(|one_state| upkeep::check_file(&one_state))
                    .map_err(|error| shared.fault(error.into()))
            });
            // Nobody waits any more: the answer is nobody's.
            let _ = reply.send(faults);
        });
        Box::pin(async move {
            thread.map_err(|error| open::io(&self.shared.path, &error))?;
            faults.await.map_err(|_| StoreError::Closed)?
        })
    }
}
