//! `mcp metrics`: what a running server does and how it fares, as a table, as JSON, or on the whole screen.

mod dashboard;
mod figures;
mod listing;
mod report;
#[cfg(test)]
mod sample;
mod source;

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::Value;

use self::listing::Sort;
use self::report::Choice;
use self::source::Source;
use super::ask::{block_on, on_server};
use super::{Failure, Server, client, output};

/// `mcp metrics`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  aqe-v3 mcp metrics\n  aqe-v3 mcp metrics --window 5m --sort slow --top 20\n  \
                        aqe-v3 mcp metrics --watch\n  aqe-v3 mcp metrics --dashboard\n  \
                        aqe-v3 mcp metrics --json | jq .all.latency_ms\n  \
                        aqe-v3 mcp metrics --export prometheus\n  aqe-v3 mcp metrics --check\n\n\
                        Exit codes of --check: 0 healthy, 1 warning, 2 critical, 3 not known (no server is running, or it \
                        could not be asked).\nWhere standard output is no terminal, or one that obeys nothing (TERM=dumb), \
                        --dashboard prints the table once."
)]
pub(super) struct Metrics {
    /// Show it on the whole screen, live; ? in it lists the keys.
    #[arg(long, conflicts_with_all = ["watch", "check", "json", "export", "top"])]
    dashboard: bool,
    /// Print it again and again; with --json one document per line.
    #[arg(long, conflicts_with_all = ["check", "export"])]
    watch: bool,
    /// How often --watch and --dashboard ask; without it as [monitoring] dashboard_interval_ms says.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    every: Option<Duration>,
    /// The time that the figures are of.
    #[arg(long, value_enum, default_value_t)]
    window: Window,
    /// What comes first in the lists of calls.
    #[arg(long, value_enum, default_value_t)]
    sort: Sort,
    /// Most rows of a list; 0 for all.
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
    /// Print the health alone, and exit with it.
    #[arg(long, conflicts_with = "export")]
    check: bool,
    /// Print the metrics for another program.
    #[arg(long, value_enum, value_name = "FORMAT", conflicts_with = "json")]
    export: Option<Export>,
    #[command(flatten)]
    server: Server,
}

/// A time that figures are of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Window {
    /// The last ten seconds.
    #[value(name = "10s")]
    TenSeconds,
    /// The last minute.
    #[default]
    #[value(name = "1m")]
    Minute,
    /// The last five minutes.
    #[value(name = "5m")]
    FiveMinutes,
    /// Since the server has started.
    #[value(name = "start")]
    Start,
}

impl Window {
    /// Its name in the admin API.
    fn name(self) -> &'static str {
        match self {
            Self::TenSeconds => "10s",
            Self::Minute => "1m",
            Self::FiveMinutes => "5m",
            Self::Start => "start",
        }
    }

    /// The one after it, and after the last the first.
    fn next(self) -> Self {
        match self {
            Self::TenSeconds => Self::Minute,
            Self::Minute => Self::FiveMinutes,
            Self::FiveMinutes => Self::Start,
            Self::Start => Self::TenSeconds,
        }
    }

    /// Where its figures are.
    fn path(self) -> String {
        format!("/admin/metrics?window={}", self.name())
    }
}

/// A format of another program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Export {
    /// What Prometheus scrapes: the text of GET /metrics.
    Prometheus,
}

/// Reads seconds, with a fraction if need be.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.1..=3600.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "must be a number of seconds from 0.1 to 3600".into())
}

/// Exit code of `--check` where the health is not known.
const NOT_KNOWN: u8 = 3;

