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

mod job;
#[cfg(test)]
mod tests;
mod worker;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::desk::Desk;
use super::{Durability, Fault, Shared, open};
use crate::StoreError;
use crate::limits::WRITE_QUEUE;
use job::{Job, Write};
use worker::Worker;

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
            && desk.begin_at_once()?
        {
            let done = desk.one(operation);
            self.shared.pace.took(asked.elapsed());
            let wants_checkpoint = desk.wants_checkpoint();
            drop(desk);
            if wants_checkpoint {
                self.nudge(Command::Checkpoint);
            }
            return done;
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
        let (job, answer) = Write::new(operation, durability == Durability::Full);
        self.send(Command::Write(Box::new(job)))?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// The desk, if nobody is at it.
    fn free_desk(&self) -> Result<Option<MutexGuard<'_, Desk>>, StoreError> {
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
