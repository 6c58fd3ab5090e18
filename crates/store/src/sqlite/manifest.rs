//! Manifests: a table of named documents.

use rusqlite::Connection;

use super::Fault;
use crate::StoreError;
use crate::contract::Manifest;
use crate::limits::{FINGERPRINT_MAX_BYTES, KEY_MAX_BYTES, MANIFEST_MAX_BYTES, MANIFESTS_MAX};
use crate::memory::limit;

pub(super) fn load(connection: &Connection) -> Result<Vec<Manifest>, Fault> {
    let mut all =
        connection.prepare_cached("SELECT key, fingerprint, body, saved_at FROM manifest ORDER BY key")?;
    let rows = all.query_map((), |row| {
        Ok(Manifest { key: row.get(0)?, fingerprint: row.get(1)?, body: row.get(2)?, saved_at: row.get(3)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn save(connection: &Connection, manifest: &Manifest) -> Result<(), Fault> {
    limit("manifest key in bytes", manifest.key.len(), KEY_MAX_BYTES)?;
    limit("manifest fingerprint in bytes", manifest.fingerprint.len(), FINGERPRINT_MAX_BYTES)?;
    limit("manifest in bytes", manifest.body.len(), MANIFEST_MAX_BYTES)?;
    connection
        .prepare_cached(
            "INSERT INTO manifest (key, fingerprint, body, saved_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (key) DO UPDATE
             SET fingerprint = excluded.fingerprint, body = excluded.body, saved_at = excluded.saved_at",
        )?
        .execute((&manifest.key, &manifest.fingerprint, &manifest.body, manifest.saved_at))?;
    let count: u64 =
        connection.prepare_cached("SELECT count(*) FROM manifest")?.query_row((), |row| row.get(0))?;
    if count > MANIFESTS_MAX {
        // The savepoint is undone with the error.
        return Err(
            StoreError::Limit { what: "number of manifests", limit: MANIFESTS_MAX, actual: count }.into()
        );
    }
    Ok(())
}

pub(super) fn delete(connection: &Connection, key: &str) -> Result<bool, Fault> {
    let deleted = connection.prepare_cached("DELETE FROM manifest WHERE key = ?1")?.execute([key])?;
    Ok(deleted > 0)
}
