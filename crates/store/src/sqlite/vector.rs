//! Vectors of versions: made in the transaction of the version's write, and made again for another model.

use rusqlite::{Connection, OptionalExtension as _};

use super::Fault;
use crate::contract::Reembedded;
use crate::limits::VECTORS_PER_STEP;
use crate::memory::EntryId;
use crate::search::{Embedder, text};

/// The number of the embedder's model, given one if it has none.
pub(super) fn model(connection: &Connection, embedder: &dyn Embedder) -> Result<i64, Fault> {
    let found = connection
        .prepare_cached("SELECT id FROM model WHERE key = ?1")?
        .query_row([embedder.key()], |row| row.get(0))
        .optional()?;
    if let Some(id) = found {
        return Ok(id);
    }
    Ok(connection.prepare_cached("INSERT INTO model (key) VALUES (?1)")?.insert([embedder.key()])?)
}

/// Writes the vector of a version; an empty one for a text that has none, so that it is not tried again.
pub(super) fn write(
    connection: &Connection,
    embedder: &dyn Embedder,
    (entry, version): (i64, u64),
    text: &str,
) -> Result<(), Fault> {
    let vector: Vec<u8> =
        embedder.embed(text).unwrap_or_default().into_iter().map(i8::cast_unsigned).collect();
    let model = model(connection, embedder)?;
    connection
        .prepare_cached(
            "INSERT INTO vector (entry, version, model, vector) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (entry, version) DO UPDATE SET model = excluded.model, vector = excluded.vector",
        )?
        .execute((entry, version, model, vector))?;
    Ok(())
}

/// One step over the versions of the entries behind `after`.
pub(super) fn reembed(
    connection: &Connection,
    embedder: &dyn Embedder,
    after: Option<EntryId>,
) -> Result<Reembedded, Fault> {
    let model = model(connection, embedder)?;
    let mut stale = connection.prepare_cached(
        "SELECT e.id, v.version, e.key, v.tags, v.value FROM entry e JOIN version v ON v.entry = e.id
         LEFT JOIN vector x ON x.entry = v.entry AND x.version = v.version AND x.model = ?2
         WHERE e.id > ?1 AND x.entry IS NULL ORDER BY e.id LIMIT ?3",
    )?;
    let after = after.map_or(0, |id| id.0);
    let rows = stale
        .query_map((after, model, VECTORS_PER_STEP), |row| {
            let tags: Option<String> = row.get(3)?;
            let (key, value): (String, String) = (row.get(2)?, row.get(4)?);
            Ok((row.get(0)?, row.get(1)?, text::of_entry(&key, &tags_of(tags.as_deref()), &value)))
        })?
        .collect::<rusqlite::Result<Vec<(i64, u64, String)>>>()?;
    for (entry, version, text) in &rows {
        write(connection, embedder, (*entry, *version), text)?;
    }
    // An entry may have more versions than the step had room for, so it is looked at again.
    let next = rows.last().filter(|_| rows.len() == VECTORS_PER_STEP as usize);
    Ok(Reembedded { written: rows.len() as u64, next: next.map(|row| EntryId(row.0 - 1)) })
}

/// The tags of a version as they are kept.
pub(super) fn tags_of(json: Option<&str>) -> Vec<String> {
    json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
}
