//! Runs that are over go, a bounded number of tasks at a time.

use rusqlite::{Connection, OptionalExtension as _};

use super::super::Fault;
use crate::limits::PRUNE_MAX;
use crate::work::{Pruned, Retention};

pub(super) fn prune(connection: &Connection, retention: &Retention) -> Result<Pruned, Fault> {
    mark(connection, retention)?;
    let mut pruned = Pruned::default();
    while let Some(run) = next(connection)? {
        let room = PRUNE_MAX.saturating_sub(pruned.tasks);
        if room == 0 {
            pruned.is_more = true;
            return Ok(pruned);
        }
        let tasks = connection
            .prepare_cached("SELECT id FROM task WHERE run = ?1 ORDER BY number DESC LIMIT ?2")?
            .query_map((run, room), |row| row.get(0))?
            .collect::<rusqlite::Result<Vec<i64>>>()?;
        pruned.tasks += remove_tasks(connection, &tasks)?;
        // One more look: with fewer than there was room for, the run has none left.
        if tasks.len() < room as usize {
            for statement in ["DELETE FROM event WHERE run = ?1", "DELETE FROM run WHERE id = ?1"] {
                connection.prepare_cached(statement)?.execute([run])?;
            }
            pruned.runs += 1;
        }
    }
    connection
        .prepare_cached(
            "DELETE FROM fleet WHERE gone = 1 AND NOT EXISTS (SELECT 1 FROM run WHERE fleet = fleet.id)",
        )?
        .execute(())?;
    Ok(pruned)
}

/// From now on nobody sees them, and their idempotency keys are free.
fn mark(connection: &Connection, retention: &Retention) -> Result<(), Fault> {
    if let Some(before) = retention.ended_before {
        connection
            .prepare_cached("UPDATE run SET gone = 1, idem_key = NULL WHERE ended < ?1 AND gone = 0")?
            .execute([before])?;
    }
    if let Some(keep) = retention.keep {
        connection
            .prepare_cached(
                "UPDATE run SET gone = 1, idem_key = NULL WHERE id IN
                     (SELECT id FROM run WHERE ended IS NOT NULL AND gone = 0
                      ORDER BY ended DESC, id DESC LIMIT -1 OFFSET ?1)",
            )?
            .execute([keep])?;
    }
    Ok(())
}

fn next(connection: &Connection) -> Result<Option<i64>, Fault> {
    let run = connection
        .prepare_cached("SELECT id FROM run WHERE ended IS NOT NULL AND gone = 1 LIMIT 1")?
        .query_row((), |row| row.get(0))
        .optional()?;
    Ok(run)
}

fn remove_tasks(connection: &Connection, tasks: &[i64]) -> Result<u32, Fault> {
    let mut removed = 0;
    for task in tasks {
        for statement in [
            "DELETE FROM attempt WHERE task = ?1",
            "DELETE FROM task_dep WHERE dep = ?1",
            "DELETE FROM task_dep WHERE task = ?1",
            "DELETE FROM task_input WHERE task = ?1",
            "DELETE FROM task WHERE id = ?1",
        ] {
            connection.prepare_cached(statement)?.execute([task])?;
        }
        removed += 1;
    }
    Ok(removed)
}
