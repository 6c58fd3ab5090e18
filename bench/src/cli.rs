//! The command line.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, Parser, Subcommand};
use serde_json::json;

use crate::calls::{self, Plan};
use crate::place::processors;
use crate::report::Section;
use crate::serve::Serve;
use crate::subject::Subject;
use crate::{
    Result, budget, callgrind, compression, flat, latency, memory, monitoring, optimized, peers, pipes, pool,
    qe, record, soak, start, store, strategies, syscalls, threads, workers,
};

/// Connections over HTTP, where nothing is said.
const CONNECTIONS: usize = 16;

/// What a call, a start and idling cost the gateway, beside baselines of the same run.
#[derive(Debug, Parser)]
#[command(
    name = "aqe-bench",
    after_help = "\
Examples:
  cargo run --release -p aqe-bench -- all
  cargo run --release -p aqe-bench -- calls --only HTTP→HTTP --rounds 5
  cargo run --release -p aqe-bench -- calls --instructions --json"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What a call costs: CPU time, rate, latency; or instructions.
    Calls(Options),
    /// Whether a call costs the same with one tool and with 100,000: CPU time; or instructions.
    Flat(Options),
    /// Process start to the first answered tools/list.
    Start(Options),
    /// Memory when idle and after calls.
    Memory(Options),
    /// How often a call finds a connection open, and how long it waits for one.
    Pool(Options),
    /// What several processes of a server with one thread gain. Needs Node.js.
    Workers(Options),
    /// Latency with each strategy when one of three replicas is ten times slower.
    Strategies(Options),
    /// The same load with `[monitoring] enabled = false`.
    Monitoring(Options),
    /// The same load with `--optimized=false`.
    Optimized(Options),
    /// What a second thread of the gateway gains.
    Threads(Options),
    /// Whether calls cost more instructions than bench/budget.json allows. Needs valgrind; fails if they do.
    Budget(Budget),
    /// System calls per message, with and without batching. Needs strace.
    Syscalls(Options),
    /// Bytes, CPU time and time to the whole reply with each coding, on lines of several bandwidths.
    Compression(Options),
    /// How long the quality tools take on 100,000 lines, cold and warm. Fails if a bar is missed.
    Qe(Qe),
    /// How long memory, learning and fleets take, with few and many entries. Fails if a bar is missed.
    Store(store::Options),
    /// All but strategies, threads, budget, syscalls, compression, soak, qe and store; instructions where valgrind is installed.
    All(Options),
    /// Full load for minutes with clients and replicas that come and go. Fails if a bar is missed.
    Soak(Soak),
    /// Other gateways and servers beside ours: installs what is missing, then measures all in turns.
    Peers(Peers),
    /// What `all` measures, and the peers: writes bench/results/DATE.json and the pages' tables and figures.
    Record(Record),
    /// Makes the tables and figures in the pages anew from the latest result file.
    Tables,
    /// The baselines and the upstream.
    #[command(hide = true)]
    Serve {
        #[command(subcommand)]
        what: Serve,
    },
}

