//! `mcp pool`.

use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use super::ask::{ask, change, items, millis, percent, text};
use super::output::printable;
use super::table::Table;
use super::{Failure, Server, drain};

/// `mcp pool`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  aqe-v3 mcp pool status\n  aqe-v3 mcp pool configure --min 5 --max 50 --idle-timeout 300\n  \
                  aqe-v3 mcp pool --configure --min 5 --max 50 --idle-timeout 300\n  aqe-v3 mcp pool drain"
)]
pub(super) struct Pool {
    #[command(subcommand)]
    action: Option<Action>,
    /// Change settings, as `mcp pool configure` does.
    #[arg(long, required = true)]
    configure: bool,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the connections: how many, who waits, what became of them.
    #[command(after_help = "Examples:\n  aqe-v3 mcp pool status\n  aqe-v3 mcp pool status --json")]
    Status {
        #[command(flatten)]
        server: Server,
    },
    /// Change settings of the running server, until it ends or reads its files again; no call is dropped. The files
    /// are not changed.
    #[command(after_help = "Example:\n  aqe-v3 mcp pool configure --min 5 --max 50 --idle-timeout 300")]
    Configure {
        #[command(flatten)]
        limits: Limits,
        #[command(flatten)]
        server: Server,
    },
    /// Stop the server in order: accept nothing new, finish the calls, close every connection, exit 0. Waits for it.
    #[command(after_help = "Examples:\n  aqe-v3 mcp pool drain\n  aqe-v3 mcp pool drain --no-wait --json")]
    Drain {
        /// Do not wait for the server to end.
        #[arg(long)]
        no_wait: bool,
        #[command(flatten)]
        server: Server,
    },
}

/// What can be changed.
#[derive(Debug, Args)]
struct Limits {
    /// Connections that are kept open to each replica.
    #[arg(long, value_name = "N")]
    min: Option<u32>,
    /// Most connections of all replicas together.
    #[arg(long, value_name = "N")]
    max: Option<u32>,
    /// How long a connection above the minimum may be idle; fractions are fine.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    idle_timeout: Option<u64>,
    /// Calls after which a connection is replaced.
    #[arg(long, value_name = "N")]
    max_uses: Option<u32>,
    /// Age at which a connection is replaced.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    max_lifetime: Option<u64>,
    /// How often a connection without calls is probed.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    health_check_interval: Option<u64>,
    /// Longest wait of a call for a connection.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    acquire_timeout: Option<u64>,
}

/// Reads seconds, with a fraction if need be, as milliseconds.
fn seconds(text: &str) -> Result<u64, String> {
    const DAY: f64 = 24.0 * 3600.0;
    let seconds = text.parse().ok().filter(|seconds| (0.001..=DAY).contains(seconds));
    let seconds: f64 = seconds.ok_or_else(|| format!("must be a number of seconds from 0.001 to {DAY}"))?;
    Ok((seconds * 1000.0).round() as u64)
}

impl Pool {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self.action {
            Some(Action::Status { server }) => ask(&server, "/admin/pool", status).map(drop),
            Some(Action::Configure { limits, server }) => limits.apply(&server),
            Some(Action::Drain { no_wait, server }) => drain::drain(&server, no_wait),
            // Without a subcommand `--configure` is required.
            None => self.limits.apply(&self.server),
        }
    }
}

impl Limits {
    fn apply(&self, server: &Server) -> Result<(), Failure> {
        let given = [
            ("min_connections", self.min.map(u64::from)),
            ("max_connections", self.max.map(u64::from)),
            ("idle_timeout_ms", self.idle_timeout),
            ("max_uses", self.max_uses.map(u64::from)),
            ("max_lifetime_ms", self.max_lifetime),
            ("health_check_interval_ms", self.health_check_interval),
            ("acquire_timeout_ms", self.acquire_timeout),
        ];
        let members = given.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.into())));
        let members: Map<String, Value> = members.collect();
        if members.is_empty() {
            let message = "nothing to change: give --min, --max, --idle-timeout or another limit; see --help";
            return Err(Failure::Usage(message.into()));
        }
        change(server, "/admin/pool", &members.into(), |answer| settings(&answer["settings"]))
    }
}

