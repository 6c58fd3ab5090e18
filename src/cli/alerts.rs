//! `mcp alerts`.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use serde_json::{Map, Value};

use super::ask::{ask, change, items, on_server, post, text};
use super::output::printable;
use super::table::Table;
use super::{Failure, Server, client, output};
use crate::config::Environment;

/// How often `--watch` looks.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// Exit code of `list --check` where something fires that is not critical.
const FIRING: u8 = 4;
/// Exit code of `list --check` where something critical fires.
const CRITICAL: u8 = 5;
/// Puts the cursor into the corner and clears the screen.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

/// `mcp alerts`.
#[derive(Debug, Subcommand)]
pub(super) enum Alerts {
    /// Show the alerts that are pending, firing or acknowledged.
    #[command(after_help = "\
Exit codes: 0 it worked. With --check: 0 nothing fires that is not acknowledged, 4 something does, 5 something critical does.

Examples:
  aqe-v3 mcp alerts list
  aqe-v3 mcp alerts list --watch
  aqe-v3 mcp alerts list --all --history 50
  aqe-v3 mcp alerts list --check || notify-send \"the gateway has alerts\"")]
    List {
        /// Show it again every second: the whole screen at a terminal, otherwise what has changed. Ends with Ctrl-C.
        #[arg(long, conflicts_with = "check")]
        watch: bool,
        /// Show every rule, also those at rest.
        #[arg(long)]
        all: bool,
        /// Show so many firings that are over, also of earlier servers in this folder; 20 if no number is given.
        #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "20",
            value_parser = clap::value_parser!(u16).range(1..=200))]
        history: Option<u16>,
        /// Tell by the exit code whether anything fires that nobody has acknowledged.
        #[arg(long)]
        check: bool,
        #[command(flatten)]
        server: Server,
    },
    /// Take notice of a firing alert: it is not told again until it resolves.
    #[command(after_help = "Examples:\n  aqe-v3 mcp alerts ack error-rate\n  \
                            aqe-v3 mcp alerts ack error-rate --by ann --note \"database is being restarted\"")]
    Ack {
        /// The name of the alert.
        name: String,
        /// Who takes notice; without it the user of this system.
        #[arg(long, value_name = "WHO")]
        by: Option<String>,
        /// What to say to it.
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
        #[command(flatten)]
        server: Server,
    },
    /// Send a test through every sink, or one, and tell whether it arrived. Exits with 1 where it did not.
    #[command(
        after_help = "Examples:\n  aqe-v3 mcp alerts test\n  aqe-v3 mcp alerts test --sink pager --json"
    )]
    Test {
        /// Only this one: log, mcp_log, or the name of a webhook or command.
        #[arg(long, value_name = "NAME")]
        sink: Option<String>,
        #[command(flatten)]
        server: Server,
    },
}

impl Alerts {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::List { watch, all, history, check, server } => {
                let path = format!("/admin/alerts?history={}", history.unwrap_or_default());
                let show = move |answer: &Value| list(answer, all, history.is_some());
                if watch {
                    self::watch(&server, path, show)?;
                    return Ok(ExitCode::SUCCESS);
                }
                let answer = ask(&server, &path, show)?;
                Ok(ExitCode::from(if check { verdict(&answer) } else { 0 }))
            }
            Self::Ack { name, by, note, server } => {
                let by = by.unwrap_or_else(user);
                let given = [("name", Some(name)), ("by", Some(by)), ("note", note)].into_iter();
                let given: Map<String, Value> =
                    given.filter_map(|(key, value)| Some((key.to_owned(), value?.into()))).collect();
                change(&server, "/admin/alerts/ack", &given.into(), |answer| acknowledged(&answer["alert"]))?;
                Ok(ExitCode::SUCCESS)
            }
            Self::Test { sink, server } => {
                let body: Map<String, Value> =
                    sink.into_iter().map(|name| ("sink".to_owned(), name.into())).collect();
                let answer = post(&server, "/admin/alerts/test", &body.into())?;
                output::line(&if server.json { answer.to_string() } else { tested(&answer) })?;
                let failed = items(&answer["sinks"]).iter().any(|sink| sink["delivered"] == false);
                Ok(ExitCode::from(u8::from(failed)))
            }
        }
    }
}

