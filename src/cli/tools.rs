//! `mcp tools`.

use clap::Subcommand;
use serde_json::Value;

use super::ask::{ask, items, millis, not_listed, text};
use super::client::encode;
use super::output::printable;
use super::table::Table;
use super::{Failure, Server, call};

/// `mcp tools`.
#[derive(Debug, Subcommand)]
pub(super) enum Tools {
    /// List the tools that are served.
    #[command(
        after_help = "Examples:\n  aqe-v3 mcp tools list\n  aqe-v3 mcp tools list --upstream files --json"
    )]
    List {
        /// Only tools of this category.
        #[arg(long)]
        category: Option<String>,
        /// Only tools of this upstream.
        #[arg(long)]
        upstream: Option<String>,
        /// Only tools whose names begin like this.
        #[arg(long)]
        prefix: Option<String>,
        #[command(flatten)]
        server: Server,
    },
    /// Say what a name means: a tool, the tool it must have meant, or none. Exit code 1 for none.
    #[command(after_help = "Example:\n  aqe-v3 mcp tools lookup qe_memory_store")]
    Lookup {
        /// The name.
        name: String,
        #[command(flatten)]
        server: Server,
    },
    /// Figures: how many tools, in which categories, which are used most.
    #[command(after_help = "Example:\n  aqe-v3 mcp tools stats --json")]
    Stats {
        #[command(flatten)]
        server: Server,
    },
    /// Run a tool. Exit code 1 if it answers with an error.
    #[command(
        after_help = "Example:\n  aqe-v3 mcp tools call qe_memory_retrieve '{\"namespace\": \"notes\", \"key\": \"plan\"}'"
    )]
    Call {
        /// The tool.
        name: String,
        /// Its arguments, a JSON object.
        #[arg(default_value = "{}")]
        arguments: String,
        #[command(flatten)]
        server: Server,
    },
}

impl Tools {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            Self::List { category, upstream, prefix, server } => {
                let filters = [("category", category), ("upstream", upstream), ("prefix", prefix)];
                let given = filters.into_iter().filter_map(|(name, value)| Some((name, value?)));
                let query: Vec<String> =
                    given.map(|(name, value)| format!("{name}={}", encode(&value))).collect();
                ask(&server, &format!("/admin/tools?{}", query.join("&")), list)?;
            }
            Self::Lookup { name, server } => {
                let answer = ask(&server, &format!("/admin/tools/lookup?name={}", encode(&name)), lookup)?;
                if answer["match"] == "unknown" {
                    return Err(Failure::Told);
                }
            }
            Self::Stats { server } => {
                ask(&server, "/admin/tools/stats", stats)?;
            }
            Self::Call { name, arguments, server } => call::call(&server, &name, &arguments)?,
        }
        Ok(())
    }
}

fn list(answer: &Value) -> String {
    let mut table = Table::new(&["tool", "upstream", "category", "calls", "errors", "mean"]);
    for tool in items(&answer["tools"]) {
        let cells = ["name", "upstream", "category", "calls", "errors"].map(|key| text(&tool[key]));
        table.row(cells.into_iter().chain([millis(&tool["mean_ms"])]));
    }
    format!("{table}\n{} tools{}", text(&answer["total"]), not_listed(answer))
}

fn lookup(answer: &Value) -> String {
    let tool = &answer["tool"];
    let name = printable(&text(&answer["name"]));
    let head = match answer["match"].as_str() {
        Some("exact") => name,
        Some("resolved") => format!(
            "{name}: no such tool; near {} ({:.0} % alike, by {})",
            text(&tool["name"]),
            answer["similarity"].as_f64().unwrap_or_default() * 100.0,
            text(&answer["variant"])
        ),
        _ => {
            let near: Vec<String> = items(&answer["suggestions"])
                .iter()
                .map(|near| {
                    let alike = near["similarity"].as_f64().unwrap_or_default() * 100.0;
                    format!("\n  {}  ({alike:.0} % alike)", text(&near["name"]))
                })
                .collect();
            let near =
                if near.is_empty() { String::new() } else { format!("; the nearest:{}", near.concat()) };
            return format!("{name}: no such tool{near}{}", not_listed(answer));
        }
    };
    let definition = &tool["definition"];
    let hints: Vec<String> = tool["annotations"].as_object().map_or_else(Vec::new, |hints| {
        hints
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| format!("{name} {value}"))
            .collect()
    });
    let hints = if hints.is_empty() { "-".into() } else { hints.join(", ") };
    let rows = [
        ("upstream", format!("{} (its name there: {})", text(&tool["upstream"]), text(&tool["original"]))),
        ("category", text(&tool["category"])),
        ("annotations", hints),
        ("calls", format!("{}, errors {}", text(&tool["calls"]), text(&tool["errors"]))),
        ("latency", format!("mean {}, p95 {}", millis(&tool["mean_ms"]), millis(&tool["p95_ms"]))),
        ("description", text(&definition["description"])),
        ("input", text(&definition["inputSchema"])),
    ];
    rows.iter().fold(head, |all, (name, value)| format!("{all}\n  {name:<12} {}", printable(value)))
}

fn stats(answer: &Value) -> String {
    let cache = &answer["fuzzy_cache"];
    let rate = cache["hit_rate"].as_f64();
    let rate = rate.map_or_else(|| "no searches yet".into(), |rate| format!("{:.1} % hits", rate * 100.0));
    let issues = &answer["name_issues"];
    let mut lines = vec![
        format!(
            "tools         {}, and {} kept back by allow and deny",
            text(&answer["total_tools"]),
            text(&answer["denied_tools"])
        ),
        format!("compiled      {} in {}", text(&answer["compiled_at"]), millis(&answer["build_time_ms"])),
        format!("fuzzy cache   {} names, {rate}", text(&cache["entries"])),
        format!("name issues   {}", text(&issues["total"])),
    ];
    lines.extend(items(&issues["first"]).iter().map(|issue| format!("  {}", printable(&text(issue)))));
    let mut categories = Table::new(&["category", "tools"]);
    for category in items(&answer["categories"]) {
        categories.row(["name", "tools"].map(|key| text(&category[key])));
    }
    lines.push(format!("\n{categories}"));
    let used = items(&answer["most_used"]);
    if !used.is_empty() {
        let mut table = Table::new(&["most used", "calls", "errors", "mean"]);
        for tool in used {
            let cells = ["name", "calls", "errors"].map(|key| text(&tool[key]));
            table.row(cells.into_iter().chain([millis(&tool["mean_ms"])]));
        }
        lines.push(format!("\n{table}"));
    }
    lines.join("\n") + &not_listed(answer)
}
