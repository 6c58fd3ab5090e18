//! The `mutants.out/outcomes.json` of cargo-mutants.

use serde::Deserialize;

use super::{Fate, Mutants, Survivor};
use crate::project::git::Lines;

#[derive(Deserialize)]
struct Report {
    outcomes: Vec<Outcome>,
    total_mutants: Option<u64>,
    cargo_mutants_version: Option<String>,
}

#[derive(Deserialize)]
struct Outcome {
    scenario: Scenario,
    summary: String,
}

/// The tests as they are, or with one fault.
#[derive(Deserialize)]
enum Scenario {
    Baseline,
    Mutant(Box<Mutant>),
}

#[derive(Deserialize)]
struct Mutant {
    file: Option<String>,
    name: Option<String>,
    replacement: Option<String>,
    span: Option<Span>,
    /// Where there was no span yet.
    line: Option<u32>,
}

#[derive(Deserialize)]
struct Span {
    start: Position,
    end: Position,
}

#[derive(Deserialize)]
struct Position {
    line: u32,
}

pub(super) fn parse(text: &str) -> Result<Mutants, String> {
    let report: Report =
        serde_json::from_str(text).map_err(|error| format!("cargo-mutants' outcomes: {error}"))?;
    let version = report.cargo_mutants_version.map(|version| format!(" {version}")).unwrap_or_default();
    let mut mutants = Mutants { tool: format!("cargo-mutants{version}"), ..Mutants::default() };
    let mut tested = 0;
    for outcome in report.outcomes {
        let Scenario::Mutant(mutant) = outcome.scenario else {
            if outcome.summary != "Success" {
                return Err(format!(
                    "the tests failed without a mutant ({}), so no mutant says anything",
                    outcome.summary
                ));
            }
            continue;
        };
        tested += 1;
        let fate = match outcome.summary.as_str() {
            "CaughtMutant" => Fate::Killed,
            "Timeout" => Fate::Timeout,
            "MissedMutant" => Fate::Survived,
            // A mutant of which only the build was asked for is `Success`: nobody tested it.
            "Success" => Fate::Pending,
            "Unviable" => Fate::Invalid,
            other => return Err(format!("cargo-mutants' outcomes: `{other}` is no outcome of a mutant")),
        };
        mutants.add(fate, || mutant.survivor());
    }
    let untested = report.total_mutants.unwrap_or(tested).saturating_sub(tested);
    mutants.pending = mutants.pending.saturating_add(untested);
    mutants.unplaced = mutants.unplaced.saturating_add(untested);
    Ok(mutants)
}

impl Mutant {
    fn survivor(&self) -> Survivor {
        let lines = match (&self.span, self.line) {
            (Some(span), _) => {
                Some(Lines { start: span.start.line.max(1), end: span.end.line.max(span.start.line).max(1) })
            }
            (None, Some(line)) => Some(Lines { start: line.max(1), end: line.max(1) }),
            (None, None) => None,
        };
        let id = self.name.as_ref().or(self.replacement.as_ref()).cloned().unwrap_or_default();
        Survivor { id, file: self.file.clone(), lines }
    }
}