/// The user who runs this: the name, or the number where there is none.
pub(super) fn user() -> String {
    let env = Environment::of_process();
    let named = ["USER", "LOGNAME"].into_iter().find_map(|name| env.get(name)?.to_str().map(str::to_owned));
    let named = named.filter(|name| !name.is_empty());
    named.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}

/// The exit code that tells what fires and is not acknowledged.
fn verdict(answer: &Value) -> u8 {
    let firing: Vec<&Value> =
        items(&answer["alerts"]).iter().filter(|alert| alert["state"] == "firing").collect();
    if firing.iter().any(|alert| alert["severity"] == "critical") {
        return CRITICAL;
    }
    if firing.is_empty() { 0 } else { FIRING }
}

/// Shows the alerts again and again: on a terminal always, elsewhere when a state has changed.
fn watch(server: &Server, path: String, show: impl Fn(&Value) -> String) -> Result<(), Failure> {
    let at_terminal = io::stdout().is_terminal() && !server.json;
    let json = server.json;
    on_server(server, |socket| async move {
        let mut former: Option<Vec<(Value, Value)>> = None;
        loop {
            let answer = client::get(&socket, &path).await?;
            let states: Vec<(Value, Value)> = items(&answer["rules"])
                .iter()
                .map(|rule| (rule["name"].clone(), rule["state"].clone()))
                .collect();
            if at_terminal {
                output::line(&format!("{CLEAR}{}", show(&answer)))?;
            } else if former.as_ref() != Some(&states) {
                output::line(&if json { answer.to_string() } else { format!("{}\n", show(&answer)) })?;
            }
            former = Some(states);
            tokio::time::sleep(WATCH_INTERVAL).await;
        }
    })
}

/// The second of a time.
fn moment(value: &Value) -> String {
    let text = text(value);
    text.split_once('.').map_or_else(|| text.clone(), |(seconds, _)| format!("{seconds}Z"))
}

fn list(answer: &Value, all: bool, history: bool) -> String {
    let rules = items(&answer["rules"]);
    let shown = items(&answer[if all { "rules" } else { "alerts" }]);
    let mut lines = Vec::new();
    if shown.is_empty() {
        lines.push(match rules.len() {
            0 => "no alert rules: [monitoring] or [monitoring.alerting] is switched off".to_owned(),
            count => format!("nothing fires; {count} rules watch (--all shows them)"),
        });
    } else {
        let mut table = Table::new(&["alert", "state", "severity", "since", "of", "what"]);
        for alert in shown {
            let what = match alert["text"].as_str() {
                Some(text) => text.to_owned(),
                None => format!("{} is not known", text(&alert["signal"])),
            };
            let what = match alert["ack"]["by"].as_str() {
                Some(by) => format!("{what}; acknowledged by {by}"),
                None => what,
            };
            let scope = &alert["scope"];
            let of = match (scope["upstream"].as_str(), scope["name"].as_str()) {
                (Some(upstream), Some(name)) => format!("{} {upstream}/{name}", text(&scope["kind"])),
                (None, Some(name)) => format!("{} {name}", text(&scope["kind"])),
                _ => text(&scope["kind"]),
            };
            let cells = ["name", "state", "severity"].map(|key| text(&alert[key]));
            table.row(cells.into_iter().chain([moment(&alert["since"]), of, what]));
        }
        lines.push(table.to_string());
    }
    for rule in rules.iter().filter(|rule| rule["known"] == false) {
        let scope = &rule["scope"];
        let name = printable(&text(&rule["name"]));
        lines.push(format!(
            "\"{name}\" never fires: there is no {} \"{}\"",
            text(&scope["kind"]),
            printable(&text(&scope["name"]))
        ));
    }
    for sink in items(&answer["sinks"]) {
        let count = |key: &str| sink[key].as_u64().unwrap_or_default();
        let lost = count("failed") + count("dropped");
        if lost > 0 {
            let mut line = format!("{lost} alerts did not arrive at {}", printable(&text(&sink["name"])));
            if let Some(error) = sink["last_error"].as_str() {
                // Writing to a string cannot fail.
                let _ = write!(line, ": {}", printable(error));
            }
            lines.push(line);
        }
    }
    if history {
        lines.push(past(items(&answer["history"])));
    }
    lines.join("\n")
}

