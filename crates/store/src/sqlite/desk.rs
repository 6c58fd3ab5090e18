//! The connection that writes, used by one thread at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rusqlite::Connection;

use super::{Fault, Shared, open};
use crate::StoreError;

/// A connection with its transactions.
#[derive(Debug)]
pub(super) struct Desk {
    connection: Connection,
    shared: Arc<Shared>,
    /// Whether commits wait for the disk at present.
    is_through: bool,
    /// Pages in the write-ahead log after the last commit; 0 once they were moved.
    log_pages: Arc<AtomicU32>,
}

impl Desk {
    pub(super) fn new(mut connection: Connection, shared: Arc<Shared>) -> Result<Self, StoreError> {
        let log_pages = Arc::new(AtomicU32::new(0));
        let pages = Arc::clone(&log_pages);
        // In place of the engine's own, which moves the log into the file, and waits for the disk, within a commit.
        let hook = move |_: &mut rusqlite::hooks::Wal, count| {
            pages.store(u32::try_from(count).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        };
        connection.wal_hook(Some(hook)).map_err(|error| shared.fault(error.into()))?;
        Ok(Self { connection, shared, is_through: false, log_pages })
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Begins a transaction; waits for the lock. `is_through`: its commit waits for the disk.
    pub(super) fn begin(&mut self, is_through: bool) -> Result<(), StoreError> {
        if self.shared.is_damaged() {
            return Err(StoreError::Corrupt {
                path: self.shared.path.clone(),
                detail: "found while it was in use".into(),
            });
        }
        if self.is_through != is_through {
            let level = if is_through { "full" } else { "normal" };
            self.connection
                .pragma_update(None, "synchronous", level)
                .map_err(|error| self.shared.fault(error.into()))?;
            self.is_through = is_through;
        }
        self.execute("BEGIN IMMEDIATE")
    }

    /// Begins a transaction whose commit does not wait for the disk; answers whether it has: no other process holds the lock.
    pub(super) fn begin_at_once(&mut self) -> Result<bool, StoreError> {
        match open::without_waiting(|| self.begin(false)) {
            Err(StoreError::Locked { .. }) => Ok(false),
            begun => begun.map(|()| true),
        }
    }

    /// Does one write and ends the transaction that was begun.
    pub(super) fn one<T>(
        &self,
        operation: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let done = operation(&self.connection).map_err(|fault| self.shared.fault(fault));
        if done.is_err() {
            self.roll_back();
            return done;
        }
        self.commit().and(done)
    }

    pub(super) fn commit(&self) -> Result<(), StoreError> {
        self.execute("COMMIT").inspect_err(|_| self.roll_back())
    }

    /// Ends a failed transaction, unless the engine has done so. If even that fails, so does the next
    /// `BEGIN`, and the next write is answered with it.
    pub(super) fn roll_back(&self) {
        if !self.connection.is_autocommit() {
            let _ = self.execute("ROLLBACK");
        }
    }

    pub(super) fn execute(&self, statement: &str) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(statement)
            .and_then(|mut prepared| prepared.execute(()))
            .map(|_| ())
            .map_err(|error| self.shared.fault(error.into()))
    }

    /// Whether the write-ahead log has grown long since it was last moved into the file.
    pub(super) fn wants_checkpoint(&self) -> bool {
        self.log_pages.load(Ordering::Relaxed) >= open::CHECKPOINT_PAGES
    }

    /// Moves the write-ahead log into the file, as far as readers let it, and waits for the disk. What is left is tried again
    /// after the next commit.
    pub(super) fn checkpoint(&self) {
        self.log_pages.store(0, Ordering::Relaxed);
        if let Err(error) = self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(())) {
            // Nothing is lost: the log holds it.
            tracing::warn!(%error, path = %self.shared.path.display(), "the write-ahead log stays long");
        }
    }
}
