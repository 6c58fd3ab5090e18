//! The end of an attempt.

use aqe_core::work::{TaskEvent, TaskState, Tried, Verdict, rank, retry};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::super::Fault;
use super::row::{self, Head};
use super::settle::Settling;
use crate::UnixMillis;
use crate::work::{Completion, EventKind, FailureReport, Fenced, Finish, TaskId};

/// Fencing: the task, if the token is that of the attempt under way.
pub(super) fn holder(
    connection: &Connection,
    id: &TaskId,
    token: u64,
) -> Result<Result<Head, Fenced>, Fault> {
    let Some(task) = row::find(connection, id)? else { return Ok(Err(Fenced::Unknown)) };
    let current = u64::from(task.attempts);
    Ok(if token != current {
        Err(Fenced::Superseded { token: current })
    } else if task.state == TaskState::Running {
        Ok(task)
    } else {
        Err(Fenced::NotRunning { state: task.state })
    })
}

/// How an attempt ended.
struct End<'a> {
    outcome: &'static str,
    error: Option<&'a str>,
    result: Option<&'a str>,
    evidence: Option<&'a str>,
    now: UnixMillis,
}

/// The word for an attempt that ended well; the others are those of failures.
pub(super) const DONE: &str = "done";

pub(super) fn complete(connection: &Connection, completion: &Completion) -> Result<Finish, Fault> {
    let Completion { task, token, now, .. } = completion;
    let task = match holder(connection, task, *token)? {
        Ok(task) => task,
        Err(fenced) => return late(connection, task, *token, DONE, fenced),
    };
    let (result, evidence) = (completion.result.as_deref(), completion.evidence.as_deref());
    record(connection, &task, &End { outcome: DONE, error: None, result, evidence, now: *now })?;
    if task.open_children > 0 {
        let state = wait_for_children(connection, &task, *now)?;
        return Ok(Finish::Accepted { state, retry_at: None, run_over: false });
    }
    let (event, why) = match task.verdict_on_children() {
        (TaskEvent::ChildrenEnded, why) => (TaskEvent::Succeeded { children_open: false }, why),
        other => other,
    };
    end(connection, task, event, why, *now)
}

fn wait_for_children(connection: &Connection, task: &Head, now: UnixMillis) -> Result<TaskState, Fault> {
    let state = TaskState::Waiting;
    connection
        .prepare_cached("UPDATE task SET state = ?2, lease_until = NULL WHERE id = ?1")?
        .execute((task.id, state.as_str()))?;
    row::tell(connection, (task.run, Some(task.number)), EventKind::Waiting, None, now)?;
    Ok(state)
}

pub(super) fn fail(connection: &Connection, report: &FailureReport) -> Result<Finish, Fault> {
    let outcome = report.failure.as_str();
    let mut task = match holder(connection, &report.task, report.token)? {
        Ok(task) => task,
        Err(fenced) => return late(connection, &report.task, report.token, outcome, fenced),
    };
    let (result, evidence) = (report.result.as_deref(), report.evidence.as_deref());
    let (error, now) = (Some(report.error.as_str()), report.now);
    record(connection, &task, &End { outcome, error, result, evidence, now })?;
    if report.failure == retry::Failure::Lost {
        count_loss(connection, &mut task)?;
    }
    let verdict = retry::verdict(report.failure, tried(connection, &task)?, report.seed);
    let kind = match report.failure {
        retry::Failure::GivenBack => EventKind::GivenBack,
        _ => EventKind::Requeued,
    };
    carry_out(connection, task, verdict, (kind, &report.error), now)
}

/// Gives up an attempt of which nothing is heard.
pub(super) fn lose(
    connection: &Connection,
    mut task: Head,
    why: &str,
    now: UnixMillis,
) -> Result<Finish, Fault> {
    let failure = retry::Failure::Lost;
    let end = End { outcome: failure.as_str(), error: Some(why), result: None, evidence: None, now };
    record(connection, &task, &end)?;
    count_loss(connection, &mut task)?;
    let verdict = retry::verdict(failure, tried(connection, &task)?, 0);
    carry_out(connection, task, verdict, (EventKind::Requeued, why), now)
}

fn count_loss(connection: &Connection, task: &mut Head) -> Result<(), Fault> {
    task.lost += 1;
    connection.prepare_cached("UPDATE task SET lost = ?2 WHERE id = ?1")?.execute((task.id, task.lost))?;
    Ok(())
}

