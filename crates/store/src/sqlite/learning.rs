//! Learning: patterns, their tallies, observations and forecasts.

mod merge;
mod observe;
mod read;
mod subject;
mod tasks;

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::{Fault, SqliteStore};
use crate::contract::{LearningStore, StoreFuture};
use crate::learning::{
    Ended, Kept, Learned, Lesson, Lessons, Observation, Observed, Pattern, PatternId, Polarity, Rule, Seen,
    State, Tally, Which,
};
use crate::limits::OBSERVATIONS_PER_BATCH;
use crate::memory::limit;
use crate::{StoreError, UnixMillis};

/// The seventh step of the schema. `lesson`: attempts from which nothing was learnt yet, those of older files among them.
/// `measured_…`: the part of a tally that our own tools have seen; where others asserted some, nobody knows it any more.
pub(super) const FROM_TASKS: &str = "
    ALTER TABLE learner ADD COLUMN flaky INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE observation ADD COLUMN flaky INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE pattern ADD COLUMN flaky INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE pattern ADD COLUMN measured_successes REAL NOT NULL DEFAULT 0;
    ALTER TABLE pattern ADD COLUMN measured_failures REAL NOT NULL DEFAULT 0;
    ALTER TABLE pattern ADD COLUMN told INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE pattern ADD COLUMN suggested INTEGER;
    UPDATE pattern SET measured_successes = tally_successes, measured_failures = tally_failures WHERE asserted = 0;
    CREATE TABLE uplift (
        learner   INTEGER NOT NULL REFERENCES learner (id),
        measured  INTEGER NOT NULL,
        used      INTEGER NOT NULL,
        successes INTEGER NOT NULL,
        failures  INTEGER NOT NULL,
        PRIMARY KEY (learner, measured, used)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE lesson (
        task   INTEGER NOT NULL,
        number INTEGER NOT NULL,
        PRIMARY KEY (task, number),
        FOREIGN KEY (task, number) REFERENCES attempt (task, number) ON DELETE CASCADE
    ) STRICT, WITHOUT ROWID;
    INSERT INTO lesson SELECT task, number FROM attempt;";

impl LearningStore for SqliteStore {
    fn observe(
        &self,
        principal: String,
        observations: Vec<Observation>,
        rule: Rule,
    ) -> StoreFuture<'_, Vec<Observed>> {
        Box::pin(async move {
            limit("number of observations", observations.len(), OBSERVATIONS_PER_BATCH)?;
            observations.iter().try_for_each(Observation::validate)?;
            let write =
                move |connection: &Connection| observe::observe(connection, &principal, &observations, &rule);
            self.writer.write_through(write).await
        })
    }

    fn learn_from_tasks(&self, lesson: fn(&Ended) -> Option<Lesson>, rule: Rule) -> StoreFuture<'_, Lessons> {
        Box::pin(async move {
            // Asked often, and mostly there is nothing: no transaction for that.
            if !self.look(tasks::is_any).await? {
                return Ok(Lessons::default());
            }
            self.writer.write(move |connection| tasks::learn(connection, lesson, &rule)).await
        })
    }

    fn suggested(&self, principal: String, patterns: Vec<PatternId>, now: UnixMillis) -> StoreFuture<'_, ()> {
        let note = move |connection: &Connection| {
            let learner = learner(connection, &principal)?;
            let mut note = connection
                .prepare_cached("UPDATE pattern SET suggested = ?3 WHERE id = ?1 AND learner = ?2")?;
            for pattern in patterns {
                note.execute((pattern.0, learner, now))?;
            }
            Ok(())
        };
        Box::pin(self.writer.write(note))
    }

    fn patterns(&self, principal: String, which: Which) -> StoreFuture<'_, Vec<Pattern>> {
        Box::pin(self.look(move |connection| read::patterns(connection, &principal, &which)))
    }

    fn observations(&self, principal: String, pattern: PatternId, most: u32) -> StoreFuture<'_, Vec<Kept>> {
        Box::pin(self.look(move |connection| read::observations(connection, &principal, pattern, most)))
    }

    fn retire(&self, principal: String, pattern: PatternId, now: UnixMillis) -> StoreFuture<'_, ()> {
        let retire = move |connection: &Connection| {
            let head = head(connection, learner(connection, &principal)?, pattern)?;
            let mut retire = connection.prepare_cached("UPDATE pattern SET retired = ?2 WHERE id = ?1")?;
            retire.execute((head.id, now))?;
            Ok(())
        };
        Box::pin(self.writer.write_through(retire))
    }

    fn merge(&self, principal: String, part: PatternId, whole: PatternId, rule: Rule) -> StoreFuture<'_, ()> {
        let merge = move |connection: &Connection| merge::merge(connection, &principal, part, whole, &rule);
        Box::pin(self.writer.write_through(merge))
    }

    fn learned(&self, principal: String) -> StoreFuture<'_, Learned> {
        Box::pin(self.look(move |connection| read::learned(connection, &principal)))
    }
}

