//! Who writes, and when: the writer's thread with group commit, or the caller where nobody else writes.
//!
//! Writes that gather while a commit is under way go into the next one together. Each runs in a savepoint
//! of its own, so that one that fails leaves the others alone, and each is answered after the commit:
//! what was answered is durable.
//!
//! A commit waits for the disk (`synchronous=FULL`) if one of its writes asks for that ([`Writer::write_through`]); one write that
//! does not ask may go with it. A commit that does not wait is on disk with the next that does.
//!
//! A short write that need not wait for the disk is done on the caller's thread while they come one by one
//! ([`Writer::write_short`], [`Pace`](super::pace::Pace)): to wake another thread, and to be woken by it, costs as much as the write.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, TryLockError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::desk::Desk;
use super::hits;
use super::{Durability, Fault, Shared, open};
use crate::StoreError;
use crate::limits::{HITS_FLUSH_AFTER, WRITE_QUEUE, WRITES_PER_COMMIT};

/// The sending side of the queue. Dropping it ends the thread after the queued work.
#[derive(Debug)]
pub(super) struct Writer {
    /// `None` only while dropping.
    queue: Option<SyncSender<Command>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
    desk: Arc<Mutex<Desk>>,
    /// Writes that are neither answered nor given up.
    open: AtomicUsize,
}

enum Command {
    Write(Box<dyn Job>),
    /// Something that may wait for a lock and therefore not run on a thread of the runtime.
    Read(Box<dyn FnOnce(&Connection) + Send>),
    /// Retrievals were counted: write them at the next quiet moment.
    HitsWaiting,
    /// The write-ahead log has grown long.
    Checkpoint,
}

impl Writer {
    pub(super) fn start(connection: Connection, shared: Arc<Shared>) -> Result<Self, StoreError> {
        let (queue, commands) = sync_channel(WRITE_QUEUE);
        let desk = Arc::new(Mutex::new(Desk::new(connection, Arc::clone(&shared))?));
        let worker = Worker {
            desk: Arc::clone(&desk),
            shared: Arc::clone(&shared),
            commands,
            next: None,
            hits_waiting: false,
        };
        let thread = thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || worker.run())
            .map_err(|error| open::io(&shared.path, &error))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), shared, desk, open: AtomicUsize::new(0) })
    }

    /// Runs `operation` in a transaction; answers when it is committed.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write_as(Durability::Normal, operation).await
    }

    /// Runs `operation` in a transaction; answers when it is committed and on disk.
    pub(super) async fn write_through<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write_as(Durability::Full, operation).await
    }

    /// Runs an `operation` of some 100 µs at most in a transaction, on this thread if nobody else writes and it need not
    /// wait; answers when it is as durable as asked for.
    pub(super) async fn write_short<T: Send + 'static>(
        &self,
        durability: Durability,
        operation: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let asked = Instant::now();
        let open = Open::count(&self.open);
        if durability == Durability::Normal
            && self.shared.pace.is_slow(asked, open.has_met)
            && let Some(mut desk) = self.free_desk()?
        {
            if desk.begin_at_once()? {
                let done = desk.one(operation);
                self.shared.pace.took(asked.elapsed());
                let wants_checkpoint = desk.wants_checkpoint();
                drop(desk);
                if wants_checkpoint {
                    self.nudge(Command::Checkpoint);
                }
                return done;
            }
            drop(desk);
        }
        self.queued(durability, operation).await
    }

    /// Runs `operation` in a transaction; answers when it is as durable as asked for.
    pub(super) async fn write_as<T: Send + 'static>(
        &self,
        durability: Durability,
        operation: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let _open = Open::count(&self.open);
        self.queued(durability, operation).await
    }

    /// Has the writer's thread run `operation`.
    async fn queued<T: Send + 'static>(
        &self,
        durability: Durability,
        operation: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let is_through = durability == Durability::Full;
        let job = Write { operation: Some(operation), result: None, reply, is_through };
        self.send(Command::Write(Box::new(job)))?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// The desk, if nobody is at it.
    fn free_desk(&self) -> Result<Option<std::sync::MutexGuard<'_, Desk>>, StoreError> {
        match self.desk.try_lock() {
            Ok(desk) => Ok(Some(desk)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Poisoned(_)) => Err(StoreError::Closed),
        }
    }

    /// Runs `operation` between two transactions.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Read(Box::new(move |connection| {
            // Nobody waits any more: the answer is nobody's.
            let _ = reply.send(operation(connection));
        })))?;
        answer.await.map_err(|_| StoreError::Closed)?.map_err(|fault| self.shared.fault(fault))
    }

    /// Asks for the counted retrievals to be written.
    pub(super) fn flush_hits_soon(&self) {
        self.nudge(Command::HitsWaiting);
    }

    /// Asks for what the thread does anyway after other work: a full queue need not hold it too.
    fn nudge(&self, command: Command) {
        let _ = self.send(command);
    }

    fn send(&self, command: Command) -> Result<(), StoreError> {
        let queue = self.queue.as_ref().ok_or(StoreError::Closed)?;
        queue.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Overloaded,
            TrySendError::Disconnected(_) => StoreError::Closed,
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was reported when it happened, and every later write by `Closed`.
            let _ = thread.join();
        }
    }
}

