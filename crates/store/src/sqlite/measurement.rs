//! Measurements: a table of values by project, branch, commit and metric.

use rusqlite::{Connection, params};

use super::Fault;
use crate::limits::{MEASUREMENT_MAX_BYTES, MEASUREMENTS_MAX, MEASUREMENTS_PER_BRANCH};
use crate::measurement::Measurement;
use crate::memory::limit;

/// The newest measurements of a branch, at most so many, the oldest first.
pub(super) fn load(
    connection: &Connection,
    project: &str,
    branch: &str,
    most: u32,
) -> Result<Vec<Measurement>, Fault> {
    let mut rows = connection.prepare_cached(
        "SELECT commit_id, at, metric, value FROM measurement
         WHERE project = ?1 AND branch = ?2 AND commit_id IN
             (SELECT commit_id FROM measurement WHERE project = ?1 AND branch = ?2
              GROUP BY commit_id ORDER BY max(at) DESC, commit_id DESC LIMIT ?3)
         ORDER BY at, commit_id, metric",
    )?;
    let mut rows = rows.query((project, branch, most))?;
    let mut found: Vec<Measurement> = Vec::new();
    while let Some(row) = rows.next()? {
        let commit: String = row.get(0)?;
        let value = (row.get(2)?, row.get(3)?);
        match found.last_mut().filter(|last| last.commit == commit) {
            Some(last) => last.values.push(value),
            None => found.push(Measurement {
                project: project.to_owned(),
                branch: branch.to_owned(),
                commit,
                at: row.get(1)?,
                values: vec![value],
            }),
        }
    }
    Ok(found)
}

/// Writes values in the place of those of the same commit and metric, and removes the oldest beyond the bounds.
pub(super) fn save(connection: &Connection, measurement: &Measurement) -> Result<(), Fault> {
    let Measurement { project, branch, commit, at, values } = measurement;
    let names = values.iter().map(|(name, _)| name.len() + size_of::<f64>()).sum::<usize>();
    limit(
        "measurement in bytes",
        project.len() + branch.len() + commit.len() + names,
        MEASUREMENT_MAX_BYTES,
    )?;
    let mut insert = connection.prepare_cached(
        "INSERT OR REPLACE INTO measurement (project, branch, commit_id, metric, at, value)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for (metric, value) in values {
        insert.execute(params![project, branch, commit, metric, at, value])?;
    }
    connection
        .prepare_cached(
            "DELETE FROM measurement WHERE project = ?1 AND branch = ?2 AND commit_id IN
             (SELECT commit_id FROM measurement WHERE project = ?1 AND branch = ?2
              GROUP BY commit_id ORDER BY max(at) DESC, commit_id DESC LIMIT -1 OFFSET ?3)",
        )?
        .execute((project, branch, MEASUREMENTS_PER_BRANCH))?;
    connection
        .prepare_cached(
            "DELETE FROM measurement WHERE rowid IN
             (SELECT rowid FROM measurement ORDER BY at DESC LIMIT -1 OFFSET ?1)",
        )?
        .execute([MEASUREMENTS_MAX])?;
    Ok(())
}
