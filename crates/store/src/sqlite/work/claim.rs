//! Leases: taking tasks, and saying that one is at it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use aqe_core::work::rank;
use rusqlite::{Connection, OptionalExtension as _};

use super::super::Fault;
use super::{finish, row};
use crate::UnixMillis;
use crate::limits::SWEEP_MAX;
use crate::work::{Beat, Claim, Claimed, EventKind, Heartbeat, TaskId, lease_until};

pub(super) fn claim(connection: &Connection, claim: &Claim) -> Result<Vec<Claimed>, Fault> {
    make_due_ready(connection, claim.now)?;
    let fleet: Option<(i64, u32)> = connection
        .prepare_cached("SELECT id, max_running FROM fleet WHERE name = ?1 AND gone = 0")?
        .query_row([&claim.fleet], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((fleet, max_running)) = fleet else { return Ok(Vec::new()) };
    let running: u32 = connection
        .prepare_cached("SELECT count(*) FROM task WHERE fleet = ?1 AND state = 'running' AND ended IS NULL")?
        .query_row([fleet], |row| row.get(0))?;
    let room = claim.most.min(max_running.saturating_sub(running));
    let mut names = HashMap::new();
    choose(connection, fleet, claim, room)?
        .into_iter()
        .map(|task| lease(connection, task, claim, &mut names))
        .collect()
}

/// Whatever waits for a time that has come may be claimed.
fn make_due_ready(connection: &Connection, now: UnixMillis) -> Result<(), Fault> {
    let due = connection
        .prepare_cached("SELECT id, due, priority FROM task WHERE due <= ?1 ORDER BY due LIMIT ?2")?
        .query_map((now, SWEEP_MAX), |row| Ok((row.get(0)?, row.get(1)?, row::priority(row, 2)?)))?
        .collect::<rusqlite::Result<Vec<(i64, UnixMillis, _)>>>()?;
    for (id, due, priority) in due {
        connection
            .prepare_cached("UPDATE task SET state = 'ready', rank = ?2, due = NULL WHERE id = ?1")?
            .execute((id, rank::rank(due, priority)))?;
    }
    Ok(())
}

/// The first in the order of ranks, of each profile as many as there is room for.
fn choose(connection: &Connection, fleet: i64, claim: &Claim, room: u32) -> Result<Vec<i64>, Fault> {
    let mut first = connection.prepare_cached(
        "SELECT rank, id FROM task
         WHERE fleet = ?1 AND state = 'ready' AND profile = ?2 AND ended IS NULL ORDER BY rank, id LIMIT ?3",
    )?;
    let mut found: Vec<(i64, i64)> = Vec::new();
    for slots in &claim.slots {
        let most = slots.free.min(room);
        if most > 0 {
            let rows =
                first.query_map((fleet, &slots.profile, most), |row| Ok((row.get(0)?, row.get(1)?)))?;
            for task in rows {
                found.push(task?);
            }
        }
    }
    found.sort_unstable();
    // A profile that is named twice yields its tasks twice.
    found.dedup();
    found.truncate(room as usize);
    Ok(found.into_iter().map(|(_, id)| id).collect())
}

fn lease(
    connection: &Connection,
    task: i64,
    claim: &Claim,
    names: &mut HashMap<i64, (String, String)>,
) -> Result<Claimed, Fault> {
    let lease_until = lease_until(claim.now, claim.lease_ms);
    let (run, mut claimed) = connection
        .prepare_cached(
            "UPDATE task SET state = 'running', attempts = attempts + 1, rank = NULL, lease_until = ?2, worker = ?3,
                 server = ?4, started = ?5, progress = NULL
             WHERE id = ?1 RETURNING run, number, attempts, key, profile, timeout_ms",
        )?
        .query_row((task, lease_until, &claim.worker, &claim.server, claim.now), |row| {
            let claimed = Claimed {
                task: TaskId { run: String::new(), number: row.get(1)? },
                token: row.get(2)?,
                key: row.get(3)?,
                principal: String::new(),
                profile: row.get(4)?,
                payload: String::new(),
                timeout_ms: row.get(5)?,
                lease_until,
            };
            Ok((row.get::<_, i64>(0)?, claimed))
        })?;
    let (name, principal) = match names.entry(run) {
        Entry::Occupied(entry) => entry.into_mut(),
        Entry::Vacant(entry) => entry.insert(
            connection
                .prepare_cached("SELECT name, principal FROM run WHERE id = ?1")?
                .query_row([run], |row| Ok((row.get(0)?, row.get(1)?)))?,
        ),
    };
    claimed.task.run.clone_from(name);
    claimed.principal.clone_from(principal);
    claimed.payload = connection
        .prepare_cached("SELECT payload FROM task_input WHERE task = ?1")?
        .query_row([task], |row| row.get(0))?;
    let place = (run, Some(claimed.task.number));
    row::tell(connection, place, EventKind::Claimed, Some(&claim.worker), claim.now)?;
    Ok(claimed)
}

pub(super) fn heartbeat(connection: &Connection, heartbeat: &Heartbeat) -> Result<Beat, Fault> {
    let task = match finish::holder(connection, &heartbeat.task, heartbeat.token)? {
        Ok(task) => task,
        Err(fenced) => return Ok(Beat::Lost(fenced)),
    };
    let lease_until = lease_until(heartbeat.now, heartbeat.lease_ms);
    connection
        .prepare_cached("UPDATE task SET lease_until = ?2, progress = coalesce(?3, progress) WHERE id = ?1")?
        .execute((task.id, lease_until, &heartbeat.progress))?;
    Ok(Beat::Extended { lease_until, cancel_wanted: task.cancel_wanted })
}
