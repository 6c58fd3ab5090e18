//! One row of a list, with all that is known of it.

use serde_json::Value;

use crate::cli::ask::items;
use crate::cli::metrics::figures::{UNKNOWN, bytes, count, lasting, line, of_hundred, short, text};
use crate::cli::metrics::listing::{ALERTS, LIVE, Listing, REPLICAS};
use crate::cli::metrics::report;

/// Its lines; what matters most comes first, since there may be no room for all.
pub(super) fn detail(listing: &Listing, row: &Value) -> Vec<String> {
    match listing.member {
        member if member == REPLICAS.member => replica(row),
        member if member == LIVE.member || member == ALERTS.member => members(row),
        _ => calls(row),
    }
}

fn calls(row: &Value) -> Vec<String> {
    let mut lines = vec![
        format!("errors    {}", report::failures(row)),
        format!("latency   {}", report::times(&row["latency_ms"])),
        format!("upstream  {}", report::times(&row["upstream_ms"])),
        format!("own       {}", report::times(&row["overhead_ms"])),
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
    if let Some(error) = row["error"].as_str() {
        lines.push(format!("error     {}", line(error)));
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

/// Whatever the server says of it.
fn members(row: &Value) -> Vec<String> {
    let members = row.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    members.map(|(name, value)| format!("{:<10} {}", line(name), text(value))).collect()
}
