//! User instructions per call, counted by valgrind. They are the same in every run, whatever else the machine does;
//! the kernel's are not among them.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::Result;
use crate::cases::{Case, Contender};
use crate::load::{self, Until};
use crate::subject::Subject;

/// Changes how something is started, by its name.
pub(crate) type Wrap<'a> = &'a dyn Fn(&str, Command) -> Command;

/// Requests of the two runs. Their difference is without start, handshake and first allocations.
const FEW: u64 = 200;
const MANY: u64 = 1_200;

/// Instructions per call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted {
    pub(crate) subject: f64,
    pub(crate) baseline: f64,
}

/// Whether valgrind is there.
pub(crate) fn is_installed() -> bool {
    let version =
        Command::new("valgrind").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

/// Counts for both sides of a case. The profiles of the longer run stay in `folder`.
pub(crate) fn count(case: &Case, subject: &Subject, folder: &Path) -> Result<Counted> {
    let few = run(case, subject, folder, FEW)?;
    let many = run(case, subject, folder, MANY)?;
    let each = |few: u64, many: u64| many.saturating_sub(few) as f64 / (MANY - FEW) as f64;
    Ok(Counted { subject: each(few.0, many.0), baseline: each(few.1, many.1) })
}

/// Instructions of subject and baseline for a number of requests.
fn run(case: &Case, subject: &Subject, folder: &Path, requests: u64) -> Result<(u64, u64)> {
    let prefix = folder.join(case.name.replace([' ', ',', '/'], "_"));
    let out = |name: &str| format!("{}.{name}.{requests}.callgrind", prefix.display());
    let wrap = |name: &str, command: Command| under(&command, &out(name));
    let contest = case.start(subject, &wrap)?;
    let drive = |contender: Contender| -> Result<()> {
        let Contender { mut running, request } = contender;
        load::run(running.server.address, &request, 1, Until::Requests(requests))?;
        running.process.stop()
    };
    drive(contest.baseline)?;
    drive(contest.subject)?;
    Ok((total(&out("subject"))?, total(&out("baseline"))?))
}

/// The command, run by valgrind.
fn under(command: &Command, out: &str) -> Command {
    let mut wrapped = Command::new("valgrind");
    wrapped.args(["--quiet", "--tool=callgrind", &format!("--callgrind-out-file={out}")]);
    wrapped.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        wrapped.current_dir(folder);
    }
    wrapped.stderr(Stdio::null());
    wrapped
}

fn total(out: &str) -> Result<u64> {
    let text = std::fs::read_to_string(out).map_err(|error| format!("{out}: {error}"))?;
    let total = text
        .lines()
        .find_map(|line| line.strip_prefix("totals: "))
        .and_then(|total| total.trim().parse().ok());
    total.ok_or_else(|| format!("{out} has no totals").into())
}
