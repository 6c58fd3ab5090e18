//! Counting observations, inside of a transaction.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::super::Fault;
use super::subject::subject;
use super::{Head, number, polarity, state, tally};
use crate::learning::{BINS, Observation, Observed, PatternId, Polarity, Rule, Tally, Trials};
use crate::limits::{CONTEXTS_PER_PATTERN, OBSERVATIONS_PER_PRINCIPAL, SUGGESTION_COUNTS_MS};

pub(super) fn observe(
    connection: &Connection,
    principal: &str,
    observations: &[Observation],
    rule: &Rule,
) -> Result<Vec<Observed>, Fault> {
    let learner = learner(connection, principal)?;
    let observed = observations.iter().map(|one| count(connection, learner, one, rule)).collect();
    prune(connection, learner)?;
    observed
}

/// The learner's row, made if there is none.
pub(super) fn learner(connection: &Connection, principal: &str) -> Result<i64, Fault> {
    connection
        .prepare_cached("INSERT INTO learner (principal) VALUES (?1) ON CONFLICT DO NOTHING")?
        .execute([principal])?;
    super::learner(connection, principal)
}

pub(super) fn count(
    connection: &Connection,
    learner: i64,
    observation: &Observation,
    rule: &Rule,
) -> Result<Observed, Fault> {
    let (head, created) = subject(connection, learner, observation)?;
    let levels = levels(connection, head.id, &observation.levels)?;
    let trials = &observation.trials;
    let now = trials.at;
    let known = levels.iter().flatten().map(|tally| tally.at(now, rule.half_life_ms));
    let known = known.into_iter().find(|tally| tally.n_eff() >= rule.back_off_below);
    let predicted = known.unwrap_or_else(|| head.tally.at(now, rule.half_life_ms)).mean();
    let id = PatternId(head.id);
    let mut observed = Observed { id, created, counted: false, predicted, used: None };
    if trials.count() == 0 || !note(connection, learner, head.id, observation)? {
        return Ok(observed);
    }
    observed.counted = true;
    observed.used = used(connection, learner, &head, observation)?;
    let Trials { successes, failures, .. } = *trials;
    let add = |tally: Tally| tally.with(successes.into(), failures.into(), now, rule.half_life_ms);
    for (name, tally) in observation.levels.iter().zip(levels) {
        let tally = add(tally.unwrap_or(Tally { at: now, ..Tally::default() }));
        save_level(connection, head.id, name, tally)?;
    }
    let tally = add(head.tally);
    let is_measured = trials.asserted_by.is_none();
    let measured = if is_measured { add(head.measured) } else { head.measured.at(now, rule.half_life_ms) };
    let next = (rule.decide)(head.state, &tally, &measured);
    connection
        .prepare_cached(
            "UPDATE pattern SET state = ?2, tally_successes = ?3, tally_failures = ?4, tally_at = ?5,
                last = max(coalesce(last, ?6), ?6), successes = successes + ?7, failures = failures + ?8,
                infrastructure = infrastructure + ?9, asserted = asserted + ?10, rewards = rewards + ?11,
                reward_sum = reward_sum + ?12, flaky = flaky + ?13,
                measured_successes = ?14, measured_failures = ?15
             WHERE id = ?1",
        )?
        .execute(params![
            head.id,
            number(next),
            tally.successes,
            tally.failures,
            tally.at,
            now,
            successes,
            failures,
            trials.infrastructure,
            asserted(trials),
            trials.reward.is_some(),
            trials.reward.unwrap_or(0.0),
            trials.flaky,
            measured.successes,
            measured.failures,
        ])?;
    foretold(connection, learner, predicted, trials)?;
    Ok(observed)
}

fn asserted(trials: &Trials) -> u64 {
    if trials.asserted_by.is_some() { trials.count() } else { 0 }
}

/// Whether what was learnt was made use of, counted beside the outcome. A suggestion is used once.
fn used(
    connection: &Connection,
    learner: i64,
    head: &Head,
    observation: &Observation,
) -> Result<Option<bool>, Fault> {
    let trials = &observation.trials;
    let is_measured = trials.asserted_by.is_none();
    let used = if is_measured {
        observation.used
    } else if head.polarity == polarity(Polarity::Do) {
        let since = trials.at.saturating_sub(SUGGESTION_COUNTS_MS);
        Some(head.suggested.is_some_and(|suggested| suggested >= since))
    } else {
        // That it is right to avoid something is no success of who avoided it.
        None
    };
    let Some(is_used) = used.filter(|_| trials.judged() > 0) else { return Ok(None) };
    connection
        .prepare_cached(
            "INSERT INTO uplift (learner, measured, used, successes, failures) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO UPDATE SET successes = successes + excluded.successes,
                failures = failures + excluded.failures",
        )?
        .execute((learner, is_measured, is_used, trials.successes, trials.failures))?;
    if is_used && !is_measured {
        connection.prepare_cached("UPDATE pattern SET suggested = NULL WHERE id = ?1")?.execute([head.id])?;
    }
    Ok(Some(is_used))
}

