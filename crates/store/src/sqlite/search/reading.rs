//! From the tables of entries to documents on a shelf.

use std::collections::HashSet;

use rusqlite::{Connection, Row};

use crate::UnixMillis;
use crate::memory::EntryId;
use crate::search::shelf::{Document, Shelf};
use crate::search::terms::Reader;
use crate::search::{Embedder, text};
use crate::sqlite::Fault;
use crate::sqlite::vector::tags_of;

/// What is read of a namespace.
pub(super) struct Reading {
    pub(super) namespace: i64,
    /// Entries written after this state of the counter.
    pub(super) since: i64,
    pub(super) at: UnixMillis,
    /// Only what was in effect then, not what was to come.
    pub(super) is_past: bool,
}

/// What reading came to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Read {
    pub(super) entries: usize,
    /// Vectors that were not in the file and had to be made.
    pub(super) made: u64,
}

/// Puts what is new on a shelf.
pub(super) fn read(
    connection: &Connection,
    embedder: Option<&dyn Embedder>,
    shelf: &mut Shelf,
    reader: &mut Reader,
    of: &Reading,
) -> Result<Read, Fault> {
    let model = match embedder {
        // A reader cannot give the model a number; one without has no vectors.
        Some(embedder) => connection
            .prepare_cached("SELECT coalesce(max(id), 0) FROM model WHERE key = ?1")?
            .query_row([embedder.key()], |row| row.get(0))?,
        None => 0_i64,
    };
    // Of the versions of an entry the highest in effect at the moment, and, for the present, those to come. (A version
    // that was overruled is never in effect again: a higher one stays the highest.) In the order of an index: nothing is
    // sorted.
    let mut find = connection.prepare_cached(
        "SELECT e.id, e.key, v.version, v.created, v.valid_from, v.expires, v.kind, v.importance, v.tags, v.source,
                v.value, x.vector
         FROM entry e INDEXED BY entry_change CROSS JOIN version v ON v.entry = e.id
         LEFT JOIN vector x ON x.entry = v.entry AND x.version = v.version AND x.model = ?5
         WHERE e.namespace = ?1 AND e.change > ?2 AND (?4 = 0 OR v.valid_from <= ?3)
           AND NOT EXISTS (SELECT 1 FROM version w WHERE w.entry = v.entry AND w.version > v.version
                           AND w.valid_from <= ?3)
         ORDER BY e.change, e.id, v.version DESC",
    )?;
    let mut rows = find.query((of.namespace, of.since, of.at, of.is_past, model))?;
    let mut read = Read::default();
    let mut group: Vec<Document> = Vec::new();
    let mut superseded = UnixMillis::MAX;
    while let Some(row) = rows.next()? {
        let id = EntryId(row.get(0)?);
        if group.first().is_some_and(|first| first.id != id) {
            read.entries += 1;
            shelf.replace(group[0].id, std::mem::take(&mut group), reader);
        }
        if group.is_empty() {
            superseded = UnixMillis::MAX;
        }
        let mut document = document(row, id)?;
        document.until = document.until.min(superseded);
        superseded = superseded.min(document.from);
        let kept: Option<Vec<u8>> = row.get(11)?;
        document.vector = match (kept, embedder) {
            (Some(bytes), _) => Some(bytes.into_iter().map(u8::cast_signed).collect()),
            (None, Some(embedder)) => {
                read.made += 1;
                embedder.embed(&document.text)
            }
            (None, None) => None,
        };
        group.push(document);
    }
    if let Some(first) = group.first() {
        read.entries += 1;
        shelf.replace(first.id, group, reader);
    }
    Ok(read)
}

/// Drops from a shelf what is not in the tables any more: a removed entry leaves no trace that [`read`] would find.
pub(super) fn drop_removed(connection: &Connection, shelf: &mut Shelf, namespace: i64) -> Result<(), Fault> {
    let mut find = connection.prepare_cached("SELECT id FROM entry WHERE namespace = ?1")?;
    let ids = find
        .query_map([namespace], |row| row.get(0).map(EntryId))?
        .collect::<rusqlite::Result<HashSet<EntryId>>>()?;
    shelf.retain(&ids);
    Ok(())
}

fn document(row: &Row<'_>, id: EntryId) -> rusqlite::Result<Document> {
    let (tags, source): (Option<String>, Option<String>) = (row.get(8)?, row.get(9)?);
    let tags = tags_of(tags.as_deref());
    let source: Option<serde_json::Value> = source.and_then(|json| serde_json::from_str(&json).ok());
    let text = text::of_entry(row.get_ref(1)?.as_str()?, &tags, row.get_ref(10)?.as_str()?);
    Ok(Document {
        id,
        version: row.get(2)?,
        from: row.get(4)?,
        until: row.get::<_, Option<UnixMillis>>(5)?.unwrap_or(UnixMillis::MAX),
        updated: row.get(3)?,
        importance: row.get(7)?,
        kind: row.get(6)?,
        tags,
        source_file: source.and_then(|source| source["file"].as_str().map(str::to_owned)),
        text,
        vector: None,
    })
}
