//! Figures of commits, kept in the store, and how they developed.

use std::collections::BTreeMap;

use aqe_store::Measurement;
use serde::Serialize;

use super::rows::Totals;
use crate::arguments::rfc3339;
use crate::builtin::{Context, Request};
use crate::project::Project;
use crate::project::git::Git;
use crate::reply::Refusal;

/// How the figures of a branch developed, the oldest commit first.
#[derive(Debug, Serialize)]
pub(super) struct Trend {
    branch: String,
    /// Whether what was measured now is part of it, or why it is not.
    kept: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    commits: Vec<Commit>,
    metrics: BTreeMap<String, Series>,
}

/// One metric over the commits.
#[derive(Debug, Serialize)]
struct Series {
    /// The first and the last value that are known.
    first: f64,
    last: f64,
    /// The last less the first.
    delta: f64,
    /// A value for each commit; `null` where it was not measured.
    values: Vec<Option<f64>>,
}

#[derive(Debug, Serialize)]
struct Commit {
    id: String,
    at: String,
}

/// Keeps the figures of the commit that is checked out, if the files are as they are in it, and reads those of the last
/// `most`.
pub(super) fn trend(
    context: &Context,
    project: &Project,
    values: Vec<(String, f64)>,
    most: u32,
    request: &Request,
) -> Result<Option<Trend>, Refusal> {
    let Some(git) = Git::of(project, &request.stop)? else { return Ok(None) };
    let Some(commit) = git.head().map(str::to_owned) else { return Ok(None) };
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim().to_owned();
    let seconds = text(git.said(&["log", "-1", "--format=%ct", "--end-of-options", &commit, "--"])?);
    let at = seconds.parse::<i64>().map_or(request.now, |seconds| seconds.saturating_mul(1_000));
    let branch = text(git.said(&["rev-parse", "--abbrev-ref", "HEAD"])?);
    let is_clean = git.said(&["status", "--porcelain", "--ignore-submodules", "--", "."])?.is_empty();
    let reason = (!is_clean).then_some("files differ from the commit that is checked out; commit them first");
    let path = project.root.display().to_string();
    if is_clean {
        let (project, branch) = (path.clone(), branch.clone());
        wait(context.durable.save_measurement(Measurement { project, branch, commit, at, values }))?;
    }
    let found = wait(context.durable.load_measurements(path, branch.clone(), most))?;
    let mut values: BTreeMap<String, Vec<Option<f64>>> = BTreeMap::new();
    for (place, measurement) in found.iter().enumerate() {
        for (name, value) in &measurement.values {
            let series = values.entry(name.clone()).or_insert_with(|| vec![None; found.len()]);
            series[place] = Some(*value);
        }
    }
    let series = |(name, values): (String, Vec<Option<f64>>)| {
        let first = values.iter().flatten().next().copied()?;
        let last = values.iter().flatten().next_back().copied()?;
        let delta = ((last - first) * 100.0).round() / 100.0;
        Some((name, Series { first, last, delta, values }))
    };
    let metrics = values.into_iter().filter_map(series).collect();
    let commit = |measurement: Measurement| Commit { id: measurement.commit, at: rfc3339(measurement.at) };
    let commits = found.into_iter().map(commit).collect();
    Ok(Some(Trend { branch, kept: is_clean, reason, commits, metrics }))
}

/// Waits for the store. This is a thread that may block.
fn wait<T>(answer: aqe_store::contract::StoreFuture<'_, T>) -> Result<T, Refusal> {
    tokio::runtime::Handle::current().block_on(answer).map_err(|error| Refusal(format!("history: {error}")))
}

/// What is kept of a commit: what is known of it, and no more.
pub(super) fn values(
    totals: &Totals,
    of_reports: impl IntoIterator<Item = (&'static str, Option<f64>)>,
) -> Vec<(String, f64)> {
    let optional = |value: Option<u32>| value.map(f64::from);
    let all = [
        ("files", Some(f64::from(totals.files))),
        ("ncloc", Some(f64::from(totals.lines.ncloc))),
        ("functions", Some(f64::from(totals.functions))),
        ("cyclomatic", Some(totals.cyclomatic.sum as f64)),
        ("cyclomatic_p95", optional(totals.cyclomatic.p95)),
        ("cyclomatic_max", optional(totals.cyclomatic.max)),
        ("cognitive", Some(totals.cognitive.sum as f64)),
        ("cognitive_max", optional(totals.cognitive.max)),
        ("maintainability", totals.maintainability),
        ("duplicated_pct", totals.duplicated_pct),
    ];
    all.into_iter().chain(of_reports).filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
