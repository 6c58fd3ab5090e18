//! Whether the file is sound: what the engine proves, and what we promise of our own tables.

use rusqlite::Connection;
use serde_json::value::RawValue;

use super::super::open;
use super::{StoreFile, sizes};
use crate::StoreError;
use crate::limits::{HISTORY_MAX, NAMED_MAX};

/// What a check came to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Checked {
    /// Bytes of the file and of its write-ahead log.
    pub bytes: u64,
    /// Memory entries, versions of them, and patterns that were looked at.
    pub entries: u64,
    pub versions: u64,
    pub patterns: u64,
    /// What is wrong, the first of each kind; none: the file is sound.
    pub faults: Vec<String>,
}

impl StoreFile {
    /// Reads everything; changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Foreign`], [`StoreError::NewerSchema`], [`StoreError::Corrupt`] if it is too
    /// damaged to be looked at, or what the medium does.
    pub fn check(&self) -> Result<Checked, StoreError> {
        let connection = self.reader()?;
        let engine = |error: rusqlite::Error| self.fault(error.into());
        let snapshot = connection.unchecked_transaction().map_err(engine)?;
        let faults = file(&snapshot).map_err(engine)?;
        let count = |table: &str| {
            let rows = snapshot.query_row(&format!("SELECT count(*) FROM {table}"), (), |row| row.get(0));
            // A file of an older release may not have it.
            rows.unwrap_or(0)
        };
        let (bytes, log) = sizes(&self.path);
        let (entries, versions, patterns) = (count("entry"), count("version"), count("pattern"));
        Ok(Checked { bytes: bytes + log, entries, versions, patterns, faults })
    }
}

/// What must not be: a sentence about rows, and a statement that finds them, each named by its first column.
const PROMISES: &[(&str, &str)] = &[
    (
        "namespaces that count other entries or bytes than they have",
        "SELECT n.principal || ' / ' || n.name FROM namespace n
         WHERE n.entries <> (SELECT count(*) FROM entry WHERE namespace = n.id)
            OR n.bytes <> (SELECT coalesce(sum(v.bytes), 0) FROM entry e JOIN version v ON v.entry = e.id
                           WHERE e.namespace = n.id)",
    ),
    (
        "entries whose latest version is not the one that they name",
        "SELECT e.id FROM entry e LEFT JOIN version v ON v.entry = e.id AND v.version = e.version
         WHERE v.version IS NULL OR v.expires IS NOT e.expires
            OR e.version <> (SELECT max(version) FROM version WHERE entry = e.id)",
    ),
    (
        "entries with a gap in their versions, or more than are kept",
        "SELECT entry FROM version GROUP BY entry HAVING max(version) - min(version) + 1 <> count(*) OR count(*) > ?1",
    ),
    (
        "versions that count other bytes than they have",
        "SELECT v.entry || ' version ' || v.version FROM version v JOIN entry e ON e.id = v.entry
         WHERE v.bytes <> octet_length(e.key) + octet_length(v.value) + coalesce(octet_length(v.source), 0)
                          + coalesce(octet_length(v.tags), 0)",
    ),
    (
        "entries that were written after the last write to their namespace",
        "SELECT e.id FROM entry e JOIN namespace n ON n.id = e.namespace WHERE e.change > n.change",
    ),
    (
        "learners that count other patterns or observations than they have",
        "SELECT l.principal FROM learner l
         WHERE l.patterns <> (SELECT count(*) FROM pattern WHERE learner = l.id AND merged_into IS NULL)
            OR l.kept <> (SELECT count(*) FROM observation WHERE learner = l.id)",
    ),
    (
        "patterns that became part of one that is itself a part, or of another learner's",
        "SELECT part.id FROM pattern part JOIN pattern whole ON whole.id = part.merged_into
         WHERE whole.merged_into IS NOT NULL OR whole.learner <> part.learner",
    ),
];

/// The faults of a file, the first of each kind.
pub(crate) fn file(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut faults = open::check(connection, "integrity_check")?;
    if !faults.is_empty() {
        // What the engine cannot read, we cannot either.
        faults.truncate(NAMED_MAX);
        return Ok(faults);
    }
    let mut broken = Vec::new();
    connection.pragma_query(None, "foreign_key_check", |row| {
        let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
        broken.push(format!("a row of {table} names a row of {parent} that is not there"));
        Ok(())
    })?;
    broken.dedup();
    faults.extend(broken.into_iter().take(NAMED_MAX));
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version < super::super::schema::LATEST {
        // What was promised of older tables, their release knows.
        return Ok(faults);
    }
    for (what, statement) in PROMISES {
        let mut find = connection.prepare(statement)?;
        let parameters = find.parameter_count();
        let mut rows = if parameters == 0 { find.query(())? } else { find.query([HISTORY_MAX])? };
        let mut first = None;
        let mut count = 0_u64;
        while let Some(row) = rows.next()? {
            count += 1;
            if first.is_none() {
                first = Some(match row.get_ref(0)? {
                    rusqlite::types::ValueRef::Integer(id) => id.to_string(),
                    other => other.as_str().unwrap_or("?").to_owned(),
                });
            }
        }
        if let Some(first) = first {
            faults.push(format!("{count} {what}; the first: {first}"));
        }
    }
    faults.extend(values(connection)?);
    Ok(faults)
}

/// Values, tags and sources that are no JSON.
fn values(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let mut all = connection.prepare("SELECT entry, version, value, tags, source FROM version")?;
    let mut rows = all.query(())?;
    let mut fault: Option<(u64, String)> = None;
    while let Some(row) = rows.next()? {
        let is_json = |column: usize| -> rusqlite::Result<bool> {
            let text = row.get_ref(column)?.as_str_or_null().map_err(rusqlite::Error::from)?;
            Ok(text.is_none_or(|text| serde_json::from_str::<&RawValue>(text).is_ok()))
        };
        if !(is_json(2)? && is_json(3)? && is_json(4)?) {
            let (entry, version): (i64, i64) = (row.get(0)?, row.get(1)?);
            fault.get_or_insert_with(|| (0, format!("{entry} version {version}"))).0 += 1;
        }
    }
    Ok(fault.map(|(count, first)| format!("{count} versions that are no JSON; the first: {first}")))
}
