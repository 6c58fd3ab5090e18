//! `qe_coverage_analyze`: totals, the change, files or folders.

use serde_json::Value;

use super::{figures, list, more, parts, percent, place, plain, share, sources, warnings};

/// Files of a change whose uncovered lines are listed.
const FILES: usize = 20;

pub(super) fn of(result: &Value) -> Vec<String> {
    let groups = list(&result["groups"]);
    let rows = groups.iter().map(|group| {
        let line = &group["line"];
        let missed = line["total"].as_u64().zip(line["covered"].as_u64()).map(|(all, some)| all - some);
        let stale = if group["stale"] == true { " (stale)" } else { "" };
        vec![
            format!("{}{stale}", plain(&group["path"])),
            percent(&line["pct"]),
            missed.map_or_else(|| super::UNKNOWN.into(), |missed| missed.to_string()),
            percent(&group["branch"]["pct"]),
            percent(&group["function"]["pct"]),
        ]
    });
    let table = match groups {
        [] => Vec::new(),
        _ => figures(&["path", "lines", "not run", "branches", "functions"], rows),
    };
    let mut notes: Vec<String> = more(groups.len(), result).into_iter().collect();
    for (what, of) in [("stale", "is"), ("unmatched", "is not read:")] {
        let all = &result[what];
        if let (Some(first), total) = (all["first"].get(0), &all["total"]) {
            let name = if first["file"].is_string() { &first["file"] } else { &first["path"] };
            notes.push(format!("{total} files are {what}: {} {of} {}", plain(name), plain(&first["reason"])));
        }
    }
    notes.extend(warnings(result));
    notes.extend(sources(result));
    parts([totals(result), change(&result["patch"]), table, notes])
}

fn totals(result: &Value) -> Vec<String> {
    let delta = |kind: &str| match result["delta"][kind].as_f64() {
        Some(delta) => format!(", {delta:+} since the report before"),
        None => String::new(),
    };
    let totals = &result["totals"];
    let kinds = [("line", "lines"), ("branch", "branches"), ("function", "functions")];
    let each = kinds.iter().map(|(kind, name)| {
        let why = result["absent"][*kind].as_str().map(|why| format!(" ({why})")).unwrap_or_default();
        format!("{name:<9}  {}{why}{}", share(&totals[*kind]), delta(kind))
    });
    each.collect()
}

fn change(patch: &Value) -> Vec<String> {
    if patch.is_null() {
        return Vec::new();
    }
    let branch = match &patch["branch"] {
        Value::Null => String::new(),
        branch => format!(", branches {}", share(branch)),
    };
    let (base, head) = (plain(&patch["base"]), plain(&patch["head"]));
    let mut lines = vec![format!("{base}..{head}: new lines {}{branch}", share(&patch["line"]))];
    let uncovered = list(&patch["uncovered"]["first"]);
    for file in uncovered.iter().take(FILES) {
        lines.extend(list(&file["ranges"]).iter().map(|range| format!("  {}", place(&file["file"], range))));
    }
    let rest =
        patch["uncovered"]["total"].as_u64().unwrap_or(0).saturating_sub(FILES.min(uncovered.len()) as u64);
    if rest > 0 {
        lines.push(format!("  and {rest} more files"));
    }
    let unmeasured = list(&patch["unmeasured"]["first"]);
    if let Some(first) = unmeasured.first() {
        lines.push(format!(
            "  {} changed files are in no report: {} …",
            patch["unmeasured"]["total"],
            plain(first)
        ));
    }
    lines
}
