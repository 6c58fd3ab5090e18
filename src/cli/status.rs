//! `mcp status`.

use clap::Args;
use serde_json::Value;

use super::ask::{ask, items, text};
use super::table::Table;
use super::{Failure, Server};

/// `mcp status`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  aqe-v3 mcp status\n  aqe-v3 mcp status --json --socket /run/user/1000/aqe-v3/4711.sock"
)]
pub(super) struct Status {
    #[command(flatten)]
    server: Server,
}

impl Status {
    pub(super) fn run(self) -> Result<(), Failure> {
        ask(&self.server, "/admin/status", show).map(drop)
    }
}

fn show(answer: &Value) -> String {
    let uptime_s = answer["uptime_ms"].as_f64().unwrap_or_default() / 1000.0;
    let url = answer["url"].as_str().unwrap_or("standard input and output");
    format!(
        "{url}  pid {}, up {uptime_s:.0} s, {} tools, {} HTTP sessions\nfolder {}\n\n{}",
        text(&answer["pid"]),
        text(&answer["total_tools"]),
        text(&answer["http_sessions"]),
        text(&answer["folder"]),
        upstreams(answer)
    )
}

/// The upstreams as a table.
pub(super) fn upstreams(answer: &Value) -> Table {
    let mut table =
        Table::new(&["upstream", "transport", "state", "tools", "in flight", "revision", "error"]);
    for upstream in items(&answer["upstreams"]) {
        let keys = ["name", "transport", "state", "tools", "calls_in_flight", "revision"];
        let error = upstream["error"].as_str().unwrap_or_default();
        table.row(keys.map(|key| text(&upstream[key])).into_iter().chain([error.to_owned()]));
    }
    table
}
