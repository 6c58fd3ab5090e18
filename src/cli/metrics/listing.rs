//! The lists of the server's document: which columns each has, in which order its rows come, which of them are meant.
//! The table in plain text and the dashboard show the same.

use clap::ValueEnum;
use serde_json::Value;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::figures::{UNKNOWN, bytes, count, line, millis, number, of_hundred, percent, rate, short, text};
use crate::cli::ask::items;

/// What comes first in a list of calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Sort {
    /// The most requests.
    #[default]
    Used,
    /// The greatest 95th percentile of the latency.
    Slow,
    /// The most errors.
    Errors,
    /// The most estimated tokens of results.
    Tokens,
}

impl Sort {
    /// The one after it, and after the last the first.
    pub(super) fn next(self) -> Self {
        match self {
            Self::Used => Self::Slow,
            Self::Slow => Self::Errors,
            Self::Errors => Self::Tokens,
            Self::Tokens => Self::Used,
        }
    }

    /// What it puts first, in words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Used => "most used",
            Self::Slow => "slowest",
            Self::Errors => "most errors",
            Self::Tokens => "most tokens",
        }
    }

    /// What is compared; without it a row comes last.
    fn key(self, row: &Value) -> Option<f64> {
        let value = match self {
            Self::Used => &row["requests"],
            Self::Slow => &row["latency_ms"]["p95"],
            Self::Errors => &row["errors"],
            Self::Tokens => &row["estimated_tokens"],
        };
        value.as_f64()
    }
}

/// Least width of the first column, in cells of the terminal, where others are left out for it.
const NAME: usize = 16;
/// Most cells of what is known of a task.
const NOTE: usize = 40;
/// Cells between two columns.
pub(super) const GAP: usize = 2;

/// `text` in at most `width` cells, with an ellipsis for what is missing.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut room = width.saturating_sub(1);
    for letter in text.chars() {
        let Some(left) = room.checked_sub(letter.width().unwrap_or(0)) else { break };
        room = left;
        kept.push(letter);
    }
    if width > 0 { kept + "…" } else { kept }
}

/// How a row is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// As it should be.
    Plain,
    /// Worth a look.
    Warning,
    /// Wrong.
    Critical,
    /// Of no weight at the moment.
    Faint,
}

/// A column.
pub(super) struct Column {
    /// Its heading.
    pub(super) title: &'static str,
    /// Whether it holds figures, which stand to the right.
    pub(super) right: bool,
    /// Where there is no room, the columns of the highest rank are left out; those of rank 0 never are.
    pub(super) rank: u8,
    /// The cell of a row.
    pub(super) cell: fn(&Value) -> String,
}

const fn left(title: &'static str, rank: u8, cell: fn(&Value) -> String) -> Column {
    Column { title, right: false, rank, cell }
}

const fn right(title: &'static str, rank: u8, cell: fn(&Value) -> String) -> Column {
    Column { title, right: true, rank, cell }
}

/// A list of the document.
pub(super) struct Listing {
    /// The document's member.
    pub(super) member: &'static str,
    /// What the rows are, in the plural.
    pub(super) title: &'static str,
    /// The columns; the first one is what a row is called.
    pub(super) columns: &'static [Column],
    /// What tells a row from the others while the list changes.
    pub(super) key: fn(&Value) -> String,
    /// How a row is meant.
    pub(super) tone: fn(&Value) -> Tone,
    /// Whether [`Sort`] orders it; else the document's order is kept.
    pub(super) sorted: bool,
}

impl std::fmt::Debug for Listing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Listing({})", self.member)
    }
}

