//! One row of a list, with all that is known of it.

use serde_json::Value;

use super::fleets;
use crate::cli::ask::items;
use crate::cli::metrics::figures::{UNKNOWN, bytes, count, lasting, line, millis, of_hundred, short, text};
use crate::cli::metrics::listing::{ALERTS, FLEETS, LIVE, Listing, REPLICAS, measured, moment, scope};
use crate::cli::metrics::report;

/// Its lines; what matters most comes first, since there may be no room for all.
pub(super) fn detail(listing: &Listing, row: &Value) -> Vec<String> {
    match listing.member {
        member if member == REPLICAS.member => replica(row),
        member if member == LIVE.member => call(row),
        member if member == ALERTS.member => alert(row),
        member if member == FLEETS.member => fleets::task(row),
        _ => calls(row),
    }
}

fn calls(row: &Value) -> Vec<String> {
    let mut lines = vec![
        format!("errors    {}", report::failures(row)),
        format!("latency   {}", report::times(&row["latency_ms"])),
        format!("upstream  {}", report::times(&row["upstream_ms"])),
        format!("overhead  {}", report::times(&row["overhead_ms"])),
        format!(
            "sizes     requests {}, answers {}, about {} tokens; {} cancelled",
            bytes(&row["request_bytes"]),
            bytes(&row["response_bytes"]),
            short(&row["estimated_tokens"]),
            count(&row["cancelled"])
        ),
    ];
    // Only tools have a definition.
    if row["upstream"].is_string() {
        lines.push(format!(
            "tool      of {}, category {}, definition {}, about {} tokens; {} requests since the start",
            text(&row["upstream"]),
            text(&row["category"]),
            bytes(&row["definition_bytes"]),
            short(&row["definition_tokens"]),
            count(&row["total_requests"])
        ));
    }
    lines
}

fn replica(row: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for key in ["reason", "error"] {
        lines.extend(row[key].as_str().map(|why| format!("{key:<9} {}", line(why))));
    }
    lines.push(format!("errors    {}", report::failures(row)));
    lines.push(format!("latency   {}", report::times(&row["latency_ms"])));
    let children: Vec<String> = items(&row["children"])
        .iter()
        .map(|child| {
            format!(
                "{} ({}, {}, up {})",
                text(&child["pid"]),
                of_hundred(&child["cpu_percent"]),
                bytes(&child["rss_bytes"]),
                lasting(&child["uptime_ms"])
            )
        })
        .collect();
    let children = match (row["children"].is_array(), children.is_empty()) {
        (false, _) => UNKNOWN.into(),
        (true, true) => "none".into(),
        (true, false) => children.join(", "),
    };
    lines.push(format!("processes {children}"));
    // The newest lines are the ones to see.
    let mut last: Vec<String> =
        items(&row["last_lines"]).iter().map(|said| format!("  | {}", text(said))).collect();
    last.reverse();
    lines.extend(last);
    lines
}

fn call(row: &Value) -> Vec<String> {
    let mut lines = vec![
        format!("method    {}", text(&row["method"])),
        format!("tool      {} of {}", text(&row["tool"]), text(&row["upstream"])),
        format!("client    {}, {} era", text(&row["principal"]), text(&row["era"])),
        format!("running   {}", millis(&row["running_ms"])),
    ];
    let task = &row["task"];
    if task.is_object() {
        lines.push(format!("task      {}: {}", text(&task["status"]), text(&task["message"])));
    }
    lines
}

fn alert(row: &Value) -> Vec<String> {
    let ack = &row["ack"];
    let acked = match ack["by"].as_str() {
        Some(by) => format!("by {} at {}", line(by), moment(&ack["at"])),
        None => "by nobody".into(),
    };
    let note = ack["note"].as_str().map(|note| format!(": {}", line(note))).unwrap_or_default();
    vec![
        text(&row["text"]),
        format!(
            "of        {}, window {}, must last {}",
            scope(row),
            text(&row["window"]),
            lasting(&row["for_ms"])
        ),
        format!(
            "value     {}, peak {}, threshold {}",
            measured(row, "value"),
            measured(row, "peak"),
            measured(row, "threshold")
        ),
        format!("since     {}, firing since {}", moment(&row["since"]), moment(&row["started"])),
        format!("noted     {acked}{note}"),
    ]
}
