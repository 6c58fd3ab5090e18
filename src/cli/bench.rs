//! `mcp bench`: measures MCP servers beside each other.

mod chart;
mod html;
mod json;
mod progress;
mod text;

use std::path::PathBuf;
use std::time::Duration;

use aqe_load::check::Expect;
use aqe_load::contest::{self, Outcome, Plan};
use aqe_load::message::{Call, Era, PLACEHOLDER};
use aqe_load::target::{Drive, Options, Place, Target, choose};
use clap::{Args, ValueEnum};

use self::progress::Bar;
use super::{Failure, output};

/// Connections without `--connections`, in a closed loop and at a fixed rate.
const CONNECTIONS: (u16, u16) = (16, 128);

/// `mcp bench`.
#[derive(Debug, Args)]
#[command(after_help = "\
A target is an http:// URL, or after -- a command that speaks MCP on standard input and output; several commands are
divided by another --. Targets take turns in each round; ratios are to the first one, with intervals of 95 %.

Examples:
  aqe-v3 mcp bench http://127.0.0.1:8765/mcp
  aqe-v3 mcp bench http://127.0.0.1:8765/mcp http://127.0.0.1:9000/mcp --html bench.html
  aqe-v3 mcp bench http://127.0.0.1:8765/mcp --tool search --arguments '{\"query\":\"q {n}\"}' --rate 500
  aqe-v3 mcp bench --json -- npx -y @modelcontextprotocol/server-everything")]
pub(super) struct Bench {
    /// Servers at URLs.
    #[arg(value_name = "URL")]
    urls: Vec<String>,
    /// Servers that are started for this.
    #[arg(value_name = "COMMAND", last = true)]
    commands: Vec<String>,
    /// The tool to call; once for all targets, or once for each. Without it the first one that only reads and needs no arguments is
    /// called, and if there is none the tools are listed.
    #[arg(long, value_name = "NAME")]
    tool: Vec<String>,
    /// The tool's arguments. Each {n} becomes another number of nine digits in each request.
    #[arg(long, value_name = "JSON", requires = "tool")]
    arguments: Option<String>,
    /// Replies must be errors.
    #[arg(long)]
    expect_error: bool,
    /// How to speak.
    #[arg(long, value_enum, default_value_t = Spoken::Auto)]
    era: Spoken,
    /// HTTP connections, or requests in flight over stdio; at a fixed rate the most of them. 16, or 128 at a fixed rate.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: Option<u16>,
    /// Requests a second on a fixed schedule; latency counts from when a request was due. Without it each connection sends the next
    /// request after the answer.
    #[arg(long, value_name = "R", value_parser = number::<1, 1_000_000>)]
    rate: Option<f64>,
    /// Length of one round of one target.
    #[arg(long, value_name = "S", default_value = "2", value_parser = number::<0, 86_400>)]
    seconds: f64,
    /// Rounds of each target.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Seconds of calls before each round that do not count.
    #[arg(long, value_name = "S", default_value = "0.5", value_parser = number::<0, 600>)]
    warm_up: f64,
    /// A header for all URLs, such as "Authorization: Bearer …".
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(String, String)>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Write a page with charts, which needs nothing but itself.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Spoken {
    /// Modern if the server speaks it.
    Auto,
    /// With a handshake and sessions.
    Legacy,
    /// Stateless.
    Modern,
}

fn number<const MIN: u32, const MAX: u32>(text: &str) -> Result<f64, String> {
    let range = f64::from(MIN)..=f64::from(MAX);
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| format!("must be a number from {MIN} to {MAX}"))
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("must be NAME: VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// A contest that is over, as it is shown.
struct Report<'a> {
    plan: &'a Plan,
    targets: &'a [Target],
    calls: &'a [Call],
    outcome: &'a Outcome,
}

impl Report<'_> {
    /// What each request was, in a few words.
    fn request(call: &Call) -> String {
        let tool = call.tool.as_ref().map(|tool| format!(" {tool} {}", call.arguments));
        format!("{}{}", call.method, tool.unwrap_or_default())
    }

    /// How it was measured.
    fn method(&self) -> String {
        let Plan { drive, round, rounds, warm_up } = self.plan;
        let load = match drive.rate {
            Some(rate) => format!(
                "open loop, {rate} requests/s, latency from the intended time, at most {} at once",
                drive.connections
            ),
            None => format!("closed loop, {} at once", drive.connections),
        };
        format!(
            "{load}; {rounds} rounds of {} s after {} s of warm-up",
            round.as_secs_f64(),
            warm_up.as_secs_f64()
        )
    }

    /// What a reader must know to trust the figures.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(percent) = self.outcome.load_cpu_percent.filter(|percent| *percent > 80.0) {
            notes.push(format!(
                "The load took {percent:.0} % of one processor: the fastest target may be faster than shown."
            ));
        }
        if self.plan.drive.expect == Expect::Result
            && !self.calls.iter().any(|call| call.arguments.contains(PLACEHOLDER))
        {
            notes.push("All requests were alike: a cache may have answered them. {n} in --arguments makes each another one.".into());
        }
        for (target, figures) in self.targets.iter().zip(&self.outcome.results) {
            if let Some(reason) = &figures.processes_unknown {
                notes.push(format!("{}: no processor time or memory: {reason}.", target.place.name()));
            }
            if figures.warm_up_errors > 0 {
                notes.push(format!(
                    "{}: {} wrong replies during warm-up, which are in no figure.",
                    target.place.name(),
                    figures.warm_up_errors
                ));
            }
            if let Some((rate, is)) =
                self.plan.drive.rate.zip(figures.calls_per_s).filter(|(rate, is)| is.median < rate * 0.95)
            {
                notes.push(format!(
                    "{} answered {:.0} of {rate} requests a second: latency is that of a queue that grows.",
                    target.place.name(),
                    is.median
                ));
            }
        }
        notes
    }
}