impl Listing {
    /// The rows whose texts hold `filter`, whatever the case of its letters.
    pub(super) fn rows<'a>(&self, document: &'a Value, sort: Sort, filter: &str) -> Vec<&'a Value> {
        let filter = filter.to_lowercase();
        let meant = |row: &&Value| filter.is_empty() || self.words(row).to_lowercase().contains(&filter);
        let mut rows: Vec<&Value> = items(&document[self.member]).iter().filter(meant).collect();
        if self.sorted {
            let key = |row: &Value| sort.key(row).unwrap_or(-1.0);
            // Rows that are equal keep their places from one second to the next.
            rows.sort_by(|one, other| {
                let since_start = |row: &Value| row["total_requests"].as_u64();
                key(other)
                    .total_cmp(&key(one))
                    .then_with(|| since_start(other).cmp(&since_start(one)))
                    .then_with(|| (self.key)(one).cmp(&(self.key)(other)))
            });
        }
        rows
    }

    /// The columns that fit into `width`, each with its own width. Those of high rank go first, then the first column
    /// is cut.
    pub(super) fn fitting(&self, rows: &[&Value], width: usize) -> Vec<(&'static Column, usize)> {
        let wide = |column: &Column| {
            let cells = rows.iter().map(|row| (column.cell)(row).width());
            cells.chain([column.title.width()]).max().unwrap_or(0)
        };
        let mut all: Vec<(&'static Column, usize)> =
            self.columns.iter().map(|column| (column, wide(column))).collect();
        loop {
            let sum: usize = all.iter().map(|(_, width)| width + GAP).sum::<usize>().saturating_sub(GAP);
            let Some(over) = sum.checked_sub(width).filter(|over| *over > 0) else { return all };
            let name = all.first().map_or(0, |(_, width)| *width);
            let last = (1..all.len()).rev().max_by_key(|at| (all[*at].0.rank, *at));
            let last = last.filter(|at| all[*at].0.rank > 0 && name.saturating_sub(over) < NAME.min(name));
            let Some(last) = last else {
                if let Some((_, width)) = all.first_mut() {
                    *width = width.saturating_sub(over).max(1);
                }
                return all;
            };
            all.remove(last);
        }
    }

    /// The texts of a row, without its figures.
    fn words(&self, row: &Value) -> String {
        let cells = self.columns.iter().filter(|column| !column.right).map(|column| (column.cell)(row));
        cells.collect::<Vec<_>>().join(" ")
    }
}

fn errors(row: &Value) -> String {
    match row["errors"].as_u64() {
        Some(1..) => format!("{} ({})", count(&row["errors"]), percent(&row["error_rate"])),
        _ => count(&row["errors"]),
    }
}

/// What was called without errors is plain, and what was not called is faint.
fn of_calls(row: &Value) -> Tone {
    match (row["requests"].as_u64(), row["errors"].as_u64()) {
        (_, Some(1..)) => Tone::Warning,
        (Some(0), _) => Tone::Faint,
        _ => Tone::Plain,
    }
}

/// A figure of a replica's processes together; not known if that of one of them is not.
fn of_children(row: &Value, key: &str) -> Option<f64> {
    let children = row["children"].as_array().filter(|children| !children.is_empty())?;
    children.iter().map(|child| child[key].as_f64()).sum()
}

/// A replica of an upstream that has several is named by both.
pub(super) fn replica(row: &Value) -> String {
    let (upstream, own) = (text(&row["upstream"]), text(&row["replica"]));
    if upstream == own { own } else { format!("{upstream}/{own}") }
}

const REQUESTS: Column = right("requests", 0, |row| count(&row["requests"]));
const RATE: Column = right("rate", 3, |row| rate(&row["per_s"]));
const ERRORS: Column = right("errors", 1, errors);
const P50: Column = right("p50", 3, |row| millis(&row["latency_ms"]["p50"]));
const P95: Column = right("p95", 0, |row| millis(&row["latency_ms"]["p95"]));
const P99: Column = right("p99", 2, |row| millis(&row["latency_ms"]["p99"]));
const OVERHEAD: Column = right("own p95", 4, |row| millis(&row["overhead_ms"]["p95"]));
const CACHED: Column = right("cached", 5, |row| count(&row["from_cache"]));
const TOKENS: Column = right("tokens", 4, |row| short(&row["estimated_tokens"]));
const SENT: Column = right("sent", 6, |row| bytes(&row["response_bytes"]));
const UPSTREAM: Column = left("upstream", 5, |row| text(&row["upstream"]));