/// What is needed of a pattern to count something.
struct Head {
    id: i64,
    polarity: i64,
    state: State,
    tally: Tally,
    /// What of the tally our own tools have measured, at the same moment.
    measured: Tally,
    /// When it was suggested, if no outcome has come since.
    suggested: Option<UnixMillis>,
}

/// The learner's row, if there is one; no pattern has the number nought.
fn learner(connection: &Connection, principal: &str) -> Result<i64, Fault> {
    let mut found = connection.prepare_cached("SELECT id FROM learner WHERE principal = ?1")?;
    Ok(found.query_row([principal], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// A pattern of this learner, or the one that it became a part of.
fn head(connection: &Connection, learner: i64, pattern: PatternId) -> Result<Head, Fault> {
    let mut found = connection.prepare_cached(
        "SELECT whole.id, whole.polarity, whole.state, whole.tally_successes, whole.tally_failures, whole.tally_at,
                whole.measured_successes, whole.measured_failures, whole.tally_at, whole.suggested
         FROM pattern JOIN pattern whole ON whole.id = coalesce(pattern.merged_into, pattern.id)
         WHERE pattern.id = ?1 AND pattern.learner = ?2",
    )?;
    let found = found.query_row((pattern.0, learner), |row| {
        Ok(Head {
            id: row.get(0)?,
            polarity: row.get(1)?,
            state: state(row, 2)?,
            tally: tally(row, 3)?,
            measured: tally(row, 6)?,
            suggested: row.get(9)?,
        })
    });
    let what = "there is no such pattern";
    found.optional()?.ok_or_else(|| StoreError::Pattern { id: pattern.0, what }.into())
}

/// A tally from three columns.
pub(super) fn tally(row: &Row<'_>, column: usize) -> rusqlite::Result<Tally> {
    Ok(Tally { successes: row.get(column)?, failures: row.get(column + 1)?, at: row.get(column + 2)? })
}

pub(super) fn state(row: &Row<'_>, column: usize) -> rusqlite::Result<State> {
    let number: usize = row.get(column)?;
    let unknown = || format!("{number} is no state").into();
    let known = State::ALL.get(number).copied();
    known.ok_or_else(|| rusqlite::Error::FromSqlConversionFailure(column, Type::Integer, unknown()))
}

/// A state as it is kept: its place among all.
pub(super) fn number(state: State) -> i64 {
    State::ALL.iter().position(|one| *one == state).map_or(0, usize::cast_signed) as i64
}

pub(super) fn seen(row: &Row<'_>, column: usize) -> rusqlite::Result<Seen> {
    Ok(Seen {
        successes: row.get(column)?,
        failures: row.get(column + 1)?,
        infrastructure: row.get(column + 2)?,
        asserted: row.get(column + 3)?,
        rewards: row.get(column + 4)?,
        reward_sum: row.get(column + 5)?,
        flaky: row.get(column + 6)?,
    })
}

pub(super) fn side(row: &Row<'_>, column: usize) -> rusqlite::Result<Polarity> {
    Ok(if row.get::<_, i64>(column)? < 0 { Polarity::Avoid } else { Polarity::Do })
}

pub(super) fn polarity(polarity: Polarity) -> i64 {
    match polarity {
        Polarity::Do => 1,
        Polarity::Avoid => -1,
    }
}
