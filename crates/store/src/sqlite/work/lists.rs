//! Lists, page by page.

use aqe_core::work::TaskState;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::super::Fault;
use super::row;
use crate::limits::PAGE_MAX;
use crate::work::{Event, EventKind, EventQuery, Page, Policy, Run, RunQuery, Task, TaskId, TaskQuery};

/// Columns of a run joined with its fleet.
pub(super) const RUN: &str =
    "run.id, run.name, run.principal, fleet.name, run.fail_fast, run.created, run.deadline,
    run.ended, run.tasks, run.open, run.done, run.failed + run.dead, run.cancelled + run.skipped";

pub(super) fn read_run(row: &Row<'_>) -> rusqlite::Result<(u64, Run)> {
    let run = Run {
        id: row.get(1)?,
        principal: row.get(2)?,
        fleet: row.get(3)?,
        policy: if row.get(4)? { Policy::FailFast } else { Policy::Continue },
        created: row.get(5)?,
        deadline: row.get(6)?,
        ended: row.get(7)?,
        tasks: row.get(8)?,
        open: row.get(9)?,
        done: row.get(10)?,
        failed: row.get(11)?,
        cancelled: row.get(12)?,
    };
    Ok((row.get(0)?, run))
}

/// Columns of a task and where they come from.
pub(super) const TASK: &str =
    "task.id, run.name, task.number, task.key, task.profile, task.state, task.priority,
    task.pending, task.attempts, task.max_attempts,
    (SELECT above.number FROM task AS above WHERE above.id = task.parent), task.open_children, task.worker,
    task.started, task.lease_until, task.due, task.cancel_wanted, task.progress, task.error, task.timeout_ms,
    task.created, task.ended
    FROM task JOIN run ON run.id = task.run";

pub(super) fn read_task(row: &Row<'_>) -> rusqlite::Result<(u64, Task)> {
    let run: String = row.get(1)?;
    let parent: Option<u32> = row.get(10)?;
    let task = Task {
        parent: parent.map(|number| TaskId { run: run.clone(), number }),
        id: TaskId { run, number: row.get(2)? },
        key: row.get(3)?,
        profile: row.get(4)?,
        state: row::state(row, 5)?,
        priority: row::priority(row, 6)?,
        pending: row.get(7)?,
        attempts: row.get(8)?,
        max_attempts: row.get(9)?,
        open_children: row.get(11)?,
        worker: row.get(12)?,
        started: row.get(13)?,
        lease_until: row.get(14)?,
        due: row.get(15)?,
        cancel_wanted: row.get(16)?,
        progress: row.get(17)?,
        error: row.get(18)?,
        timeout_ms: row.get(19)?,
        created: row.get(20)?,
        ended: row.get(21)?,
    };
    Ok((row.get(0)?, task))
}

/// Conditions with their values.
#[derive(Default)]
struct Conditions {
    text: String,
    values: Vec<Value>,
}

impl Conditions {
    /// One more that must hold; `?` in it is the value.
    fn and(&mut self, condition: &str, value: impl Into<Value>) {
        self.values.push(value.into());
        self.text.push_str(" AND ");
        self.text.push_str(&condition.replace('?', &format!("?{}", self.values.len())));
    }

    fn and_some<T: Into<Value>>(&mut self, condition: &str, value: Option<T>) {
        if let Some(value) = value {
            self.and(condition, value);
        }
    }

    /// The rows of `statement`, one more than fit on a page if there are so many.
    fn rows<T>(
        self,
        connection: &Connection,
        (statement, order): (&str, &str),
        most: u32,
        read: fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<(Vec<T>, bool), Fault> {
        let most = most.clamp(1, PAGE_MAX);
        let statement =
            format!("{statement} WHERE run.gone = 0{} ORDER BY {order} LIMIT {}", self.text, most + 1);
        let mut rows = connection.prepare_cached(&statement)?;
        let mut rows =
            rows.query_map(params_from_iter(self.values), read)?.collect::<rusqlite::Result<Vec<T>>>()?;
        let is_more = rows.len() > most as usize;
        rows.truncate(most as usize);
        Ok((rows, is_more))
    }
}

/// A place as the engine has it; one beyond all of them is as good as the last.
fn place(place: u64) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX)
}

