//! `mcp config`.

use clap::Subcommand;
use serde_json::{Value, json};

use super::ask::{change, items, text};
use super::places::Files;
use super::{Failure, Server, output};
use crate::config::{self, Flags};

/// `mcp config`.
#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Say what is read and what is wrong with it, by file and line. Exit code 1 if there are faults.
    #[command(
        after_help = "Examples:\n  aqe-v3 mcp config check\n  aqe-v3 mcp config check --config aqe.toml --json"
    )]
    Check {
        #[command(flatten)]
        files: Files,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Have the running server read its files again, as SIGHUP does. No call is dropped; with a fault in the files
    /// everything stays as it is.
    #[command(after_help = "Examples:\n  aqe-v3 mcp config reload\n  aqe-v3 mcp config reload --json")]
    Reload {
        #[command(flatten)]
        server: Server,
    },
}

impl Config {
    pub(super) fn run(self) -> Result<(), Failure> {
        let (files, json) = match self {
            Self::Check { files, json } => (files, json),
            Self::Reload { server } => return change(&server, "/admin/reload", &json!({}), reloaded),
        };
        let report = config::check(&files.request(Flags::default())?);
        if json {
            let text = serde_json::to_string(&report).map_err(std::io::Error::from)?;
            output::line(&text)?;
        } else {
            output::line(&report.to_string())?;
        }
        if report.is_sound() { Ok(()) } else { Err(Failure::Told) }
    }
}

/// What a reload has done, line by line.
fn reloaded(answer: &Value) -> String {
    let mut lines = Vec::new();
    for (key, what) in [
        ("added", "added"),
        ("removed", "removed, once their calls have ended"),
        ("replaced", "connected anew"),
        ("changed", "changed, on the connections that there are"),
    ] {
        let names: Vec<String> = items(&answer[key]).iter().map(text).collect();
        if !names.is_empty() {
            lines.push(format!("{what}: {}", names.join(", ")));
        }
    }
    for kept in items(&answer["kept"]) {
        let (name, reason) = (text(&kept["name"]), text(&kept["reason"]));
        lines.push(format!("{name} stays as it was, for what it should be now does not start: {reason}"));
    }
    if lines.is_empty() {
        lines.push("the upstreams are as they were".into());
    }
    for part in items(&answer["needs_restart"]) {
        lines.push(format!("{} has changed, too; that takes effect at the next start", text(part)));
    }
    lines.join("\n")
}
