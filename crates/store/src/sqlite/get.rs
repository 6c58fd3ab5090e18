//! One read of a memory entry.

use rusqlite::{Connection, OptionalExtension as _, Row, ToSql};

use super::Fault;
use crate::memory::{Absence, At, Attributes, Entry, EntryId, EntryRef, Get, Lookup, VersionInfo, says_gone};

/// A version's columns in the order that [`Version::read`] reads them.
macro_rules! version_columns {
    () => {
        "v.version, v.created, v.valid_from, v.expires, v.kind, v.importance, v.tags, v.source, v.value"
    };
}

/// Finds an entry and the highest of its versions that meets a condition; where none does, the version's columns are
/// null and the last column says what the least of the entry's versions has in `$least`.
///
/// One statement sees one state of the file by itself, at half the cost of two in a transaction.
macro_rules! find {
    ($entry:literal, $version:literal, $least:literal) => {
        concat!(
            "SELECT ",
            version_columns!(),
            ", e.id, e.key, e.created, e.hits, e.version, CASE WHEN v.version IS NULL THEN (SELECT min(",
            $least,
            ") FROM version WHERE entry = e.id) END FROM namespace n JOIN entry e ON e.namespace = n.id AND ",
            $entry,
            " LEFT JOIN version v ON v.entry = e.id AND ",
            $version,
            " WHERE n.principal = ?1 AND n.name = ?2 ORDER BY v.version DESC LIMIT 1"
        )
    };
}

const BY_KEY_AT_MOMENT: &str = find!("e.key = ?3", "v.valid_from <= ?4", "valid_from");
const BY_KEY_AND_VERSION: &str = find!("e.key = ?3", "v.version = ?4", "version");
const BY_ID_AT_MOMENT: &str = find!("e.id = ?3", "v.valid_from <= ?4", "valid_from");
const BY_ID_AND_VERSION: &str = find!("e.id = ?3", "v.version = ?4", "version");

pub(super) fn get(connection: &Connection, get: &Get<'_>) -> Result<Lookup, Fault> {
    if !get.history {
        return find(connection, get);
    }
    let _snapshot = Snapshot::begin(connection)?;
    let mut found = find(connection, get)?;
    if let Lookup::Found(entry) = &mut found {
        entry.history = history(connection, entry.id)?;
    }
    Ok(found)
}

fn find(connection: &Connection, get: &Get<'_>) -> Result<Lookup, Fault> {
    let entry: &dyn ToSql = match &get.entry {
        EntryRef::Key(key) => key,
        EntryRef::Id(id) => &id.0,
    };
    let at = match get.at {
        At::Now => get.now,
        At::Moment(moment) => moment,
        // Numbers above the column's type are no version's.
        At::Version(number) => i64::try_from(number).unwrap_or(i64::MAX),
    };
    let statement = match (&get.entry, get.at) {
        (EntryRef::Key(_), At::Now | At::Moment(_)) => BY_KEY_AT_MOMENT,
        (EntryRef::Key(_), At::Version(_)) => BY_KEY_AND_VERSION,
        (EntryRef::Id(_), At::Now | At::Moment(_)) => BY_ID_AT_MOMENT,
        (EntryRef::Id(_), At::Version(_)) => BY_ID_AND_VERSION,
    };
    let found = connection
        .prepare_cached(statement)?
        .query_row((get.principal, get.namespace, entry, at), |row| lookup(get, row))
        .optional()?;
    Ok(found.unwrap_or(Lookup::Absent(Absence::NoEntry)))
}

