//! `mcp balance`.

use aqe_core::balancer::Strategy;
use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use super::ask::{ask, change, items, millis, percent, text};
use super::output::printable;
use super::start::strategy;
use super::table::Table;
use super::{Failure, Server};

/// `mcp balance`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  aqe-v3 mcp balance status\n  aqe-v3 mcp balance configure --strategy response-time\n  \
                  aqe-v3 mcp balance --strategy least-connections --enable\n  aqe-v3 mcp balance agents"
)]
pub(super) struct Balance {
    #[command(subcommand)]
    action: Option<Action>,
    /// Put the strategy into force, as `mcp balance configure` does.
    #[arg(long, required = true)]
    enable: bool,
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show how the calls of each upstream are spread.
    #[command(after_help = "Examples:\n  aqe-v3 mcp balance status\n  aqe-v3 mcp balance status --json")]
    Status {
        #[command(flatten)]
        server: Server,
    },
    /// Change how calls are spread until the server ends. Calls under way go on; the file is not changed.
    #[command(after_help = "Examples:\n  aqe-v3 mcp balance configure --strategy response-time\n  \
                            aqe-v3 mcp balance configure --strategy p2c --upstream search")]
    Configure {
        #[command(flatten)]
        choice: Choice,
        #[command(flatten)]
        server: Server,
    },
    /// Show the replicas that calls are spread over: which are in use, which are out and why.
    #[command(after_help = "Examples:\n  aqe-v3 mcp balance agents\n  aqe-v3 mcp balance agents --json")]
    Agents {
        #[command(flatten)]
        server: Server,
    },
}

/// What can be changed.
#[derive(Debug, Args)]
struct Choice {
    /// How a replica is chosen: round-robin, least-connections, response-time, weighted or p2c.
    #[arg(long, value_name = "NAME", value_parser = strategy)]
    strategy: Option<Strategy>,
    /// Only for this upstream; without it for all.
    #[arg(long, value_name = "NAME")]
    upstream: Option<String>,
    /// What the load counts in the strategy "weighted".
    #[arg(long, value_name = "NUMBER")]
    load_weight: Option<f64>,
    /// What the latency counts in it.
    #[arg(long, value_name = "NUMBER")]
    response_weight: Option<f64>,
    /// What the tool's category counts in it.
    #[arg(long, value_name = "NUMBER")]
    category_weight: Option<f64>,
}

impl Balance {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self.action {
            Some(Action::Status { server }) => ask(&server, "/admin/balance", status).map(drop),
            Some(Action::Configure { choice, server }) => choice.apply(&server),
            Some(Action::Agents { server }) => ask(&server, "/admin/balance", agents).map(drop),
            // Without a subcommand `--enable` is required.
            None => self.choice.apply(&self.server),
        }
    }
}

impl Choice {
    fn apply(&self, server: &Server) -> Result<(), Failure> {
        let weights = [
            ("load_weight", self.load_weight),
            ("response_weight", self.response_weight),
            ("category_weight", self.category_weight),
        ];
        let weights = weights.into_iter().filter_map(|(key, weight)| Some((key.to_owned(), weight?.into())));
        let mut members: Map<String, Value> = weights.collect();
        members.extend(self.strategy.map(|strategy| ("strategy".to_owned(), strategy.as_str().into())));
        if members.is_empty() {
            return Err(Failure::Usage("nothing to change: give --strategy or a weight; see --help".into()));
        }
        members.extend(self.upstream.as_deref().map(|name| ("upstream".to_owned(), name.into())));
        change(server, "/admin/balance", &members.into(), status)
    }
}

