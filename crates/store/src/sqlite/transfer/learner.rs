//! What principals have learnt, as units.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::super::Fault;
use super::super::learning::{number, polarity, seen, side, state, tally};
use super::super::vector::tags_of;
use super::Stopped;
use crate::transfer::{
    Context, Forecast, LearnerRecord, LearnerUnit, ObservationRecord, PatternRecord, TransferError, Uplift,
};

/// How many learners, patterns and observations there are.
pub(super) fn counts(connection: &Connection, principal: Option<&str>) -> Result<(u64, u64, u64), Fault> {
    Ok(connection.query_row(
        "SELECT count(*), coalesce(sum((SELECT count(*) FROM pattern WHERE learner = l.id)), 0),
                coalesce(sum((SELECT count(*) FROM observation WHERE learner = l.id)), 0)
         FROM learner l WHERE ?1 IS NULL OR principal = ?1",
        [principal],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?)
}

/// Hands out what each principal has learnt, in the order of their names.
pub(super) fn each(
    connection: &Connection,
    principal: Option<&str>,
    mut take: impl FnMut(LearnerUnit) -> Result<(), TransferError>,
) -> Result<(), Stopped> {
    let mut names = connection
        .prepare("SELECT principal FROM learner WHERE ?1 IS NULL OR principal = ?1 ORDER BY principal")?;
    let names = names.query_map([principal], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    for name in names {
        if let Some((_, unit)) = find(connection, &name)? {
            take(unit)?;
        }
    }
    Ok(())
}

/// What the principal has learnt, with its number.
pub(super) fn find(connection: &Connection, principal: &str) -> Result<Option<(i64, LearnerUnit)>, Fault> {
    let found = connection
        .prepare_cached(
            "SELECT id, last, successes, failures, infrastructure, asserted, rewards, reward_sum, flaky
             FROM learner WHERE principal = ?1",
        )?
        .query_row([principal], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?, seen(row, 2)?)))
        .optional()?;
    let Some((id, last, sums)) = found else { return Ok(None) };
    let mut bins = connection.prepare_cached(
        "SELECT bin, trials, predicted, successes, squared FROM forecast WHERE learner = ?1 ORDER BY bin",
    )?;
    let forecasts = bins.query_map([id], |row| {
        let (bin, trials, predicted) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(Forecast { bin, trials, predicted, successes: row.get(3)?, squared: row.get(4)? })
    })?;
    let forecasts = forecasts.collect::<rusqlite::Result<Vec<_>>>()?;
    let mut uplift = connection.prepare_cached(
        "SELECT measured, used, successes, failures FROM uplift WHERE learner = ?1 ORDER BY measured, used",
    )?;
    let uplift = uplift.query_map([id], |row| {
        Ok(Uplift { measured: row.get(0)?, used: row.get(1)?, successes: row.get(2)?, failures: row.get(3)? })
    })?;
    let uplift = uplift.collect::<rusqlite::Result<Vec<_>>>()?;
    let (ids, mut patterns) = patterns(connection, id)?;
    for (id, pattern) in ids.iter().zip(&mut patterns) {
        pattern.contexts = contexts(connection, *id)?;
    }
    let places = places(&ids);
    let mut all = connection.prepare_cached(
        "SELECT pattern, context, successes, failures, infrastructure, reward, evidence, asserted_by, at,
                flaky
         FROM observation WHERE learner = ?1 ORDER BY id",
    )?;
    let observations = all.query_map([id], |row| {
        let pattern: i64 = row.get(0)?;
        Ok(ObservationRecord {
            pattern: places.get(&pattern).copied().unwrap_or(0),
            context: row.get(1)?,
            successes: row.get(2)?,
            failures: row.get(3)?,
            infrastructure: row.get(4)?,
            reward: row.get(5)?,
            evidence: row.get(6)?,
            asserted_by: row.get(7)?,
            at: row.get(8)?,
            flaky: row.get(9)?,
        })
    })?;
    let observations = observations.collect::<rusqlite::Result<Vec<_>>>()?;
    let head = LearnerRecord {
        principal: principal.to_owned(),
        sums,
        last,
        forecasts,
        uplift,
        patterns: patterns.len() as u64,
        observations: observations.len() as u64,
    };
    Ok(Some((id, LearnerUnit { head, patterns, observations })))
}

/// The patterns of a learner with their numbers, in the order of polarity and title.
fn patterns(connection: &Connection, learner: i64) -> Result<(Vec<i64>, Vec<PatternRecord>), Fault> {
    let mut all = connection.prepare_cached(
        "SELECT p.id, polarity, title, created, last, state, retired, merged_into, tally_successes, tally_failures,
                tally_at, successes, failures, infrastructure, asserted, rewards, reward_sum, flaky,
                t.description, t.content, t.tags, told, suggested, measured_successes, measured_failures, tally_at
         FROM pattern p LEFT JOIN pattern_text t ON t.pattern = p.id
         WHERE learner = ?1 ORDER BY polarity, title",
    )?;
    let rows = all.query_map([learner], |row| {
        let tags: Option<String> = row.get(20)?;
        let pattern = PatternRecord {
            polarity: side(row, 1)?,
            title: row.get(2)?,
            created: row.get(3)?,
            last: row.get(4)?,
            state: state(row, 5)?,
            retired: row.get(6)?,
            merged_into: None,
            told: row.get(21)?,
            suggested: row.get(22)?,
            tally: tally(row, 8)?,
            measured: tally(row, 23)?,
            sums: seen(row, 11)?,
            description: row.get::<_, Option<String>>(18)?.unwrap_or_default(),
            content: row.get::<_, Option<String>>(19)?.unwrap_or_default(),
            tags: tags_of(tags.as_deref()),
            contexts: Vec::new(),
        };
        Ok((row.get(0)?, row.get(7)?, pattern))
    })?;
    let rows = rows.collect::<rusqlite::Result<Vec<(i64, Option<i64>, PatternRecord)>>>()?;
    let ids: Vec<i64> = rows.iter().map(|(id, ..)| *id).collect();
    let places = places(&ids);
    let patterns = rows.into_iter().map(|(_, whole, pattern)| PatternRecord {
        merged_into: whole.and_then(|whole| places.get(&whole).copied()),
        ..pattern
    });
    Ok((ids, patterns.collect()))
}

