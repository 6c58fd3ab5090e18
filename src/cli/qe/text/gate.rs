//! `qe_quality_gate`: the verdict, each condition on a line, and the places of those that do not hold.

use serde_json::Value;

use super::{list, parts, place, plain, sources, warnings};
use crate::cli::table::Table;

pub(super) fn of(result: &Value) -> Vec<String> {
    let conditions = list(&result["conditions"]);
    let new = &result["new_code"];
    let change = match new["base"].as_str() {
        Some(base) => format!("new code: {} lines in {} files since {base}", new["lines"], new["files"]),
        None => format!("new code: not known: {}", plain(&new["reason"])),
    };
    let gate = &result["gate"];
    let gate = format!("gate: {} ({})", plain(&gate["name"]), plain(&gate["source"]));
    let mut table = Table::new(&[""; 4]);
    for one in conditions {
        let asked = format!("{} {} {}", plain(&one["metric"]), plain(&one["op"]), plain(&one["threshold"]));
        let by = if one["of_baseline"] == true { " (baseline)" } else { "" };
        let delta = one["delta"].as_f64().map(|delta| format!("{delta:+} since the baseline"));
        let why = one["reason"].as_str().map(str::to_owned);
        table.row([
            mark(one).to_owned(),
            format!("{asked}{by}"),
            plain(&one["actual"]),
            why.into_iter().chain(delta).collect::<Vec<_>>().join("; "),
        ]);
    }
    let verdict = table.to_string().lines().skip(1).map(str::to_owned).collect();
    let places = conditions.iter().filter(|one| one["status"] == "failed").map(evidence);
    let mut notes = Vec::new();
    let baseline = &result["baseline"];
    if !baseline.is_null() {
        let (fixed, new) = (plain(&baseline["fixed"]), plain(&baseline["new"]));
        let reason = baseline["reason"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
        notes.push(format!(
            "baseline {}: findings fixed {fixed}, new {new}{reason}",
            plain(&baseline["file"])
        ));
    }
    let expired = list(&result["suppressed"]["expired"]);
    notes.extend(expired.iter().map(|one| format!("no longer suppressed: {}", plain(one))));
    notes.extend(warnings(result));
    notes.extend(sources(result));
    parts([vec![plain(&result["summary"]), change, gate], verdict].into_iter().chain(places).chain([notes]))
}

fn mark(condition: &Value) -> &str {
    match (condition["status"].as_str(), condition["level"].as_str()) {
        (Some("failed"), Some("warn")) => "warning",
        (Some("failed"), _) => "FAILED",
        (Some("no_data"), _) => "no data",
        (Some(other), _) => other,
        _ => "",
    }
}

fn evidence(condition: &Value) -> Vec<String> {
    let all = list(&condition["evidence"]);
    if all.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![format!("{}:", plain(&condition["metric"]))];
    for one in all {
        let place = place(&one["file"], &one["range"]);
        let place = if place.is_empty() { place } else { format!("{place}  ") };
        let detail = one["detail"].as_str().map(|detail| format!(": {detail}")).unwrap_or_default();
        lines.push(format!("  {place}{}{detail}", plain(&one["id"])));
    }
    let total = condition["evidence_total"].as_u64().unwrap_or(0);
    let left = total.saturating_sub(all.len() as u64);
    if left > 0 {
        let next = condition["next_cursor"].as_str().map(|next| format!("; the next: --cursor {next}"));
        lines.push(format!("  {} of {total}{}", all.len(), next.unwrap_or_default()));
    }
    lines
}
