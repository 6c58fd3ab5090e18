//! The thread that writes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

use aqe_core::cache::{Forget, Record};
use rusqlite::{Connection, params};

use super::{SORT, Shared, lock, row};
use crate::limits::{READERS, WRITES_PER_COMMIT};
use crate::sqlite::open::{classify, reader};
use crate::{StoreError, UnixMillis, disposable};

/// Pause before a file that cannot be written is tried again.
const RETRY: Duration = Duration::from_secs(30);
/// Entries that give way at once.
const EVICTED_AT_ONCE: usize = 64;
/// Share of the file that entries may take; the rest is for indexes and half-filled pages.
const PAYLOAD_SHARE: u64 = 70;
/// Commits after which the figures are counted anew: other processes write, too.
const COUNTED_EVERY: u32 = 512;

/// What the thread is told.
pub(super) enum Command {
    Put(Record),
    Forget(Forget),
    /// The entry with this id is of no use.
    Remove(i64),
    /// A reader has met this.
    Broken(StoreError),
    Flush(SyncSender<()>),
}

pub(super) struct Worker {
    shared: Arc<Shared>,
    commands: Receiver<Command>,
    connection: Option<Connection>,
    retry_at: Option<Instant>,
    commits: u32,
    /// The time of the newest record: all that this thread knows of it.
    now: UnixMillis,
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, commands: Receiver<Command>) -> Self {
        Self { shared, commands, connection: None, retry_at: None, commits: 0, now: 0 }
    }

    pub(super) fn run(mut self) {
        self.open();
        while let Ok(first) = self.commands.recv() {
            if self.retry_at.is_some_and(|at| Instant::now() >= at) {
                self.open();
            }
            let mut batch = vec![first];
            batch.extend(self.commands.try_iter().take(WRITES_PER_COMMIT - 1));
            self.work(batch);
        }
        // What was used last stays longest in the next run, too.
        self.work(Vec::new());
    }

    fn open(&mut self) {
        self.connection = None;
        self.retry_at = None;
        let shared = &self.shared;
        // Nobody must have the file open that may have to be thrown away.
        shared.switch_off("it is being opened".into());
        match open(shared) {
            Ok((writer, readers)) => {
                self.connection = Some(writer);
                if let Err(error) = self.count() {
                    self.fail(&error);
                    return;
                }
                self.shared.switch_on(readers);
            }
            Err(error) => self.fail(&error),
        }
    }

    /// The file cannot be used for now, or is of no use at all.
    fn fail(&mut self, error: &StoreError) {
        self.connection = None;
        let reason = disposable::describe(&SORT, error);
        let shared = Arc::clone(&self.shared);
        shared.switch_off(reason.clone());
        if matches!(error, StoreError::Corrupt { .. }) {
            match disposable::discard(&SORT, &shared.path, error) {
                Ok(()) => self.open(),
                Err(error) => self.rest(&disposable::describe(&SORT, &error)),
            }
            return;
        }
        self.rest(&reason);
    }

    fn rest(&mut self, reason: &str) {
        tracing::warn!(path = %self.shared.path.display(), reason, "the result cache on disk is switched off");
        self.shared.switch_off(reason.to_owned());
        self.retry_at = Some(Instant::now() + RETRY);
    }

    /// Does a batch of commands in one transaction.
    fn work(&mut self, batch: Vec<Command>) {
        let mut waiting = Vec::new();
        let mut todo = Vec::new();
        for command in batch {
            match command {
                Command::Flush(done) => waiting.push(done),
                Command::Broken(error) => {
                    // Later readers of the same file have met the same; the first has it opened anew.
                    if self.connection.is_some() && self.shared.on.load(Ordering::Acquire) {
                        self.fail(&error);
                    }
                }
                other => todo.push(other),
            }
        }
        let outcome = match self.transaction(&todo) {
            Err(StoreError::Full { .. }) => self.make_room().and_then(|()| self.transaction(&todo)),
            other => other,
        };
        if let Err(error) = outcome {
            if todo.iter().any(|command| matches!(command, Command::Forget(_))) {
                self.shared.forget_all.store(true, Ordering::Release);
            }
            let puts = todo.iter().filter(|command| matches!(command, Command::Put(_))).count();
            self.shared.dropped.fetch_add(puts as u64, Ordering::Relaxed);
            // Another process is busy: next time.
            if !matches!(error, StoreError::Locked { .. } | StoreError::Closed) {
                self.fail(&error);
            }
        }
        for done in waiting {
            // Nobody waits any more.
            let _ = done.send(());
        }
    }

    fn connection(&self) -> Result<&Connection, StoreError> {
        self.connection.as_ref().ok_or(StoreError::Closed)
    }

    fn engine(&self, error: &rusqlite::Error) -> StoreError {
        classify(&self.shared.path, error)
    }

    fn transaction(&mut self, todo: &[Command]) -> Result<(), StoreError> {
        let used = std::mem::take(&mut *lock(&self.shared.used));
        let forget_all = self.shared.forget_all.load(Ordering::Acquire);
        if todo.is_empty() && used.is_empty() && !forget_all {
            return Ok(());
        }
        let done = self.in_transaction(|worker, connection| {
            if forget_all {
                worker.forget(connection, &Forget::All)?;
            }
            for (id, at) in used {
                let mut statement =
                    connection.prepare_cached("UPDATE answer SET used_at = ?2 WHERE id = ?1")?;
                statement.execute([id, at])?;
            }
            for command in todo {
                match command {
                    Command::Put(record) => worker.put(connection, record)?,
                    Command::Forget(what) => worker.forget(connection, what)?,
                    Command::Remove(id) => {
                        worker.remove(
                            connection,
                            "DELETE FROM answer WHERE id = ?1 RETURNING size",
                            params![id],
                        )?;
                    }
                    Command::Broken(_) | Command::Flush(_) => {}
                }
            }
            Ok(())
        });
        if done.is_ok() && forget_all {
            self.shared.forget_all.store(false, Ordering::Release);
        }
        self.commits += 1;
        if done.is_ok() && self.commits.is_multiple_of(COUNTED_EVERY) {
            return self.sweep();
        }
        done
    }

    fn in_transaction(
        &mut self,
        work: impl FnOnce(&mut Self, &Connection) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        let connection = self.connection.take().ok_or(StoreError::Closed)?;
        let done = connection
            .execute_batch("BEGIN IMMEDIATE")
            .and_then(|()| work(self, &connection))
            .and_then(|()| connection.execute_batch("COMMIT"));
        if !connection.is_autocommit() {
            // If even that fails, so does the next beginning.
            let _ = connection.execute_batch("ROLLBACK");
        }
        let failed = done.is_err();
        self.connection = Some(connection);
        if failed {
            // What was counted may not have happened.
            let _ = self.count();
        }
        done.map_err(|error| self.engine(&error))
    }

    fn put(&mut self, connection: &Connection, record: &Record) -> rusqlite::Result<()> {
        self.now = self.now.max(record.made_at);
        // Something has changed since it was asked for, and what has to be forgotten may have been already.
        if record.namespace.stamp(record.kind, &record.name) != record.stamp {
            return Ok(());
        }
        let size = row::size(record);
        let most = self.payload();
        if size > most / 4 {
            return Ok(());
        }
        self.evict(connection, most - size)?;
        let replaced = row::put(connection, record, self.shared.run)?;
        if let Some(bytes) = replaced {
            self.gone(1, bytes);
        }
        self.shared.entries.fetch_add(1, Ordering::Relaxed);
        self.shared.bytes.fetch_add(size, Ordering::Relaxed);
        self.shared.counts.inserted();
        Ok(())
    }

    fn payload(&self) -> u64 {
        self.shared.options.max_bytes / 100 * PAYLOAD_SHARE
    }

    /// Removes what was used least recently until no more than `most` bytes are left.
    fn evict(&self, connection: &Connection, most: u64) -> rusqlite::Result<()> {
        while self.shared.bytes.load(Ordering::Relaxed) > most {
            let removed = self.remove(
                connection,
                "DELETE FROM answer WHERE id IN (SELECT id FROM answer ORDER BY used_at, id LIMIT ?1) RETURNING size",
                params![EVICTED_AT_ONCE.cast_signed()],
            )?;
            self.shared.counts.evicted(removed);
            if removed == 0 {
                break;
            }
        }
        Ok(())
    }

    /// The file is at its limit, or the disk is full: half of what is there gives way.
    fn make_room(&mut self) -> Result<(), StoreError> {
        self.in_transaction(|worker, connection| {
            let half = worker.shared.bytes.load(Ordering::Relaxed) / 2;
            worker.evict(connection, half)
        })
    }

    fn forget(&self, connection: &Connection, what: &Forget) -> rusqlite::Result<()> {
        let removed = match what {
            Forget::All => self.remove(connection, "DELETE FROM answer RETURNING size", params![]),
            Forget::Upstream(upstream) => self.remove(
                connection,
                "DELETE FROM answer WHERE upstream = ?1 RETURNING size",
                params![&**upstream],
            ),
            Forget::Kind(upstream, kind) => self.remove(
                connection,
                "DELETE FROM answer WHERE upstream = ?1 AND kind = ?2 RETURNING size",
                params![&**upstream, *kind as u8],
            ),
            Forget::Name(upstream, name) => self.remove(
                connection,
                "DELETE FROM answer WHERE upstream = ?1 AND name = ?2 RETURNING size",
                params![&**upstream, &**name],
            ),
        };
        removed.map(drop)
    }

    /// Removes entries; how many.
    fn remove(
        &self,
        connection: &Connection,
        sql: &str,
        parameters: impl rusqlite::Params,
    ) -> rusqlite::Result<u64> {
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(parameters)?;
        let (mut count, mut bytes) = (0, 0);
        while let Some(row) = rows.next()? {
            count += 1;
            bytes += row.get::<_, i64>(0)?.cast_unsigned();
        }
        self.gone(count, bytes);
        Ok(count)
    }

    fn gone(&self, count: u64, bytes: u64) {
        // Another process may have written what we have not counted yet.
        let less = |counter: &std::sync::atomic::AtomicU64, number: u64| {
            let now = counter.load(Ordering::Relaxed);
            counter.store(now.saturating_sub(number), Ordering::Relaxed);
        };
        less(&self.shared.entries, count);
        less(&self.shared.bytes, bytes);
    }

    /// Removes what nobody will be given any more, and counts what is left.
    fn sweep(&mut self) -> Result<(), StoreError> {
        let now = self.now;
        self.in_transaction(|worker, connection| {
            worker
                .remove(connection, "DELETE FROM answer WHERE expires_at <= ?1 RETURNING size", params![now])
                .map(drop)
        })?;
        self.count()
    }

    fn count(&self) -> Result<(), StoreError> {
        let totals = self.connection()?.query_row(
            "SELECT count(*), coalesce(sum(size), 0) FROM answer INDEXED BY answer_used",
            (),
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)),
        );
        let (entries, bytes) = totals.map_err(|error| self.engine(&error))?;
        self.shared.entries.store(entries.cast_unsigned(), Ordering::Relaxed);
        self.shared.bytes.store(bytes.cast_unsigned(), Ordering::Relaxed);
        Ok(())
    }
}

fn open(shared: &Shared) -> Result<(Connection, [Connection; READERS]), StoreError> {
    let writer = disposable::open(&SORT, &shared.path, shared.options.max_bytes)?;
    let readers = (0..READERS).map(|_| reader(&shared.path)).collect::<Result<Vec<_>, _>>()?;
    let readers = readers.try_into().unwrap_or_else(|_| unreachable!("as many as were asked for"));
    Ok((writer, readers))
}
