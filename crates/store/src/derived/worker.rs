//! The thread that writes.

use std::sync::mpsc::{Receiver, SyncSender};

use rusqlite::{Connection, params};

use super::{DerivedKey, Shared, lock, row};
use crate::sqlite::open::classify;
use crate::{StoreError, UnixMillis};

/// Rows that give way at once.
const EVICTED_AT_ONCE: i64 = 64;
/// Share of the file, in percent, that rows may take; the rest is for indexes and half-filled pages.
const PAYLOAD_SHARE: u64 = 70;

/// What the thread is told.
pub(super) enum Command {
    Keep {
        rows: Vec<(DerivedKey, Vec<u8>)>,
        now: UnixMillis,
    },
    /// Rows that were used, and rows that are of no use.
    Note {
        used: Vec<i64>,
        damaged: Vec<i64>,
        now: UnixMillis,
    },
    Flush(SyncSender<()>),
}

/// Does what it is told until nobody can tell it anything any more.
pub(super) fn run(shared: &Shared, commands: &Receiver<Command>) {
    while let Ok(command) = commands.recv() {
        if let Command::Flush(done) = command {
            // Nobody waits any more.
            let _ = done.send(());
            continue;
        }
        let Some(open) = shared.open() else { continue };
        let writer = lock(&open.writer);
        let done = match write(shared, &writer, &command) {
            // The file is at its limit, or the disk is full: half of what is there gives way.
            Err(StoreError::Full { .. }) => {
                transaction(shared, &writer, |connection| evict(connection, total(connection)? / 2))
                    .and_then(|()| write(shared, &writer, &command))
            }
            other => other,
        };
        drop(writer);
        if let Err(error) = done {
            shared.fail(&open, error);
        }
    }
}

fn write(shared: &Shared, connection: &Connection, command: &Command) -> Result<(), StoreError> {
    transaction(shared, connection, |connection| match command {
        Command::Keep { rows, now } => {
            let most = shared.max_bytes / 100 * PAYLOAD_SHARE;
            let mut bytes = 0;
            let rows = rows.iter().take_while(|(_, body)| {
                bytes += row::size(body);
                bytes <= most
            });
            let rows: Vec<_> = rows.collect();
            evict(connection, most.saturating_sub(bytes))?;
            rows.into_iter().try_for_each(|(key, body)| row::keep(connection, key, body, *now))
        }
        Command::Note { used, damaged, now } => {
            for id in used {
                connection
                    .prepare_cached("UPDATE derived SET used_at = ?2 WHERE id = ?1")?
                    .execute(params![id, now])?;
            }
            for id in damaged {
                connection.prepare_cached("DELETE FROM derived WHERE id = ?1")?.execute([id])?;
            }
            Ok(())
        }
        Command::Flush(_) => Ok(()),
    })
}

fn transaction(
    shared: &Shared,
    connection: &Connection,
    work: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> Result<(), StoreError> {
    let done = connection
        .execute_batch("BEGIN IMMEDIATE")
        .and_then(|()| work(connection))
        .and_then(|()| connection.execute_batch("COMMIT"));
    if !connection.is_autocommit() {
        // If even that fails, so does the next beginning.
        let _ = connection.execute_batch("ROLLBACK");
    }
    done.map_err(|error| classify(&shared.path, &error))
}

/// Bytes of all rows, as they are counted.
fn total(connection: &Connection) -> rusqlite::Result<u64> {
    let total: i64 = connection
        .prepare_cached("SELECT coalesce(sum(size), 0) FROM derived INDEXED BY derived_used")?
        .query_row((), |row| row.get(0))?;
    Ok(total.cast_unsigned())
}

/// Removes what was not used for longest until no more than `most` bytes are left.
fn evict(connection: &Connection, most: u64) -> rusqlite::Result<()> {
    let mut left = total(connection)?;
    while left > most {
        let mut statement = connection.prepare_cached(
            "DELETE FROM derived WHERE id IN (SELECT id FROM derived ORDER BY used_at, id LIMIT ?1) RETURNING size",
        )?;
        let mut rows = statement.query([EVICTED_AT_ONCE])?;
        let mut removed = 0;
        while let Some(row) = rows.next()? {
            removed += row.get::<_, i64>(0)?.cast_unsigned();
        }
        if removed == 0 {
            break;
        }
        left = left.saturating_sub(removed);
    }
    Ok(())
}
