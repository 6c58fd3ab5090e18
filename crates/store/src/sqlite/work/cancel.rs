//! A wish to end something.

use rusqlite::{Connection, OptionalExtension as _};

use super::super::Fault;
use super::row;
use super::settle::Settling;
use crate::work::{Cancel, Cancelled, Target, TaskId};

pub(super) fn cancel(connection: &Connection, cancel: &Cancel) -> Result<Option<Cancelled>, Fault> {
    let name = match &cancel.target {
        Target::Run(run) | Target::Task(TaskId { run, .. }) => run,
    };
    let run: Option<i64> = connection
        .prepare_cached("SELECT id FROM run WHERE name = ?1 AND gone = 0 AND (?2 IS NULL OR principal = ?2)")?
        .query_row((name, &cancel.scope), |row| row.get(0))
        .optional()?;
    let Some(run) = run else { return Ok(None) };
    let mut settling = Settling::new(connection, run, cancel.now);
    match &cancel.target {
        Target::Run(_) => settling.cancel_run(&cancel.reason)?,
        Target::Task(id) => {
            let Some(task) = row::find(connection, id)? else { return Ok(None) };
            settling.cancel(task, &cancel.reason)?;
        }
    }
    let settled = settling.finish()?;
    let wished = settled
        .wished
        .into_iter()
        .map(|task| Ok(TaskId { run: name.clone(), number: row::get(connection, task)?.number }))
        .collect::<Result<Vec<_>, Fault>>()?;
    Ok(Some(Cancelled { at_once: settled.cancelled, wished }))
}
