//! Fleets.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::super::Fault;
use crate::StoreError;
use crate::limits::{
    FLEET_SETTINGS_MAX_BYTES, FLEETS_PER_PRINCIPAL, NAMESPACE_MAX_BYTES, PRINCIPAL_MAX_BYTES,
    WORK_ID_MAX_BYTES,
};
use crate::memory::{limit, name};
use crate::work::{Fleet, FleetCreated, FleetRemoved};

const COLUMNS: &str = "name, principal, title, settings, max_running, created";

pub(super) fn check(fleet: &Fleet) -> Result<(), StoreError> {
    name("fleet id", "fleet id in bytes", &fleet.id, WORK_ID_MAX_BYTES)?;
    name("principal", "principal in bytes", &fleet.principal, PRINCIPAL_MAX_BYTES)?;
    name("fleet name", "fleet name in bytes", &fleet.name, NAMESPACE_MAX_BYTES)?;
    check_settings(&fleet.settings)
}

pub(super) fn check_settings(settings: &str) -> Result<(), StoreError> {
    limit("fleet settings in bytes", settings.len(), FLEET_SETTINGS_MAX_BYTES)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Fleet> {
    Ok(Fleet {
        id: row.get(0)?,
        principal: row.get(1)?,
        name: row.get(2)?,
        settings: row.get(3)?,
        max_running: row.get(4)?,
        created: row.get(5)?,
    })
}

pub(super) fn create(connection: &Connection, fleet: &Fleet) -> Result<FleetCreated, Fault> {
    let there = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM fleet WHERE principal = ?1 AND title = ?2"))?
        .query_row((&fleet.principal, &fleet.name), read)
        .optional()?;
    if let Some(fleet) = there {
        return Ok(FleetCreated { fleet, is_new: false });
    }
    let count: u64 = connection
        .prepare_cached("SELECT count(*) FROM fleet WHERE principal = ?1 AND gone = 0")?
        .query_row([&fleet.principal], |row| row.get(0))?;
    if count >= FLEETS_PER_PRINCIPAL {
        let limit = FLEETS_PER_PRINCIPAL;
        return Err(StoreError::Limit { what: "number of fleets", limit, actual: count + 1 }.into());
    }
    let Fleet { id, principal, name, settings, max_running, created } = fleet;
    let inserted = connection
        .prepare_cached(&format!(
            "INSERT INTO fleet ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (name) DO NOTHING"
        ))?
        .execute(params![id, principal, name, settings, max_running, created])?;
    if inserted == 0 {
        return Err(StoreError::Taken { what: "fleet" }.into());
    }
    Ok(FleetCreated { fleet: fleet.clone(), is_new: true })
}

pub(super) fn update(connection: &Connection, fleet: &Fleet) -> Result<Option<Fleet>, Fault> {
    let fleet = connection
        .prepare_cached(&format!(
            "UPDATE fleet SET settings = ?3, max_running = ?4 WHERE name = ?1 AND principal = ?2 AND gone = 0
             RETURNING {COLUMNS}"
        ))?
        .query_row((&fleet.id, &fleet.principal, &fleet.settings, fleet.max_running), read)
        .optional()?;
    Ok(fleet)
}

pub(super) fn swap_settings(connection: &Connection, id: &str, from: &str, to: &str) -> Result<bool, Fault> {
    let swapped = connection
        .prepare_cached("UPDATE fleet SET settings = ?3 WHERE name = ?1 AND settings = ?2 AND gone = 0")?
        .execute((id, from, to))?;
    Ok(swapped > 0)
}

pub(super) fn list(connection: &Connection, principal: Option<&str>) -> Result<Vec<Fleet>, Fault> {
    let mut rows = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM fleet WHERE gone = 0 AND (?1 IS NULL OR principal = ?1) ORDER BY id"
    ))?;
    let rows = rows.query_map([principal], read)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn remove(
    connection: &Connection,
    principal: Option<&str>,
    id: &str,
) -> Result<FleetRemoved, Fault> {
    let fleet: Option<(i64, u64)> = connection
        .prepare_cached(
            "SELECT id, open FROM fleet WHERE name = ?1 AND gone = 0 AND (?2 IS NULL OR principal = ?2)",
        )?
        .query_row((id, principal), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((fleet, open)) = fleet else { return Ok(FleetRemoved::Absent) };
    if open > 0 {
        return Ok(FleetRemoved::Busy { open });
    }
    connection
        .prepare_cached("UPDATE run SET gone = 1, idem_key = NULL WHERE fleet = ?1")?
        .execute([fleet])?;
    // Its name is free for another.
    connection.prepare_cached("UPDATE fleet SET gone = 1, title = NULL WHERE id = ?1")?.execute([fleet])?;
    Ok(FleetRemoved::Removed)
}