#[derive(Debug, Args)]
struct Options {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Length of one round of one side.
    #[arg(long, value_name = "N", default_value_t = 2.0, value_parser = seconds)]
    seconds: f64,
    /// Rounds of each side; they take turns.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Connections over HTTP, one request at a time on each; over stdio requests in flight, 64 if nothing is said. For calls and
    /// threads a list such as 1,16,64,256.
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=1000))]
    connections: Vec<u16>,
    /// Starts of the process.
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u16).range(1..=1000))]
    starts: u16,
    /// Only calls whose name holds this.
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// Count user instructions per call under valgrind, instead of time.
    #[arg(long)]
    instructions: bool,
    /// Keep valgrind's profiles in this folder.
    #[arg(long, value_name = "FOLDER", requires = "instructions")]
    profiles: Option<PathBuf>,
    /// The gateway to measure, instead of a release build of this workspace.
    #[arg(long, value_name = "FILE")]
    subject: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Budget {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Write the file from what is counted now, instead of comparing.
    #[arg(long)]
    update: bool,
    /// Only rows whose name holds this.
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// Keep valgrind's profiles in this folder.
    #[arg(long, value_name = "FOLDER")]
    profiles: Option<PathBuf>,
    /// The gateway to count, instead of a release build of this workspace.
    #[arg(long, value_name = "FILE")]
    subject: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Soak {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// How long.
    #[arg(long, value_name = "N", default_value_t = 10.0, value_parser = minutes)]
    minutes: f64,
    /// Clients at a time.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1000))]
    clients: u16,
    /// What the clients do follows from it.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// The gateway to measure, instead of a release build of this workspace.
    #[arg(long, value_name = "FILE")]
    subject: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Qe {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// New processes for each figure that is cold; calls for each that is warm.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    runs: u16,
    /// What the project is made of.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// The gateway to measure, instead of a release build of this workspace.
    #[arg(long, value_name = "FILE")]
    subject: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Peers {
    /// Only peers whose name holds this.
    #[arg(long, value_name = "NAME", default_value = "")]
    only: String,
    /// Rounds of each side; they take turns.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
    /// Length of one round of one side.
    #[arg(long, value_name = "N", default_value_t = 0.5, value_parser = seconds)]
    seconds: f64,
    /// Timed starts of each side.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    starts: u16,
    /// Write a result file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The gateway to measure, instead of a release build of this workspace.
    #[arg(long, value_name = "FILE")]
    subject: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Record {
    /// Say in the file why its figures are not final.
    #[arg(long, value_name = "REASON")]
    provisional: Option<String>,
    /// Length of one round of one side; half of it for peers.
    #[arg(long, value_name = "N", default_value_t = 0.7, value_parser = seconds)]
    seconds: f64,
    /// Rounds of each side; they take turns.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(2..=1000))]
    rounds: u16,
    /// Only this part (`calls`, `start`, …, `peers`); may be given again.
    #[arg(long, value_name = "PART")]
    only: Vec<String>,
    /// This one too, which is otherwise left out: `threads`, `strategies`, `syscalls`, `compression`.
    #[arg(long, value_name = "PART")]
    also: Vec<String>,
    /// Write this file instead, and no page.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The gateway to measure, instead of a release build of this workspace.
    #[arg(long, value_name = "FILE")]
    subject: Option<PathBuf>,
}

impl Peers {
    fn plan(&self) -> peers::Plan {
        peers::Plan {
            round: Duration::from_secs_f64(self.seconds),
            rounds: self.rounds.into(),
            connections: CONNECTIONS,
            starts: self.starts.into(),
            only: self.only.clone(),
        }
    }
}

fn minutes(text: &str) -> std::result::Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.2..=1440.0).contains(number));
    number.ok_or_else(|| "must be a number from 0.2 to 1440".into())
}

fn seconds(text: &str) -> std::result::Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.1..=600.0).contains(number));
    number.ok_or_else(|| "must be a number from 0.1 to 600".into())
}

impl Options {
    /// Counts instructions; the profiles stay in the folder that was named, if one was.
    fn profiled(&self, work: impl FnOnce(&Path) -> Result<Vec<Section>>) -> Result<Vec<Section>> {
        profiled(self.profiles.as_deref(), work)
    }

    fn plan(&self) -> Plan {
        self.plan_with(self.connections.first().map_or(CONNECTIONS, |count| usize::from(*count)))
    }

    fn plan_with(&self, connections: usize) -> Plan {
        Plan {
            round: Duration::from_secs_f64(self.seconds),
            rounds: self.rounds.into(),
            connections,
            only: self.only.clone(),
        }
    }

    /// A plan for each number of connections that was named, or for `usual`.
    fn plans(&self, usual: usize) -> Vec<Plan> {
        if self.connections.is_empty() {
            return vec![self.plan_with(usual)];
        }
        self.connections.iter().map(|count| self.plan_with((*count).into())).collect()
    }

    /// Calls over HTTP and stdio.
    fn calls(&self, subject: &Subject) -> Result<Vec<Section>> {
        let mut sections = Vec::new();
        for plan in self.plans(CONNECTIONS) {
            sections.push(calls::times(subject, &plan)?);
        }
        sections.push(latency::measure(subject, &self.plan())?);
        for plan in self.plans(pipes::IN_FLIGHT) {
            sections.push(pipes::times(subject, &plan)?);
        }
        Ok(sections)
    }