const fn named(title: &'static str) -> Column {
    left(title, 0, |row| text(&row["name"]))
}

/// The tools that were called since the server has started.
pub(super) static TOOLS: Listing = Listing {
    member: "tools",
    title: "tools",
    columns: &[
        named("tool"),
        REQUESTS,
        RATE,
        ERRORS,
        P50,
        P95,
        P99,
        OVERHEAD,
        CACHED,
        TOKENS,
        right("since start", 6, |row| count(&row["total_requests"])),
        UPSTREAM,
        left("category", 7, |row| text(&row["category"])),
    ],
    key: |row| text(&row["name"]),
    tone: of_calls,
    sorted: true,
};

/// The upstreams.
pub(super) static UPSTREAMS: Listing = Listing {
    member: "upstreams",
    title: "upstreams",
    columns: &[named("upstream"), REQUESTS, RATE, ERRORS, P50, P95, P99, OVERHEAD, CACHED, TOKENS, SENT],
    key: |row| text(&row["name"]),
    tone: of_calls,
    sorted: true,
};

/// The categories of tools.
pub(super) static CATEGORIES: Listing = Listing {
    member: "categories",
    title: "categories",
    columns: &[named("category"), REQUESTS, RATE, ERRORS, P50, P95, P99, OVERHEAD, CACHED, TOKENS, SENT],
    key: |row| text(&row["name"]),
    tone: of_calls,
    sorted: true,
};

/// The methods other than `tools/call`.
pub(super) static METHODS: Listing = Listing {
    member: "methods",
    title: "methods",
    columns: &[named("method"), REQUESTS, RATE, ERRORS, P50, P95, P99, OVERHEAD, CACHED, TOKENS, SENT],
    key: |row| text(&row["name"]),
    tone: of_calls,
    sorted: true,
};

/// The replicas and their processes.
pub(super) static REPLICAS: Listing = Listing {
    member: "replicas",
    title: "replicas",
    columns: &[
        left("replica", 0, replica),
        left("state", 0, |row| text(&row["state"])),
        right("requests", 1, |row| count(&row["requests"])),
        ERRORS,
        right("p95", 2, |row| millis(&row["latency_ms"]["p95"])),
        right("in flight", 3, |row| count(&row["in_flight"])),
        right("ejections", 5, |row| count(&row["ejections"])),
        right("processes", 6, |row| {
            row["children"].as_array().map_or(UNKNOWN.into(), |all| all.len().to_string())
        }),
        right("restarts", 4, |row| count(&row["restarts"])),
        right("cpu", 4, |row| of_hundred(&of_children(row, "cpu_percent").into())),
        right("memory", 4, |row| bytes(&of_children(row, "rss_bytes").into())),
    ],
    key: replica,
    tone: |row| match row["state"].as_str() {
        Some("closed") if row["error"].is_null() => Tone::Plain,
        Some("closed") | None => Tone::Warning,
        Some(_) => Tone::Critical,
    },
    sorted: false,
};

/// The calls under way.
pub(super) static LIVE: Listing = Listing {
    member: "calls",
    title: "calls under way",
    columns: &[
        left("call", 0, |row| text(&row["call"])),
        left("what", 0, |row| text(if row["tool"].is_null() { &row["method"] } else { &row["tool"] })),
        right("running", 0, |row| millis(&row["running_ms"])),
        left("task", 1, task),
        left("upstream", 1, |row| text(&row["upstream"])),
        left("principal", 2, |row| text(&row["principal"])),
        left("era", 3, |row| text(&row["era"])),
    ],
    key: |row| text(&row["call"]),
    tone: |_| Tone::Plain,
    sorted: false,
};

