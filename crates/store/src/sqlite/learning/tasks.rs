//! Learning from tasks, inside of a transaction.

use aqe_core::work::Failure;
use rusqlite::{Connection, OptionalExtension as _};

use super::super::Fault;
use super::super::work::outcome;
use super::{observe, polarity};
use crate::StoreError;
use crate::learning::{Ended, Lesson, Lessons, Rule, Subject};
use crate::limits::{LESSONS_MAX, PATTERNS_BEFORE_TASKS_SHARE};
use crate::work::TaskId;

/// An attempt, the number of its task's row, and whose it is.
type Row = (Ended, i64, String);

/// Whether there is anything to learn from.
pub(super) fn is_any(connection: &Connection) -> Result<bool, Fault> {
    let mut any = connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM lesson)")?;
    Ok(any.query_row((), |row| row.get(0))?)
}

pub(super) fn learn(
    connection: &Connection,
    lesson: fn(&Ended) -> Option<Lesson>,
    rule: &Rule,
) -> Result<Lessons, Fault> {
    let ended = ended(connection)?;
    let mut lessons = Lessons { attempts: ended.len() as u32, lost: 0 };
    let mut learners = Vec::new();
    for (ended, task, principal) in ended {
        connection
            .prepare_cached("DELETE FROM lesson WHERE task = ?1 AND number = ?2")?
            .execute((task, ended.token))?;
        let Some(lesson) = lesson(&ended) else { continue };
        if lesson.observation.validate().is_err() {
            lessons.lost += 1;
            continue;
        }
        let learner = observe::learner(connection, &principal)?;
        learners.push(learner);
        match observe::count(connection, learner, &shared(connection, learner, lesson)?, rule) {
            Ok(_) => {}
            // No room for the pattern: nothing was written of it, and the tasks that follow are not held up.
            Err(Fault::Store(StoreError::Limit { .. })) => lessons.lost += 1,
            Err(fault) => return Err(fault),
        }
    }
    learners.sort_unstable();
    learners.dedup();
    for learner in learners {
        observe::prune(connection, learner)?;
    }
    Ok(lessons)
}

/// The observation, under the shared title where there are many patterns and none of its own.
fn shared(
    connection: &Connection,
    learner: i64,
    Lesson { mut observation, shared }: Lesson,
) -> Result<crate::learning::Observation, Fault> {
    let Subject::Titled { polarity: side, title, .. } = &mut observation.pattern else {
        return Ok(observation);
    };
    let is_known: bool = connection
        .prepare_cached(
            "SELECT patterns < ?4 OR EXISTS (
                 SELECT 1 FROM pattern WHERE learner = ?1 AND polarity = ?2 AND title = ?3)
             FROM learner WHERE id = ?1",
        )?
        .query_row((learner, polarity(*side), &*title, PATTERNS_BEFORE_TASKS_SHARE), |row| row.get(0))
        .optional()?
        .unwrap_or(true);
    if !is_known {
        *title = shared;
    }
    Ok(observation)
}

/// Attempts from which nothing was learnt yet, the tasks that were submitted first before the others.
fn ended(connection: &Connection) -> Result<Vec<Row>, Fault> {
    let mut ended = connection.prepare_cached(
        "SELECT run.name, task.number, lesson.number, task.profile, task_input.payload, attempt.outcome,
             attempt.result IS NOT NULL, attempt.ended,
             EXISTS (SELECT 1 FROM attempt AS other WHERE other.task = lesson.task
                 AND other.number < lesson.number AND other.outcome = ?2),
             lesson.task, run.principal
         FROM lesson JOIN attempt ON attempt.task = lesson.task AND attempt.number = lesson.number
             JOIN task ON task.id = lesson.task JOIN task_input ON task_input.task = lesson.task
             JOIN run ON run.id = task.run
         ORDER BY lesson.task, lesson.number LIMIT ?1",
    )?;
    let ended = ended.query_map((LESSONS_MAX, Failure::ExitCode.as_str()), |row| {
        let ended = Ended {
            task: TaskId { run: row.get(0)?, number: row.get(1)? },
            token: row.get(2)?,
            profile: row.get(3)?,
            payload: row.get(4)?,
            outcome: outcome(row, 5)?,
            has_result: row.get(6)?,
            at: row.get(7)?,
            failed_before: row.get(8)?,
        };
        Ok((ended, row.get(9)?, row.get(10)?))
    })?;
    Ok(ended.collect::<rusqlite::Result<_>>()?)
}
