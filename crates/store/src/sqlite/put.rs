//! One write of a memory entry, inside a transaction.

use rusqlite::{Connection, OptionalExtension as _};

use super::merge::merge;
use super::{Fault, get, vector};
use crate::limits::{
    BYTES_PER_NAMESPACE, ENTRIES_PER_NAMESPACE, EXPIRED_KEPT_MS, HISTORY_MAX, NAMESPACES_PER_PRINCIPAL,
    PURGE_PER_WRITE, VALUE_MAX_BYTES,
};
use crate::memory::{Attributes, EntryId, OnConflict, Put, Stored, limit};
use crate::search::{Embedder, text};
use crate::{StoreError, UnixMillis};

/// What the entry is before the write.
struct Head {
    id: i64,
    latest: u64,
    created: UnixMillis,
    is_live: bool,
}

pub(super) fn put(
    connection: &Connection,
    put: &Put,
    embedder: Option<&dyn Embedder>,
) -> Result<Stored, Fault> {
    purge(connection, put.now.saturating_sub(EXPIRED_KEPT_MS), None)?;
    let namespace = namespace(connection, put)?;
    let head = head(connection, namespace, put)?;
    // An expired entry counts as absent, though its numbering goes on.
    let current = head.as_ref().filter(|head| head.is_live);
    let current_version = current.map_or(0, |head| head.latest);
    if let Some(expected) = put.if_version.filter(|&expected| expected != current_version) {
        return Err(StoreError::VersionConflict { expected, actual: current_version }.into());
    }
    let merged = match (put.on_conflict, current) {
        (OnConflict::Fail, Some(head)) => return Err(StoreError::Exists { version: head.latest }.into()),
        (OnConflict::Merge, Some(head)) => Some(merge_with(connection, head, put)?),
        _ => None,
    };
    let (value, attributes) =
        merged.as_ref().map_or((&put.value, &put.attributes), |(value, attributes)| (value, attributes));

    let version = head.as_ref().map_or(0, |head| head.latest) + 1;
    let id = match &head {
        Some(head) => {
            connection
                .prepare_cached(
                    "UPDATE entry SET version = ?2, expires = ?3,
                     change = (SELECT change + 1 FROM namespace WHERE id = ?4) WHERE id = ?1",
                )?
                .execute((head.id, version, attributes.expires, namespace))?;
            head.id
        }
        None => connection
            .prepare_cached(
                "INSERT INTO entry (namespace, key, created, version, expires, change)
                 VALUES (?1, ?2, ?3, ?4, ?5, (SELECT change + 1 FROM namespace WHERE id = ?1))",
            )?
            .insert((namespace, &put.key, put.now, version, attributes.expires))?,
    };
    let added = insert_version(connection, id, version, put, value, attributes)?;
    if let Some(embedder) = embedder {
        let text = text::of_entry(&put.key, attributes.tags.as_deref().unwrap_or_default(), value);
        vector::write(connection, embedder, (id, version), &text)?;
    }
    let oldest_kept = if put.on_conflict == OnConflict::Replace {
        version
    } else {
        version.saturating_sub(HISTORY_MAX - 1)
    };
    let dropped = if head.is_some() { drop_versions_before(connection, id, oldest_kept)? } else { 0 };
    let new_entries = u32::from(head.is_none());
    account(connection, put.now, namespace, (new_entries, added, dropped))?;
    let created = head.map_or(put.now, |head| head.created);
    Ok(Stored { id: EntryId(id), version, created, expires: attributes.expires })
}

/// The namespace's row, made if there is none.
fn namespace(connection: &Connection, put: &Put) -> Result<i64, Fault> {
    let found = connection
        .prepare_cached("SELECT id FROM namespace WHERE principal = ?1 AND name = ?2")?
        .query_row((&put.principal, &put.namespace), |row| row.get(0))
        .optional()?;
    if let Some(id) = found {
        return Ok(id);
    }
    let count: u64 = connection
        .prepare_cached("SELECT count(*) FROM namespace WHERE principal = ?1")?
        .query_row([&put.principal], |row| row.get(0))?;
    if count >= NAMESPACES_PER_PRINCIPAL {
        let limit = NAMESPACES_PER_PRINCIPAL;
        return Err(StoreError::Limit { what: "number of namespaces", limit, actual: count + 1 }.into());
    }
    let id = connection
        .prepare_cached("INSERT INTO namespace (principal, name) VALUES (?1, ?2)")?
        .insert((&put.principal, &put.namespace))?;
    Ok(id)
}

fn head(connection: &Connection, namespace: i64, put: &Put) -> Result<Option<Head>, Fault> {
    let head = connection
        .prepare_cached("SELECT id, version, created, expires FROM entry WHERE namespace = ?1 AND key = ?2")?
        .query_row((namespace, &put.key), |row| {
            let expires: Option<UnixMillis> = row.get(3)?;
            let is_live = expires.is_none_or(|at| at > put.now);
            Ok(Head { id: row.get(0)?, latest: row.get(1)?, created: row.get(2)?, is_live })
        })
        .optional()?;
    Ok(head)
}

