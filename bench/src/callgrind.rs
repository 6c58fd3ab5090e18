//! User instructions per call, counted by valgrind. They are the same in every run, whatever else the machine does;
//! the kernel's are not among them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Result;
use crate::cases::Contender;
use crate::load::{self, Until};
use crate::message::Request;
use crate::pipes::Talker;

/// Changes how something is started, by its name.
pub(crate) type Wrap<'a> = &'a dyn Fn(&str, Command) -> Command;

/// Requests before counting begins: first allocations, statements that are prepared once.
const WARM_UP: u64 = 200;
/// Requests that are counted, on one connection, whose accepting and closing is counted too.
const CALLS: u64 = 1_000;
/// The same of requests that are larger than [`LARGE`] bytes: valgrind is slow.
const LARGE_CALLS: u64 = 100;
const LARGE: usize = 50_000;

fn calls(request: &Request) -> u64 {
    if request.len() > LARGE { LARGE_CALLS } else { CALLS }
}

/// Where the profile of one side of a row goes.
pub(crate) fn profile(folder: &Path, row: &str, side: &str) -> PathBuf {
    let name = row.replace([' ', ',', '/'], "_");
    folder.join(format!("{name}.{side}.callgrind"))
}

/// Whether valgrind is there.
pub(crate) fn is_installed() -> bool {
    let version =
        Command::new("valgrind").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

/// The command, run by valgrind, which counts nothing yet. Its profile goes to `out`.
pub(crate) fn under(command: &Command, out: &Path) -> Command {
    let mut wrapped = Command::new("valgrind");
    wrapped.args(["--quiet", "--tool=callgrind", "--instr-atstart=no"]);
    wrapped.arg(format!("--callgrind-out-file={}", out.display()));
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

/// Instructions per call of a server that was started by [`under`] with the same `out`. Ends it.
pub(crate) fn count(contender: Contender, out: &Path) -> Result<f64> {
    let Contender { mut running, request } = contender;
    let (address, pid) = (running.server.address, running.process.id());
    load::run(address, &request, 1, Until::Requests(WARM_UP))?;
    switch(pid, "on")?;
    let calls = calls(&request);
    load::run(address, &request, 1, Until::Requests(calls))?;
    switch(pid, "off")?;
    running.process.stop()?;
    Ok(total(out)? as f64 / calls as f64)
}

/// The same of a process that is spoken to over its pipes, one request at a time.
pub(crate) fn count_pipe(talker: Talker, out: &Path) -> Result<f64> {
    let Talker { mut talk, request } = talker;
    load::pipe(&mut talk, &request, 1, Until::Requests(WARM_UP))?;
    switch(talk.id(), "on")?;
    let calls = calls(&request);
    load::pipe(&mut talk, &request, 1, Until::Requests(calls))?;
    switch(talk.id(), "off")?;
    // Its end is when the profile is written.
    drop(talk);
    Ok(total(out)? as f64 / calls as f64)
}

/// Tells a running valgrind to count or not to.
fn switch(pid: u32, state: &str) -> Result<()> {
    let output =
        Command::new("callgrind_control").arg(format!("--instr={state}")).arg(pid.to_string()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!("callgrind_control cannot reach process {pid}: {}", String::from_utf8_lossy(&said)).into())
}

fn total(out: &Path) -> Result<u64> {
    let text = std::fs::read_to_string(out).map_err(|error| format!("{}: {error}", out.display()))?;
    let total = text
        .lines()
        .find_map(|line| line.strip_prefix("totals: "))
        .and_then(|total| total.trim().parse().ok());
    total.ok_or_else(|| format!("{} has no totals", out.display()).into())
}