/// A write that is counted while it is neither answered nor given up.
struct Open<'a> {
    open: &'a AtomicUsize,
    /// Whether it found another.
    has_met: bool,
}

impl<'a> Open<'a> {
    fn count(open: &'a AtomicUsize) -> Self {
        Self { open, has_met: open.fetch_add(1, Ordering::Relaxed) > 0 }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A write with its type forgotten.
trait Job: Send {
    /// Whether nobody waits for the answer.
    fn is_cancelled(&self) -> bool;
    /// Whether it is to be on disk when it is answered.
    fn is_through(&self) -> bool;
    /// Does the work, inside a transaction.
    fn apply(&mut self, connection: &Connection, shared: &Shared) -> Result<(), StoreError>;
    /// Answers, with the transaction's fate.
    fn answer(self: Box<Self>, commit: Result<(), StoreError>);
}

struct Write<T, F> {
    operation: Option<F>,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
    is_through: bool,
}

impl<T: Send, F: FnOnce(&Connection) -> Result<T, Fault> + Send> Job for Write<T, F> {
    fn is_cancelled(&self) -> bool {
        self.reply.is_closed()
    }

    fn is_through(&self) -> bool {
        self.is_through
    }

    fn apply(&mut self, connection: &Connection, shared: &Shared) -> Result<(), StoreError> {
        let Some(operation) = self.operation.take() else { return Ok(()) };
        let result = operation(connection).map_err(|fault| shared.fault(fault));
        let outcome = result.as_ref().map(|_| ()).map_err(StoreError::clone);
        self.result = Some(result);
        outcome
    }

    fn answer(self: Box<Self>, commit: Result<(), StoreError>) {
        let result = match (self.result, commit) {
            // Its own failure explains more than the transaction's.
            (Some(Err(error)), _) | (_, Err(error)) => Err(error),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(StoreError::Closed),
        };
        // Nobody waits any more: the answer is nobody's.
        let _ = self.reply.send(result);
    }
}

struct Worker {
    desk: Arc<Mutex<Desk>>,
    shared: Arc<Shared>,
    commands: Receiver<Command>,
    /// Taken from the queue while gathering a batch that it does not belong to.
    next: Option<Command>,
    hits_waiting: bool,
}

impl Worker {
    fn run(mut self) {
        loop {
            let command = self.wait();
            let desk = Arc::clone(&self.desk);
            // Whoever panicked there may have left a write half done: the store is closed.
            let Ok(mut desk) = desk.lock() else { return };
            match command {
                Ok(Command::Write(job)) => self.commit(&mut desk, job),
                Ok(Command::Read(read)) => read(desk.connection()),
                Ok(Command::HitsWaiting) => self.hits_waiting = true,
                Ok(Command::Checkpoint) => {}
                Err(RecvTimeoutError::Timeout) => self.flush_hits(&mut desk),
                Err(RecvTimeoutError::Disconnected) => return self.flush_hits(&mut desk),
            }
            if self.shared.hits.is_crowded() {
                self.flush_hits(&mut desk);
            }
            if desk.wants_checkpoint() {
                desk.checkpoint();
            }
        }
    }

    /// Waits for work; with counted retrievals to write, only for a while.
    fn wait(&mut self) -> Result<Command, RecvTimeoutError> {
        if let Some(command) = self.next.take() {
            return Ok(command);
        }
        if self.hits_waiting {
            return self.commands.recv_timeout(HITS_FLUSH_AFTER);
        }
        self.commands.recv().map_err(|_| RecvTimeoutError::Disconnected)
    }

    /// Commits `first` and what else is waiting, then answers all.
    fn commit(&mut self, desk: &mut Desk, first: Box<dyn Job>) {
        let begun = Instant::now();
        let mut jobs = Vec::new();
        let outcome = self.transaction(desk, first, &mut jobs);
        if jobs.len() == 1 {
            self.shared.pace.took(begun.elapsed());
        }
        for job in jobs {
            job.answer(outcome.clone());
        }
    }

    fn transaction(
        &mut self,
        desk: &mut Desk,
        first: Box<dyn Job>,
        jobs: &mut Vec<Box<dyn Job>>,
    ) -> Result<(), StoreError> {
        let is_through = first.is_through();
        let begun = desk.begin(is_through);
        let mut next = Some(first);
        if let Err(error) = begun {
            jobs.extend(next);
            return Err(error);
        }
        while let Some(mut job) = next {
            let applied = apply(desk, job.as_mut(), &self.shared);
            jobs.push(job);
            if applied.is_err() {
                desk.roll_back();
                return applied;
            }
            next = if jobs.len() < WRITES_PER_COMMIT { self.gather(is_through) } else { None };
        }
        desk.commit()
    }

    /// The next write, if one is waiting already that may go with a commit which waits for the disk, or does not.
    fn gather(&mut self, is_through: bool) -> Option<Box<dyn Job>> {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Write(job)) if job.is_through() && !is_through => {
                    self.next = Some(Command::Write(job));
                    return None;
                }
                Ok(Command::Write(job)) => return Some(job),
                Ok(Command::HitsWaiting) => self.hits_waiting = true,
                Ok(Command::Checkpoint) => {}
                Ok(read @ Command::Read(_)) => {
                    self.next = Some(read);
                    return None;
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return None,
            }
        }
    }