pub(super) fn runs(connection: &Connection, query: &RunQuery) -> Result<Page<Run>, Fault> {
    let mut which = Conditions::default();
    which.and_some("run.principal = ?", query.scope.clone());
    which.and_some("fleet.name = ?", query.fleet.clone());
    which.and_some("run.id < ?", query.before.map(place));
    let statement = format!("SELECT {RUN} FROM run JOIN fleet ON fleet.id = run.fleet");
    let (rows, is_more) = which.rows(connection, (&statement, "run.id DESC"), query.most, read_run)?;
    let next = rows.last().filter(|_| is_more).map(|(place, _)| *place);
    Ok(Page { items: rows.into_iter().map(|(_, run)| run).collect(), next })
}

pub(super) fn tasks(connection: &Connection, query: &TaskQuery) -> Result<Page<Task>, Fault> {
    let mut which = Conditions::default();
    which.and_some("run.principal = ?", query.scope.clone());
    which.and_some("run.name = ?", query.run.clone());
    which.and_some("task.fleet = (SELECT id FROM fleet WHERE name = ?)", query.fleet.clone());
    if !query.states.is_empty() {
        let words: Vec<_> = query.states.iter().map(|state| format!("'{}'", state.as_str())).collect();
        which.text += &[" AND task.state IN (", &words.join(", "), ")"].concat();
        if query.states.iter().all(|state: &TaskState| !state.is_over()) {
            which.text.push_str(" AND task.ended IS NULL");
        }
    }
    let of_a_run = query.run.is_some();
    let (from, order) =
        if of_a_run { ("task.number > ?", "task.number") } else { ("task.id < ?", "task.id DESC") };
    which.and_some(from, query.from.map(place));
    let statement = format!("SELECT {TASK}");
    let (rows, is_more) = which.rows(connection, (&statement, order), query.most, read_task)?;
    let last = rows.last().filter(|_| is_more);
    let next = last.map(|(place, task)| if of_a_run { u64::from(task.id.number) } else { *place });
    Ok(Page { items: rows.into_iter().map(|(_, task)| task).collect(), next })
}

const EVENT: &str = "SELECT event.id, run.name, event.task, event.at, event.kind, event.detail
    FROM event JOIN run ON run.id = event.run";

fn read_event(row: &Row<'_>) -> rusqlite::Result<Event> {
    Ok(Event {
        place: row.get(0)?,
        run: row.get(1)?,
        task: row.get(2)?,
        at: row.get(3)?,
        kind: row::word(row, 4, EventKind::parse)?,
        detail: row.get(5)?,
    })
}

pub(super) fn events(connection: &Connection, query: &EventQuery) -> Result<Page<Event>, Fault> {
    let mut which = Conditions::default();
    which.and_some("run.principal = ?", query.scope.clone());
    which.and_some("run.name = ?", query.run.clone());
    which.and("event.id > ?", place(query.after));
    let (items, is_more) = which.rows(connection, (EVENT, "event.id"), query.most, read_event)?;
    let next = items.last().filter(|_| is_more).map(|event| event.place);
    Ok(Page { items, next })
}

/// The newest of a task, the newest last.
pub(super) fn events_of_task(connection: &Connection, id: &TaskId, most: u32) -> Result<Vec<Event>, Fault> {
    let mut which = Conditions::default();
    which.and("run.name = ?", id.run.clone());
    which.and("event.task = ?", i64::from(id.number));
    let (mut events, _) = which.rows(connection, (EVENT, "event.id DESC"), most, read_event)?;
    events.reverse();
    Ok(events)
}
