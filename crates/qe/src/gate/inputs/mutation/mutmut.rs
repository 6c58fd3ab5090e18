//! The statistics that mutmut 3 exports (`mutmut export-cicd-stats`). They name no mutant.

use serde::Deserialize;

use super::Mutants;

#[derive(Deserialize)]
struct Stats {
    killed: u64,
    survived: u64,
    total: Option<u64>,
    #[serde(default)]
    no_tests: u64,
    #[serde(default)]
    skipped: u64,
    /// So slow that mutmut is not sure: a test noticed.
    #[serde(default)]
    suspicious: u64,
    #[serde(default)]
    timeout: u64,
    #[serde(default)]
    check_was_interrupted_by_user: u64,
    #[serde(default)]
    segfault: u64,
}

pub(super) fn parse(text: &str) -> Result<Mutants, String> {
    let stats: Stats = serde_json::from_str(text).map_err(|error| format!("mutmut's statistics: {error}"))?;
    let timeout = stats.timeout.saturating_add(stats.suspicious).saturating_add(stats.segfault);
    let told = [stats.killed, stats.survived, stats.no_tests, stats.skipped, timeout];
    let told = told.into_iter().fold(0, u64::saturating_add);
    let untold = stats.total.unwrap_or(told).saturating_sub(told);
    let pending = untold.max(stats.check_was_interrupted_by_user);
    Ok(Mutants {
        killed: stats.killed,
        timeout,
        survived: stats.survived,
        no_coverage: stats.no_tests,
        pending,
        unplaced: told.saturating_add(pending),
        tool: "mutmut".into(),
        ..Mutants::default()
    })
}
