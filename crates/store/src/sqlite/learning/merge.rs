//! One pattern becomes a part of another, inside of a transaction.

use rusqlite::{Connection, params};

use super::super::Fault;
use super::{head, learner, observe, tally};
use crate::StoreError;
use crate::learning::{PatternId, Rule, Tally};

pub(super) fn merge(
    connection: &Connection,
    principal: &str,
    part: PatternId,
    whole: PatternId,
    rule: &Rule,
) -> Result<(), Fault> {
    let learner = learner(connection, principal)?;
    let (from, into) = (head(connection, learner, part)?, head(connection, learner, whole)?);
    let fault = |what| Err(StoreError::Pattern { id: part.0, what }.into());
    if from.id == into.id {
        return fault("it is the pattern that it is to be merged into, or a part of it already");
    }
    if from.polarity != into.polarity {
        return fault("one says what to do, the other what to avoid: these are never merged");
    }
    let tallies = |pattern: i64| -> Result<Vec<(String, Tally)>, Fault> {
        let mut all = connection.prepare_cached(
            "SELECT name, tally_successes, tally_failures, tally_at FROM pattern_context WHERE pattern = ?1",
        )?;
        let all = all.query_map([pattern], |row| Ok((row.get(0)?, tally(row, 1)?)))?;
        Ok(all.collect::<rusqlite::Result<_>>()?)
    };
    let known = tallies(into.id)?;
    for (name, tally) in tallies(from.id)? {
        let other = known.iter().find(|(other, _)| *other == name).map(|(_, other)| *other);
        let both = other.map_or(tally, |other| other.and(tally, rule.half_life_ms));
        observe::save_level(connection, into.id, &name, both)?;
    }
    let both = into.tally.and(from.tally, rule.half_life_ms);
    let measured = into.measured.and(from.measured, rule.half_life_ms);
    connection
        .prepare_cached(
            "UPDATE pattern SET tally_successes = ?3, tally_failures = ?4, tally_at = ?5,
                successes = pattern.successes + part.successes, failures = pattern.failures + part.failures,
                measured_successes = ?6, measured_failures = ?7,
                infrastructure = pattern.infrastructure + part.infrastructure, flaky = pattern.flaky + part.flaky,
                asserted = pattern.asserted + part.asserted, rewards = pattern.rewards + part.rewards,
                reward_sum = pattern.reward_sum + part.reward_sum,
                last = max(coalesce(pattern.last, part.last), coalesce(part.last, pattern.last))
             FROM pattern part WHERE pattern.id = ?2 AND part.id = ?1",
        )?
        .execute(params![
            from.id,
            into.id,
            both.successes,
            both.failures,
            both.at,
            measured.successes,
            measured.failures
        ])?;
    connection
        .prepare_cached("UPDATE OR IGNORE observation SET pattern = ?2 WHERE pattern = ?1")?
        .execute((from.id, into.id))?;
    let twice =
        connection.prepare_cached("DELETE FROM observation WHERE pattern = ?1")?.execute([from.id])?;
    connection.prepare_cached("DELETE FROM pattern_context WHERE pattern = ?1")?.execute([from.id])?;
    connection
        .prepare_cached(
            "UPDATE pattern SET merged_into = ?2, tally_successes = 0, tally_failures = 0,
                measured_successes = 0, measured_failures = 0
             WHERE id = ?1 OR merged_into = ?1",
        )?
        .execute((from.id, into.id))?;
    connection
        .prepare_cached("UPDATE learner SET patterns = patterns - 1, kept = kept - ?2 WHERE id = ?1")?
        .execute((learner, twice))?;
    observe::settle(connection, into.id, rule)
}
