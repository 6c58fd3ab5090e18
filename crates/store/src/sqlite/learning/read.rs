//! Reading what was learnt.

use rusqlite::{Connection, OptionalExtension as _, Row, params_from_iter};

use super::super::Fault;
use super::{learner, seen, side, state, tally};
use crate::learning::{
    Bin, Compared, Extent, Kept, Learned, Outcomes, Pattern, PatternId, Tally, Texts, Trials, Which,
};

const COLUMNS: &str = "id, polarity, title, created, last, state, retired, merged_into, tally_successes, \
                       tally_failures, tally_at, successes, failures, infrastructure, asserted, rewards, \
                       reward_sum, flaky, measured_successes, measured_failures, tally_at, told";

pub(super) fn patterns(
    connection: &Connection,
    principal: &str,
    which: &Which,
) -> Result<Vec<Pattern>, Fault> {
    let learner = learner(connection, principal)?;
    let mut found = Vec::new();
    if let Some(ids) = &which.ids {
        let mut one = connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM pattern WHERE learner = ?1 AND id = ?2"))?;
        for id in ids {
            found.extend(one.query_row((learner, id.0), pattern).optional()?);
        }
        found.sort_unstable_by_key(|pattern| pattern.id);
        found.retain(|pattern| which.after.is_none_or(|after| pattern.id > after));
        found.retain(|pattern| which.merged || pattern.merged_into.is_none());
        found.truncate(which.most as usize);
    } else {
        // Not by the index of titles: the order is that of the ids.
        let mut all = connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM pattern WHERE +learner = ?1 AND id > ?2 AND (?3 OR merged_into IS NULL)
             ORDER BY id LIMIT ?4"
        ))?;
        let after = which.after.map_or(0, |after| after.0);
        let all = all.query_map((learner, after, which.merged, which.most), pattern)?;
        found = all.collect::<rusqlite::Result<_>>()?;
    }
    if !which.levels.is_empty() {
        add_levels(connection, learner, &which.levels, &mut found)?;
    }
    let columns = match which.texts {
        Extent::Nothing => return Ok(found),
        Extent::Summary => "tags, description, ''",
        Extent::Whole => "tags, description, content",
    };
    let mut texts =
        connection.prepare_cached(&format!("SELECT {columns} FROM pattern_text WHERE pattern = ?1"))?;
    for pattern in &mut found {
        pattern.texts = texts.query_row([pattern.id.0], read_texts).optional()?;
    }
    Ok(found)
}

/// The tallies in these contexts. A pattern has few, so those of each are looked at.
fn add_levels(
    connection: &Connection,
    learner: i64,
    levels: &[String],
    patterns: &mut [Pattern],
) -> Result<(), Fault> {
    let places: Vec<String> = (0..levels.len()).map(|place| format!("(?{}, {place})", place + 2)).collect();
    let mut all = connection.prepare_cached(&format!(
        "WITH wanted (name, place) AS (VALUES {})
         SELECT pattern.id, place, context.tally_successes, context.tally_failures, context.tally_at
         FROM pattern CROSS JOIN wanted CROSS JOIN pattern_context context
            ON context.pattern = pattern.id AND context.name = wanted.name
         WHERE +pattern.learner = ?1 ORDER BY pattern.id, place",
        places.join(", ")
    ))?;
    let learner = rusqlite::types::Value::from(learner);
    let names = levels.iter().map(|name| rusqlite::types::Value::from(name.clone()));
    let mut rows = all.query(params_from_iter(std::iter::once(learner).chain(names)))?;
    while let Some(row) = rows.next()? {
        let id = PatternId(row.get(0)?);
        if let Ok(place) = patterns.binary_search_by_key(&id, |pattern| pattern.id) {
            let level: (usize, Tally) = (row.get(1)?, tally(row, 2)?);
            patterns[place].levels.push(level);
        }
    }
    Ok(())
}

