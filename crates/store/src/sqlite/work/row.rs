//! From rows to values, and what each part writes.

use aqe_core::work::{Failure, Priority, TaskState};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::super::Fault;
use crate::UnixMillis;
use crate::limits::EVENT_DETAIL_MAX_BYTES;
use crate::work::{EventKind, TaskId};

/// A word of a row that this release does not know.
fn unknown(column: usize, word: &str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, format!("{word:?} is unknown").into())
}

/// The word in a column, as `parse` understands it.
pub(super) fn word<T>(row: &Row<'_>, column: usize, parse: fn(&str) -> Option<T>) -> rusqlite::Result<T> {
    let word = row.get_ref(column)?.as_str()?;
    parse(word).ok_or_else(|| unknown(column, word))
}

pub(super) fn state(row: &Row<'_>, column: usize) -> rusqlite::Result<TaskState> {
    word(row, column, TaskState::parse)
}

pub(super) fn priority(row: &Row<'_>, column: usize) -> rusqlite::Result<Priority> {
    let number: u8 = row.get(column)?;
    Priority::new(number).ok_or_else(|| unknown(column, &number.to_string()))
}

pub(super) fn failure(row: &Row<'_>, column: usize) -> rusqlite::Result<Failure> {
    word(row, column, Failure::parse)
}

/// What decisions about a task need.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) id: i64,
    pub(super) run: i64,
    pub(super) number: u32,
    pub(super) state: TaskState,
    pub(super) attempts: u32,
    pub(super) lost: u32,
    pub(super) max_attempts: u32,
    pub(super) open_children: u32,
    pub(super) bad_children: u32,
    pub(super) children_may_fail: bool,
    pub(super) parent: Option<i64>,
    pub(super) priority: Priority,
    pub(super) worker: Option<String>,
    pub(super) started: Option<UnixMillis>,
    pub(super) cancel_wanted: Option<String>,
}

const HEAD: &str = "task.id, task.run, task.number, task.state, task.attempts, task.lost, task.max_attempts,
    task.open_children, task.bad_children, task.children_may_fail, task.parent, task.priority, task.worker,
    task.started, task.cancel_wanted";

fn head(row: &Row<'_>) -> rusqlite::Result<Head> {
    Ok(Head {
        id: row.get(0)?,
        run: row.get(1)?,
        number: row.get(2)?,
        state: state(row, 3)?,
        attempts: row.get(4)?,
        lost: row.get(5)?,
        max_attempts: row.get(6)?,
        open_children: row.get(7)?,
        bad_children: row.get(8)?,
        children_may_fail: row.get(9)?,
        parent: row.get(10)?,
        priority: priority(row, 11)?,
        worker: row.get(12)?,
        started: row.get(13)?,
        cancel_wanted: row.get(14)?,
    })
}

/// The task of that name.
pub(super) fn find(connection: &Connection, id: &TaskId) -> Result<Option<Head>, Fault> {
    let head = connection
        .prepare_cached(&format!(
            "SELECT {HEAD} FROM run JOIN task ON task.run = run.id
             WHERE run.name = ?1 AND run.gone = 0 AND task.number = ?2"
        ))?
        .query_row((&id.run, id.number), head)
        .optional()?;
    Ok(head)
}

/// The task of that row.
pub(super) fn get(connection: &Connection, id: i64) -> Result<Head, Fault> {
    let head = connection
        .prepare_cached(&format!("SELECT {HEAD} FROM task WHERE id = ?1"))?
        .query_row([id], head)?;
    Ok(head)
}

/// The heads of tasks that `condition` selects.
pub(super) fn select(
    connection: &Connection,
    condition: &str,
    values: impl rusqlite::Params,
) -> Result<Vec<Head>, Fault> {
    let mut rows = connection.prepare_cached(&format!("SELECT {HEAD} FROM task WHERE {condition}"))?;
    let rows = rows.query_map(values, head)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A run's name.
pub(super) fn run_name(connection: &Connection, run: i64) -> Result<String, Fault> {
    let name = connection
        .prepare_cached("SELECT name FROM run WHERE id = ?1")?
        .query_row([run], |row| row.get(0))?;
    Ok(name)
}

/// Adds an event.
pub(super) fn tell(
    connection: &Connection,
    (run, task): (i64, Option<u32>),
    kind: EventKind,
    detail: Option<&str>,
    now: UnixMillis,
) -> Result<(), Fault> {
    let detail = detail.map(|text| {
        let most = text.len().min(EVENT_DETAIL_MAX_BYTES);
        let end = (0..=most).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        &text[..end]
    });
    connection
        .prepare_cached("INSERT INTO event (run, task, at, kind, detail) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute((run, task, now, kind.as_str(), detail))?;
    Ok(())
}
