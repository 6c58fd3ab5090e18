//! What was computed from contents, kept for later calls and other processes: an SQLite file of its own, which may be lost
//! at any moment.
//!
//! - **A row** is found by a digest of all that it was computed from: it is right or it is not there, and never out of date.
//! - **Reads** run on the caller's thread. **Writes** go through a bounded queue to one thread; nobody waits for them, and
//!   what finds the queue full is dropped.
//! - **A damaged row** is not found, and removed: each has a digest over all of it. **A damaged file** is thrown away with a
//!   warning, and begun anew.
//! - **A file that cannot be opened or written** finds and keeps nothing, with a warning; it is tried again after a while.
//! - **Several processes** may share the file.
//!
//! Nothing is opened before the first question, and no thread is started before there is something to write.

mod row;
mod worker;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::disposable::{self, Sort};
use crate::sqlite::open::{classify, reader};
use crate::{StoreError, UnixMillis};
use worker::Command;

/// A digest of all that a row was computed from: the contents, and by what.
pub type DerivedKey = [u8; 32];

/// The file in the folder.
const FILE: &str = "derived.db";
/// Marked "AQED".
const FIGURES: Sort =
    Sort { name: "file of derived figures", application: 0x4151_4544, version: 1, schema: row::SCHEMA };
/// Marked "AQEI".
const SEARCH_INDEX: Sort =
    Sort { name: "index of memory search", application: 0x4151_4549, version: 1, schema: row::SCHEMA };
/// Batches that wait to be written; the next is dropped.
const QUEUE: usize = 16;
/// Pause before a file that cannot be used is tried again.
const RETRY: Duration = Duration::from_secs(30);

/// Rows in a file. Dropping it waits for what is to be written, some milliseconds: do that where blocking is allowed.
pub struct Derived {
    shared: Arc<Shared>,
    writing: Mutex<Option<Writing>>,
}

/// The thread that writes.
struct Writing {
    queue: SyncSender<Command>,
    thread: JoinHandle<()>,
}

struct Shared {
    sort: &'static Sort,
    path: PathBuf,
    max_bytes: u64,
    state: Mutex<State>,
}

/// Whether there is a file to be used.
enum State {
    Closed,
    Open(Arc<Open>),
    /// It is to be thrown away when nobody has it open any more.
    Damaged(Weak<Open>, StoreError),
    Off {
        since: Instant,
    },
}

struct Open {
    reader: Mutex<Connection>,
    writer: Mutex<Connection>,
}

