//! The page of fleets: what the server tells of them as one list of tasks, and how they and a task read.

use serde_json::{Value, json};

use crate::cli::ask::items;
use crate::cli::metrics::figures::{UNKNOWN, bytes, count, lasting, line, millis, text};
use crate::cli::metrics::listing::moment;

/// Fleets that have a line of their own above their tasks.
pub(super) const MOST: usize = 4;
/// Lines of an output that are looked at, from its end.
const LINES: usize = 60;

/// Puts what the server tells of fleets, and of one task, into the document: `fleets`, and `fleet_tasks` with the tasks of all.
pub(super) fn merge(document: &mut Value, told: &Value, detail: &Value) {
    let mut tasks = Vec::new();
    for fleet in items(&told["fleets"]) {
        for task in items(&fleet["tasks"]).iter().filter(|task| task.is_object()) {
            let mut row = task.clone();
            let id = &task["task_id"];
            row["took_ms"] = took(task, &document["at"]);
            row["fleet"] = fleet["name"].clone();
            row["agent"] = items(&fleet["agents"])
                .iter()
                .find(|it| it["current_task"] == *id)
                .cloned()
                .unwrap_or_default();
            row["detail"] = if detail["task_id"] == *id { detail.clone() } else { Value::Null };
            tasks.push(row);
        }
    }
    // A server that is asked for figures alone has answered with an object.
    if document.is_object() {
        document["fleets"] = told["fleets"].clone();
        document["fleet_tasks"] = tasks.into();
    }
}

/// Whether there is anything to show.
pub(super) fn are_there(document: &Value) -> bool {
    !items(&document["fleets"]).is_empty()
}

/// Each of the first fleets in a line.
pub(super) fn lines(document: &Value) -> Vec<String> {
    items(&document["fleets"]).iter().take(MOST).map(one).collect()
}

fn one(fleet: &Value) -> String {
    let queue = &fleet["queue"];
    let agents = fleet["agents"].as_array();
    let busy = agents.map(|all| all.iter().filter(|agent| agent["state"] == "busy").count());
    let agents = match (busy, agents) {
        (Some(busy), Some(all)) => {
            format!("{busy} of {} agent{} busy", all.len(), if all.len() == 1 { "" } else { "s" })
        }
        _ => format!("agents {UNKNOWN}"),
    };
    let sum = |keys: &[&str]| keys.iter().map(|key| queue[*key].as_u64()).sum::<Option<u64>>().into();
    let degraded: Vec<String> = items(&fleet["degraded"]).iter().map(text).collect();
    let degraded = if degraded.is_empty() { String::new() } else { format!("  ▲ {}", degraded.join("; ")) };
    format!(
        "{}  {agents}, {} running, {} ready, {} waiting, {} done, {} failed{degraded}",
        text(&fleet["name"]),
        count(&queue["running"]),
        count(&queue["ready"]),
        count(&sum(&["blocked", "scheduled", "retrying", "waiting"])),
        count(&queue["done"]),
        count(&sum(&["failed", "dead"])),
    )
}

/// How long the last attempt of a task has taken, or takes until now, by the server's clock; in milliseconds.
fn took(task: &Value, now: &Value) -> Value {
    let time = |value: &Value| value.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let until = if task["ended"].is_null() { now } else { &task["ended"] };
    let (Some(started), Some(until)) = (time(&task["started"]), time(until)) else { return Value::Null };
    json!((until.as_millisecond() - started.as_millisecond()).max(0))
}

/// All that is known of a task; its newest output last in time comes first where there is little room.
pub(super) fn task(row: &Value) -> Vec<String> {
    let mut lines = vec![format!(
        "task      {}, {} of {}, attempt {} of {}",
        text(&row["task_id"]),
        text(&row["profile"]),
        text(&row["fleet"]),
        count(&row["attempts"]),
        count(&row["max_attempts"])
    )];
    lines.push(format!(
        "times     submitted {}, begun {}, over {} (UTC)",
        moment(&row["created"]),
        moment(&row["started"]),
        moment(&row["ended"])
    ));
    for key in ["error", "progress", "cancel_wanted"] {
        lines.extend(
            row[key].as_str().map(|why| format!("{:<9} {}", key.split('_').next().unwrap_or(key), line(why))),
        );
    }
    let agent = &row["agent"];
    if agent.is_object() {
        let memory = agent["rss_kb"].as_u64().map(|kib| kib * 1024);
        lines.push(format!(
            "agent     {}, pid {}, up {}, {}, {} done, {} failed",
            text(&agent["id"]),
            text(&agent["pid"]),
            lasting(&agent["uptime_ms"]),
            bytes(&memory.into()),
            count(&agent["done"]),
            count(&agent["failed"])
        ));
    }
    let Some(last) = items(&row["detail"]["attempts"]).last() else {
        let none = if row["detail"].is_null() { "not asked for yet" } else { "no attempt is over" };
        lines.push(format!("output    {none}"));
        return lines;
    };
    let result = &last["result"];
    lines.push(format!(
        "attempt   {} {} in {}",
        count(&last["attempt"]),
        text(&last["outcome"]),
        millis(&result["ms"])
    ));
    // What it said last says most.
    let mut said: Vec<String> = Vec::new();
    for name in ["stdout", "stderr"] {
        for part in ["head", "tail"] {
            let written = result[name][part].as_str().unwrap_or_default();
            said.extend(written.lines().map(|written| format!("  | {}", line(written))));
            if part == "head" && result[name]["omitted"].as_u64().unwrap_or(0) > 0 {
                said.push(format!("  … {} were not kept …", bytes(&result[name]["omitted"])));
            }
        }
    }
    lines.push(if said.is_empty() {
        "output    none".into()
    } else {
        "output    the last lines first".into()
    });
    lines.extend(said.into_iter().rev().take(LINES));
    lines
}