    /// The same in instructions.
    fn call_instructions(&self, subject: &Subject, folder: &Path) -> Result<Vec<Section>> {
        let plan = self.plan();
        Ok(vec![calls::instructions(subject, &plan, folder)?, pipes::instructions(subject, &plan, folder)?])
    }
}

fn profiled<T>(profiles: Option<&Path>, work: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    if !callgrind::is_installed() {
        return Err("counting instructions needs valgrind".into());
    }
    let scratch = tempfile::tempdir()?;
    let folder = profiles.unwrap_or(scratch.path());
    std::fs::create_dir_all(folder)?;
    work(folder)
}

/// Runs the command line of this process.
pub(crate) fn run() -> Result<()> {
    match Cli::parse().command {
        Command::Serve { what } => what.run(),
        Command::Calls(options) => measure(&options, |subject| {
            if options.instructions {
                return options.profiled(|folder| options.call_instructions(subject, folder));
            }
            options.calls(subject)
        }),
        Command::Flat(options) => measure(&options, |subject| {
            if options.instructions {
                return options.profiled(|folder| Ok(vec![flat::instructions(subject, folder)?]));
            }
            Ok(vec![flat::times(subject, &options.plan())?])
        }),
        Command::Start(options) => {
            measure(&options, |subject| Ok(vec![start::measure(subject, options.starts.into())?]))
        }
        Command::Memory(options) => measure(&options, |subject| Ok(vec![memory::measure(subject)?])),
        Command::Pool(options) => {
            measure(&options, |subject| Ok(vec![pool::measure(subject, &options.plan())?]))
        }
        Command::Workers(options) => {
            measure(&options, |subject| Ok(vec![workers::measure(subject, &options.plan())?]))
        }
        Command::Strategies(options) => {
            measure(&options, |subject| Ok(vec![strategies::measure(subject, &options.plan())?]))
        }
        Command::Monitoring(options) => {
            measure(&options, |subject| Ok(vec![monitoring::measure(subject, &options.plan())?]))
        }
        Command::Optimized(options) => {
            measure(&options, |subject| Ok(vec![optimized::measure(subject, &options.plan())?]))
        }
        Command::Threads(options) => {
            measure(&options, |subject| Ok(vec![threads::measure(subject, &options.plans(CONNECTIONS))?]))
        }
        Command::Budget(Budget { json, update, only, profiles, subject }) => {
            let mut failed = None;
            report(json, subject, |subject| {
                let counted = |folder: &Path| budget::check(subject, folder, &only, &budget::file(), update);
                let (section, verdict) = profiled(profiles.as_deref(), counted)?;
                failed = verdict;
                Ok(vec![section])
            })?;
            failed.map_or(Ok(()), |verdict| Err(verdict.into()))
        }
        Command::Syscalls(options) => measure(&options, |subject| Ok(vec![syscalls::measure(subject)?])),
        Command::Compression(options) => {
            measure(&options, |subject| Ok(vec![compression::measure(subject, &options.plan())?]))
        }
        Command::Soak(options) => {
            let plan = soak::Plan {
                time: Duration::from_secs_f64(options.minutes * 60.0),
                clients: options.clients.into(),
                seed: options.seed,
            };
            let sections = report(options.json, options.subject, |subject| soak::measure(subject, plan))?;
            match sections.iter().map(Section::missed).sum() {
                0 => Ok(()),
                missed => Err(format!("the soak has missed {missed} of its bars").into()),
            }
        }
        Command::Qe(options) => {
            let plan = qe::Plan { runs: options.runs.into(), seed: options.seed };
            let sections =
                report(options.json, options.subject, |subject| Ok(vec![qe::measure(subject, plan)?]))?;
            match sections.iter().map(Section::missed).sum() {
                0 => Ok(()),
                missed => Err(format!("the quality tools have missed {missed} of their bars").into()),
            }
        }
        Command::Store(options) => {
            let plan = options.plan();
            let sections = report(options.json, options.subject, |subject| store::measure(subject, plan))?;
            match sections.iter().map(Section::missed).sum() {
                0 => Ok(()),
                missed => Err(format!("the tools over the store have missed {missed} of their bars").into()),
            }
        }
        Command::Peers(options) => compare(&options),
        Command::Record(options) => keep(options),
        Command::Tables => record::pages(),
        Command::All(options) => measure(&options, |subject| {
            let plan = options.plan();
            let mut sections = options.calls(subject)?;
            sections.push(flat::times(subject, &plan)?);
            if callgrind::is_installed() {
                sections.extend(options.profiled(|folder| {
                    let mut sections = options.call_instructions(subject, folder)?;
                    sections.push(flat::instructions(subject, folder)?);
                    Ok(sections)
                })?);
            } else {
                eprintln!("  valgrind is not installed: no instructions are counted");
            }
            sections.push(start::measure(subject, options.starts.into())?);
            sections.push(memory::measure(subject)?);
            sections.push(pool::measure(subject, &plan)?);
            sections.push(workers::measure(subject, &plan)?);
            sections.push(optimized::measure(subject, &plan)?);
            Ok(sections)
        }),
    }
}

