//! Attempts that are given up: their leases have run out, or their server is dead.

use rusqlite::Connection;

use super::super::Fault;
use super::finish;
use super::row::{self, Head};
use super::settle::Settling;
use crate::UnixMillis;
use crate::limits::{LEASE_MAX_MS, SWEEP_MAX};
use crate::work::{Finish, Requeued, TaskId};

pub(super) fn sweep(connection: &Connection, now: UnixMillis) -> Result<Vec<Requeued>, Fault> {
    // A lease that ends later than the longest can is of a clock that was set back since.
    let late = row::select(
        connection,
        "lease_until <= ?1 OR lease_until > ?2 ORDER BY lease_until LIMIT ?3",
        (now, now.saturating_add(LEASE_MAX_MS), SWEEP_MAX),
    )?;
    let requeued = give_up(connection, late, "its lease ran out: nothing was heard of its worker", now)?;
    let overdue = connection
        .prepare_cached("SELECT id FROM run WHERE ended IS NULL AND deadline <= ?1")?
        .query_map([now], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<i64>>>()?;
    for run in overdue {
        let mut settling = Settling::new(connection, run, now);
        settling.cancel_run("the deadline of its run is past")?;
        settling.finish()?;
    }
    Ok(requeued)
}

pub(super) fn abandon(
    connection: &Connection,
    server: &str,
    now: UnixMillis,
) -> Result<Vec<Requeued>, Fault> {
    let left = row::select(connection, "lease_until IS NOT NULL AND server = ?1", [server])?;
    give_up(connection, left, "its server died", now)
}

fn give_up(
    connection: &Connection,
    tasks: Vec<Head>,
    why: &str,
    now: UnixMillis,
) -> Result<Vec<Requeued>, Fault> {
    let mut given_up = Vec::with_capacity(tasks.len());
    for task in tasks {
        // One that is over may have wished the end of another of these.
        let task = row::get(connection, task.id)?;
        let id = TaskId { run: row::run_name(connection, task.run)?, number: task.number };
        let (token, worker) = (u64::from(task.attempts), task.worker.clone().unwrap_or_default());
        if let Finish::Accepted { state, .. } = finish::lose(connection, task, why, now)? {
            given_up.push(Requeued { task: id, token, worker, state });
        }
    }
    Ok(given_up)
}

pub(super) fn wake_at(connection: &Connection) -> Result<Option<UnixMillis>, Fault> {
    let next = |statement| -> Result<Option<UnixMillis>, Fault> {
        Ok(connection.prepare_cached(statement)?.query_row((), |row| row.get(0))?)
    };
    let due = next("SELECT min(due) FROM task WHERE due IS NOT NULL")?;
    let lease = next("SELECT min(lease_until) FROM task WHERE lease_until IS NOT NULL")?;
    let deadline = next("SELECT min(deadline) FROM run WHERE ended IS NULL")?;
    Ok([due, lease, deadline].into_iter().flatten().min())
}
