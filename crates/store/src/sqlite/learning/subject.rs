//! The pattern that an observation is of, found or made, inside of a transaction.

use rusqlite::{Connection, OptionalExtension as _};

use super::super::Fault;
use super::{Head, head, number, polarity};
use crate::StoreError;
use crate::learning::{Observation, PatternId, Polarity, State, Subject, Tally, Texts};
use crate::limits::PATTERNS_PER_PRINCIPAL;

/// The pattern, made if it is only titled and not there, and whether it was made.
pub(super) fn subject(
    connection: &Connection,
    learner: i64,
    observation: &Observation,
) -> Result<(Head, bool), Fault> {
    let (side, title, texts) = match &observation.pattern {
        Subject::Id(id) => return Ok((head(connection, learner, *id)?, false)),
        Subject::Titled { polarity, title, texts } => (*polarity, title, texts),
    };
    let found: Option<i64> = connection
        .prepare_cached("SELECT id FROM pattern WHERE learner = ?1 AND polarity = ?2 AND title = ?3")?
        .query_row((learner, polarity(side), title), |row| row.get(0))
        .optional()?;
    let Some(id) = found else {
        return Ok((create(connection, learner, side, title, texts, observation)?, true));
    };
    let head = head(connection, learner, PatternId(id))?;
    if observation.trials.count() == 0 {
        // The name of a part says nothing of the whole's texts.
        if head.id == id {
            save_texts(connection, id, texts)?;
        }
        let mut reinstate = connection.prepare_cached("UPDATE pattern SET retired = NULL WHERE id = ?1")?;
        reinstate.execute([head.id])?;
    }
    Ok((head, false))
}

fn create(
    connection: &Connection,
    learner: i64,
    side: Polarity,
    title: &str,
    texts: &Texts,
    observation: &Observation,
) -> Result<Head, Fault> {
    let now = observation.trials.at;
    make_room(connection, learner)?;
    let id = connection
        .prepare_cached(
            "INSERT INTO pattern (learner, polarity, title, created, tally_at) VALUES (?1, ?2, ?3, ?4, ?4)",
        )?
        .insert((learner, polarity(side), title, now))?;
    save_texts(connection, id, texts)?;
    connection
        .prepare_cached("UPDATE learner SET patterns = patterns + 1 WHERE id = ?1")?
        .execute([learner])?;
    let none = Tally { at: now, ..Tally::default() };
    let (polarity, state) = (polarity(side), State::default());
    Ok(Head { id, polarity, state, tally: none, measured: none, suggested: None })
}

fn save_texts(connection: &Connection, pattern: i64, texts: &Texts) -> Result<(), Fault> {
    let tags = serde_json::Value::from(texts.tags.clone()).to_string();
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO pattern_text (pattern, tags, description, content) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute((pattern, tags, &texts.description, &texts.content))?;
    connection.prepare_cached("UPDATE pattern SET told = told + 1 WHERE id = ?1")?.execute([pattern])?;
    Ok(())
}

/// Removes the retired pattern that was tried longest ago, or the name of one that became a part of another, if there are as
/// many patterns as there may be.
fn make_room(connection: &Connection, learner: i64) -> Result<(), Fault> {
    let patterns: u64 = connection
        .prepare_cached(
            "SELECT patterns + (SELECT count(*) FROM pattern WHERE merged_into IS NOT NULL AND learner = ?1)
             FROM learner WHERE id = ?1",
        )?
        .query_row([learner], |row| row.get(0))?;
    if patterns < PATTERNS_PER_PRINCIPAL {
        return Ok(());
    }
    let retired: Option<(i64, u64)> = connection
        .prepare_cached(
            "SELECT id, merged_into IS NULL FROM pattern
             WHERE learner = ?1 AND (merged_into IS NOT NULL OR retired IS NOT NULL OR state = ?2)
             ORDER BY coalesce(last, created), id LIMIT 1",
        )?
        .query_row((learner, number(State::Retired)), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((id, whole)) = retired else {
        let (limit, actual) = (PATTERNS_PER_PRINCIPAL, patterns + 1);
        return Err(StoreError::Limit { what: "number of patterns", limit, actual }.into());
    };
    connection
        .prepare_cached(
            "UPDATE learner SET patterns = patterns - ?3,
                kept = kept - (SELECT count(*) FROM observation WHERE pattern = ?2) WHERE id = ?1",
        )?
        .execute((learner, id, whole))?;
    connection.prepare_cached("DELETE FROM pattern WHERE id = ?1")?.execute([id])?;
    Ok(())
}
