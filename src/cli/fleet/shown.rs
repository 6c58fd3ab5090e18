//! What the results of `fleet` look like for people.

use serde_json::Value;

use super::super::ask::{items, text};
use super::super::table::Table;

pub(super) fn fleet(said: &Value) -> String {
    let queue = &said["queue"];
    let head = format!(
        "{} ({})  {} running, {} ready, {} blocked, {} done, {} failed, {} dead",
        text(&said["fleet_id"]),
        text(&said["name"]),
        queue["running"],
        queue["ready"],
        queue["blocked"],
        queue["done"],
        queue["failed"],
        queue["dead"],
    );
    let degraded: Vec<String> =
        items(&said["degraded"]).iter().map(|it| format!("\n! {}", text(it))).collect();
    format!("{head}{}\n\n{}", degraded.concat(), agents(&said["workers"]))
}

pub(super) fn agents(list: &Value) -> String {
    let mut table = Table::new(&["agent", "profile", "pid", "state", "done", "failed", "p50 ms", "task"]);
    for agent in items(list) {
        let keys = ["id", "profile", "pid", "state", "done", "failed", "p50_ms", "current_task"];
        table.row(keys.map(|key| text(&agent[key])));
    }
    table.to_string()
}

pub(super) fn tasks(said: &Value) -> String {
    let mut table = Table::new(&["task", "key", "state", "error"]);
    let one = [said.clone()];
    let list = if said["tasks"].is_array() { items(&said["tasks"]) } else { &one };
    for task in list {
        let id = if task["id"].is_string() { &task["id"] } else { &task["task_id"] };
        table.row([text(id), text(&task["key"]), text(&task["state"]), text(&task["error"])]);
    }
    format!("{} {}\n\n{table}", text(&said["run_id"]), text(&said["state"]))
}

/// What the last attempt of a task has written, with a word where something was left out.
pub(super) fn written(said: &Value) -> String {
    let Some(last) = items(&said["attempts"]).last() else {
        return format!("no attempt is over; the task is {}", text(&said["state"]));
    };
    let mut all = String::new();
    for name in ["stdout", "stderr"] {
        let kept = &last["result"][name];
        let part = |key: &str| kept[key].as_str().unwrap_or_default().to_owned();
        all += &part("head");
        if kept["omitted"].as_u64().unwrap_or(0) > 0 {
            all.extend(["\n… ", &text(&kept["omitted"]), " bytes were not kept …\n"]);
        }
        all += &part("tail");
    }
    if all.is_empty() { text(&last["error"]) } else { all.trim_end().to_owned() }
}
