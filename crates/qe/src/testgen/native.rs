//! Languages that are compiled first: what their compilers and programs may take, how these are run, and what is made of
//! what a recorder wrote.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use tree_sitter::{Language, Parser, Tree};

use super::arguments::Arguments;
use super::candidates::{Block, Fate, Found, Reach};
use super::files;
use super::order::Sources;
use super::probes::Probes;
use super::recording::Recording;
use super::sandbox::{Held, Job, Limits};
use super::scratch::Scratch;
use super::target::Target;
use crate::project::child::{Output, RunError};
use crate::project::confine;
use crate::reply::Refusal;
use crate::stop::Stop;

/// Cases for each millisecond of the budget.
pub(super) const CASES_PER_MS: u32 = 5;
/// Candidates of one file.
pub(super) const CANDIDATES_MAX: usize = 150;
/// How often is built again without what does not compile.
pub(super) const BUILDS_MAX: usize = 8;
/// A build may take so long.
pub(super) const BUILD: Duration = Duration::from_secs(240);
/// A formatter is quick.
pub(super) const FORMAT: Duration = Duration::from_secs(20);
/// And a run of what was built.
const RUN: Duration = Duration::from_secs(60);
/// Compilers open and write more than tests.
const BUILDING: Limits = Limits { cpu_seconds: 600, open_files: 4_096, file_bytes: 1 << 30 };

/// A file that was read.
pub(super) struct Source<'a> {
    pub(super) text: &'a str,
    pub(super) tree: Tree,
}

impl<'a> Source<'a> {
    /// Of a target in that language.
    pub(super) fn of(target: &'a Target, language: &Language) -> Result<Self, Refusal> {
        let text = std::str::from_utf8(&target.source)
            .map_err(|_| Refusal(format!("{}: it is not UTF-8", target.file)))?;
        let tree =
            parsed(text, language).ok_or_else(|| Refusal(format!("{}: it cannot be parsed", target.file)))?;
        Ok(Self { text, tree })
    }
}

/// The syntax of a text.
pub(super) fn parsed(text: &str, language: &Language) -> Option<Tree> {
    let mut parser = Parser::new();
    parser.set_language(language).ok()?;
    parser.parse(text, None)
}

/// Runs a compiler, `name` to people, for `time` at most.
pub(super) fn compiler(
    scratch: &Scratch,
    name: &str,
    job: Job<'_>,
    time: Duration,
    stop: &Stop,
) -> Result<Output, Refusal> {
    match (Job { limits: BUILDING, ..job }).run(scratch, &stop.within(time)) {
        Ok(output) => Ok(output),
        Err(RunError::Stopped { .. }) => {
            stop.check()?;
            Err(Refusal(format!("{name} did not end within {} s", time.as_secs())))
        }
        Err(error) => Err(Refusal(error.to_string())),
    }
}

/// Runs what was built; how it ended, and what it printed. The kernel holds it to the copy, what is installed, and
/// `readable`.
pub(super) fn built(
    scratch: &Scratch,
    program: &str,
    args: &[&str],
    env: &[(&str, String)],
    readable: &[PathBuf],
    stop: &Stop,
) -> Result<(String, String), Refusal> {
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    match (Job { env: &env, held_to: Some(readable), ..Job::of(program, args) })
        .run(scratch, &stop.within(RUN))
    {
        Ok(output) => Ok((files::ended(output.status), String::from_utf8_lossy(&output.stdout).into_owned())),
        Err(RunError::Stopped { .. }) => {
            stop.check()?;
            Ok(("it did not end in time".into(), String::new()))
        }
        Err(error) => Err(Refusal(error.to_string())),
    }
}

/// What holds all that was built: files where the kernel can; processes end with the call, but are not refused.
pub(super) fn held() -> Held {
    Held { files: confine::works(), processes: false }
}

/// What a search has found, in the form of all languages. The blocks name faults by their numbers.
pub(super) fn found(
    mut blocks: Vec<Block>,
    mut fates: Vec<Fate>,
    recording: Recording,
    probes: &Probes,
    arguments: &Arguments,
    version: String,
) -> Found {
    for (shown, how) in recording.fatal {
        let reason = format!("a case that ended the process ({how}) was left out");
        fates.push(Fate { target: shown, status: "fatal".into(), reason: Some(reason) });
    }
    // From here on faults are counted from 0 by their place.
    let faults = probes.faults();
    let places: BTreeMap<u32, u32> = faults.iter().map(|(number, _)| *number).zip(0..).collect();
    for block in &mut blocks {
        block.kills = block.kills.iter().filter_map(|fault| places.get(fault).copied()).collect();
    }
    let is_known = arguments.mutants > 0 && !recording.cut;
    Found {
        blocks,
        targets: fates,
        universe: Reach { lines: probes.universe(), branches: Vec::new() },
        import: Reach::default(),
        mutants: is_known.then(|| faults.into_iter().map(|(_, mutant)| mutant).collect()),
        executed: recording.executed,
        late: false,
        held: held(),
        outside: Vec::new(),
        sources: Sources::default(),
        version,
    }
}
