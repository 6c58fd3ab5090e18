//! One removal of a memory entry, inside a transaction.
//!
//! A deleted entry is one whose latest version expired when it took effect, so whatever knows expiry knows deletion:
//! retrieval, search in whichever process, and the sweep that forgets. A purged one leaves a nameless mark of the same kind,
//! which tells processes that search to let go of it, and is swept like the others.

use rusqlite::Connection;

use super::Fault;
use super::put::{add_version, drop_versions_before, head};
use super::room::{self, Booked};
use crate::StoreError;
use crate::memory::{Attributes, Delete, Deleted, EntryId, OnConflict, Put};
use crate::search::Embedder;

/// Before the number in the key of a purged entry's mark. No key that anybody writes has a control character.
pub(super) const MARK: char = '\u{1}';

pub(super) fn delete(
    connection: &Connection,
    delete: &Delete,
    embedder: Option<&dyn Embedder>,
) -> Result<Option<Deleted>, Fault> {
    let Some(namespace) = room::existing(connection, &delete.principal, &delete.namespace)? else {
        return Ok(None);
    };
    let head = head(connection, namespace, &delete.key, delete.now)?;
    let current = head.as_ref().filter(|head| head.is_live).map_or(0, |head| head.latest);
    if let Some(expected) = delete.if_version.filter(|&expected| expected != current) {
        return Err(StoreError::VersionConflict { expected, actual: current }.into());
    }
    let Some(head) = head.filter(|head| head.is_live || delete.purge) else { return Ok(None) };
    let attributes = Attributes { expires: Some(delete.now), ..Attributes::default() };
    let gone = Put {
        principal: delete.principal.clone(),
        namespace: delete.namespace.clone(),
        key: if delete.purge { format!("{MARK}{}", head.id) } else { delete.key.clone() },
        value: "null".into(),
        attributes: attributes.clone(),
        valid_from: None,
        if_version: None,
        on_conflict: OnConflict::Version,
        now: delete.now,
    };
    let mut booked = Booked::default();
    let mut removed = 0;
    if delete.purge {
        removed = connection
            .prepare_cached("SELECT count(*) FROM version WHERE entry = ?1")?
            .query_row([head.id], |row| row.get(0))?;
        booked.dropped = drop_versions_before(connection, head.id, i64::MAX.unsigned_abs())?;
        connection
            .prepare_cached("UPDATE entry SET key = ?2 WHERE id = ?1")?
            .execute((head.id, &gone.key))?;
    }
    let (id, version, added) =
        add_version(connection, (namespace, Some(&head)), &gone, (&gone.value, &attributes), embedder)?;
    booked.added = added.added;
    booked.dropped += added.dropped;
    // Not held to the quotas: whoever is at one must be able to delete.
    room::book(connection, namespace, &booked)?;
    let version = (!delete.purge).then_some(version);
    Ok(Some(Deleted { id: EntryId(id), version, versions_removed: removed }))
}
