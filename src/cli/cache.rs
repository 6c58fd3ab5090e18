//! `mcp cache`.

use std::fmt::Write as _;

use clap::Subcommand;
use serde_json::{Map, Value};

use super::ask::{ask, change, items, percent, text};
use super::output::{bytes, printable};
use super::table::Table;
use super::{Failure, Server};

/// `mcp cache`.
#[derive(Debug, Subcommand)]
pub(super) enum Cache {
    /// Show what is kept on each level, and how often that was of use.
    #[command(after_help = "Examples:\n  aqe-v3 mcp cache stats\n  aqe-v3 mcp cache stats --json")]
    Stats {
        #[command(flatten)]
        server: Server,
    },
    /// Forget what is kept, on all levels: everything, or what is of one upstream or tool.
    #[command(
        after_help = "Examples:\n  aqe-v3 mcp cache clear\n  aqe-v3 mcp cache clear --upstream files\n  \
                            aqe-v3 mcp cache clear --tool files__read"
    )]
    Clear {
        /// Only what this upstream has answered.
        #[arg(long, value_name = "NAME")]
        upstream: Option<String>,
        /// Only what this tool has answered: its name as clients see it or, with --upstream, as that calls it.
        #[arg(long, value_name = "NAME")]
        tool: Option<String>,
        #[command(flatten)]
        server: Server,
    },
}

impl Cache {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Stats { server } => ask(&server, "/admin/cache", stats).map(drop),
            Self::Clear { upstream, tool, server } => {
                let given = [("upstream", upstream), ("tool", tool)].into_iter();
                let given: Map<String, Value> =
                    given.filter_map(|(key, value)| Some((key.to_owned(), value?.into()))).collect();
                change(&server, "/admin/cache/clear", &given.into(), cleared)
            }
        }
    }
}

fn stats(answer: &Value) -> String {
    let mut table = Table::new(&[
        "level", "hits", "misses", "hit rate", "stale", "expired", "invalid", "inserted", "evicted",
        "entries", "bytes", "limit",
    ]);
    let levels = items(&answer["levels"]);
    for level in levels {
        let limit = match (level["max_entries"].as_u64(), level["max_bytes"].as_u64()) {
            (Some(entries), Some(most)) => format!("{entries}, {}", bytes(most)),
            (Some(entries), None) => entries.to_string(),
            (None, Some(most)) => bytes(most),
            (None, None) => "-".into(),
        };
        let mut cells = vec![text(&level["level"]), text(&level["hits"]), text(&level["misses"])];
        cells.push(percent(&level["hit_rate"]));
        cells.extend(
            ["stale", "expired", "invalid", "inserted", "evicted", "entries"].map(|key| text(&level[key])),
        );
        cells.push(level["bytes"].as_u64().map_or_else(|| "-".into(), bytes));
        cells.push(limit);
        table.row(cells);
    }
    let mut lines = table.to_string();
    for level in levels {
        let name = text(&level["level"]);
        if let Some(reason) = level["off"].as_str() {
            // Writing to a string cannot fail.
            let _ = write!(lines, "\n{name} is off: {}", printable(reason));
        }
        for (key, what) in [("damaged", "entries were damaged"), ("dropped", "answers were not written")] {
            if let Some(number) = level[key].as_u64().filter(|number| *number > 0) {
                let _ = write!(lines, "\n{name}: {number} {what}");
            }
        }
    }
    let [joined, under_way, refreshed] =
        ["calls_joined", "calls_under_way", "refreshed"].map(|key| text(&answer[key]));
    format!(
        "{lines}\n{joined} calls joined an equal one, {under_way} under way; {refreshed} stale answers fetched anew"
    )
}

fn cleared(answer: &Value) -> String {
    format!("{} entries were in memory", text(&answer["cleared"]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn levels_are_shown_with_their_limits_and_why_one_is_off() {
        let answer = json!({
            "levels": [
                { "level": "l1", "hits": 3, "misses": 1, "hit_rate": 0.75, "entries": 2, "max_entries": 512, "bytes": null,
                  "max_bytes": null },
                { "level": "l2", "hits": 0, "misses": 0, "hit_rate": null, "entries": 2, "max_entries": 10_000,
                  "bytes": 1536, "max_bytes": 67_108_864 },
                { "level": "l3", "hits": 0, "misses": 4, "hit_rate": 0.0, "entries": null, "max_entries": null,
                  "bytes": null, "max_bytes": 268_435_456, "off": "no room", "damaged": 1, "dropped": 0 },
            ],
            "calls_joined": 5, "calls_under_way": 0, "refreshed": 2,
        });
        let shown = stats(&answer);
        for part in [
            "75.0 %",
            "10000, 64.0 MiB",
            "1.5 KiB",
            "256.0 MiB",
            "\nl3 is off: no room\nl3: 1 entries were damaged\n5 calls joined",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }
}