fn pattern(row: &Row<'_>) -> rusqlite::Result<Pattern> {
    Ok(Pattern {
        id: PatternId(row.get(0)?),
        polarity: side(row, 1)?,
        title: row.get(2)?,
        created: row.get(3)?,
        last: row.get(4)?,
        state: state(row, 5)?,
        retired: row.get(6)?,
        merged_into: row.get::<_, Option<i64>>(7)?.map(PatternId),
        tally: tally(row, 8)?,
        seen: seen(row, 11)?,
        measured: tally(row, 18)?,
        told: row.get(21)?,
        levels: Vec::new(),
        texts: None,
    })
}

fn read_texts(row: &Row<'_>) -> rusqlite::Result<Texts> {
    let tags: String = row.get(0)?;
    let tags = serde_json::from_str(&tags).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into())
    })?;
    Ok(Texts { tags, description: row.get(1)?, content: row.get(2)? })
}

pub(super) fn observations(
    connection: &Connection,
    principal: &str,
    pattern: PatternId,
    most: u32,
) -> Result<Vec<Kept>, Fault> {
    let learner = learner(connection, principal)?;
    let mut newest = connection.prepare_cached(
        "SELECT context, successes, failures, infrastructure, reward, evidence, asserted_by, at, flaky
         FROM observation WHERE pattern = ?1 AND learner = ?2 ORDER BY id DESC LIMIT ?3",
    )?;
    let newest = newest.query_map((pattern.0, learner, most), |row| {
        Ok(Kept {
            context: row.get(0)?,
            trials: Trials {
                successes: row.get(1)?,
                failures: row.get(2)?,
                infrastructure: row.get(3)?,
                reward: row.get(4)?,
                evidence: row.get(5)?,
                asserted_by: row.get(6)?,
                at: row.get(7)?,
                flaky: row.get(8)?,
            },
        })
    })?;
    Ok(newest.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn learned(connection: &Connection, principal: &str) -> Result<Learned, Fault> {
    let found = connection
        .prepare_cached(
            "SELECT id, patterns, kept, last, successes, failures, infrastructure, asserted, rewards, reward_sum, flaky
             FROM learner WHERE principal = ?1",
        )?
        .query_row([principal], |row| {
            let (patterns, kept, last, seen) = (row.get(1)?, row.get(2)?, row.get(3)?, seen(row, 4)?);
            Ok((row.get::<_, i64>(0)?, Learned { patterns, seen, last, kept, ..Learned::default() }))
        })
        .optional()?;
    let Some((learner, mut learned)) = found else { return Ok(Learned::default()) };
    let mut bins = connection.prepare_cached(
        "SELECT bin, trials, predicted, successes, squared FROM forecast WHERE learner = ?1",
    )?;
    let mut rows = bins.query([learner])?;
    while let Some(row) = rows.next()? {
        let bin =
            Bin { trials: row.get(1)?, predicted: row.get(2)?, successes: row.get(3)?, squared: row.get(4)? };
        if let Some(place) = learned.calibration.get_mut(row.get::<_, usize>(0)?) {
            *place = bin;
        }
    }
    (learned.suggestions, learned.tools) = compared(connection, learner)?;
    Ok(learned)
}

/// Outcomes with and without what was learnt: asserted ones, and measured ones.
fn compared(connection: &Connection, learner: i64) -> Result<(Compared, Compared), Fault> {
    let (mut asserted, mut measured) = (Compared::default(), Compared::default());
    let mut all = connection
        .prepare_cached("SELECT measured, used, successes, failures FROM uplift WHERE learner = ?1")?;
    let mut rows = all.query([learner])?;
    while let Some(row) = rows.next()? {
        let of = if row.get(0)? { &mut measured } else { &mut asserted };
        let outcomes = if row.get(1)? { &mut of.used } else { &mut of.unused };
        *outcomes = Outcomes { successes: row.get(2)?, failures: row.get(3)? };
    }
    Ok((asserted, measured))
}
