//! A summary for people, as for a comment on a pull request.

use std::fmt::Write as _;

use crate::gate::condition::{Level, Status};
use crate::gate::measured::Evidence;
use crate::gate::verdict::Report;

/// Writing to a string cannot fail, so what `write!` says is not looked at.
pub(crate) fn markdown(report: &Report) -> String {
    let mut text = format!("## {}\n\n", escaped(&report.summary));
    let new = &report.new_code;
    match (&new.base, new.lines, new.files, &new.reason) {
        (Some(base), Some(lines), Some(files), _) => {
            let _ = writeln!(
                text,
                "New code: {lines} lines in {files} files since `{base}`. Gate: {}.\n",
                escaped(&report.gate.name)
            );
        }
        (_, _, _, reason) => {
            let reason = reason.as_deref().unwrap_or_default();
            let _ = writeln!(
                text,
                "New code: not known ({}). Gate: {}.\n",
                escaped(reason),
                escaped(&report.gate.name)
            );
        }
    }
    text.push_str("| | condition | actual |\n|---|---|---|\n");
    for one in &report.conditions {
        let asked = escaped(&one.asked());
        let by = if one.of_baseline { " (baseline)" } else { "" };
        let delta = one.delta.map(|delta| format!(", {delta:+} since the baseline")).unwrap_or_default();
        let _ = writeln!(
            text,
            "| {} | {asked}{by} | {}{delta} |",
            mark(one.status, one.level),
            escaped(&one.said())
        );
    }
    for one in report.conditions.iter().filter(|one| one.status == Status::Failed && !one.evidence.is_empty())
    {
        let _ = writeln!(text, "\n**{}** ({} of {})\n", one.metric, one.evidence.len(), one.evidence_total);
        for evidence in &one.evidence {
            let _ = writeln!(text, "- {}", line(evidence));
        }
    }
    if let Some(baseline) = &report.baseline {
        let number = |of: Option<u64>| of.map_or("not known".to_owned(), |of| of.to_string());
        let (fixed, new) = (number(baseline.fixed), number(baseline.new));
        let _ = writeln!(
            text,
            "\nBeside the baseline: findings fixed {fixed}, new {new}; metrics worse: {}.",
            baseline.worse.len()
        );
    }
    for warning in report
        .suppressed
        .expired
        .iter()
        .map(|one| format!("suppression: {one}"))
        .chain(report.warnings.iter().cloned())
    {
        let _ = writeln!(text, "\n> {}", escaped(&warning));
    }
    text
}

fn mark(status: Status, level: Level) -> &'static str {
    match (status, level) {
        (Status::Passed, _) => "passed",
        (Status::Failed, Level::Error) => "**failed**",
        (Status::Failed, Level::Warn) => "warning",
        (Status::NoData, _) => "no data",
        (Status::Ignored, _) => "ignored",
    }
}

fn line(evidence: &Evidence) -> String {
    let mut text = String::new();
    if let Some(file) = &evidence.file {
        text.push_str(&escaped(file));
        if let Some(range) = evidence.range {
            let _ = write!(text, ":{}", range.start);
        }
        text.push_str(": ");
    }
    text.push_str(&escaped(&evidence.id));
    if let Some(detail) = &evidence.detail {
        let _ = write!(text, ": {}", escaped(detail));
    }
    text
}

/// Names and messages come from files of strangers: none of them is markup.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for one in text.chars() {
        match one {
            '|' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '\\' | '!' | '@' => {
                safe.extend(['\\', one]);
            }
            one if one.is_control() => safe.push(' '),
            one => safe.push(one),
        }
    }
    safe
}