fn settings(settings: &Value) -> String {
    let seconds =
        |key: &str| settings[key].as_f64().map_or_else(|| "-".into(), |ms| format!("{} s", ms / 1000.0));
    format!(
        "connections    {} to each replica are kept, {} in all at most\n\
         closed         after {} without a call\n\
         replaced       after {} calls, or {}\n\
         probed         after {} without a call\n\
         calls wait     {} at most",
        text(&settings["min_connections"]),
        text(&settings["max_connections"]),
        seconds("idle_timeout_ms"),
        text(&settings["max_uses"]),
        seconds("max_lifetime_ms"),
        seconds("health_check_interval_ms"),
        seconds("acquire_timeout_ms"),
    )
}

fn status(answer: &Value) -> String {
    let mut table = Table::new(&[
        "replica",
        "state",
        "available",
        "in use",
        "opening",
        "total",
        "limits",
        "waiting",
        "hits",
        "misses",
        "hit rate",
        "wait p99",
    ]);
    let row = |name: String, state: String, limits: String, figures: &Value| {
        let mut cells = vec![name, state];
        cells.extend(["available", "in_use", "opening", "total"].map(|key| text(&figures[key])));
        cells.push(limits);
        cells.extend(["waiting", "hits", "misses"].map(|key| text(&figures[key])));
        cells.extend([percent(&figures["hit_rate"]), millis(&figures["wait_ms"]["p99"])]);
        cells
    };
    let replicas = items(&answer["replicas"]);
    for replica in replicas {
        table.row(row(name(replica), state(&replica["health"]), limits(replica), replica));
    }
    let state = if answer["draining"] == true { "draining" } else { "" };
    let most = text(&answer["settings"]["max_connections"]);
    table.row(row("all".into(), state.into(), most, &answer["all"]));
    let mut lines = vec![table.to_string(), String::new(), settings(&answer["settings"])];
    lines.push(format!("closed so far  {}", closed(&answer["all"])));
    for replica in replicas.iter().filter(|replica| !replica["last_error"].is_null()) {
        lines.push(format!("{}: {}", printable(&name(replica)), printable(&text(&replica["last_error"]))));
    }
    lines.join("\n")
}

/// How many connections there are at least and at most.
fn limits(replica: &Value) -> String {
    format!("{}-{}", text(&replica["min_connections"]), text(&replica["max_connections"]))
}

/// The replica of an upstream that has several is named by both.
fn name(replica: &Value) -> String {
    let (upstream, own) = (text(&replica["upstream"]), text(&replica["replica"]));
    if upstream == own { own } else { format!("{upstream}/{own}") }
}

fn state(health: &Value) -> String {
    match health["retry_in_ms"].as_f64() {
        Some(ms) if ms > 0.0 => format!("{}, again in {:.1} s", text(&health["state"]), ms / 1000.0),
        _ => text(&health["state"]),
    }
}

fn closed(figures: &Value) -> String {
    let retired = figures["retired"].as_object();
    let reasons: Vec<String> = retired
        .into_iter()
        .flatten()
        .map(|(reason, count)| format!("{} {}", text(count), printable(reason)))
        .collect();
    let failures = text(&figures["open_failures"]);
    let closed = if reasons.is_empty() { "none".into() } else { reasons.join(", ") };
    format!("{closed}; {} opened, {failures} could not be opened", text(&figures["opened"]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn seconds_may_have_a_fraction_and_are_bounded() {
        assert_eq!((seconds("300"), seconds("0.25")), (Ok(300_000), Ok(250)));
        for wrong in ["0", "-1", "1e9", "nan", "5m", ""] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_replica_that_is_tried_again_later_says_when() {
        assert_eq!(state(&json!({ "state": "ready", "retry_in_ms": null })), "ready");
        let waits = json!({ "state": "backing-off", "retry_in_ms": 1250.0 });
        assert_eq!(state(&waits), "backing-off, again in 1.2 s");
        assert_eq!(name(&json!({ "upstream": "a", "replica": "a" })), "a");
        assert_eq!(name(&json!({ "upstream": "a", "replica": "b" })), "a/b");
    }
}
