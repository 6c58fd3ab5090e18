//! Taking in tasks, all or none.

use aqe_core::work::{Graph, On, TaskEvent, TaskState};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::super::Fault;
use super::finish;
use super::row::{self, Head};
use super::settle::Start;
use crate::limits::{OPEN_TASKS_PER_PRINCIPAL, PARENTS_MAX, TASKS_PER_RUN};
use crate::work::{Children, ChildrenAdded, EventKind, NewTask, Policy, Submission, Submitted, TaskId};
use crate::{StoreError, UnixMillis};

pub(super) fn submit(
    connection: &Connection,
    submission: &Submission,
    graph: &Graph,
    fingerprint: &str,
) -> Result<Submitted, Fault> {
    if let Some(before) = submitted_before(connection, submission, fingerprint)? {
        return Ok(before);
    }
    let Submission { run, principal, tasks, now, .. } = submission;
    let fleet: i64 = connection
        .prepare_cached("SELECT id FROM fleet WHERE name = ?1 AND principal = ?2 AND gone = 0")?
        .query_row((&submission.fleet, principal), |row| row.get(0))
        .optional()?
        .ok_or(StoreError::NotFound { what: "fleet" })?;
    check_open(connection, principal, tasks.len())?;
    let id: i64 = connection
        .prepare_cached(
            "INSERT INTO run (name, fleet, principal, idem_key, fingerprint, fail_fast, created, deadline, submitted,
                 tasks, open)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, ?9) ON CONFLICT (name) DO NOTHING RETURNING id",
        )?
        .query_row(
            params![
            run,
            fleet,
            principal,
            submission.idempotency_key,
            fingerprint,
            submission.policy == Policy::FailFast,
            now,
            submission.deadline,
            tasks.len(),
            ],
            |row| row.get(0),
        )
        .optional()?
        .ok_or(StoreError::Taken { what: "run" })?;
    insert(connection, &Place { run: id, fleet, parent: None, first: 0 }, tasks, graph, *now)?;
    row::tell(connection, (id, None), EventKind::Submitted, Some(&format!("{} tasks", tasks.len())), *now)?;
    Ok(Submitted { run: run.clone(), tasks: count(tasks), is_new: true, is_same: true })
}

/// The run that was submitted with the same key.
fn submitted_before(
    connection: &Connection,
    submission: &Submission,
    fingerprint: &str,
) -> Result<Option<Submitted>, Fault> {
    let Some(key) = &submission.idempotency_key else { return Ok(None) };
    let before = connection
        .prepare_cached(
            "SELECT name, submitted, fingerprint FROM run WHERE principal = ?1 AND idem_key = ?2 AND gone = 0",
        )?
        .query_row((&submission.principal, key), |row| {
            let is_same = row.get_ref(2)?.as_str()? == fingerprint;
            Ok(Submitted { run: row.get(0)?, tasks: row.get(1)?, is_new: false, is_same })
        })
        .optional()?;
    Ok(before)
}