    /// Writes the counted retrievals; keeps the count if that fails.
    fn flush_hits(&mut self, desk: &mut Desk) {
        self.hits_waiting = false;
        let counts = self.shared.hits.take();
        if counts.is_empty() {
            return;
        }
        let written = desk.begin(false).and_then(|()| {
            hits::write(desk.connection(), &counts).map_err(|error| self.shared.fault(error.into()))?;
            desk.commit()
        });
        if written.is_err() {
            desk.roll_back();
            self.shared.hits.put_back(counts);
        }
    }
}

/// One write in its savepoint. Its own failure stays with the job; an error here is the transaction's.
fn apply(desk: &Desk, job: &mut dyn Job, shared: &Shared) -> Result<(), StoreError> {
    if job.is_cancelled() {
        return Ok(());
    }
    desk.execute("SAVEPOINT job")?;
    if let Err(error) = job.apply(desk.connection(), shared) {
        if desk.connection().is_autocommit() {
            // Disk full, I/O error: the engine has undone the whole transaction.
            return Err(error);
        }
        desk.execute("ROLLBACK TO job")?;
    }
    desk.execute("RELEASE job")
}

#[cfg(test)]
mod tests {
    use super::super::{SqliteOptions, SqliteStore};
    use super::*;
    use crate::contract::Store as _;
    use crate::memory::{Attributes, OnConflict, Put};

    fn level(connection: &Connection) -> Result<i64, Fault> {
        Ok(connection.pragma_query_value(None, "synchronous", |row| row.get(0))?)
    }

    #[tokio::test]
    async fn a_memory_write_waits_for_the_disk_where_the_operator_wants_that() {
        for (memory, expected) in [(Durability::Normal, 1), (Durability::Full, 2)] {
            let directory = tempfile::tempdir().unwrap();
            let options = SqliteOptions { memory, ..SqliteOptions::default() };
            let store = SqliteStore::open(&directory.path().join("store.db"), &options).unwrap();
            let put = Put {
                principal: "p".into(),
                namespace: "n".into(),
                key: "k".into(),
                value: "1".into(),
                attributes: Attributes::default(),
                valid_from: None,
                if_version: None,
                on_conflict: OnConflict::Version,
                now: 1,
            };
            store.put(put).await.unwrap();
            // Reading leaves the level as the last commit had it.
            assert_eq!(store.writer.read(level).await, Ok(expected));
        }
    }

