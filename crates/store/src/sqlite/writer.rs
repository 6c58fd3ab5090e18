//! The writer's thread: group commit.
//!
//! Writes that gather while a commit is under way go into the next one together. Each runs in a savepoint
//! of its own, so that one that fails leaves the others alone, and each is answered after the commit:
//! what was answered is durable.
//!
//! A commit waits for the disk (`synchronous=FULL`) if one of its writes asks for that ([`Writer::write_through`]); one write that
//! does not ask may go with it. A commit that does not wait is on disk with the next that does.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use tokio::sync::oneshot;

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
}

enum Command {
    Write(Box<dyn Job>),
    /// Something that may wait for a lock and therefore not run on a thread of the runtime.
    Read(Box<dyn FnOnce(&Connection) + Send>),
    /// Retrievals were counted: write them at the next quiet moment.
    HitsWaiting,
}

impl Writer {
    pub(super) fn start(connection: Connection, shared: Arc<Shared>) -> Result<Self, StoreError> {
        let (queue, commands) = sync_channel(WRITE_QUEUE);
        let worker = Worker {
            connection,
            shared: Arc::clone(&shared),
            commands,
            next: None,
            hits_waiting: false,
            is_through: false,
        };
        let thread = thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || worker.run())
            .map_err(|error| open::io(&shared.path, &error))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), shared })
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

    /// Runs `operation` in a transaction; answers when it is as durable as asked for.
    pub(super) async fn write_as<T: Send + 'static>(
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

    /// Asks for the counted retrievals to be written. If the queue is full the thread is busy writing,
    /// and writes them with that.
    pub(super) fn flush_hits_soon(&self) {
        let _ = self.send(Command::HitsWaiting);
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
    connection: Connection,
    shared: Arc<Shared>,
    commands: Receiver<Command>,
    /// Taken from the queue while gathering a batch that it does not belong to.
    next: Option<Command>,
    hits_waiting: bool,
    /// Whether commits wait for the disk at present.
    is_through: bool,
}

impl Worker {
    fn run(mut self) {
        loop {
            match self.wait() {
                Ok(Command::Write(job)) => self.commit(job),
                Ok(Command::Read(read)) => read(&self.connection),
                Ok(Command::HitsWaiting) => self.hits_waiting = true,
                Err(RecvTimeoutError::Timeout) => self.flush_hits(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.shared.hits.is_crowded() {
                self.flush_hits();
            }
        }
        self.flush_hits();
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
    fn commit(&mut self, first: Box<dyn Job>) {
        let mut jobs = Vec::new();
        let outcome = self.transaction(first, &mut jobs);
        for job in jobs {
            job.answer(outcome.clone());
        }
    }

    fn transaction(&mut self, first: Box<dyn Job>, jobs: &mut Vec<Box<dyn Job>>) -> Result<(), StoreError> {
        let is_through = first.is_through();
        let begun = self.wait_for_disk(is_through).and_then(|()| self.begin());
        let mut next = Some(first);
        if let Err(error) = begun {
            jobs.extend(next);
            return Err(error);
        }
        while let Some(mut job) = next {
            let applied = self.apply(job.as_mut());
            jobs.push(job);
            if applied.is_err() {
                self.roll_back();
                return applied;
            }
            next = if jobs.len() < WRITES_PER_COMMIT { self.gather(is_through) } else { None };
        }
        self.execute("COMMIT").inspect_err(|_| self.roll_back())
    }

    /// Ends a failed transaction, unless the engine has done so. If even that fails, so does the next
    /// `BEGIN`, and the next write is answered with it.
    fn roll_back(&self) {
        if !self.connection.is_autocommit() {
            let _ = self.execute("ROLLBACK");
        }
    }

    fn begin(&self) -> Result<(), StoreError> {
        if self.shared.damaged.load(Ordering::Relaxed) {
            return Err(StoreError::Corrupt {
                path: self.shared.path.clone(),
                detail: "found while it was in use".into(),
            });
        }
        self.execute("BEGIN IMMEDIATE")
    }

    /// One write in its savepoint. Its own failure stays with the job; an error here is the
    /// transaction's.
    fn apply(&self, job: &mut dyn Job) -> Result<(), StoreError> {
        if job.is_cancelled() {
            return Ok(());
        }
        self.execute("SAVEPOINT job")?;
        if let Err(error) = job.apply(&self.connection, &self.shared) {
            if self.connection.is_autocommit() {
                // Disk full, I/O error: the engine has undone the whole transaction.
                return Err(error);
            }
            self.execute("ROLLBACK TO job")?;
        }
        self.execute("RELEASE job")
    }

    /// Whether the commits to come wait for the disk. Only between two transactions.
    fn wait_for_disk(&mut self, is_through: bool) -> Result<(), StoreError> {
        if self.is_through != is_through {
            let level = if is_through { "full" } else { "normal" };
            self.connection
                .pragma_update(None, "synchronous", level)
                .map_err(|error| self.shared.fault(error.into()))?;
            self.is_through = is_through;
        }
        Ok(())
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
                Ok(read @ Command::Read(_)) => {
                    self.next = Some(read);
                    return None;
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return None,
            }
        }
    }

    /// Writes the counted retrievals; keeps the count if that fails.
    fn flush_hits(&mut self) {
        self.hits_waiting = false;
        let counts = self.shared.hits.take();
        if counts.is_empty() {
            return;
        }
        let written = self.begin().and_then(|()| {
            hits::write(&self.connection, &counts).map_err(|error| self.shared.fault(error.into()))?;
            self.execute("COMMIT")
        });
        if written.is_err() {
            self.roll_back();
            self.shared.hits.put_back(counts);
        }
    }

    fn execute(&self, statement: &str) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(statement)
            .and_then(|mut prepared| prepared.execute(()))
            .map(|_| ())
            .map_err(|error| self.shared.fault(error.into()))
    }
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
}