pub(super) fn submit_children(
    connection: &Connection,
    children: &Children,
    graph: &Graph,
) -> Result<ChildrenAdded, Fault> {
    let Children { parent, token, tasks, now } = children;
    let parent = match finish::holder(connection, parent, *token)? {
        Ok(parent) => parent,
        Err(fenced) => return Ok(ChildrenAdded::Refused(fenced)),
    };
    let run = children.parent.run.as_str();
    if let Some(answer) = added_before(connection, run, &parent, tasks)? {
        return Ok(answer);
    }
    check_depth(connection, &parent)?;
    let (fleet, first, principal): (i64, u32, String) = connection
        .prepare_cached("SELECT fleet, tasks, principal FROM run WHERE id = ?1")?
        .query_row([parent.run], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let actual = u64::from(first) + tasks.len() as u64;
    if actual > TASKS_PER_RUN {
        return Err(
            StoreError::Limit { what: "number of tasks in the run", limit: TASKS_PER_RUN, actual }.into()
        );
    }
    check_open(connection, &principal, tasks.len())?;
    let place = Place { run: parent.run, fleet, parent: Some(parent.id), first };
    insert(connection, &place, tasks, graph, *now)?;
    connection
        .prepare_cached("UPDATE run SET tasks = tasks + ?2, open = open + ?2 WHERE id = ?1")?
        .execute((parent.run, tasks.len()))?;
    connection
        .prepare_cached("UPDATE task SET open_children = open_children + ?2 WHERE id = ?1")?
        .execute((parent.id, tasks.len()))?;
    let detail = format!("{} tasks", tasks.len());
    row::tell(connection, (parent.run, Some(parent.number)), EventKind::Added, Some(&detail), *now)?;
    let ids = (first..).take(tasks.len()).map(|number| TaskId { run: run.to_owned(), number });
    Ok(ChildrenAdded::Added(ids.collect()))
}

/// The answer to an attempt that submits what an earlier one of the same parent has submitted.
fn added_before(
    connection: &Connection,
    run: &str,
    parent: &Head,
    tasks: &[NewTask],
) -> Result<Option<ChildrenAdded>, Fault> {
    let mut find = connection.prepare_cached("SELECT number FROM task WHERE parent = ?1 AND key = ?2")?;
    let mut ids = Vec::new();
    let mut existing = None;
    for task in tasks {
        let number: Option<u32> = find.query_row((parent.id, &task.key), |row| row.get(0)).optional()?;
        if let Some(number) = number {
            existing = Some(&task.key);
            ids.push(TaskId { run: run.to_owned(), number });
        }
    }
    Ok(existing.map(|key| {
        if ids.len() == tasks.len() {
            ChildrenAdded::Existing(ids)
        } else {
            ChildrenAdded::Mixed { key: key.clone() }
        }
    }))
}

fn check_depth(connection: &Connection, parent: &Head) -> Result<(), Fault> {
    let mut above = 1;
    let mut next = parent.parent;
    while let Some(id) = next {
        above += 1;
        if above > PARENTS_MAX {
            let (what, limit) = ("number of tasks above a task", u64::from(PARENTS_MAX));
            return Err(StoreError::Limit { what, limit, actual: u64::from(above) }.into());
        }
        next = row::get(connection, id)?.parent;
    }
    Ok(())
}

fn check_open(connection: &Connection, principal: &str, more: usize) -> Result<(), Fault> {
    let open: u64 = connection
        .prepare_cached("SELECT coalesce(sum(open), 0) FROM fleet WHERE principal = ?1")?
        .query_row([principal], |row| row.get(0))?;
    let (actual, limit) = (open + more as u64, OPEN_TASKS_PER_PRINCIPAL);
    if actual > limit {
        return Err(StoreError::Limit { what: "number of open tasks", limit, actual }.into());
    }
    Ok(())
}

/// Where tasks belong.
struct Place {
    run: i64,
    fleet: i64,
    parent: Option<i64>,
    /// Number of the first.
    first: u32,
}

fn insert(
    connection: &Connection,
    place: &Place,
    tasks: &[NewTask],
    graph: &Graph,
    now: UnixMillis,
) -> Result<(), Fault> {
    let mut task_row = connection.prepare_cached(
        "INSERT INTO task (run, number, fleet, parent, state, profile, priority, rank, due, pending, max_attempts,
             children_may_fail, run_at, timeout_ms, created, key)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    )?;
    let mut input = connection.prepare_cached("INSERT INTO task_input (task, payload) VALUES (?1, ?2)")?;
    let mut ids = Vec::with_capacity(tasks.len());
    for (at, (task, number)) in tasks.iter().zip(place.first..).enumerate() {
        let pending = graph.needs(at).len();
        let (state, start) = if pending > 0 {
            (TaskState::Blocked, Start { rank: None, due: None })
        } else {
            let start = Start::new(task.run_at, task.priority, now);
            let released = TaskState::Blocked.after(TaskEvent::Released { due: start.due.is_none() });
            (released.unwrap_or(TaskState::Ready), start)
        };
        let id = task_row.insert(params![
            place.run,
            number,
            place.fleet,
            place.parent,
            state.as_str(),
            task.profile,
            task.priority.get(),
            start.rank,
            start.due,
            pending,
            task.max_attempts.max(1),
            task.children_may_fail,
            task.run_at,
            task.timeout_ms,
            now,
            task.key,
        ])?;
        input.execute((id, &task.payload))?;
        ids.push(id);
    }
    connection
        .prepare_cached("UPDATE fleet SET open = open + ?2 WHERE id = ?1")?
        .execute((place.fleet, tasks.len()))?;
    let mut needs =
        connection.prepare_cached("INSERT INTO task_dep (dep, task, needs_success) VALUES (?1, ?2, ?3)")?;
    for (at, &id) in ids.iter().enumerate() {
        for &(need, on) in graph.needs(at) {
            needs.execute((ids[need], id, on == On::Success))?;
        }
    }
    Ok(())
}

/// At most ten thousand: the graph was checked.
fn count(tasks: &[NewTask]) -> u32 {
    u32::try_from(tasks.len()).unwrap_or(u32::MAX)
}
