//! Stryker's mutation testing report schema, versions 1 and 2: StrykerJS, Stryker.NET, Stryker4s, Infection, mull.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Fate, Mutants, Survivor};
use crate::project::git::Lines;

#[derive(Deserialize)]
struct Report {
    files: BTreeMap<String, File>,
    framework: Option<Framework>,
}

#[derive(Deserialize)]
struct Framework {
    name: String,
    version: Option<String>,
}

#[derive(Deserialize)]
struct File {
    mutants: Vec<Mutant>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mutant {
    #[serde(default)]
    mutator_name: String,
    status: String,
    location: Option<Location>,
}

#[derive(Deserialize)]
struct Location {
    start: Position,
    end: Option<Position>,
}

#[derive(Deserialize)]
struct Position {
    line: u32,
}

pub(super) fn parse(text: &str) -> Result<Mutants, String> {
    let report: Report = serde_json::from_str(text).map_err(|error| format!("Stryker's report: {error}"))?;
    let tool = report.framework.map_or_else(
        || "Stryker's schema".to_owned(),
        |by| by.version.map_or(by.name.clone(), |version| format!("{} {version}", by.name)),
    );
    let mut mutants = Mutants { tool, ..Mutants::default() };
    for (path, file) in report.files {
        for mutant in file.mutants {
            let fate = match mutant.status.as_str() {
                "Killed" => Fate::Killed,
                "Timeout" => Fate::Timeout,
                "Survived" => Fate::Survived,
                "NoCoverage" => Fate::NoCoverage,
                "Pending" => Fate::Pending,
                "CompileError" | "RuntimeError" | "Ignored" => Fate::Invalid,
                other => {
                    return Err(format!(
                        "Stryker's report: a mutant of {path} is `{other}`, which is no status"
                    ));
                }
            };
            mutants.add(fate, || {
                let lines = mutant.location.as_ref().map(|at| {
                    let start = at.start.line.max(1);
                    Lines { start, end: at.end.as_ref().map_or(start, |end| end.line.max(start)) }
                });
                Survivor { id: mutant.mutator_name.clone(), file: Some(path.clone()), lines }
            });
        }
    }
    Ok(mutants)
}