impl Metrics {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        if self.check {
            return Ok(self.check());
        }
        if let Some(Export::Prometheus) = self.export {
            let text =
                on_server(
                    &self.server,
                    |socket| async move { Ok(client::text(&socket, "/metrics").await?) },
                )?;
            output::write(&text)?;
            return Ok(ExitCode::SUCCESS);
        }
        if self.dashboard && dashboard::fits() {
            block_on(dashboard::run(self.server, self.window, self.sort, self.every))??;
        } else if self.watch {
            block_on(self.watch())??;
        } else {
            let document = self.ask()?;
            output::line(&self.show(&document))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn ask(&self) -> Result<Value, Failure> {
        let path = self.window.path();
        on_server(&self.server, |socket| async move { Ok(client::get(&socket, &path).await?) })
    }

    fn show(&self, document: &Value) -> String {
        if self.server.json {
            return document.to_string();
        }
        let width = std::io::stdout().is_terminal().then(crossterm::terminal::size).and_then(Result::ok);
        let width = width.map(|(columns, _)| usize::from(columns)).filter(|columns| *columns > 0);
        report::report(document, Choice { sort: self.sort, top: self.top, width })
    }

    /// Prints the health, and says it by the exit code.
    fn check(&self) -> ExitCode {
        let answer = self.ask().and_then(|document| {
            let health = &document["health"];
            let shown = if self.server.json { health.to_string() } else { report::health(&document) };
            output::line(&shown)?;
            Ok(health_code(health))
        });
        ExitCode::from(answer.unwrap_or_else(|failure| {
            output::complain(&format!("aqe-v3: {failure}"));
            NOT_KNOWN
        }))
    }

    /// Prints the figures until somebody ends it. On a terminal each print takes the place of the one before.
    async fn watch(self) -> Result<(), Failure> {
        let in_place = dashboard::fits() && !self.server.json;
        let mut source = Source::find(self.server.clone()).await?;
        let mut lost = false;
        // Who asks for nothing that is there is told so once.
        let mut first = true;
        loop {
            match source.ask(&self.window.path()).await {
                Ok(document) => {
                    let shown = self.show(&document);
                    let between = if self.server.json || first { "" } else { "\n" };
                    let shown = if in_place { repaint(&shown) } else { format!("{between}{shown}\n") };
                    output::write(shown.as_bytes())?;
                    (first, lost) = (false, false);
                    tokio::time::sleep(self.every.unwrap_or_else(|| source::interval(&document))).await;
                }
                Err(failure) if first => return Err(failure),
                Err(failure) => {
                    if !lost {
                        output::complain(&format!("aqe-v3: {failure}; trying again"));
                    }
                    lost = true;
                    tokio::time::sleep(self.every.unwrap_or(source::INTERVAL)).await;
                }
            }
        }
    }
}

/// The exit code for a health.
fn health_code(health: &Value) -> u8 {
    match health["status"].as_str() {
        Some("healthy") => 0,
        Some("warning") => 1,
        Some("critical") => 2,
        _ => NOT_KNOWN,
    }
}

/// Writes a text over what the terminal shows; lines that it has no room for are left out.
fn repaint(text: &str) -> String {
    let rows = crossterm::terminal::size().map_or(usize::MAX, |(_, rows)| usize::from(rows.max(2)) - 1);
    // To the corner; each line to its end, and then what is below it, are cleared (ECMA-48 CUP, EL, ED).
    let lines: Vec<&str> = text.lines().take(rows).collect();
    format!("\u{1b}[H{}\u{1b}[K\n\u{1b}[J", lines.join("\u{1b}[K\n"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_exit_code_of_a_check_is_the_health() {
        let code = |status: Value| health_code(&json!({ "status": status }));
        assert_eq!(["healthy", "warning", "critical", "new"].map(|status| code(json!(status))), [0, 1, 2, 3]);
        assert_eq!((code(Value::Null), health_code(&Value::Null)), (3, 3));
    }

    #[test]
    fn windows_go_round_and_are_called_as_on_the_command_line() {
        let all = std::iter::successors(Some(Window::TenSeconds), |window| Some(window.next()));
        let names: Vec<&str> = all.take(5).map(Window::name).collect();
        assert_eq!(names, ["10s", "1m", "5m", "start", "10s"]);
        for window in Window::value_variants() {
            assert_eq!(window.to_possible_value().unwrap().get_name(), window.name());
        }
    }

    #[test]
    fn seconds_are_bounded() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["0", "-1", "3601", "nan", "1s", ""] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
