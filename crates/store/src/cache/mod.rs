//! The result cache's level on disk: an SQLite file of its own, which may be lost at any moment.
//!
//! - **Reads** run on the caller's thread, as those of the store do ([`crate::sqlite`]).
//! - **Writes** go through a bounded queue to one thread; nobody waits for them, and what finds the queue full is
//!   dropped. What is to be forgotten is never dropped: if it cannot be written now, everything is forgotten later.
//! - **A damaged entry** is a miss: each has a digest over all of it. **A damaged file** is thrown away with a warning,
//!   and begun anew.
//! - **A file that cannot be written** (no room, read-only) switches the level off, with the reason in its figures; it
//!   is tried again after a while.
//! - **Several processes** may share the file. What one of them makes invalid is removed from it for all.
//!
//! An entry of this run of the process counts while its stamp is that of its upstream. One of another run counts while
//! nothing of its upstream was made invalid in this run: what was in another one has been removed by then.

mod row;
mod worker;

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::{self, JoinHandle};

use aqe_core::cache::{Counts, Disk, DiskReading, Forget, Key, Kind, Namespace, Record, Stamp, State};
use rusqlite::Connection;

use crate::disposable::Sort;
use crate::limits::READERS;
use crate::{StoreError, UnixMillis};
use row::Row;
use worker::{Command, Worker};

/// The file in the folder.
const FILE: &str = "answers.db";
/// Marked "AQEC".
const SORT: Sort = Sort { name: "result cache", application: 0x4151_4543, version: 1, schema: row::SCHEMA };
/// Answers that wait to be written; the next is dropped. With the largest answers this is some 1 GiB of memory that
/// is shared with the levels above, with usual ones a few MiB.
const QUEUE: usize = 1_024;
/// How long ago an entry must have been used last for another use to be written, milliseconds.
const USED_STEP_MS: i64 = 60_000;
/// Uses that wait to be written.
const MAX_USED: usize = 1_024;

/// Bounds of the level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskCacheOptions {
    /// Bytes that the file may grow to (its write-ahead log of a few MiB not counted).
    pub max_bytes: u64,
}

impl Default for DiskCacheOptions {
    fn default() -> Self {
        Self { max_bytes: 256 << 20 }
    }
}

/// What the threads share.
struct Shared {
    path: PathBuf,
    options: DiskCacheOptions,
    /// Distinguishes this run of the process from all others.
    run: i64,
    readers: [Mutex<Option<Connection>>; READERS],
    /// Whether there is a file to read.
    on: AtomicBool,
    /// Why not, if not.
    off: Mutex<Option<String>>,
    counts: Counts,
    entries: AtomicU64,
    bytes: AtomicU64,
    damaged: AtomicU64,
    dropped: AtomicU64,
    /// Entries that were used, and when.
    used: Mutex<Vec<(i64, UnixMillis)>>,
    /// Something could not be forgotten: forget everything, at the next opportunity.
    forget_all: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change below these locks is complete in itself.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn find(&self, digest: &[u8; 32]) -> Result<Option<Row>, StoreError> {
        let free = self.readers.iter().find_map(|reader| match reader.try_lock() {
            Ok(connection) => Some(connection),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        });
        let connection = free.unwrap_or_else(|| lock(&self.readers[0]));
        let Some(connection) = &*connection else { return Ok(None) };
        row::find(connection, digest).map_err(|error| crate::sqlite::open::classify(&self.path, &error))
    }

    fn switch_off(&self, reason: String) {
        self.on.store(false, Ordering::Release);
        for reader in &self.readers {
            *lock(reader) = None;
        }
        *lock(&self.off) = Some(reason);
    }

    fn switch_on(&self, readers: [Connection; READERS]) {
        for (slot, reader) in self.readers.iter().zip(readers) {
            *lock(slot) = Some(reader);
        }
        *lock(&self.off) = None;
        self.on.store(true, Ordering::Release);
    }
}