/// `requeued`: what is told if another attempt may begin at once.
fn carry_out(
    connection: &Connection,
    task: Head,
    verdict: Verdict,
    (requeued, why): (EventKind, &str),
    now: UnixMillis,
) -> Result<Finish, Fault> {
    match verdict {
        Verdict::Failed => end(connection, task, TaskEvent::FailedForGood, Some(why), now),
        Verdict::Dead => end(connection, task, TaskEvent::Exhausted, Some(why), now),
        Verdict::Cancelled => {
            let why = task.cancel_wanted.clone().unwrap_or_else(|| why.to_owned());
            end(connection, task, TaskEvent::Stopped, Some(&why), now)
        }
        Verdict::Requeue => again(connection, &task, None, (requeued, why), now),
        Verdict::Retry { after_ms } => {
            let due = now.saturating_add(after_ms);
            again(connection, &task, Some(due), (EventKind::Retrying, why), now)
        }
    }
}

/// Another attempt, at once or from a time on.
fn again(
    connection: &Connection,
    task: &Head,
    due: Option<UnixMillis>,
    (kind, why): (EventKind, &str),
    now: UnixMillis,
) -> Result<Finish, Fault> {
    let event = if due.is_some() { TaskEvent::TriedAgain } else { TaskEvent::Requeued };
    let Some(state) = task.state.after(event) else {
        return Ok(Finish::Refused(Fenced::NotRunning { state: task.state }));
    };
    let rank = due.is_none().then(|| rank::rank(now, task.priority));
    connection
        .prepare_cached(
            "UPDATE task SET state = ?2, rank = ?3, due = ?4, lease_until = NULL, error = ?5 WHERE id = ?1",
        )?
        .execute((task.id, state.as_str(), rank, due, why))?;
    row::tell(connection, (task.run, Some(task.number)), kind, Some(why), now)?;
    Ok(Finish::Accepted { state, retry_at: due, run_over: false })
}

fn end(
    connection: &Connection,
    task: Head,
    event: TaskEvent,
    why: Option<&str>,
    now: UnixMillis,
) -> Result<Finish, Fault> {
    let before = task.state;
    let Some(state) = before.after(event) else {
        return Ok(Finish::Refused(Fenced::NotRunning { state: before }));
    };
    let mut settling = Settling::new(connection, task.run, now);
    settling.end(task, event, why)?;
    let run_over = settling.finish()?.run_over;
    Ok(Finish::Accepted { state, retry_at: None, run_over })
}

fn record(connection: &Connection, task: &Head, end: &End<'_>) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT INTO attempt (task, number, worker, started, ended, outcome, error, result, evidence)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            task.id,
            task.attempts,
            task.worker.as_deref().unwrap_or_default(),
            task.started.unwrap_or(end.now),
            end.now,
            end.outcome,
            end.error,
            end.result,
            end.evidence,
        ])?;
    // To be learnt from, once.
    connection
        .prepare_cached("INSERT INTO lesson (task, number) VALUES (?1, ?2)")?
        .execute((task.id, task.attempts))?;
    Ok(())
}

/// What comes too late may be the second time that the same is said: the first answer was lost.
fn late(
    connection: &Connection,
    task: &TaskId,
    token: u64,
    outcome: &str,
    fenced: Fenced,
) -> Result<Finish, Fault> {
    let kept: Option<(String, TaskState)> = connection
        .prepare_cached(
            "SELECT attempt.outcome, task.state FROM run JOIN task ON task.run = run.id
                 JOIN attempt ON attempt.task = task.id
             WHERE run.name = ?1 AND run.gone = 0 AND task.number = ?2 AND attempt.number = ?3",
        )?
        .query_row((&task.run, task.number, token), |row| Ok((row.get(0)?, row::state(row, 1)?)))
        .optional()?;
    Ok(match kept {
        Some((kept, state)) if kept == outcome => Finish::Repeated { state },
        _ => Finish::Refused(fenced),
    })
}

/// What a verdict asks of a task; the attempt that has just ended is kept already.
fn tried(connection: &Connection, task: &Head) -> Result<Tried, Fault> {
    let given_back = connection
        .prepare_cached("SELECT count(*) FROM attempt WHERE task = ?1 AND outcome = ?2")?
        .query_row((task.id, retry::Failure::GivenBack.as_str()), |row| row.get(0))?;
    Ok(Tried {
        attempts: task.attempts,
        lost: task.lost,
        given_back,
        max_attempts: task.max_attempts,
        cancel_wanted: task.cancel_wanted.is_some(),
    })
}