impl Bench {
    pub(super) fn run(self) -> Result<(), Failure> {
        let places = self.places()?;
        let template = self.template(places.len())?;
        let options = Options {
            era: match self.era {
                Spoken::Auto => None,
                Spoken::Legacy => Some(Era::Legacy),
                Spoken::Modern => Some(Era::Modern),
            },
            headers: self.header.clone(),
        };
        let failed = |error: aqe_load::Error| Failure::Failed(output::printable(&error.to_string()));
        let targets: Result<Vec<Target>, _> =
            places.into_iter().map(|place| Target::open(place, &options)).collect();
        let mut targets = targets.map_err(failed)?;
        let calls = self.calls(&template, &targets)?;
        let usual = if self.rate.is_some() { CONNECTIONS.1 } else { CONNECTIONS.0 };
        let plan = Plan {
            drive: Drive {
                connections: self.connections.unwrap_or(usual).into(),
                rate: self.rate,
                expect: if self.expect_error { Expect::Error } else { Expect::Result },
            },
            round: Duration::from_secs_f64(self.seconds.max(0.05)),
            rounds: self.rounds.into(),
            warm_up: Duration::from_secs_f64(self.warm_up),
        };
        let names: Vec<String> = targets.iter().map(|target| target.place.name()).collect();
        let bar = Bar::start((plan.round + plan.warm_up) * u32::from(self.rounds) * targets.len() as u32);
        let outcome = contest::run(&mut targets, &calls, &plan, |round, target| {
            bar.say(&format!("round {} of {}: {}", round + 1, plan.rounds, names[target]));
        });
        drop(bar);
        let outcome = outcome.map_err(failed)?;
        let report = Report { plan: &plan, targets: &targets, calls: &calls, outcome: &outcome };
        if let Some(path) = &self.html {
            std::fs::write(path, html::page(&report))
                .map_err(|error| Failure::Failed(format!("cannot write {}: {error}", path.display())))?;
        }
        output::line(&if self.json { json::document(&report).to_string() } else { text::show(&report) })?;
        let errors: u64 = outcome.results.iter().map(|figures| figures.errors).sum();
        let is_silent = outcome.results.iter().any(|figures| figures.calls == 0);
        if errors > 0 || is_silent { Err(Failure::Told) } else { Ok(()) }
    }

    fn places(&self) -> Result<Vec<Place>, Failure> {
        let mut places: Vec<Place> = self.urls.iter().cloned().map(Place::Url).collect();
        if let Some(wrong) = self.urls.iter().find(|url| !url.contains("://")) {
            return Err(Failure::Usage(format!("{wrong} is no URL; a command goes after --")));
        }
        if !self.commands.is_empty() {
            let commands = self.commands.split(|word| word == "--").map(<[String]>::to_vec);
            places.extend(commands.map(Place::Command));
        }
        if places.is_empty() || places.contains(&Place::Command(Vec::new())) {
            return Err(Failure::Usage(
                "nothing to measure: name a URL, or a command after --, such as: aqe-v3 mcp bench http://127.0.0.1:8765/mcp"
                    .into(),
            ));
        }
        Ok(places)
    }

    /// The arguments of all calls, once they are known to be an object.
    fn template(&self, targets: usize) -> Result<String, Failure> {
        if self.tool.len() > 1 && self.tool.len() != targets {
            return Err(Failure::Usage(format!(
                "--tool is there {} times for {targets} targets: once for all, or once for each",
                self.tool.len()
            )));
        }
        let template = self.arguments.clone().unwrap_or_else(|| "{}".into());
        match serde_json::from_str::<serde_json::Value>(&template.replace(PLACEHOLDER, "1")) {
            Ok(serde_json::Value::Object(_)) => Ok(template),
            Ok(_) => Err(Failure::Usage("the arguments must be a JSON object".into())),
            Err(error) => Err(Failure::Usage(format!("the arguments are not JSON: {error}"))),
        }
    }

    fn calls(&self, arguments: &str, targets: &[Target]) -> Result<Vec<Call>, Failure> {
        let lists: Vec<&[_]> = targets.iter().map(|target| target.tools.as_slice()).collect();
        let chosen = choose(&lists);
        let mut calls = Vec::new();
        for (at, target) in targets.iter().enumerate() {
            let tool = self.tool.get(at).or(self.tool.first()).map(String::as_str);
            // A tool that is to fail need not exist.
            if let Some(tool) = tool
                && !self.expect_error
                && !target.tools.iter().any(|listed| listed.name == tool)
            {
                let names: Vec<_> = target.tools.iter().take(20).map(|tool| tool.name.as_str()).collect();
                return Err(Failure::Failed(output::printable(&format!(
                    "{} lists no tool {tool}; it lists: {}",
                    target.place.name(),
                    names.join(", ")
                ))));
            }
            calls.push(match tool.or(chosen) {
                Some(tool) => Call::tool(target.era, tool, arguments),
                None => Call::method(target.era, "tools/list"),
            });
        }
        Ok(calls)
    }
}
