//! Mode `workorder`: what a search could not reach, with all that somebody needs to write the tests for it.

use std::fmt::Write as _;
use std::fs;

use serde::Serialize;

use super::answer::Outcome;
use super::candidates::Fate;
use super::figures::Coverage;
use super::target::{Language, Target};
use crate::project::Project;

/// Gaps of one order, source lines around each, and characters of the sample of the project's tests.
const GAPS_MAX: usize = 12;
const CONTEXT: u32 = 3;
const GAP_LINES_MAX: usize = 40;
const SAMPLE_CHARS: usize = 1_200;

#[derive(Debug, Serialize)]
pub(crate) struct Order {
    file: String,
    language: Language,
    /// Why nothing is known beyond the source, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
    reached: Option<Coverage>,
    gaps: Vec<Gap>,
    gaps_total: usize,
    /// Functions that the search does not run, and why: they may need fixtures.
    not_searched: Vec<Fate>,
    /// A beginning of a test file of the project, to write alike.
    sample: Option<String>,
    acceptance: [&'static str; 4],
    commands: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Gap {
    range: [u32; 2],
    /// Arcs from these lines that nothing took; the condition is the source of the line.
    missing_branches: Vec<Missing>,
    source: String,
}

#[derive(Debug, Serialize)]
struct Missing {
    line: u32,
    to: i64,
    condition: String,
}

/// From what a search came to.
pub(super) fn of(project: &Project, target: &Target, outcome: Outcome) -> Order {
    let text = String::from_utf8_lossy(&target.source);
    let lines: Vec<&str> = text.lines().collect();
    let mut order = Order {
        file: target.file.clone(),
        language: target.language,
        failed: None,
        reached: None,
        gaps: Vec::new(),
        gaps_total: 0,
        not_searched: Vec::new(),
        sample: sample(project),
        acceptance: [
            "each test passes in two fresh processes, in any order, at any date, offline",
            "each test reaches a line or branch that none before it reaches, or notices a planted fault",
            "assertions say what is right by the documentation, not only what is returned",
            "send the file as `candidates` with mode \"verify\" before writing it",
        ],
        commands: Vec::new(),
    };
    match outcome {
        Outcome::Tests(tests) => {
            let (uncovered, reached, fates, commands, _) = tests.uncovered();
            order.reached = Some(reached);
            order.commands = commands;
            order.not_searched = fates.into_iter().filter(|fate| fate.status != "searched").collect();
            let (ranges, branches) = uncovered.parts();
            let mut gaps: Vec<[u32; 2]> = ranges;
            // A branch that is missing from a line that is reached is a gap of that line.
            for (line, _) in &branches {
                let line = u32::try_from(*line).unwrap_or(0);
                if line > 0 && !gaps.iter().any(|[start, end]| (*start..=*end).contains(&line)) {
                    gaps.push([line, line]);
                }
            }
            gaps.sort_unstable();
            let gaps = joined(&gaps, &lines);
            order.gaps_total = gaps.len();
            order.gaps = gaps
                .into_iter()
                .take(GAPS_MAX)
                .map(|[start, end]| Gap {
                    range: [start, end],
                    missing_branches: branches
                        .iter()
                        .filter(|(line, _)| (i64::from(start)..=i64::from(end)).contains(line))
                        .map(|(line, to)| Missing {
                            line: *line as u32,
                            to: *to,
                            condition: line_of(&lines, *line as u32).trim().to_owned(),
                        })
                        .collect(),
                    source: excerpt(&lines, start, end),
                })
                .collect();
        }
        Outcome::Failed(failure) => order.failed = Some(failure.failed),
        _ => order.failed = Some("tests of this language are not run; see mode \"plan\"".into()),
    }
    order
}

fn line_of<'a>(lines: &[&'a str], line: u32) -> &'a str {
    lines.get((line as usize).saturating_sub(1)).copied().unwrap_or_default()
}

/// Ranges between which there is nothing but blank lines and comments are one.
fn joined(gaps: &[[u32; 2]], lines: &[&str]) -> Vec<[u32; 2]> {
    let mut found: Vec<[u32; 2]> = Vec::new();
    for [start, end] in gaps {
        let is_nothing = |line: u32| {
            let text = line_of(lines, line).trim();
            text.is_empty() || text.starts_with('#') || text.starts_with("//")
        };
        match found.last_mut() {
            Some(last) if (last[1] + 1..*start).all(is_nothing) => last[1] = last[1].max(*end),
            _ => found.push([*start, *end]),
        }
    }
    found
}

fn excerpt(lines: &[&str], start: u32, end: u32) -> String {
    let first = start.saturating_sub(CONTEXT).max(1);
    let mut text = String::new();
    for line in (first..=end.saturating_add(CONTEXT).min(lines.len() as u32)).take(GAP_LINES_MAX) {
        let _ = writeln!(text, "{line:>5} {}", line_of(lines, line));
    }
    text
}

/// The beginning of the first test file there is.
fn sample(project: &Project) -> Option<String> {
    for folder in ["tests", "test", "__tests__"] {
        let Ok(entries) = fs::read_dir(project.root.join(folder)) else { continue };
        let mut names: Vec<_> =
            entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_unstable();
        let is_test = |name: &&String| {
            super::python::is_test(name) || name.contains(".test.") || name.contains(".spec.")
        };
        if let Some(name) = names.iter().find(is_test) {
            let content = project.read(format!("{folder}/{name}"), 1 << 20).ok()?;
            return Some(String::from_utf8_lossy(&content).chars().take(SAMPLE_CHARS).collect());
        }
    }
    None
}
