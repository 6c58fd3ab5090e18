//! One write of a memory entry, inside a transaction.

use rusqlite::{Connection, OptionalExtension as _};

use super::merge::merge;
use super::room::{self, Booked, Of};
use super::{Fault, get, vector};
use crate::limits::{EXPIRED_KEPT_MS, HISTORY_MAX, VALUE_MAX_BYTES};
use crate::memory::{Attributes, EntryId, OnConflict, Put, Stored, limit};
use crate::search::{Embedder, text};
use crate::{Quotas, StoreError, UnixMillis};

/// What the entry is before the write.
pub(super) struct Head {
    pub(super) id: i64,
    pub(super) latest: u64,
    created: UnixMillis,
    pub(super) is_live: bool,
}

pub(super) fn put(
    connection: &Connection,
    put: &Put,
    embedder: Option<&dyn Embedder>,
    quotas: &Quotas,
) -> Result<Stored, Fault> {
    room::purge(connection, put.now.saturating_sub(EXPIRED_KEPT_MS), Of::All)?;
    let namespace = room::namespace(connection, (&put.principal, &put.namespace), put.now, quotas)?;
    let head = head(connection, namespace, &put.key, put.now)?;
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
    let (id, version, booked) =
        add_version(connection, (namespace, head.as_ref()), put, (value, attributes), embedder)?;
    room::book(connection, namespace, &booked)?;
    room::keep_within(connection, (namespace, &put.principal), put.now, &booked, quotas)?;
    let created = head.map_or(put.now, |head| head.created);
    Ok(Stored { id: EntryId(id), version, created, expires: attributes.expires })
}

/// Writes the next version of the entry, which is made if it is not there, with its vector; answers with the entry, the
/// version's number and what is to be booked for it.
pub(super) fn add_version(
    connection: &Connection,
    (namespace, head): (i64, Option<&Head>),
    put: &Put,
    (value, attributes): (&str, &Attributes),
    embedder: Option<&dyn Embedder>,
) -> Result<(i64, u64, Booked), Fault> {
    let version = head.map_or(0, |head| head.latest) + 1;
    let id = match head {
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
    Ok((id, version, Booked { entries: i64::from(head.is_none()), added, dropped }))
}

/// The entry of this key as it is.
pub(super) fn head(
    connection: &Connection,
    namespace: i64,
    key: &str,
    now: UnixMillis,
) -> Result<Option<Head>, Fault> {
    let head = connection
        .prepare_cached("SELECT id, version, created, expires FROM entry WHERE namespace = ?1 AND key = ?2")?
        .query_row((namespace, key), |row| {
            let expires: Option<UnixMillis> = row.get(3)?;
            let is_live = expires.is_none_or(|at| at > now);
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
pub(super) fn insert_version(
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
pub(super) fn drop_versions_before(connection: &Connection, id: i64, version: u64) -> Result<u64, Fault> {
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
