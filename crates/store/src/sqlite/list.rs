//! Lists of memory entries and namespaces.

use rusqlite::{Connection, Row};

use super::Fault;
use super::vector::tags_of;
use crate::limits::LISTED_MAX;
use crate::memory::{EntryId, List, Listed, NamespaceUse, VersionInfo};

/// Entries that are there now, in the order of their keys.
pub(super) fn entries(connection: &Connection, list: &List) -> Result<Vec<Listed>, Fault> {
    // By the index of keys: from the first that may be meant, until one that does not begin so.
    let mut find = connection.prepare_cached(
        "SELECT e.id, e.key, e.created, e.hits, v.version, v.created, v.valid_from, v.expires,
                octet_length(v.value), v.kind, v.tags
         FROM namespace n JOIN entry e ON e.namespace = n.id
         JOIN version v ON v.entry = e.id AND v.version =
            (SELECT max(version) FROM version WHERE entry = e.id AND valid_from <= ?5)
         WHERE n.principal = ?1 AND n.name = ?2 AND e.key >= ?3 AND (?4 IS NULL OR e.key > ?4)
           AND (v.expires IS NULL OR v.expires > ?5)
         ORDER BY e.key",
    )?;
    let List { principal, namespace, prefix, after, most, now } = list;
    let mut rows = find.query((principal, namespace, prefix, after, now))?;
    let most = (*most).min(LISTED_MAX) as usize;
    let mut listed = Vec::new();
    while let Some(row) = rows.next()? {
        let one = read(row)?;
        if listed.len() == most || !one.key.starts_with(prefix.as_str()) {
            break;
        }
        listed.push(one);
    }
    Ok(listed)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Listed> {
    let tags: Option<String> = row.get(10)?;
    let version = VersionInfo {
        version: row.get(4)?,
        created: row.get(5)?,
        valid_from: row.get(6)?,
        expires: row.get(7)?,
        value_bytes: row.get(8)?,
    };
    Ok(Listed {
        id: EntryId(row.get(0)?),
        key: row.get(1)?,
        created: row.get(2)?,
        hits: row.get(3)?,
        version,
        tags: tags.map(|tags| tags_of(Some(&tags))),
        kind: row.get(9)?,
    })
}

/// What namespaces take: those of one principal, or all.
pub(super) fn namespaces(
    connection: &Connection,
    principal: Option<&str>,
) -> Result<Vec<NamespaceUse>, Fault> {
    let mut find = connection.prepare_cached(
        "SELECT principal, name, entries, bytes FROM namespace
         WHERE (?1 IS NULL OR principal = ?1) AND entries > 0 ORDER BY principal, name",
    )?;
    let rows = find.query_map([principal], |row| {
        let (principal, name) = (row.get(0)?, row.get(1)?);
        Ok(NamespaceUse { principal, name, entries: row.get(2)?, bytes: row.get(3)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