/// Value and attributes of the merge with the latest version.
fn merge_with(connection: &Connection, head: &Head, put: &Put) -> Result<(String, Attributes), Fault> {
    let stored = get::version(connection, head.id, head.latest)?;
    let value = merge(&stored.value, &put.value)?;
    limit("merged value in bytes", value.len(), VALUE_MAX_BYTES)?;
    let (old, new) = (stored.attributes, put.attributes.clone());
    let attributes = Attributes {
        tags: new.tags.or(old.tags),
        kind: new.kind.or(old.kind),
        source: new.source.or(old.source),
        importance: new.importance.or(old.importance),
        expires: new.expires.or(old.expires),
    };
    Ok((value, attributes))
}

/// Answers with the bytes that the version counts for.
fn insert_version(
    connection: &Connection,
    id: i64,
    version: u64,
    put: &Put,
    value: &str,
    attributes: &Attributes,
) -> Result<u64, Fault> {
    let tags = attributes.tags.as_ref().map(|tags| serde_json::json!(tags).to_string());
    let source = attributes.source.as_deref();
    let bytes =
        (put.key.len() + value.len() + source.map_or(0, str::len) + tags.as_ref().map_or(0, String::len))
            as u64;
    connection
        .prepare_cached(
            "INSERT INTO version
             (entry, version, created, valid_from, expires, bytes, kind, importance, tags, source, value)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute((
            id,
            version,
            put.now,
            put.valid_from.unwrap_or(put.now),
            attributes.expires,
            bytes,
            attributes.kind.as_deref(),
            attributes.importance,
            tags,
            source,
            value,
        ))?;
    Ok(bytes)
}

/// Answers with the bytes that they counted for.
fn drop_versions_before(connection: &Connection, id: i64, version: u64) -> Result<u64, Fault> {
    if version <= 1 {
        return Ok(0);
    }
    let bytes: u64 = connection
        .prepare_cached("SELECT coalesce(sum(bytes), 0) FROM version WHERE entry = ?1 AND version < ?2")?
        .query_row((id, version), |row| row.get(0))?;
    if bytes > 0 {
        connection
            .prepare_cached("DELETE FROM version WHERE entry = ?1 AND version < ?2")?
            .execute((id, version))?;
    }
    Ok(bytes)
}

/// Books entries added, bytes added and bytes dropped on the namespace. Over a quota, what has expired
/// goes first.
fn account(
    connection: &Connection,
    now: UnixMillis,
    namespace: i64,
    (entries, added, dropped): (u32, u64, u64),
) -> Result<(), Fault> {
    let mut book = connection.prepare_cached(
        "UPDATE namespace SET entries = entries + ?2, bytes = bytes + ?3 - ?4, change = change + ?5 WHERE id = ?1
         RETURNING entries, bytes",
    )?;
    let mut sums = |entries, added, dropped, writes| {
        book.query_row((namespace, entries, added, dropped, writes), |row| Ok((row.get(0)?, row.get(1)?)))
    };
    let mut sum: (u64, u64) = sums(entries, added, dropped, 1)?;
    while (sum.0 > ENTRIES_PER_NAMESPACE || sum.1 > BYTES_PER_NAMESPACE)
        && purge(connection, now, Some(namespace))? > 0
    {
        sum = sums(0, 0, 0, 0)?;
    }
    let quota = |what, actual, limit| {
        if actual <= limit { Ok(()) } else { Err(StoreError::Limit { what, limit, actual }) }
    };
    quota("number of entries in the namespace", sum.0, ENTRIES_PER_NAMESPACE)?;
    quota("bytes in the namespace, history included,", sum.1, BYTES_PER_NAMESPACE)?;
    Ok(())
}

/// Removes some entries that expired before `before`, of one namespace or of all; answers how many.
fn purge(connection: &Connection, before: UnixMillis, namespace: Option<i64>) -> Result<usize, Fault> {
    let mut find = connection.prepare_cached(
        "SELECT id, namespace FROM entry
         WHERE expires IS NOT NULL AND expires <= ?1 AND (?2 IS NULL OR namespace = ?2) LIMIT ?3",
    )?;
    let rows = find
        .query_map((before, namespace, PURGE_PER_WRITE), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<Vec<(i64, i64)>>>()?;
    for &(id, namespace) in &rows {
        let bytes = drop_versions_before(connection, id, i64::MAX.unsigned_abs())?;
        connection.prepare_cached("DELETE FROM entry WHERE id = ?1")?.execute([id])?;
        connection
            .prepare_cached("UPDATE namespace SET entries = entries - 1, bytes = bytes - ?2 WHERE id = ?1")?
            .execute((namespace, bytes))?;
    }
    Ok(rows.len())
}
