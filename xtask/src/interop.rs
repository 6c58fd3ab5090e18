//! The interop run: real clients, real servers and the conformance suite.
//!
//! # Layout
//! [`install`] fetches what is needed · [`process`] starts, times and ends
//! programs · [`world`] the folder and the upstreams they work on ·
//! [`conformance`], [`clients`], [`dashboard`], [`prometheus`], [`otlp`] and [`qe`] the groups of checks.

mod clients;
mod conformance;
mod dashboard;
mod install;
mod otlp;
mod process;
mod prometheus;
mod qe;
mod world;

use std::collections::BTreeSet;
use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use install::Tools;
use process::Run;

/// What goes wrong here ends the run and is read by a person.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Runs a group; `None` when there is nothing to check without a gateway.
type Group = fn(&Context) -> Result<Option<Tally>>;

/// The groups, in the order in which they run.
const GROUPS: [(&str, Group); 8] = [
    ("conformance-http", conformance::over_http),
    ("conformance-stdio", conformance::over_stdio),
    ("conformance-client", conformance::as_client),
    ("clients", clients::run),
    ("dashboard", dashboard::run),
    ("prometheus", prometheus::run),
    ("otlp", otlp::run),
    ("qe", qe::run),
];

/// The command line of `cargo xtask interop`.
#[derive(Debug, Default)]
pub(crate) struct Options {
    only: BTreeSet<String>,
    keep_going: bool,
    direct: bool,
    debug: bool,
    install: bool,
    gateway: Option<PathBuf>,
    fixture: Option<PathBuf>,
}

impl Options {
    /// Reads the arguments that follow `interop`.
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self::default();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--only" => {
                    let group = value()?;
                    if !GROUPS.iter().any(|(name, _)| *name == group) {
                        return Err(format!("no group {group:?}").into());
                    }
                    options.only.insert(group);
                }
                "--keep-going" => options.keep_going = true,
                "--direct" => options.direct = true,
                "--debug" => options.debug = true,
                "--install" => options.install = true,
                "--gateway" => options.gateway = Some(value()?.into()),
                "--fixture" => options.fixture = Some(value()?.into()),
                other => return Err(format!("no option {other:?}").into()),
            }
        }
        Ok(options)
    }
}

/// What every group works with.
struct Context {
    tools: Tools,
    run: Run,
    fixture: PathBuf,
    /// `None`: the checks go to the servers directly.
    gateway: Option<PathBuf>,
}

/// How many checks of a group held.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    passed: usize,
    failed: usize,
}

impl Tally {
    fn pass(&mut self, checks: usize) {
        self.passed += checks;
    }

    /// Counts and prints one failed check.
    fn fail(&mut self, what: &str) {
        self.failed += 1;
        println!("  not ok {what}");
    }
}

/// Runs the groups asked for; `false` when a check failed.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let tools = Tools::install()?;
    if options.install {
        return Ok(true);
    }
    let (gateway, fixture) = programs(options)?;
    let context = Context { run: Run::new(tools.base())?, tools, fixture, gateway };
    let mut good = true;
    for (name, group) in GROUPS {
        if !options.only.is_empty() && !options.only.contains(name) {
            continue;
        }
        let started = Instant::now();
        println!("{name}");
        // A group that cannot be run to its end is a failed check like another.
        let outcome = group(&context).unwrap_or_else(|error| {
            let mut tally = Tally::default();
            tally.fail(&error.to_string());
            Some(tally)
        });
        let Some(mut tally) = outcome else {
            println!("{name}: left out, it needs the gateway");
            continue;
        };
        for process in context.run.sweep()? {
            tally.fail(&format!("left behind: {process}"));
        }
        let seconds = started.elapsed().as_secs_f32();
        println!("{name}: {} passed, {} failed ({seconds:.1} s)", tally.passed, tally.failed);
        good &= tally.failed == 0 && tally.passed > 0;
        if !good && !options.keep_going {
            break;
        }
    }
    context.run.clean()?;
    if !good {
        println!("logs: {}", context.run.logs().display());
    }
    Ok(good)
}

/// The gateway and the fixture: those given, else freshly built.
fn programs(options: &Options) -> Result<(Option<PathBuf>, PathBuf)> {
    let missing = options.fixture.is_none() || (options.gateway.is_none() && !options.direct);
    let built = if missing { install::build(options.debug)? } else { install::Built::default() };
    let absolute = |given: &Option<PathBuf>, built: Option<PathBuf>, name: &str| -> Result<PathBuf> {
        let path =
            given.clone().or(built).ok_or_else(|| format!("the workspace builds no program {name}"))?;
        path.canonicalize().map_err(|error| format!("{}: {error}", path.display()).into())
    };
    let fixture = absolute(&options.fixture, built.fixture, "fixture")?;
    if options.direct {
        return Ok((None, fixture));
    }
    Ok((Some(absolute(&options.gateway, built.gateway, "aqe-v3")?), fixture))
}
