//! One read of a memory entry.

use rusqlite::{Connection, OptionalExtension as _, Row};

use super::Fault;
use crate::memory::{Absence, At, Attributes, Entry, EntryId, EntryRef, Get, Lookup, VersionInfo};

/// A version's columns in the order that [`entry`] reads them.
const COLUMNS: &str = "version, created, valid_from, expires, kind, importance, tags, source, value";

/// What all versions of an entry have in common.
struct Head {
    id: i64,
    key: String,
    created: i64,
    latest: u64,
    hits: u64,
}

pub(super) fn get(connection: &Connection, get: &Get) -> Result<Lookup, Fault> {
    let _snapshot = Snapshot::begin(connection)?;
    let Some(head) = head(connection, get)? else { return Ok(Lookup::Absent(Absence::NoEntry)) };
    let (id, at) = (head.id, get.at);
    let found = match at {
        At::Now => in_effect(connection, &head, get.now)?,
        At::Moment(moment) => in_effect(connection, &head, moment)?,
        At::Version(number) => by_number(connection, &head, number)?,
    };
    let Some(mut entry) = found else {
        return Ok(Lookup::Absent(match at {
            At::Now | At::Moment(_) => Absence::NotYetValid { from: least(connection, "valid_from", id)? },
            At::Version(_) => Absence::NoVersion {
                oldest: least(connection, "version", id)?.unsigned_abs(),
                latest: head.latest,
            },
        }));
    };
    let judged_at = if let At::Moment(moment) = at { moment } else { get.now };
    if let Some(at) = entry.attributes.expires.filter(|&expires| expires <= judged_at) {
        return Ok(Lookup::Absent(Absence::Expired { at }));
    }
    if get.history {
        entry.history = history(connection, id)?;
    }
    Ok(Lookup::Found(Box::new(entry)))
}

/// One state of the file for several statements.
struct Snapshot<'a>(&'a Connection);

impl<'a> Snapshot<'a> {
    fn begin(connection: &'a Connection) -> rusqlite::Result<Self> {
        connection.prepare_cached("BEGIN")?.execute(())?;
        Ok(Self(connection))
    }
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        // Having only read, it has nothing to lose; should it stay open, the next `BEGIN` fails and says so.
        let _ = self.0.prepare_cached("COMMIT").and_then(|mut commit| commit.execute(()));
    }
}

/// A version that is known to exist.
pub(super) fn version(connection: &Connection, id: i64, number: u64) -> Result<Entry, Fault> {
    let head = Head { id, key: String::new(), created: 0, latest: number, hits: 0 };
    by_number(connection, &head, number)?.ok_or_else(|| rusqlite::Error::QueryReturnedNoRows.into())
}

fn head(connection: &Connection, get: &Get) -> Result<Option<Head>, Fault> {
    let read = |row: &Row<'_>| {
        Ok(Head {
            id: row.get(0)?,
            key: row.get(1)?,
            created: row.get(2)?,
            latest: row.get(3)?,
            hits: row.get(4)?,
        })
    };
    let head = match &get.entry {
        EntryRef::Key(key) => connection
            .prepare_cached(
                "SELECT e.id, e.key, e.created, e.version, e.hits FROM namespace n
                 JOIN entry e ON e.namespace = n.id
                 WHERE n.principal = ?1 AND n.name = ?2 AND e.key = ?3",
            )?
            .query_row((&get.principal, &get.namespace, key), read),
        EntryRef::Id(id) => connection
            .prepare_cached(
                "SELECT e.id, e.key, e.created, e.version, e.hits FROM entry e
                 JOIN namespace n ON n.id = e.namespace
                 WHERE n.principal = ?1 AND n.name = ?2 AND e.id = ?3",
            )?
            .query_row((&get.principal, &get.namespace, id.0), read),
    };
    Ok(head.optional()?)
}

/// The highest version that holds at a moment.
fn in_effect(connection: &Connection, head: &Head, moment: i64) -> Result<Option<Entry>, Fault> {
    let found = connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM version WHERE entry = ?1 AND valid_from <= ?2 ORDER BY version DESC LIMIT 1"
        ))?
        .query_row((head.id, moment), |row| entry(head, row))
        .optional()?;
    Ok(found)
}

fn by_number(connection: &Connection, head: &Head, number: u64) -> Result<Option<Entry>, Fault> {
    // Numbers above the column's type are no version's.
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    let found = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM version WHERE entry = ?1 AND version = ?2"))?
        .query_row((head.id, number), |row| entry(head, row))
        .optional()?;
    Ok(found)
}

fn entry(head: &Head, row: &Row<'_>) -> rusqlite::Result<Entry> {
    let tags: Option<String> = row.get(6)?;
    let tags = tags.map(|text| serde_json::from_str(&text)).transpose().map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(6, rusqlite::types::Type::Text, Box::new(error))
    })?;
    Ok(Entry {
        id: EntryId(head.id),
        key: head.key.clone(),
        created: head.created,
        hits: head.hits,
        version: row.get(0)?,
        updated: row.get(1)?,
        valid_from: row.get(2)?,
        value: row.get(8)?,
        attributes: Attributes {
            tags,
            kind: row.get(4)?,
            source: row.get(7)?,
            importance: row.get(5)?,
            expires: row.get(3)?,
        },
        history: Vec::new(),
    })
}

/// The smallest value of a column over an entry's versions; an entry has at least one.
fn least(connection: &Connection, column: &'static str, id: i64) -> Result<i64, Fault> {
    Ok(connection
        .prepare_cached(&format!("SELECT min({column}) FROM version WHERE entry = ?1"))?
        .query_row([id], |row| row.get(0))?)
}

fn history(connection: &Connection, id: i64) -> Result<Vec<VersionInfo>, Fault> {
    let mut all = connection.prepare_cached(
        "SELECT version, created, valid_from, expires, octet_length(value) FROM version
         WHERE entry = ?1 ORDER BY version DESC",
    )?;
    let rows = all.query_map([id], |row| {
        Ok(VersionInfo {
            version: row.get(0)?,
            created: row.get(1)?,
            valid_from: row.get(2)?,
            expires: row.get(3)?,
            value_bytes: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