/// How far the task is that a call goes on as.
fn task(row: &Value) -> String {
    match (&row["task"], &row["task"]["message"]) {
        (Value::Null, _) => "no".into(),
        (task, Value::Null) => text(&task["status"]),
        (_, message) => text(message),
    }
}

/// The tasks of fleets: those at work, then the newest others.
pub(super) static FLEETS: Listing = Listing {
    member: "fleet_tasks",
    title: "tasks of fleets",
    columns: &[
        left("task", 0, |row| text(&row["key"])),
        left("state", 0, |row| {
            let is_ending = row["state"] == "running" && row["cancel_wanted"].is_string();
            if is_ending { "being stopped".into() } else { text(&row["state"]) }
        }),
        left("profile", 1, |row| text(&row["profile"])),
        left("fleet", 3, |row| text(&row["fleet"])),
        right("attempts", 2, |row| count(&row["attempts"])),
        right("took", 2, |row| millis(&row["took_ms"])),
        left("what is known", 4, |row| {
            let known = if row["error"].is_null() { &row["progress"] } else { &row["error"] };
            cut(&text(known), NOTE)
        }),
    ],
    key: |row| text(&row["task_id"]),
    tone: |row| match row["state"].as_str() {
        Some("failed" | "dead") => Tone::Critical,
        Some("retrying") => Tone::Warning,
        Some("cancelled" | "skipped" | "done") => Tone::Faint,
        _ => Tone::Plain,
    },
    sorted: false,
};

/// A figure of an alert, in the unit of its signal.
pub(super) fn measured(row: &Value, key: &str) -> String {
    let value = &row[key];
    match row["unit"].as_str() {
        Some("ms") => millis(value),
        Some("share") => percent(value),
        Some("bytes") => bytes(value),
        Some("per_s") => rate(value),
        _ => number(value),
    }
}

/// What an alert is about: everything, or a tool, an upstream, a category or a replica.
pub(super) fn scope(row: &Value) -> String {
    let scope = &row["scope"];
    match (scope["kind"].as_str(), scope["name"].as_str()) {
        (Some("replica"), Some(name)) => line(&format!("replica {}/{name}", text(&scope["upstream"]))),
        (Some(kind), Some(name)) => line(&format!("{kind} {name}")),
        (Some(kind), None) => line(kind),
        _ => UNKNOWN.into(),
    }
}

/// A moment of RFC 3339 to the second.
pub(super) fn moment(value: &Value) -> String {
    let moment =
        value.as_str().and_then(|moment| moment.get(..19)).map(|moment| line(moment).replace('T', " "));
    moment.unwrap_or_else(|| UNKNOWN.into())
}

/// The alerts that are open.
pub(super) static ALERTS: Listing = Listing {
    member: "alerts",
    title: "alerts",
    columns: &[
        left("alert", 0, |row| text(&row["name"])),
        left("state", 0, |row| text(&row["state"])),
        left("severity", 2, |row| text(&row["severity"])),
        left("of", 4, scope),
        right("value", 1, |row| measured(row, "value")),
        right("threshold", 3, |row| measured(row, "threshold")),
        left("since (UTC)", 3, |row| moment(&row["since"])),
    ],
    key: |row| text(&row["name"]),
    tone: |row| match (row["state"].as_str(), row["severity"].as_str()) {
        (Some("firing"), Some("critical")) => Tone::Critical,
        (Some("firing"), _) => Tone::Warning,
        _ => Tone::Plain,
    },
    sorted: false,
};

#[cfg(test)]
const ALL: [&Listing; 8] = [&TOOLS, &UPSTREAMS, &CATEGORIES, &METHODS, &REPLICAS, &LIVE, &ALERTS, &FLEETS];

#[cfg(test)]
mod tests;
