//! One run, one task, and how many there are.

use aqe_core::work::{Dependency, On, TaskState, rank};
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::super::Fault;
use super::{finish, lists, row};
use crate::UnixMillis;
use crate::limits::EVENTS_SHOWN;
use crate::work::{Attempt, AttemptOutcome, Counts, Run, TaskDetail, TaskId};

pub(super) fn run(connection: &Connection, scope: Option<&str>, id: &str) -> Result<Option<Run>, Fault> {
    let run = connection
        .prepare_cached(&format!(
            "SELECT {} FROM run JOIN fleet ON fleet.id = run.fleet
             WHERE run.name = ?1 AND run.gone = 0 AND (?2 IS NULL OR run.principal = ?2)",
            lists::RUN
        ))?
        .query_row((id, scope), lists::read_run)
        .optional()?;
    Ok(run.map(|(_, run)| run))
}

pub(super) fn task(
    connection: &Connection,
    scope: Option<&str>,
    id: &TaskId,
) -> Result<Option<TaskDetail>, Fault> {
    let found = connection
        .prepare_cached(&format!(
            "SELECT {} WHERE run.name = ?1 AND task.number = ?2 AND run.gone = 0
                 AND (?3 IS NULL OR run.principal = ?3)",
            lists::TASK
        ))?
        .query_row((&id.run, id.number, scope), lists::read_task)
        .optional()?;
    let Some((row_id, task)) = found else { return Ok(None) };
    let payload = connection
        .prepare_cached("SELECT payload FROM task_input WHERE task = ?1")?
        .query_row([row_id], |row| row.get(0))?;
    let needs = connection
        .prepare_cached(
            "SELECT task.key, task_dep.needs_success FROM task_dep JOIN task ON task.id = task_dep.dep
             WHERE task_dep.task = ?1 ORDER BY task.number",
        )?
        .query_map([row_id], |row| {
            let on = if row.get(1)? { On::Success } else { On::Done };
            Ok(Dependency { key: row.get(0)?, on })
        })?
        .collect::<rusqlite::Result<_>>()?;
    let attempts = connection
        .prepare_cached(
            "SELECT number, worker, started, ended, outcome, error, result, evidence FROM attempt
             WHERE task = ?1 ORDER BY number",
        )?
        .query_map([row_id], read_attempt)?
        .collect::<rusqlite::Result<_>>()?;
    let events = lists::events_of_task(connection, id, EVENTS_SHOWN)?;
    Ok(Some(TaskDetail { task, payload, needs, attempts, events }))
}

/// How an attempt ended, from its word.
pub(in crate::sqlite) fn outcome(row: &Row<'_>, column: usize) -> rusqlite::Result<AttemptOutcome> {
    if row.get_ref(column)?.as_str()? == finish::DONE {
        return Ok(AttemptOutcome::Done);
    }
    Ok(AttemptOutcome::Failed(row::failure(row, column)?))
}

fn read_attempt(row: &Row<'_>) -> rusqlite::Result<Attempt> {
    Ok(Attempt {
        token: row.get(0)?,
        worker: row.get(1)?,
        started: row.get(2)?,
        ended: row.get(3)?,
        outcome: outcome(row, 4)?,
        error: row.get(5)?,
        result: row.get(6)?,
        evidence: row.get(7)?,
    })
}

pub(super) fn counts(
    connection: &Connection,
    scope: Option<&str>,
    fleet: Option<&str>,
    now: UnixMillis,
) -> Result<Counts, Fault> {
    // What is over is added up from the runs: there may be very many such tasks, and open ones are few.
    let mut counts = connection
        .prepare_cached(
            "SELECT coalesce(sum(done), 0), coalesce(sum(run.failed), 0), coalesce(sum(dead), 0),
                 coalesce(sum(cancelled), 0), coalesce(sum(skipped), 0)
             FROM run JOIN fleet ON fleet.id = run.fleet
             WHERE run.gone = 0 AND (?1 IS NULL OR run.principal = ?1) AND (?2 IS NULL OR fleet.name = ?2)",
        )?
        .query_row((scope, fleet), |row| {
            Ok(Counts {
                done: row.get(0)?,
                failed: row.get(1)?,
                dead: row.get(2)?,
                cancelled: row.get(3)?,
                skipped: row.get(4)?,
                ..Counts::default()
            })
        })?;
    let mut open = connection.prepare_cached(
        "SELECT state, count(*), min(rank + priority * ?3) FROM fleet JOIN task ON task.fleet = fleet.id
         WHERE task.ended IS NULL AND (?1 IS NULL OR fleet.principal = ?1) AND (?2 IS NULL OR fleet.name = ?2)
         GROUP BY state",
    )?;
    let mut rows = open.query((scope, fleet, rank::AGEING_STEP_MS))?;
    while let Some(found) = rows.next()? {
        let count = found.get(1)?;
        match row::state(found, 0)? {
            TaskState::Blocked => counts.blocked = count,
            TaskState::Scheduled => counts.scheduled = count,
            TaskState::Running => counts.running = count,
            TaskState::Retrying => counts.retrying = count,
            TaskState::Waiting => counts.waiting = count,
            TaskState::Ready => {
                counts.ready = count;
                let since: Option<UnixMillis> = found.get(2)?;
                counts.oldest_ready_ms = since.map(|since| u64::try_from(now - since).unwrap_or(0));
            }
            // `ended` is set with these.
            TaskState::Done
            | TaskState::Failed
            | TaskState::Dead
            | TaskState::Cancelled
            | TaskState::Skipped => {}
        }
    }
    Ok(counts)
}