/// Measures peers and prints or writes what they cost.
fn compare(options: &Peers) -> Result<()> {
    let begun = Instant::now();
    let subject = ready(options.subject.clone())?;
    let plan = options.plan();
    let sections = peers::measure(&subject, &plan)?;
    if let Some(file) = &options.json {
        let notes = record::Notes { begun, method: plan.json(), provisional: None, file: Some(file.clone()) };
        record::write(subject.program(), &sections, &notes)?;
    }
    println!("{}", sections.iter().map(|(_, section)| section.text()).collect::<Vec<_>>().join("\n"));
    Ok(())
}

/// Measures all that is kept in a result file.
fn keep(options: Record) -> Result<()> {
    let begun = Instant::now();
    let subject = ready(options.subject.clone())?;
    let plan = Plan {
        round: Duration::from_secs_f64(options.seconds),
        rounds: options.rounds.into(),
        connections: CONNECTIONS,
        only: String::new(),
    };
    let peers_plan = peers::Plan {
        round: plan.round / 2,
        rounds: plan.rounds,
        connections: CONNECTIONS,
        starts: 3,
        only: String::new(),
    };
    let mut sections = record::parts(&subject, &plan, &options.only, &options.also)?;
    if options.only.is_empty() || options.only.iter().any(|name| name == "peers") {
        sections.extend(peers::measure(&subject, &peers_plan)?);
    }
    let method = json!({
        "seconds": options.seconds,
        "rounds": options.rounds,
        "connections": CONNECTIONS,
        "peers": peers_plan.json(),
    });
    let notes = record::Notes { begun, method, provisional: options.provisional, file: options.json };
    let file = record::write(subject.program(), &sections, &notes)?;
    println!("{} in {:.1} minutes", file.display(), begun.elapsed().as_secs_f64() / 60.0);
    Ok(())
}

/// The gateway, if this build can measure it.
fn ready(subject: Option<PathBuf>) -> Result<Subject> {
    if cfg!(debug_assertions) {
        return Err("a debug build's figures mean nothing: cargo run --release -p aqe-bench".into());
    }
    if processors().len() < 2 {
        eprintln!("  one processor: load and gateway share it, so rates and latencies say little");
    }
    Subject::new(subject)
}

fn measure(options: &Options, work: impl FnOnce(&Subject) -> Result<Vec<Section>>) -> Result<()> {
    report(options.json, options.subject.clone(), work).map(drop)
}

/// Measures and prints.
fn report(
    json: bool,
    subject: Option<PathBuf>,
    work: impl FnOnce(&Subject) -> Result<Vec<Section>>,
) -> Result<Vec<Section>> {
    let cpus = processors().len();
    let subject = ready(subject)?;
    let sections: Vec<Section> =
        work(&subject)?.into_iter().filter(|section| !section.rows.is_empty()).collect();
    if json {
        let sections: Vec<_> = sections.iter().map(Section::json).collect();
        println!("{}", json!({ "processors": cpus, "sections": sections }));
    } else {
        println!("{}", sections.iter().map(Section::text).collect::<Vec<_>>().join("\n"));
    }
    Ok(sections)
}
