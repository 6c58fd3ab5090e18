//! `qe_test_generate`: what came of each file, and what was written or would be.

use serde_json::Value;

use super::{generic, list, parts, percent, place, plain, warnings};

/// Fates of functions that are listed.
const FATES: usize = 20;

pub(super) fn of(result: &Value) -> Vec<String> {
    let results = list(&result["results"]);
    parts(results.iter().map(one).chain([warnings(result)]))
}

fn one(of: &Value) -> Vec<String> {
    let file = plain(&of["file"]);
    if let Some(why) = of["failed"].as_str() {
        return vec![format!("{file}: no tests: {why}")];
    }
    if of["counts"].is_object() {
        return tests(&file, of);
    }
    if of["functions"].is_array() {
        return sketch(&file, of);
    }
    // Work orders and judgements are read by whoever writes the tests.
    generic::of(of)
}

fn tests(file: &str, of: &Value) -> Vec<String> {
    let counts = &of["counts"];
    let mut lines = vec![format!(
        "{file}: {} tests kept of {} candidates ({}; they say what the code does, not that it is right)",
        counts["kept"],
        counts["candidates"],
        plain(&of["framework"])
    )];
    for (kind, name) in [("line", "lines"), ("branch", "branches"), ("block", "blocks")] {
        let (before, after) = (&of["before"][kind], &of["after"][kind]);
        if after.is_object() {
            lines.push(format!(
                "  {name:<9} {} → {} ({} of {})",
                percent(&before["pct"]),
                percent(&after["pct"]),
                after["covered"],
                after["total"]
            ));
        }
    }
    match &of["mutation"] {
        Value::Null => {}
        mutation => {
            lines.push(format!("  mutants   {} of {} noticed", mutation["killed"], mutation["total"]));
        }
    }
    let missed = list(&of["uncovered_left"]["lines"]).iter().take(FATES);
    let missed: Vec<_> =
        missed.map(|range| place(&Value::Null, range).trim_start_matches(':').to_owned()).collect();
    if !missed.is_empty() {
        lines.push(format!("  not reached: lines {}", missed.join(", ")));
    }
    let refused = list(&of["targets"]).iter().filter(|fate| fate["reason"].is_string()).take(FATES);
    lines.extend(refused.map(|fate| {
        format!("  {}: {}: {}", plain(&fate["target"]), plain(&fate["status"]), plain(&fate["reason"]))
    }));
    lines.extend(list(&of["commands"]).iter().map(|command| format!("  run: {}", plain(command))));
    lines.extend(test_file(&of["test_file"]));
    lines
}

fn test_file(of: &Value) -> Vec<String> {
    let Some(path) = of["path"].as_str() else { return Vec::new() };
    let reason = of["reason"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
    let how = match (&of["written"], &of["patch"], &of["content"]) {
        (Value::Bool(true), ..) => "written",
        (_, Value::Null, Value::Null) if of["reason"].is_null() => "in the patch",
        _ => "not written (--write files does)",
    };
    let mut lines = vec![format!("  {path}: {how}{reason}")];
    let text = of["patch"].as_str().or(of["content"].as_str()).unwrap_or_default();
    if !text.is_empty() {
        lines.push(String::new());
        lines.extend(text.lines().map(str::to_owned));
    }
    lines
}

fn sketch(file: &str, of: &Value) -> Vec<String> {
    let functions = list(&of["functions"]);
    let reason = plain(&of["reason"]);
    let mut lines = vec![format!("{file}: {} ({reason})", plain(&of["status"]))];
    for function in functions {
        lines.push(format!("  {file}:{}  {}", function["line"], plain(&function["signature"])));
        for inputs in list(&function["inputs"]) {
            let values: Vec<_> = list(&inputs["values"]).iter().map(plain).collect();
            if !values.is_empty() {
                lines.push(format!("    {}: {}", plain(&inputs["parameter"]), values.join(", ")));
            }
        }
    }
    let total = of["functions_total"].as_u64().unwrap_or(0);
    let left = total.saturating_sub(functions.len() as u64);
    if left > 0 {
        lines.push(format!("  and {left} more"));
    }
    lines
}
