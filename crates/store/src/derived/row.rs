//! The rows in the file.

use rusqlite::{Connection, OptionalExtension as _, params};
use sha2::{Digest as _, Sha256};

use super::DerivedKey;
use crate::UnixMillis;

/// How long ago a row must have been used last for another use to be written, milliseconds.
const USED_STEP_MS: i64 = 24 * 3600 * 1000;
/// What a row takes besides its body: the other columns, and its part of two indexes.
const OVERHEAD: usize = 150;

/// The tables. Numbers are signed because SQLite's are.
pub(super) const SCHEMA: &str = "
    CREATE TABLE derived (
        id       INTEGER PRIMARY KEY,
        key      BLOB NOT NULL UNIQUE,
        used_at  INTEGER NOT NULL,
        size     INTEGER NOT NULL,
        checksum BLOB NOT NULL,
        body     BLOB NOT NULL
    ) STRICT;
    CREATE INDEX derived_used ON derived (used_at, id, size);";

/// What was found under some keys.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// In the order of the keys.
    pub(super) bodies: Vec<Option<Vec<u8>>>,
    /// Rows whose use is to be written.
    pub(super) used: Vec<i64>,
    /// Rows that are not what was written.
    pub(super) damaged: Vec<i64>,
}

/// Removes all rows, and overwrites what they were.
pub(super) fn empty(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "secure_delete", true)?;
    connection.execute_batch("DELETE FROM derived; VACUUM")?;
    // Where another process reads, the log is emptied when that ends.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))
}

pub(super) fn size(body: &[u8]) -> u64 {
    (OVERHEAD + body.len()) as u64
}

fn checksum(key: &DerivedKey, body: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(key).chain_update(body).finalize().into()
}

pub(super) fn find(connection: &Connection, keys: &[DerivedKey], now: UnixMillis) -> rusqlite::Result<Found> {
    // One state of the file for all, and one lock.
    let transaction = connection.unchecked_transaction()?;
    let mut found = Found { bodies: Vec::with_capacity(keys.len()), ..Found::default() };
    let mut statement =
        transaction.prepare_cached("SELECT id, used_at, checksum, body FROM derived WHERE key = ?1")?;
    for key in keys {
        let row = statement.query_row([key], |row| {
            let body = row.get_ref(3)?.as_blob()?;
            let is_sound = row.get_ref(2)?.as_blob()? == checksum(key, body);
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, is_sound.then(|| body.to_vec())))
        });
        found.bodies.push(match row.optional()? {
            None => None,
            Some((id, _, None)) => {
                found.damaged.push(id);
                None
            }
            Some((id, used_at, body)) => {
                // A clock that was set back is written too.
                if now.abs_diff(used_at) >= USED_STEP_MS.unsigned_abs() {
                    found.used.push(id);
                }
                body
            }
        });
    }
    Ok(found)
}

pub(super) fn keep(
    connection: &Connection,
    key: &DerivedKey,
    body: &[u8],
    now: UnixMillis,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO derived (key, used_at, size, checksum, body) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (key) DO UPDATE SET used_at = ?2, size = ?3, checksum = ?4, body = ?5",
        )?
        .execute(params![key, now, size(body).cast_signed(), checksum(key, body), body])
        .map(drop)
}
