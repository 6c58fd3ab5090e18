//! One entry in the file.

use std::sync::Arc;

use aqe_core::cache::{Key, Kind, Namespace, Record, Scope, Stamp};
use rusqlite::{Connection, OptionalExtension as _, params};
use sha2::{Digest, Sha256};

use crate::UnixMillis;

/// What an entry takes besides its key, name and answer: the other columns, and its part of four indexes.
const OVERHEAD: usize = 300;

/// The tables. Numbers are signed because SQLite's are.
pub(super) const SCHEMA: &str = "
    CREATE TABLE answer (
        id         INTEGER PRIMARY KEY,
        digest     BLOB NOT NULL UNIQUE,
        used_at    INTEGER NOT NULL,
        size       INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        upstream   TEXT NOT NULL,
        kind       INTEGER NOT NULL,
        name       TEXT NOT NULL,
        made_at    INTEGER NOT NULL,
        fresh_ms   INTEGER NOT NULL,
        stale_ms   INTEGER NOT NULL,
        run        INTEGER NOT NULL,
        stamp      BLOB NOT NULL,
        scope      INTEGER NOT NULL,
        checksum   BLOB NOT NULL,
        key        BLOB NOT NULL,
        result     BLOB NOT NULL
    ) STRICT;
    CREATE INDEX answer_used ON answer (used_at, id, size);
    CREATE INDEX answer_expires ON answer (expires_at);
    CREATE INDEX answer_name ON answer (upstream, name);";

/// An entry as it was read.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) id: i64,
    pub(super) used_at: UnixMillis,
    pub(super) run: i64,
    pub(super) upstream: String,
    /// Its namespace is a stand-in.
    pub(super) record: Record,
    /// It is what was written.
    pub(super) is_sound: bool,
}

/// How an entry is found: by a digest, so that the index is small; the key itself is compared as well.
pub(super) fn digest(key: &Key) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// The bytes that an entry is said to take.
pub(super) fn size(record: &Record) -> u64 {
    (OVERHEAD + record.key.as_bytes().len() + record.name.len() + record.result.len()) as u64
}

/// A digest of everything that an entry says.
fn checksum(record: &Record, upstream: &str, run: i64) -> [u8; 32] {
    let mut hash = Sha256::new();
    let stamp = record.stamp.to_bytes();
    for part in [upstream.as_bytes(), record.name.as_bytes(), &stamp, record.key.as_bytes(), &record.result] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.update([record.kind as u8, record.scope as u8]);
    for number in [record.made_at, run, record.fresh_ms.cast_signed(), record.stale_ms.cast_signed()] {
        hash.update(number.to_le_bytes());
    }
    hash.finalize().into()
}

/// Looks an entry up.
pub(super) fn find(connection: &Connection, digest: &[u8; 32]) -> rusqlite::Result<Option<Row>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, used_at, upstream, kind, name, made_at, fresh_ms, stale_ms, run, stamp, scope, checksum, key, result
         FROM answer WHERE digest = ?1",
    )?;
    let row = statement.query_row([digest], |row| {
        let upstream: String = row.get(2)?;
        let kind = Kind::ALL.into_iter().find(|kind| row.get(3) == Ok(*kind as u8));
        let stamp = Stamp::from_bytes(row.get_ref(9)?.as_blob()?);
        let scope = [Scope::Private, Scope::Public].into_iter().find(|scope| row.get(10) == Ok(*scope as u8));
        let run = row.get(8)?;
        let record = Record {
            key: Key::from_bytes(row.get_ref(12)?.as_blob()?),
            namespace: Arc::new(Namespace::new(upstream.as_str())),
            kind: kind.unwrap_or(Kind::Tools),
            name: row.get::<_, String>(4)?.into(),
            result: row.get::<_, Vec<u8>>(13)?.into(),
            stamp: stamp.unwrap_or(Stamp::ORIGIN),
            scope: scope.unwrap_or(Scope::Private),
            made_at: row.get(5)?,
            fresh_ms: row.get::<_, i64>(6)?.cast_unsigned(),
            stale_ms: row.get::<_, i64>(7)?.cast_unsigned(),
        };
        let readable = kind.is_some() && stamp.is_some() && scope.is_some();
        let is_sound = readable && row.get_ref(11)?.as_blob()? == checksum(&record, &upstream, run);
        Ok(Row { id: row.get(0)?, used_at: row.get(1)?, run, upstream, record, is_sound })
    });
    row.optional()
}

/// Writes an entry in the place of the one with its key; how many bytes that one took, if there was one.
pub(super) fn put(connection: &Connection, record: &Record, run: i64) -> rusqlite::Result<Option<u64>> {
    let digest = digest(&record.key);
    let replaced: Option<i64> = connection
        .prepare_cached("DELETE FROM answer WHERE digest = ?1 RETURNING size")?
        .query_row([digest], |row| row.get(0))
        .optional()?;
    let upstream = record.namespace.name();
    let lasts = record.fresh_ms.saturating_add(record.stale_ms);
    connection
        .prepare_cached(
            "INSERT INTO answer (digest, used_at, size, expires_at, upstream, kind, name, made_at, fresh_ms, stale_ms,
                                 run, stamp, scope, checksum, key, result)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        )?
        .execute(params![
            digest,
            record.made_at,
            size(record).cast_signed(),
            record.made_at.saturating_add_unsigned(lasts),
            upstream,
            record.kind as u8,
            &*record.name,
            record.made_at,
            record.fresh_ms.cast_signed(),
            record.stale_ms.cast_signed(),
            run,
            record.stamp.to_bytes(),
            record.scope as u8,
            checksum(record, upstream, run),
            record.key.as_bytes(),
            &record.result[..],
        ])?;
    Ok(replaced.map(i64::cast_unsigned))
}
