//! A tool's result for people. The quality tools have a form of their own; of the others the members stand one below the
//! other, and lists of like things are tables.

mod coverage;
mod gaps;
mod gate;
mod generic;
mod metrics;
mod testgen;

use serde_json::Value;

use crate::cli::table::Table;

pub(super) fn of(tool: &str, result: &Value) -> String {
    // A document that was asked for, as SARIF, is all that is wanted.
    if let Some(content) = result["content"].as_str().filter(|_| result["format"].is_string()) {
        return content.to_owned();
    }
    let lines = match tool {
        "qe_coverage_analyze" => coverage::of(result),
        "qe_coverage_gaps" => gaps::of(result),
        "qe_quality_gate" => gate::of(result),
        "qe_quality_metrics" => metrics::of(result),
        "qe_test_generate" => testgen::of(result),
        _ => generic::of(result),
    };
    lines.join("\n")
}

/// The patches of a result, one after the other.
pub(super) fn patches(result: &Value) -> String {
    let of = |one: &Value| one["test_file"]["patch"].as_str().or(one["patch"].as_str()).map(str::to_owned);
    list(&result["results"]).iter().filter_map(of).collect()
}

/// The result without them.
pub(super) fn without_patches(result: &Value) -> Value {
    let mut result = result.clone();
    for one in result["results"].as_array_mut().into_iter().flatten() {
        for place in ["/patch", "/test_file/patch"] {
            if let Some(patch) = one.pointer_mut(place) {
                *patch = Value::Null;
            }
        }
    }
    result
}

/// What stands where nothing is known.
const UNKNOWN: &str = "–";

/// A value in few words.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => UNKNOWN.into(),
        Value::String(text) => text.clone(),
        // Whole numbers are whole, whatever their type is.
        Value::Number(number) => {
            number.as_f64().map_or_else(|| number.to_string(), |number| number.to_string())
        }
        other => other.to_string(),
    }
}

/// `covered`, `total` and `pct` of a figure.
fn share(counts: &Value) -> String {
    match counts["pct"].as_f64() {
        Some(pct) => format!("{pct} % ({} of {})", counts["covered"], counts["total"]),
        None => UNKNOWN.into(),
    }
}

/// A percentage by itself.
fn percent(value: &Value) -> String {
    value.as_f64().map_or_else(|| UNKNOWN.into(), |value| format!("{value} %"))
}

/// `src/a.py:3-7`, as editors and terminals open it.
fn place(file: &Value, range: &Value) -> String {
    let file = file.as_str().unwrap_or_default();
    match (range[0].as_u64(), range[1].as_u64()) {
        (Some(start), Some(end)) if end > start => format!("{file}:{start}-{end}"),
        (Some(start), _) => format!("{file}:{start}"),
        _ => file.to_owned(),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A table whose first column is what it is about, and whose others are figures.
fn figures(heading: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Vec<String> {
    let mut table = Table::new(heading).right(1..heading.len());
    for row in rows {
        table.row(row);
    }
    table.to_string().lines().map(str::to_owned).collect()
}

/// How to get what is not shown; nothing if all is.
fn more(shown: usize, result: &Value) -> Option<String> {
    let cursor = result["next_cursor"].as_str()?;
    Some(format!("{shown} of {} are shown; the next: --cursor {cursor}", result["total"]))
}

/// What is odd, each on a line.
fn warnings(result: &Value) -> Vec<String> {
    list(&result["warnings"]).iter().map(|warning| format!("warning: {}", plain(warning))).collect()
}

/// Which reports were read.
fn sources(result: &Value) -> Option<String> {
    let reports = list(&result["provenance"]).iter().filter_map(|from| from["path"].as_str());
    let reports: Vec<_> = reports.collect();
    match reports[..] {
        [] => None,
        [first, second, third, _, ..] => {
            Some(format!("from {first}, {second}, {third} and {} more", reports.len() - 3))
        }
        _ => Some(format!("from {}", reports.join(", "))),
    }
}

/// Parts with an empty line between them, without those that are empty.
fn parts(parts: impl IntoIterator<Item = Vec<String>>) -> Vec<String> {
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(&String::new())
}

#[cfg(test)]
mod tests;
