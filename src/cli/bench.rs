//! `mcp bench`: measures MCP servers beside each other.

mod chart;
pub(super) mod echo;
mod html;
mod json;
mod ladder;
mod own;
mod progress;
mod report;
mod text;

use std::path::{Path, PathBuf};
use std::time::Duration;

use aqe_load::check::Expect;
use aqe_load::contest::{self, Plan};
use aqe_load::load::Until;
use aqe_load::message::{Call, Era, PAYLOAD, PLACEHOLDER, with_payload};
use aqe_load::target::{Drive, Options, Place, Target, choose};
use clap::{Args, ValueEnum};

use self::ladder::Step;
use self::progress::Bar;
use self::report::Report;
use super::{Failure, output};

/// Connections without `--connections`, in a closed loop and at a fixed rate.
const CONNECTIONS: (u16, u16) = (16, 128);

/// `mcp bench`.
#[derive(Debug, Args)]
#[command(after_help = "\
A target is an http:// or https:// URL, or after -- a command that speaks MCP on standard input and output; several commands are
divided by another --. Targets take turns in each round; ratios are to the first one, with intervals of 95 %.

Examples:
  aqe-v3 mcp bench http://127.0.0.1:8765/mcp
  aqe-v3 mcp bench http://127.0.0.1:8765/mcp http://127.0.0.1:9000/mcp --html bench.html
  aqe-v3 mcp bench http://127.0.0.1:8765/mcp --tool search --arguments '{\"query\":\"q {number}\"}' --rate 500
  aqe-v3 mcp bench http://127.0.0.1:8765/mcp --connections 1,16,64 --payload 200,7000 \\
    --tool qe_memory_store --arguments '{\"key\":\"k{number}\",\"value\":\"{payload}\"}'
  aqe-v3 mcp bench --self --html bench.html
  aqe-v3 mcp bench --json -- npx -y @modelcontextprotocol/server-everything")]