    #[tokio::test]
    async fn a_commit_waits_for_the_disk_if_a_write_in_it_asks_for_that() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.db");
        let store = SqliteStore::open(&path, &SqliteOptions::default()).unwrap();
        let (normal, full) = (Ok(1), Ok(2));
        for _ in 0..3 {
            assert_eq!(store.writer.write(level).await, normal);
            assert_eq!(store.writer.write_through(level).await, full);
        }
        let many = (0..50).map(|_| async {
            let one = store.writer.write(level);
            let (one, other) = tokio::join!(one, store.writer.write_through(level));
            assert_eq!(other, full);
            one
        });
        for one in many {
            assert!(one.await.is_ok_and(|level| level == 1 || level == 2));
        }
    }

    fn thread(_: &Connection) -> Result<thread::ThreadId, Fault> {
        Ok(thread::current().id())
    }

    #[tokio::test]
    async fn a_short_write_is_done_here_if_it_comes_alone_and_need_not_wait() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.db");
        let store = SqliteStore::open(&path, &SqliteOptions::default()).unwrap();
        let (writer, here) = (&store.writer, thread::current().id());
        assert_eq!(writer.write_short(Durability::Normal, thread).await, Ok(here));
        assert_ne!(writer.write_short(Durability::Full, thread).await, Ok(here));
        // Another process may hold the lock for long.
        let other = Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let unlock = async {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            other.execute_batch("COMMIT").unwrap();
        };
        std::thread::sleep(std::time::Duration::from_millis(20));
        let (written, ()) = tokio::join!(writer.write_short(Durability::Normal, thread), unlock);
        assert!(written.is_ok_and(|thread| thread != here));
        // Two that meet are gathered.
        let (one, other) = tokio::join!(writer.write(thread), writer.write_short(Durability::Normal, thread));
        assert_eq!(one, other);
        assert!(one.is_ok_and(|thread| thread != here));
    }

    #[tokio::test]
    async fn a_short_write_that_fails_leaves_nothing_and_no_transaction() {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&directory.path().join("store.db"), &SqliteOptions::default()).unwrap();
        let half = |connection: &Connection| -> Result<(), Fault> {
            connection.execute("INSERT INTO namespace (principal, name) VALUES ('p', 'n')", ())?;
            Err(StoreError::Exists { version: 7 }.into())
        };
        let namespaces = |connection: &Connection| {
            Ok(connection.query_row("SELECT count(*) FROM namespace", (), |row| row.get::<_, i64>(0))?)
        };
        for _ in 0..3 {
            let failed = store.writer.write_short(Durability::Normal, half).await;
            assert_eq!(failed, Err(StoreError::Exists { version: 7 }));
            assert_eq!(store.writer.write_short(Durability::Normal, namespaces).await, Ok(0));
        }
    }

    #[tokio::test]
    async fn short_writes_one_by_one_do_not_let_the_log_grow() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.db");
        let store = SqliteStore::open(&path, &SqliteOptions::default()).unwrap();
        let mut here = 0;
        for _ in 0..4 * open::CHECKPOINT_PAGES / 16 {
            let begun = Instant::now();
            // 17 pages of the log.
            let write = |connection: &Connection| -> Result<_, Fault> {
                let body = vec![1; 16 * 4_096];
                let put = "INSERT OR REPLACE INTO manifest VALUES ('k', '', 0, ?1)";
                connection.execute(put, [body])?;
                Ok(thread::current().id())
            };
            let written = store.writer.write_short(Durability::Normal, write).await;
            here += u32::from(written == Ok(thread::current().id()));
            thread::sleep(begun.elapsed());
        }
        // What is asked for before is done.
        store.writer.read(|_| Ok(())).await.unwrap();
        assert!(here > 64, "{here} were done here");
        let log = std::fs::metadata(directory.path().join("store.db-wal")).unwrap().len();
        assert!(log < u64::from(2 * open::CHECKPOINT_PAGES) * 4_096, "{log} bytes");
    }
}
