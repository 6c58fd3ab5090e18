//! Firings of alerts: a table of the newest of each server.

use aqe_core::monitor::alerts::{Firing, Resolution, Severity};
use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};

use super::Fault;
use crate::limits::{ALERT_MAX_BYTES, ALERTS_MAX, ALERTS_PER_SERVER};
use crate::memory::limit;

const COLUMNS: &str = "id, pid, name, severity, signal, scope, threshold, text, started, ended, resolution, peak, \
                       acked_by, acked_at, ack_note, seen";

/// The newest firings of a server, the newest first; those that are open before all others.
pub(super) fn load(connection: &Connection, server: &str, most: u32) -> Result<Vec<Firing>, Fault> {
    let mut newest = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM alert WHERE server = ?1 ORDER BY ended IS NOT NULL, started DESC, id DESC LIMIT ?2"
    ))?;
    let rows = newest.query_map((server, most), read)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Writes a firing in the place of one with the same id, and removes the oldest beyond the bounds.
pub(super) fn save(connection: &Connection, server: &str, firing: &Firing) -> Result<(), Fault> {
    let texts = [&firing.id, &firing.name, &firing.signal, &firing.scope, &firing.text];
    let optional = [&firing.acked_by, &firing.ack_note].map(|text| text.as_ref().map_or(0, String::len));
    let bytes = server.len() + texts.map(String::len).iter().sum::<usize>() + optional.iter().sum::<usize>();
    limit("alert in bytes", bytes, ALERT_MAX_BYTES)?;
    connection
        .prepare_cached(&format!(
            "INSERT OR REPLACE INTO alert ({COLUMNS}, server)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)"
        ))?
        .execute(params![
            firing.id,
            firing.pid,
            firing.name,
            firing.severity.as_str(),
            firing.signal,
            firing.scope,
            firing.threshold,
            firing.text,
            firing.started,
            firing.ended,
            firing.resolution.map(Resolution::as_str),
            firing.peak,
            firing.acked_by,
            firing.acked_at,
            firing.ack_note,
            firing.seen,
            server,
        ])?;
    connection
        .prepare_cached(
            "DELETE FROM alert WHERE id IN
             (SELECT id FROM alert WHERE server = ?1 ORDER BY started DESC, id DESC LIMIT -1 OFFSET ?2)",
        )?
        .execute((server, ALERTS_PER_SERVER))?;
    connection
        .prepare_cached(
            "DELETE FROM alert WHERE id IN (SELECT id FROM alert ORDER BY started DESC, id DESC LIMIT -1 OFFSET ?1)",
        )?
        .execute([ALERTS_MAX])?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Firing> {
    let word = |column: usize| row.get::<_, Option<String>>(column);
    let unknown = |column, word: &str| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, format!("{word:?} is unknown").into())
    };
    let severity: String = row.get(3)?;
    let resolution = match word(10)? {
        Some(text) => Some(Resolution::parse(&text).ok_or_else(|| unknown(10, &text))?),
        None => None,
    };
    Ok(Firing {
        id: row.get(0)?,
        pid: row.get(1)?,
        name: row.get(2)?,
        severity: Severity::parse(&severity).ok_or_else(|| unknown(3, &severity))?,
        signal: row.get(4)?,
        scope: row.get(5)?,
        threshold: row.get(6)?,
        text: row.get(7)?,
        started: row.get(8)?,
        ended: row.get(9)?,
        resolution,
        peak: row.get(11)?,
        acked_by: word(12)?,
        acked_at: row.get(13)?,
        ack_note: word(14)?,
        seen: row.get(15)?,
    })
}