fn status(answer: &Value) -> String {
    let mut table = Table::new(&[
        "upstream",
        "strategy",
        "replicas",
        "in use",
        "in flight",
        "calls",
        "failures",
        "retries",
        "left",
        "hedges",
    ]);
    let upstreams = items(&answer["upstreams"]);
    if upstreams.is_empty() {
        return "no upstreams".into();
    }
    for upstream in upstreams {
        let replicas = items(&upstream["replicas"]);
        let sum =
            |key: &str| replicas.iter().filter_map(|replica| replica[key].as_u64()).sum::<u64>().to_string();
        let in_use = replicas.iter().filter(|replica| replica["reason"].is_null()).count();
        let panic = if upstream["panic"] == true { " (panic)" } else { "" };
        table.row([
            text(&upstream["name"]),
            strategy_of(upstream),
            replicas.len().to_string(),
            format!("{in_use}{panic}"),
            sum("in_flight"),
            sum("picks"),
            sum("failures"),
            text(&upstream["retries"]),
            text(&upstream["retries_left"]),
            text(&upstream["hedges"]),
        ]);
    }
    let out = upstreams.iter().flat_map(|upstream| {
        let replicas = items(&upstream["replicas"]).iter().filter(|replica| !replica["reason"].is_null());
        replicas.map(|replica| {
            format!("\n{}/{}: {}", text(&upstream["name"]), text(&replica["name"]), why(replica))
        })
    });
    let out: String = out.collect();
    format!("{table}{}{}", if out.is_empty() { "" } else { "\n" }, printable(&out))
}

fn strategy_of(upstream: &Value) -> String {
    let name = text(&upstream["strategy"]);
    if name != Strategy::Weighted.as_str() {
        return name;
    }
    let weights =
        ["load", "response", "category"].map(|key| format!("{key} {}", text(&upstream["weights"][key])));
    format!("{name} ({})", weights.join(", "))
}

fn agents(answer: &Value) -> String {
    let mut table = Table::new(&[
        "upstream",
        "replica",
        "state",
        "in flight",
        "capacity",
        "weight",
        "latency",
        "success",
        "calls",
        "failures",
        "ejections",
        "why it is out",
    ]);
    let mut any = false;
    for upstream in items(&answer["upstreams"]) {
        for replica in items(&upstream["replicas"]) {
            any = true;
            let mut cells = vec![text(&upstream["name"])];
            cells.extend(["name", "state", "in_flight", "capacity", "weight"].map(|key| text(&replica[key])));
            cells.extend([millis(&replica["latency_ms"]), percent(&replica["success_rate"])]);
            cells.extend(["picks", "failures", "ejections"].map(|key| text(&replica[key])));
            cells.push(why(replica));
            table.row(cells);
        }
    }
    if any { table.to_string() } else { "no replicas".into() }
}

/// Why a replica is out, and when it is tried again.
fn why(replica: &Value) -> String {
    let Some(reason) = replica["reason"].as_str() else {
        let rests = replica["resting_ms"].as_f64();
        return rests.map(|ms| format!("asked for a rest of {:.1} s", ms / 1000.0)).unwrap_or_default();
    };
    let again = replica["again_in_ms"].as_f64().filter(|ms| *ms > 0.0);
    format!("{reason}{}", again.map(|ms| format!("; again in {:.1} s", ms / 1000.0)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_replica_that_is_out_says_why_and_until_when() {
        let out =
            json!({ "name": "b", "reason": "3 time-outs in a row", "again_in_ms": 1500.0, "state": "open" });
        let fine = json!({ "name": "a", "reason": null, "state": "closed", "picks": 2 });
        let answer = json!({ "upstreams": [{
            "name": "u", "strategy": "weighted", "weights": { "load": 0.4, "response": 0.4, "category": 0.2 },
            "panic": false, "retries": 3, "retries_left": 7, "hedges": 1, "replicas": [fine, out],
        }]});
        let shown = status(&answer);
        assert!(shown.contains("weighted (load 0.4, response 0.4, category 0.2)"), "{shown}");
        assert!(shown.ends_with("\n\nu/b: 3 time-outs in a row; again in 1.5 s"), "{shown}");
        assert!(agents(&answer).ends_with("3 time-outs in a row; again in 1.5 s"));
        assert_eq!(agents(&json!({ "upstreams": [] })), "no replicas");
    }
}