fn search_file(store: &Path) -> PathBuf {
    store.with_extension("search.db")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change below these locks is complete in itself.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Derived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Derived").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

impl Derived {
    /// Rows in a file in this folder, which is made with it when it is first asked for. The file grows to at most `max_bytes`
    /// (its write-ahead log of a few MiB not counted); what was not used for longest gives way.
    pub fn new(folder: &Path, max_bytes: u64) -> Self {
        Self::of(&FIGURES, folder.join(FILE), max_bytes)
    }

    /// Rows in the file beside a store that keeps what its search has read.
    pub(crate) fn beside(store: &Path, max_bytes: u64) -> Self {
        Self::of(&SEARCH_INDEX, search_file(store), max_bytes)
    }

    /// Leaves nothing in the file beside a store of what its search had read; without one, does nothing.
    pub(crate) fn empty_beside(store: &Path, max_bytes: u64) -> Result<(), StoreError> {
        let path = search_file(store);
        if !path.exists() {
            return Ok(());
        }
        let file = disposable::open(&SEARCH_INDEX, &path, max_bytes)?;
        row::empty(&file).map_err(|error| classify(&path, &error))
    }

    fn of(sort: &'static Sort, path: PathBuf, max_bytes: u64) -> Self {
        let shared = Shared { sort, path, max_bytes, state: Mutex::new(State::Closed) };
        Self { shared: Arc::new(shared), writing: Mutex::default() }
    }

    /// What is kept under each of the keys.
    pub fn find(&self, keys: &[DerivedKey], now: UnixMillis) -> Vec<Option<Vec<u8>>> {
        let Some(open) = self.shared.open().filter(|_| !keys.is_empty()) else {
            return vec![None; keys.len()];
        };
        let found = row::find(&lock(&open.reader), keys, now);
        match found {
            Ok(found) => {
                if !found.used.is_empty() || !found.damaged.is_empty() {
                    self.send(Command::Note { used: found.used, damaged: found.damaged, now });
                }
                found.bodies
            }
            Err(error) => {
                let error = classify(&self.shared.path, &error);
                self.shared.fail(&open, error);
                vec![None; keys.len()]
            }
        }
    }

    /// Keeps rows under their keys, soon.
    pub fn keep(&self, rows: Vec<(DerivedKey, Vec<u8>)>, now: UnixMillis) {
        if !rows.is_empty() {
            self.send(Command::Keep { rows, now });
        }
    }

    /// Waits until what was to be kept is written, or has failed. Blocks.
    pub fn flush(&self) {
        let (done, wait) = sync_channel(1);
        let queue = lock(&self.writing).as_ref().map(|writing| writing.queue.clone());
        if queue.is_some_and(|queue| queue.send(Command::Flush(done)).is_ok()) {
            // Or its thread is gone, and nothing will be written.
            let _ = wait.recv();
        }
    }

    /// Hands a command over, unless the queue is full.
    fn send(&self, command: Command) {
        let mut writing = lock(&self.writing);
        if writing.is_none() {
            let (queue, commands) = sync_channel(QUEUE);
            let shared = Arc::clone(&self.shared);
            let thread = thread::Builder::new()
                .name("derived-writer".into())
                .spawn(move || worker::run(&shared, &commands));
            // Without a thread nothing is kept, which costs time and nothing else.
            let Ok(thread) = thread else { return };
            *writing = Some(Writing { queue, thread });
        }
        if let Some(writing) = &*writing {
            // What does not fit is computed again.
            let _ = writing.queue.try_send(command);
        }
    }
}

impl Drop for Derived {
    fn drop(&mut self) {
        if let Some(Writing { queue, thread }) = lock(&self.writing).take() {
            drop(queue);
            // A panic in it has been told.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// The file, opened if it is not.
    fn open(&self) -> Option<Arc<Open>> {
        let mut state = lock(&self.state);
        match &*state {
            State::Open(open) => return Some(Arc::clone(open)),
            State::Off { since } if since.elapsed() < RETRY => return None,
            State::Damaged(open, _) if open.strong_count() > 0 => return None,
            State::Damaged(_, why) => {
                if let Err(error) = disposable::discard(self.sort, &self.path, why) {
                    self.rest(&mut state, &error);
                    return None;
                }
            }
            State::Closed | State::Off { .. } => {}
        }
        let connections = disposable::open(self.sort, &self.path, self.max_bytes)
            .and_then(|writer| Ok((writer, reader(&self.path)?)));
        match connections {
            Ok((writer, reader)) => {
                let open = Arc::new(Open { reader: Mutex::new(reader), writer: Mutex::new(writer) });
                *state = State::Open(Arc::clone(&open));
                Some(open)
            }
            Err(error) => {
                self.rest(&mut state, &error);
                None
            }
        }
    }

    /// Something went wrong with the file.
    fn fail(&self, open: &Arc<Open>, error: StoreError) {
        let mut state = lock(&self.state);
        match error {
            // Another process is busy: next time.
            StoreError::Locked { .. } => {}
            // Somebody has opened it anew meanwhile.
            _ if !matches!(&*state, State::Open(current) if Arc::ptr_eq(current, open)) => {}
            StoreError::Corrupt { .. } => *state = State::Damaged(Arc::downgrade(open), error),
            _ => self.rest(&mut state, &error),
        }
    }

    fn rest(&self, state: &mut State, error: &StoreError) {
        let reason = disposable::describe(self.sort, error);
        tracing::warn!(path = %self.path.display(), %reason, "no {} is kept: what would be in it is computed each time", self.sort.name);
        *state = State::Off { since: Instant::now() };
    }
}