/// The place of each number among all.
fn places(ids: &[i64]) -> HashMap<i64, u64> {
    ids.iter().enumerate().map(|(place, &id)| (id, place as u64)).collect()
}

fn contexts(connection: &Connection, pattern: i64) -> Result<Vec<Context>, Fault> {
    let mut all = connection.prepare_cached(
        "SELECT name, tally_successes, tally_failures, tally_at FROM pattern_context WHERE pattern = ?1 ORDER BY name",
    )?;
    let all = all.query_map([pattern], |row| Ok(Context { name: row.get(0)?, tally: tally(row, 1)? }))?;
    Ok(all.collect::<rusqlite::Result<_>>()?)
}

/// Writes what a principal has learnt, or that in the place of what is there.
pub(super) fn write(connection: &Connection, unit: &LearnerUnit, replaced: Option<i64>) -> Result<(), Fault> {
    if let Some(id) = replaced {
        for table in ["forecast", "uplift", "observation", "pattern"] {
            connection.execute(&format!("DELETE FROM {table} WHERE learner = ?1"), [id])?;
        }
        connection.execute("DELETE FROM learner WHERE id = ?1", [id])?;
    }
    let LearnerRecord { principal, sums, last, forecasts, uplift, observations, .. } = &unit.head;
    let whole = unit.patterns.iter().filter(|pattern| pattern.merged_into.is_none()).count();
    let learner = connection
        .prepare_cached(
            "INSERT INTO learner (principal, patterns, kept, successes, failures, infrastructure, asserted, rewards,
                                  reward_sum, last, flaky)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .insert(params![
            principal,
            whole,
            observations,
            sums.successes,
            sums.failures,
            sums.infrastructure,
            sums.asserted,
            sums.rewards,
            sums.reward_sum,
            last,
            sums.flaky,
        ])?;
    for forecast in forecasts {
        connection
            .prepare_cached(
                "INSERT INTO forecast (learner, bin, trials, predicted, successes, squared)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                learner,
                forecast.bin,
                forecast.trials,
                forecast.predicted,
                forecast.successes,
                forecast.squared
            ])?;
    }
    for one in uplift {
        connection
            .prepare_cached(
                "INSERT INTO uplift (learner, measured, used, successes, failures) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute((learner, one.measured, one.used, one.successes, one.failures))?;
    }
    let ids = unit
        .patterns
        .iter()
        .map(|pattern| write_pattern(connection, learner, pattern))
        .collect::<Result<Vec<i64>, Fault>>()?;
    // Places were checked when the file was read.
    let id_at = |place: u64| ids.get(place as usize).copied();
    let mut merge = connection.prepare_cached("UPDATE pattern SET merged_into = ?2 WHERE id = ?1")?;
    for (id, pattern) in ids.iter().zip(&unit.patterns) {
        if let Some(whole) = pattern.merged_into {
            merge.execute((id, id_at(whole)))?;
        }
    }
    let mut note = connection.prepare_cached(
        "INSERT INTO observation
            (learner, pattern, context, successes, failures, infrastructure, reward, evidence, asserted_by, at,
             flaky)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    for one in &unit.observations {
        note.execute(params![
            learner,
            id_at(one.pattern),
            one.context,
            one.successes,
            one.failures,
            one.infrastructure,
            one.reward,
            one.evidence,
            one.asserted_by,
            one.at,
            one.flaky,
        ])?;
    }
    Ok(())
}

fn write_pattern(connection: &Connection, learner: i64, pattern: &PatternRecord) -> Result<i64, Fault> {
    let PatternRecord { tally, measured, sums, .. } = pattern;
    let id = connection
        .prepare_cached(
            "INSERT INTO pattern (learner, polarity, title, created, last, state, retired, tally_successes,
                                  tally_failures, tally_at, successes, failures, infrastructure, asserted, rewards,
                                  reward_sum, flaky, told, suggested, measured_successes, measured_failures)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)",
        )?
        .insert(params![
            learner,
            polarity(pattern.polarity),
            pattern.title,
            pattern.created,
            pattern.last,
            number(pattern.state),
            pattern.retired,
            tally.successes,
            tally.failures,
            tally.at,
            sums.successes,
            sums.failures,
            sums.infrastructure,
            sums.asserted,
            sums.rewards,
            sums.reward_sum,
            sums.flaky,
            pattern.told,
            pattern.suggested,
            measured.successes,
            measured.failures,
        ])?;
    connection
        .prepare_cached(
            "INSERT INTO pattern_text (pattern, tags, description, content) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute((id, serde_json::json!(pattern.tags).to_string(), &pattern.description, &pattern.content))?;
    let mut add = connection.prepare_cached(
        "INSERT INTO pattern_context (pattern, name, tally_successes, tally_failures, tally_at)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for Context { name, tally } in &pattern.contexts {
        add.execute((id, name, tally.successes, tally.failures, tally.at))?;
    }
    Ok(id)
}