/// The tallies of these contexts, where there are any.
fn levels(connection: &Connection, pattern: i64, names: &[String]) -> Result<Vec<Option<Tally>>, Fault> {
    let mut found = connection.prepare_cached(
        "SELECT tally_successes, tally_failures, tally_at FROM pattern_context WHERE pattern = ?1 AND name = ?2",
    )?;
    names.iter().map(|name| Ok(found.query_row((pattern, name), |row| tally(row, 0)).optional()?)).collect()
}

/// A context beyond the bound is not counted apart.
pub(super) fn save_level(
    connection: &Connection,
    pattern: i64,
    name: &str,
    tally: Tally,
) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT INTO pattern_context (pattern, name, tally_successes, tally_failures, tally_at)
             SELECT ?1, ?2, ?3, ?4, ?5
             WHERE (SELECT count(*) FROM pattern_context WHERE pattern = ?1) < ?6
                OR EXISTS (SELECT 1 FROM pattern_context WHERE pattern = ?1 AND name = ?2)
             ON CONFLICT DO UPDATE SET tally_successes = excluded.tally_successes,
                tally_failures = excluded.tally_failures, tally_at = excluded.tally_at",
        )?
        .execute((pattern, name, tally.successes, tally.failures, tally.at, CONTEXTS_PER_PATTERN))?;
    Ok(())
}

/// Keeps the observation itself; answers whether its evidence is new.
fn note(
    connection: &Connection,
    learner: i64,
    pattern: i64,
    observation: &Observation,
) -> Result<bool, Fault> {
    let trials = &observation.trials;
    let noted = connection
        .prepare_cached(
            "INSERT INTO observation
                (learner, pattern, context, successes, failures, infrastructure, reward, evidence, asserted_by, at,
                 flaky)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            learner,
            pattern,
            observation.levels.first(),
            trials.successes,
            trials.failures,
            trials.infrastructure,
            trials.reward,
            trials.evidence,
            trials.asserted_by,
            trials.at,
            trials.flaky,
        ])?;
    if noted == 0 {
        return Ok(false);
    }
    connection
        .prepare_cached(
            "UPDATE learner SET kept = kept + 1, successes = successes + ?2, failures = failures + ?3,
                infrastructure = infrastructure + ?4, asserted = asserted + ?5, rewards = rewards + ?6,
                reward_sum = reward_sum + ?7, last = max(coalesce(last, ?8), ?8), flaky = flaky + ?9
             WHERE id = ?1",
        )?
        .execute(params![
            learner,
            trials.successes,
            trials.failures,
            trials.infrastructure,
            asserted(trials),
            trials.reward.is_some(),
            trials.reward.unwrap_or(0.0),
            trials.at,
            trials.flaky,
        ])?;
    Ok(true)
}

/// Keeps what was foretold beside what came.
fn foretold(connection: &Connection, learner: i64, predicted: f64, trials: &Trials) -> Result<(), Fault> {
    let (successes, failures) = (f64::from(trials.successes), f64::from(trials.failures));
    let judged = trials.judged().cast_signed();
    if judged == 0 {
        return Ok(());
    }
    let bin = ((predicted * BINS as f64) as usize).min(BINS - 1);
    let squared = successes * (1.0 - predicted).powi(2) + failures * predicted.powi(2);
    connection
        .prepare_cached(
            "INSERT INTO forecast (learner, bin, trials, predicted, successes, squared)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO UPDATE SET trials = trials + excluded.trials, predicted = predicted + excluded.predicted,
                successes = successes + excluded.successes, squared = squared + excluded.squared",
        )?
        .execute(params![learner, bin, judged, predicted * judged as f64, trials.successes, squared])?;
    Ok(())
}

/// Removes the oldest observations beyond the bound.
pub(super) fn prune(connection: &Connection, learner: i64) -> Result<(), Fault> {
    let kept: u64 = connection
        .prepare_cached("SELECT kept FROM learner WHERE id = ?1")?
        .query_row([learner], |row| row.get(0))?;
    let excess = kept.saturating_sub(OBSERVATIONS_PER_PRINCIPAL);
    if excess == 0 {
        return Ok(());
    }
    connection
        .prepare_cached(
            "DELETE FROM observation WHERE id IN
             (SELECT id FROM observation WHERE learner = ?1 ORDER BY id LIMIT ?2)",
        )?
        .execute((learner, excess))?;
    connection
        .prepare_cached("UPDATE learner SET kept = kept - ?2 WHERE id = ?1")?
        .execute((learner, excess))?;
    Ok(())
}

/// The state of a pattern that got others' tallies.
pub(super) fn settle(connection: &Connection, pattern: i64, rule: &Rule) -> Result<(), Fault> {
    let (was, tally, measured) = connection
        .prepare_cached(
            "SELECT state, tally_successes, tally_failures, tally_at, measured_successes, measured_failures, tally_at
             FROM pattern WHERE id = ?1",
        )?
        .query_row([pattern], |row| Ok((state(row, 0)?, tally(row, 1)?, tally(row, 4)?)))?;
    connection
        .prepare_cached("UPDATE pattern SET state = ?2 WHERE id = ?1")?
        .execute((pattern, number((rule.decide)(was, &tally, &measured))))?;
    Ok(())
}
