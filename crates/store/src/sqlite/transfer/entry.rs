//! Memory entries as units.

use rusqlite::{Connection, OptionalExtension as _, Row};

use super::super::delete::MARK;
use super::super::room::{self, Booked};
use super::super::vector::tags_of;
use super::super::{Fault, put};
use super::Stopped;
use crate::transfer::{EntryRecord, EntryUnit, TransferError, VersionRecord};
use crate::{Quotas, UnixMillis};

/// How many entries and versions there are.
pub(super) fn counts(connection: &Connection, principal: Option<&str>) -> Result<(u64, u64), Fault> {
    Ok(connection.query_row(
        "SELECT count(*), coalesce(sum((SELECT count(*) FROM version WHERE entry = e.id)), 0)
         FROM namespace n JOIN entry e ON e.namespace = n.id
         WHERE (?1 IS NULL OR n.principal = ?1) AND substr(e.key, 1, 1) <> ?2",
        (principal, MARK.to_string()),
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?)
}

/// Hands out all entries, in the order of their names.
pub(super) fn each(
    connection: &Connection,
    principal: Option<&str>,
    mut take: impl FnMut(EntryUnit) -> Result<(), TransferError>,
) -> Result<(), Stopped> {
    let mut find = connection.prepare(
        "SELECT e.id, n.principal, n.name, e.key, e.created FROM namespace n JOIN entry e ON e.namespace = n.id
         WHERE (?1 IS NULL OR n.principal = ?1) AND substr(e.key, 1, 1) <> ?2
         ORDER BY n.principal, n.name, e.key",
    )?;
    let mut rows = find.query((principal, MARK.to_string()))?;
    while let Some(row) = rows.next()? {
        let head = EntryRecord {
            principal: row.get(1)?,
            namespace: row.get(2)?,
            key: row.get(3)?,
            created: row.get(4)?,
            versions: 0,
        };
        take(unit(connection, row.get(0)?, head)?)?;
    }
    Ok(())
}

/// The entry of that name as it is in the file, with its number.
pub(super) fn find(connection: &Connection, head: &EntryRecord) -> Result<Option<(i64, EntryUnit)>, Fault> {
    let mut find = connection.prepare_cached(
        "SELECT e.id, e.created FROM namespace n JOIN entry e ON e.namespace = n.id
         WHERE n.principal = ?1 AND n.name = ?2 AND e.key = ?3",
    )?;
    let found = find
        .query_row((&head.principal, &head.namespace, &head.key), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((id, created)) = found else { return Ok(None) };
    Ok(Some((id, unit(connection, id, EntryRecord { created, ..head.clone() })?)))
}

fn unit(connection: &Connection, id: i64, mut head: EntryRecord) -> Result<EntryUnit, Fault> {
    let mut all = connection.prepare_cached(
        "SELECT version, created, valid_from, expires, kind, importance, tags, source, value
         FROM version WHERE entry = ?1 ORDER BY version",
    )?;
    let versions = all.query_map([id], version)?.collect::<rusqlite::Result<Vec<_>>>()?;
    head.versions = versions.len() as u64;
    Ok(EntryUnit { head, versions })
}

fn version(row: &Row<'_>) -> rusqlite::Result<VersionRecord> {
    let tags: Option<String> = row.get(6)?;
    Ok(VersionRecord {
        version: row.get(0)?,
        created: row.get(1)?,
        valid_from: row.get(2)?,
        expires: row.get(3)?,
        kind: row.get(4)?,
        importance: row.get(5)?,
        tags: tags.map(|tags| tags_of(Some(&tags))),
        source: row.get(7)?,
        value: row.get(8)?,
    })
}

/// Writes an entry, or all of its versions in the place of those that are there. Vectors are made afterwards.
pub(super) fn write(
    connection: &Connection,
    unit: &EntryUnit,
    replaced: Option<i64>,
    now: UnixMillis,
    quotas: &Quotas,
) -> Result<(), Fault> {
    let EntryRecord { principal, namespace: name, key, created, .. } = &unit.head;
    let namespace = room::namespace(connection, (principal, name), now, quotas)?;
    let last = unit.versions.last();
    let (latest, expires) = last.map_or((0, None), |last| (last.version, last.expires));
    let mut booked = Booked::default();
    let id = if let Some(id) = replaced {
        booked.dropped = put::drop_versions_before(connection, id, i64::MAX.unsigned_abs())?;
        connection
            .prepare_cached(
                "UPDATE entry SET created = ?2, version = ?3, expires = ?4,
                 change = (SELECT change + 1 FROM namespace WHERE id = ?5) WHERE id = ?1",
            )?
            .execute((id, created, latest, expires, namespace))?;
        id
    } else {
        booked.entries = 1;
        connection
            .prepare_cached(
                "INSERT INTO entry (namespace, key, created, version, expires, change)
                 VALUES (?1, ?2, ?3, ?4, ?5, (SELECT change + 1 FROM namespace WHERE id = ?1))",
            )?
            .insert((namespace, key, created, latest, expires))?
    };
    for version in &unit.versions {
        let put = version.as_put(&unit.head);
        booked.added +=
            put::insert_version(connection, id, version.version, &put, &put.value, &put.attributes)?;
    }
    room::book(connection, namespace, &booked)?;
    room::keep_within(connection, (namespace, principal), now, &booked, quotas)
}