pub(super) struct Bench {
    /// Servers at URLs.
    #[arg(value_name = "URL")]
    urls: Vec<String>,
    /// Servers that are started for this.
    #[arg(value_name = "COMMAND", last = true)]
    commands: Vec<String>,
    /// Measure this program beside itself without its optimisations: start, response, look-up, pool, memory, throughput, errors.
    /// Needs nothing else.
    #[arg(long = "self", conflicts_with_all = ["urls", "commands", "tool", "payload", "expect_error", "rate", "header", "ca_file"])]
    itself: bool,
    /// The tool to call; once for all targets, or once for each. Without it the first one that only reads and answers
    /// without arguments is called, and if there is none the tools are listed.
    #[arg(long, value_name = "NAME")]
    tool: Vec<String>,
    /// The tool's arguments. Each {number} becomes another number of nine digits in each request, each {payload} what --payload says.
    #[arg(long, value_name = "JSON", requires = "tool")]
    arguments: Option<String>,
    /// Bytes for each {payload} in --arguments: text within a string, elsewhere an object with rows. A list such as 200,7000 makes a
    /// ladder: everything is measured with each.
    #[arg(long, value_name = "BYTES", value_delimiter = ',', requires = "arguments",
        value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    payload: Vec<u32>,
    /// Replies must be errors.
    #[arg(long)]
    expect_error: bool,
    /// How to speak.
    #[arg(long, value_enum, default_value_t = Spoken::Auto)]
    era: Spoken,
    /// HTTP connections, or requests in flight over stdio; at a fixed rate the most of them. 16, or 128 at a fixed rate.
    /// A list such as 1,16,64 makes a ladder.
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: Vec<u16>,
    /// Requests a second on a fixed schedule; latency counts from when a request was due. Without it each connection sends the next
    /// request after the answer.
    #[arg(long, value_name = "R", value_parser = number::<1, 1_000_000>)]
    rate: Option<f64>,
    /// Length of one round of one target.
    #[arg(long, value_name = "S", default_value = "2", value_parser = number::<0, 86_400>)]
    seconds: f64,
    /// Calls of one round of one target, instead of a time.
    #[arg(long, value_name = "N", conflicts_with = "seconds", value_parser = clap::value_parser!(u64).range(1..))]
    calls: Option<u64>,
    /// Rounds of each target.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Seconds of calls before each round that do not count.
    #[arg(long, value_name = "S", default_value = "0.5", value_parser = number::<0, 600>)]
    warm_up: f64,
    /// A header for all URLs, such as "Authorization: Bearer …".
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(String, String)>,
    /// Seconds that an answer may take; one that takes longer is an error.
    #[arg(long, value_name = "S", default_value = "60", value_parser = number::<0, 3_600>)]
    timeout: f64,
    /// Certificates of authorities to trust beside the public ones, in PEM.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
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

fn failed(error: &aqe_load::Error) -> Failure {
    Failure::Failed(output::printable(&error.to_string()))
}

fn write_page(path: &Path, page: &str) -> Result<(), Failure> {
    std::fs::write(path, page)
        .map_err(|error| Failure::Failed(format!("cannot write {}: {error}", path.display())))
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("must be NAME: VALUE")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

impl Bench {
    pub(super) fn run(self) -> Result<(), Failure> {
        if self.itself {
            return self.run_itself();
        }
        let places = self.places()?;
        let template = self.template(places.len())?;
        let steps = self.steps()?;
        let options = self.options();
        let targets: Result<Vec<Target>, _> =
            places.into_iter().map(|place| Target::open(place, &options)).collect();
        let mut targets = targets.map_err(|error| failed(&error))?;
        let calls = self.calls(&template, &mut targets)?;
        let plan = self.plan();
        let time = ladder::time(&plan, steps.len(), targets.len());
        if let Some(time) = time {
            let steps = if steps.len() > 1 { format!("{} steps: ", steps.len()) } else { String::new() };
            output::complain(&format!("{steps}about {}", ladder::spoken(time)));
        }
        let names: Vec<String> = targets.iter().map(|target| target.place.name()).collect();
        let bar = Bar::start(time);
        let mut outcomes = Vec::new();
        for (at, (connections, payload)) in steps.iter().copied().enumerate() {
            let mut plan = plan.clone();
            plan.drive.connections = connections;
            let fill = |call: &Call| match payload {
                Some(bytes) => Call { arguments: with_payload(&call.arguments, bytes), ..call.clone() },
                None => call.clone(),
            };
            let filled: Vec<Call> = calls.iter().map(fill).collect();
            let step =
                if steps.len() > 1 { format!("step {} of {}, ", at + 1, steps.len()) } else { String::new() };
            let outcome = contest::run(&mut targets, &filled, &plan, |round, target| {
                bar.say(&format!("{step}round {} of {}: {}", round + 1, plan.rounds, names[target]));
            });
            outcomes.push((plan, payload, outcome.map_err(|error| failed(&error))?));
        }
        drop(bar);
        let reports: Vec<Report<'_>> = outcomes
            .into_iter()
            .map(|(plan, payload, outcome)| Report {
                plan,
                payload,
                targets: &targets,
                calls: &calls,
                outcome,
            })
            .collect();
        if let Some(path) = &self.html {
            write_page(path, &html::page(&reports))?;
        }
        output::line(&if self.json { json::document(&reports).to_string() } else { text::show(&reports) })?;
        if reports.iter().all(Report::is_good) { Ok(()) } else { Err(Failure::Told) }
    }

    fn run_itself(&self) -> Result<(), Failure> {
        let mut plan = self.plan();
        plan.drive.connections = match self.connections[..] {
            [] => CONNECTIONS.0.into(),
            [connections] => connections.into(),
            _ => return Err(Failure::Usage("--self takes one number of connections".into())),
        };
        let measured = own::measure(plan, &self.options())?;
        if let Some(path) = &self.html {
            write_page(path, &measured.page())?;
        }
        output::line(&if self.json { measured.json().to_string() } else { measured.text() })?;
        if measured.is_good() { Ok(()) } else { Err(Failure::Told) }
    }

    fn options(&self) -> Options {
        Options {
            era: match self.era {
                Spoken::Auto => None,
                Spoken::Legacy => Some(Era::Legacy),
                Spoken::Modern => Some(Era::Modern),
            },
            headers: self.header.clone(),
            ca_file: self.ca_file.clone(),
            patience: Some(Duration::from_secs_f64(self.timeout.max(0.001))),
            asks_nothing: false,
        }
    }

    /// How each step is measured, but for its connections.
    fn plan(&self) -> Plan {
        Plan {
            drive: Drive {
                connections: 1,
                rate: self.rate,
                expect: if self.expect_error { Expect::Error } else { Expect::Result },
            },
            round: match self.calls {
                Some(calls) => Until::Requests(calls),
                None => Until::Elapsed(Duration::from_secs_f64(self.seconds.max(0.05))),
            },
            rounds: self.rounds.into(),
            warm_up: Duration::from_secs_f64(self.warm_up),
        }
    }

    fn steps(&self) -> Result<Vec<Step>, Failure> {
        let usual = if self.rate.is_some() { CONNECTIONS.1 } else { CONNECTIONS.0 };
        let connections = if self.connections.is_empty() { vec![usual] } else { self.connections.clone() };
        ladder::steps(&connections, &self.payload)
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
        if template.contains(PAYLOAD) == self.payload.is_empty() {
            return Err(Failure::Usage(format!(
                "{PAYLOAD} in --arguments and --payload need each other: --payload 7000 --arguments '{{\"text\":\"{PAYLOAD}\"}}'"
            )));
        }
        let tried = with_payload(&template, 1).replace(PLACEHOLDER, "1");
        match serde_json::from_str::<serde_json::Value>(&tried) {
            Ok(serde_json::Value::Object(_)) => Ok(template),
            Ok(_) => Err(Failure::Usage("the arguments must be a JSON object".into())),
            Err(error) => Err(Failure::Usage(format!("the arguments are not JSON: {error}"))),
        }
    }

    fn calls(&self, arguments: &str, targets: &mut [Target]) -> Result<Vec<Call>, Failure> {
        // Where a tool is named, none is tried.
        let chosen = match self.tool[..] {
            [] => choose(targets).map_err(|error| failed(&error))?,
            _ => None,
        };
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
            calls.push(match tool.or(chosen.as_deref()) {
                Some(tool) => Call::tool(target.era, tool, arguments),
                None => Call::method(target.era, "tools/list"),
            });
        }
        Ok(calls)
    }
}