/// A level on disk. Dropping it waits for what is to be written, some milliseconds: do that where blocking is allowed.
pub struct DiskCache {
    shared: Arc<Shared>,
    /// `None` only while dropping.
    queue: Option<SyncSender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for DiskCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskCache").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

impl DiskCache {
    /// A level whose file is in this folder, which is made if there is none. The file is opened in the background; until
    /// then, and if it cannot be, the level finds nothing.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn start(folder: &Path, options: DiskCacheOptions) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            path: folder.join(FILE),
            options,
            run: RandomState::new().hash_one(folder).cast_signed(),
            readers: std::array::from_fn(|_| Mutex::default()),
            on: AtomicBool::new(false),
            off: Mutex::new(Some("it is being opened".into())),
            counts: Counts::default(),
            entries: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            damaged: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            used: Mutex::default(),
            forget_all: AtomicBool::new(false),
        });
        let (queue, commands) = sync_channel(QUEUE);
        let worker = Worker::new(Arc::clone(&shared), commands);
        let thread = thread::Builder::new().name("cache-writer".into()).spawn(move || worker.run())?;
        Ok(Self { shared, queue: Some(queue), thread: Some(thread) })
    }

    /// Hands a command over; `false` if the queue is full, or its thread gone.
    fn send(&self, command: Command) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.try_send(command).is_ok())
    }

    /// Notes that an entry was used, if that is worth being written.
    fn used(&self, row: &Row, now: UnixMillis) {
        if now.saturating_sub(row.used_at) < USED_STEP_MS {
            return;
        }
        let mut used = lock(&self.shared.used);
        if used.len() < MAX_USED {
            used.push((row.id, now));
        }
    }

    /// Whether a row counts, for this process and now.
    fn state(&self, row: &Row, current: Stamp, now: UnixMillis) -> State {
        let mine = row.run == self.shared.run;
        if current != if mine { row.record.stamp } else { Stamp::ORIGIN } {
            return State::Invalid;
        }
        // One that is from the future is of no known age: the clock was set back.
        let Ok(age) = u64::try_from(now.saturating_sub(row.record.made_at)) else { return State::Expired };
        if age < row.record.fresh_ms {
            State::Fresh
        } else if age < row.record.fresh_ms.saturating_add(row.record.stale_ms) {
            State::Stale
        } else {
            State::Expired
        }
    }
}

impl Disk for DiskCache {
    fn get(
        &self,
        key: &Key,
        namespace: &Arc<Namespace>,
        kind: Kind,
        name: &str,
        now: UnixMillis,
    ) -> Option<Record> {
        let shared = &*self.shared;
        if !shared.on.load(Ordering::Acquire) {
            shared.counts.asked(None);
            return None;
        }
        let found = match shared.find(&row::digest(key)) {
            Ok(found) => found,
            // Another process is about to change the file as a whole; that is rare, and no reason to wait.
            Err(StoreError::Locked { .. }) => None,
            Err(error) => {
                self.send(Command::Broken(error));
                None
            }
        };
        let Some(mut row) = found else {
            shared.counts.asked(None);
            return None;
        };
        let is_it = row.is_sound && row.record.key == *key && row.upstream == namespace.name();
        if !is_it || row.record.kind != kind || *row.record.name != *name {
            if shared.damaged.fetch_add(1, Ordering::Relaxed) == 0 {
                tracing::warn!(path = %shared.path.display(), "an entry of the result cache is damaged and not used");
            }
            self.send(Command::Remove(row.id));
            shared.counts.asked(None);
            return None;
        }
        // Its stamp is of another run, in which the counters began anew: what it is checked against from here on is
        // that of this moment, at which it counts.
        let current = namespace.stamp(kind, name);
        let state = self.state(&row, current, now);
        shared.counts.asked(Some(state));
        match state {
            State::Fresh | State::Stale => {}
            State::Expired | State::Invalid => {
                self.send(Command::Remove(row.id));
                return None;
            }
        }
        self.used(&row, now);
        row.record.stamp = current;
        row.record.namespace = Arc::clone(namespace);
        Some(row.record)
    }

    fn put(&self, record: Record) {
        if !self.send(Command::Put(record)) {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn forget(&self, what: Forget) {
        if !self.send(Command::Forget(what)) {
            self.shared.forget_all.store(true, Ordering::Release);
        }
    }

    fn read(&self) -> DiskReading {
        let shared = &*self.shared;
        let on = shared.on.load(Ordering::Acquire);
        DiskReading {
            counts: shared.counts.read(),
            entries: on.then(|| shared.entries.load(Ordering::Relaxed)),
            bytes: on.then(|| shared.bytes.load(Ordering::Relaxed)),
            max_bytes: shared.options.max_bytes,
            off: lock(&shared.off).clone(),
            damaged: shared.damaged.load(Ordering::Relaxed),
            dropped: shared.dropped.load(Ordering::Relaxed),
        }
    }

    fn flush(&self) {
        let (done, wait) = sync_channel(1);
        let sent = self.queue.as_ref().is_some_and(|queue| queue.send(Command::Flush(done)).is_ok());
        if sent {
            // The thread has gone: there is nothing more to wait for.
            let _ = wait.recv();
        }
    }
}

impl Drop for DiskCache {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was reported when it happened.
            let _ = thread.join();
        }
    }
}
