//! `qe_coverage_gaps`: each gap with why it matters and the command that closes it.

use serde_json::Value;

use super::{list, more, parts, percent, place, plain, sources, warnings};

pub(super) fn of(result: &Value) -> Vec<String> {
    let gaps = list(&result["gaps"]);
    let head = match (&result["total"], &result["uncovered_lines"]) {
        (total, _) if *total == 0 => "no gaps: all that was measured has run".to_owned(),
        (total, lines) => format!("gaps: {total}, the riskiest first; lines that no test runs: {lines}"),
    };
    let mut notes: Vec<String> = more(gaps.len(), result).into_iter().collect();
    notes.extend(result["history"].as_str().map(|why| format!("changes are not known: {why}")));
    notes.extend(warnings(result));
    notes.extend(sources(result));
    parts([vec![head]].into_iter().chain(gaps.iter().map(gap)).chain([notes]))
}

fn gap(gap: &Value) -> Vec<String> {
    let function = gap["function"]["name"].as_str().map(|name| format!("  {name}")).unwrap_or_default();
    let of = |name: &str, what: &str| match &gap[what] {
        Value::Null => None,
        figure => Some(format!("{name} {}", plain(figure))),
    };
    let figures = [
        of("CRAP", "crap"),
        of("complexity", "cyclomatic"),
        Some(format!("{} covered", percent(&gap["line_pct"]))),
        of("lines not run:", "uncovered_lines"),
    ];
    let figures: Vec<_> = figures.into_iter().flatten().collect();
    let mut lines = vec![
        format!("{}{function}", place(&gap["file"], &gap["range"])),
        format!("  {}", figures.join(", ")),
    ];
    let why: Vec<_> = list(&gap["why"]).iter().map(plain).collect();
    if !why.is_empty() {
        lines.push(format!("  why: {}", why.join(", ")));
    }
    for missing in list(&gap["missing_branches"]) {
        let condition = missing["condition"].as_str().map(|text| format!(" `{text}`")).unwrap_or_default();
        lines.push(format!("  line {}:{condition} is never {}", missing["line"], plain(&missing["outcome"])));
    }
    let snippet = gap["snippet"].as_str().unwrap_or_default();
    lines.extend(snippet.lines().map(|line| format!("    {line}")));
    let tests: Vec<_> = list(&gap["nearest_tests"]).iter().map(plain).collect();
    if !tests.is_empty() {
        lines.push(format!("  tests nearby: {}", tests.join(", ")));
    }
    let targets = list(&gap["suggest"]["arguments"]["targets"]).iter();
    lines.extend(targets.map(|target| format!("  aqe-v3 qe test-generate --targets '{}'", quoted(target))));
    lines
}

/// For a shell, within single quotes.
fn quoted(value: &Value) -> String {
    value.to_string().replace('\'', "'\\''")
}