fn past(firings: &[Value]) -> String {
    if firings.is_empty() {
        return "\nno alert has fired and ended here".into();
    }
    let mut table =
        Table::new(&["alert", "severity", "began", "ended", "why", "acknowledged", "at its worst"]);
    for firing in firings {
        let cells = [text(&firing["name"]), text(&firing["severity"])];
        let times = [moment(&firing["started"]), moment(&firing["ended"])];
        let more = [text(&firing["resolution"]), text(&firing["ack"]["by"]), text(&firing["text"])];
        table.row(cells.into_iter().chain(times).chain(more));
    }
    format!("\n{table}")
}

fn acknowledged(alert: &Value) -> String {
    let ack = &alert["ack"];
    format!(
        "{} is acknowledged by {} since {}: it is not told again until it resolves",
        printable(&text(&alert["name"])),
        printable(&text(&ack["by"])),
        moment(&ack["at"])
    )
}

fn tested(answer: &Value) -> String {
    let mut table = Table::new(&["sink", "kind", "arrived", "took", "why not"]);
    for sink in items(&answer["sinks"]) {
        let arrived = match sink["delivered"].as_bool() {
            Some(true) => "yes",
            Some(false) => "no",
            None => "-",
        };
        let took = super::ask::millis(&sink["took_ms"]);
        let error = sink["error"].as_str().unwrap_or_default().to_owned();
        table.row([text(&sink["name"]), text(&sink["kind"]), arrived.to_owned(), took, error]);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn alert(name: &str, state: &str, severity: &str) -> Value {
        json!({
            "name": name, "state": state, "severity": severity, "since": "2026-11-22T00:12:33.512Z",
            "scope": { "kind": "all", "name": null }, "text": "error rate is 7 %, above 5 % (over 1m)",
            "signal": "error_rate", "ack": if state == "acknowledged" { json!({ "by": "ann" }) } else { Value::Null },
        })
    }

    #[test]
    fn the_exit_code_tells_the_worst_that_nobody_has_acknowledged() {
        let of = |alerts: Vec<Value>| verdict(&json!({ "alerts": alerts }));
        assert_eq!(of(vec![]), 0);
        assert_eq!(of(vec![alert("a", "pending", "critical"), alert("b", "acknowledged", "critical")]), 0);
        assert_eq!(of(vec![alert("a", "firing", "info")]), 4);
        assert_eq!(of(vec![alert("a", "firing", "warning"), alert("b", "firing", "critical")]), 5);
    }

    #[test]
    fn a_table_shows_what_fires_and_what_cannot() {
        let mut tool = alert("files", "inactive", "warning");
        tool["scope"] = json!({ "kind": "tool", "name": "files__raed" });
        tool["known"] = false.into();
        let answer = json!({
            "alerts": [alert("error-rate", "acknowledged", "critical")],
            "rules": [alert("error-rate", "acknowledged", "critical"), tool],
            "sinks": [{ "name": "pager", "failed": 1, "dropped": 2, "last_error": "answered 404" }],
            "history": [],
        });
        let shown = list(&answer, false, true);
        for part in [
            "error-rate  acknowledged  critical  2026-11-22T00:12:33Z  all",
            "above 5 % (over 1m); acknowledged by ann",
            "\"files\" never fires: there is no tool \"files__raed\"",
            "3 alerts did not arrive at pager: answered 404",
            "no alert has fired and ended here",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        let quiet = json!({ "alerts": [], "rules": [alert("a", "inactive", "info")], "sinks": [] });
        assert_eq!(list(&quiet, false, false), "nothing fires; 1 rules watch (--all shows them)");
        assert!(list(&quiet, true, false).contains("inactive"));
    }
}