/// Reads a row of [`find!`].
fn lookup(get: &Get<'_>, row: &Row<'_>) -> rusqlite::Result<Lookup> {
    if row.get::<_, Option<u64>>(0)?.is_none() {
        return Ok(Lookup::Absent(match get.at {
            At::Now | At::Moment(_) => Absence::NotYetValid { from: row.get(14)? },
            At::Version(_) => Absence::NoVersion { oldest: row.get(14)?, latest: row.get(13)? },
        }));
    }
    let judged_at = if let At::Moment(moment) = get.at { moment } else { get.now };
    let expires: Option<i64> = row.get(3)?;
    if let Some(at) = expires.filter(|&expires| expires <= judged_at) {
        let (created, valid_from): (i64, i64) = (row.get(1)?, row.get(2)?);
        let was_deleted = says_gone((created, valid_from, at), row.get_ref(8)?.as_str()?.len() as u64);
        return Ok(Lookup::Absent(if was_deleted {
            Absence::Deleted { at }
        } else {
            Absence::Expired { at }
        }));
    }
    let Version { number, updated, valid_from, attributes, value } = Version::read(row)?;
    Ok(Lookup::Found(Box::new(Entry {
        id: EntryId(row.get(9)?),
        key: row.get(10)?,
        created: row.get(11)?,
        hits: row.get(12)?,
        version: number,
        updated,
        valid_from,
        value,
        attributes,
        history: Vec::new(),
    })))
}

/// One row of the table of versions.
pub(super) struct Version {
    number: u64,
    updated: i64,
    valid_from: i64,
    pub(super) attributes: Attributes,
    pub(super) value: String,
}

impl Version {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let tags: Option<String> = row.get(6)?;
        let tags = tags.map(|text| serde_json::from_str(&text)).transpose().map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(6, rusqlite::types::Type::Text, Box::new(error))
        })?;
        Ok(Self {
            number: row.get(0)?,
            updated: row.get(1)?,
            valid_from: row.get(2)?,
            attributes: Attributes {
                tags,
                kind: row.get(4)?,
                source: row.get(7)?,
                importance: row.get(5)?,
                expires: row.get(3)?,
            },
            value: row.get(8)?,
        })
    }
}

/// A version that is known to exist.
pub(super) fn version(connection: &Connection, id: i64, number: u64) -> Result<Version, Fault> {
    Ok(connection
        .prepare_cached(concat!(
            "SELECT ",
            version_columns!(),
            " FROM version v WHERE v.entry = ?1 AND v.version = ?2"
        ))?
        .query_row((id, number), Version::read)?)
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

/// The versions of an entry that is named by its number or its key, newest first, whether it is there or not any more.
pub(super) fn all_versions(
    connection: &Connection,
    (principal, namespace): (&str, &str),
    (id, key): (Option<EntryId>, Option<&str>),
) -> Result<Vec<VersionInfo>, Fault> {
    let found = connection
        .prepare_cached(
            "SELECT e.id FROM namespace n JOIN entry e ON e.namespace = n.id
             WHERE n.principal = ?1 AND n.name = ?2 AND (e.id = ?3 OR e.key = ?4)",
        )?
        .query_row((principal, namespace, id.map(|id| id.0), key), |row| row.get(0))
        .optional()?;
    found.map_or_else(|| Ok(Vec::new()), |id| history(connection, EntryId(id)))
}

fn history(connection: &Connection, id: EntryId) -> Result<Vec<VersionInfo>, Fault> {
    let mut all = connection.prepare_cached(
        "SELECT version, created, valid_from, expires, octet_length(value) FROM version
         WHERE entry = ?1 ORDER BY version DESC",
    )?;
    let rows = all.query_map([id.0], |row| {
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::schema;
    use super::*;

    #[test]
    fn a_question_goes_by_indexes_and_sorts_nothing_so_that_it_costs_the_same_in_a_large_file() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection, Path::new("memory")).unwrap();
        for statement in [BY_KEY_AT_MOMENT, BY_KEY_AND_VERSION, BY_ID_AT_MOMENT, BY_ID_AND_VERSION] {
            let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
            let steps = plan.query_map(("p", "n", "e", 1), |row| row.get("detail")).unwrap();
            for step in steps.collect::<rusqlite::Result<Vec<String>>>().unwrap() {
                assert!(
                    step.starts_with("SEARCH") || step.starts_with("CORRELATED"),
                    "{step} in {statement}"
                );
            }
        }
    }
}
