//! What memory entries take: counted with each write, and held within the quotas. What has expired gives way.

use rusqlite::{Connection, OptionalExtension as _};

use super::{Fault, put};
use crate::limits::PURGE_PER_WRITE;
use crate::memory::limit_reached;
use crate::{Quotas, UnixMillis};

/// What a write changes in its namespace's sums.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Booked {
    pub(super) entries: i64,
    /// Bytes.
    pub(super) added: u64,
    /// Bytes.
    pub(super) dropped: u64,
}

/// Whose expired entries.
#[derive(Debug, Clone, Copy)]
pub(super) enum Of<'a> {
    All,
    Namespace(i64),
    Principal(&'a str),
}

/// The namespace's row, made if there is none.
pub(super) fn namespace(
    connection: &Connection,
    (principal, name): (&str, &str),
    now: UnixMillis,
    quotas: &Quotas,
) -> Result<i64, Fault> {
    if let Some(id) = existing(connection, principal, name)? {
        return Ok(id);
    }
    let count = || -> Result<u64, Fault> {
        Ok(connection
            .prepare_cached(
                "SELECT count(*) FROM namespace WHERE principal = ?1
                 AND (entries > 0 OR id < (SELECT max(id) FROM namespace))",
            )?
            .query_row([principal], |row| row.get(0))?)
    };
    let most = quotas.namespaces_per_principal;
    while count()? >= most {
        let of = Of::Principal(principal);
        if drop_empty(connection, of)? == 0 && purge(connection, now, of)? == 0 {
            limit_reached("number of namespaces", count()? + 1, most)?;
        }
    }
    let id = connection
        .prepare_cached("INSERT INTO namespace (principal, name) VALUES (?1, ?2)")?
        .insert((principal, name))?;
    Ok(id)
}

/// The row of a namespace that is there.
pub(super) fn existing(
    connection: &Connection,
    principal: &str,
    namespace: &str,
) -> Result<Option<i64>, Fault> {
    Ok(connection
        .prepare_cached("SELECT id FROM namespace WHERE principal = ?1 AND name = ?2")?
        .query_row((principal, namespace), |row| row.get(0))
        .optional()?)
}

/// Removes the rows of namespaces without entries; answers how many. The highest id stays, so that none is ever given to
/// another namespace: processes that search know namespaces by it.
pub(super) fn drop_empty(connection: &Connection, of: Of<'_>) -> Result<usize, Fault> {
    let principal = if let Of::Principal(name) = of { Some(name) } else { None };
    Ok(connection
        .prepare_cached(
            "DELETE FROM namespace WHERE (?1 IS NULL OR principal = ?1) AND entries = 0
             AND id < (SELECT max(id) FROM namespace)
             AND NOT EXISTS (SELECT 1 FROM entry WHERE entry.namespace = namespace.id)",
        )?
        .execute([principal])?)
}

/// Books a write on the sums of its namespace.
pub(super) fn book(connection: &Connection, namespace: i64, booked: &Booked) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "UPDATE namespace SET entries = entries + ?2, bytes = bytes + ?3 - ?4, change = change + 1
             WHERE id = ?1",
        )?
        .execute((namespace, booked.entries, booked.added, booked.dropped))?;
    Ok(())
}

/// Holds a namespace and its principal within their quotas after a write; where that makes neither larger, it is within
/// them.
pub(super) fn keep_within(
    connection: &Connection,
    (namespace, principal): (i64, &str),
    now: UnixMillis,
    booked: &Booked,
    quotas: &Quotas,
) -> Result<(), Fault> {
    if booked.entries <= 0 && booked.added <= booked.dropped {
        return Ok(());
    }
    let mut own = connection.prepare_cached("SELECT entries, bytes FROM namespace WHERE id = ?1")?;
    let mut all = connection.prepare_cached(
        "SELECT coalesce(sum(entries), 0), coalesce(sum(bytes), 0) FROM namespace WHERE principal = ?1",
    )?;
    let sums = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let mut own = || own.query_row([namespace], sums);
    within(
        &mut own,
        || purge(connection, now, Of::Namespace(namespace)),
        ("number of entries in the namespace", quotas.entries_per_namespace),
        ("bytes in the namespace, history included,", quotas.bytes_per_namespace),
    )?;
    within(
        &mut || all.query_row([principal], sums),
        || purge(connection, now, Of::Principal(principal)),
        ("number of entries in all namespaces", quotas.entries_per_principal),
        ("bytes in all namespaces, history included,", quotas.bytes_per_principal),
    )
}

/// Removes what has expired until the sums are within the bounds, or nothing is left to remove.
fn within(
    sums: &mut dyn FnMut() -> rusqlite::Result<(u64, u64)>,
    purge: impl Fn() -> Result<usize, Fault>,
    (entries, most_entries): (&'static str, u64),
    (bytes, most_bytes): (&'static str, u64),
) -> Result<(), Fault> {
    let mut sum = sums()?;
    while (sum.0 > most_entries || sum.1 > most_bytes) && purge()? > 0 {
        sum = sums()?;
    }
    limit_reached(entries, sum.0, most_entries)?;
    limit_reached(bytes, sum.1, most_bytes)?;
    Ok(())
}

/// Removes some entries that expired before `before`; answers how many.
pub(super) fn purge(connection: &Connection, before: UnixMillis, of: Of<'_>) -> Result<usize, Fault> {
    let (namespace, principal) = match of {
        Of::All => (None, None),
        Of::Namespace(id) => (Some(id), None),
        Of::Principal(name) => (None, Some(name)),
    };
    let mut find = connection.prepare_cached(
        "SELECT id, namespace FROM entry
         WHERE expires IS NOT NULL AND expires <= ?1 AND (?2 IS NULL OR namespace = ?2)
           AND (?3 IS NULL OR namespace IN (SELECT id FROM namespace WHERE principal = ?3)) LIMIT ?4",
    )?;
    let rows = find
        .query_map((before, namespace, principal, PURGE_PER_WRITE), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<Vec<(i64, i64)>>>()?;
    for &(id, namespace) in &rows {
        let bytes = put::drop_versions_before(connection, id, i64::MAX.unsigned_abs())?;
        connection.prepare_cached("DELETE FROM entry WHERE id = ?1")?.execute([id])?;
        connection
            .prepare_cached("UPDATE namespace SET entries = entries - 1, bytes = bytes - ?2 WHERE id = ?1")?
            .execute((namespace, bytes))?;
    }
    Ok(rows.len())
}
