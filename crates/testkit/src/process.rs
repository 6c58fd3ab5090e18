//! The workspace's binaries, process groups, and waiting for a condition.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// How often [`wait_until`] looks.
const POLL: Duration = Duration::from_millis(5);

/// The path of a binary of this workspace: `aqe-v3`, `fixture` or `rawmcp`.
///
/// It is looked for beside the running test executable, in the same profile, and built with `cargo build`
/// when it is missing or older than one of its sources (as listed in the dep-info file that cargo writes
/// beside it). Blocks; panics when it cannot be built.
pub fn binary(name: &str) -> PathBuf {
    // One build at a time, and later callers find it done.
    static BUILDING: Mutex<()> = Mutex::new(());
    let _building = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = profile_folder();
    let path = folder.join(name);
    if is_fresh(&path) {
        return path;
    }
    let package = if name == "aqe-v3" { "aqe-v3" } else { "aqe-testkit" };
    let mut build = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.current_dir(env!("CARGO_MANIFEST_DIR")).args(["build", "--quiet", "-p", package, "--bin", name]);
    match folder.file_name().and_then(|profile| profile.to_str()) {
        Some("debug") | None => {}
        Some(profile) => {
            build.args(["--profile", profile]);
        }
    }
    if let Some(target) = folder.parent() {
        build.arg("--target-dir").arg(target);
    }
    match build.status() {
        Ok(status) if status.success() && path.exists() => path,
        Ok(status) => panic!("expected {build:?} to leave {}, it ended with {status}", path.display()),
        Err(error) => panic!("expected to run {build:?}: {error}"),
    }
}

/// The folder that holds this profile's binaries: the nearest one above the running executable that is
/// not cargo's `deps` or `examples`.
fn profile_folder() -> PathBuf {
    let executable = match env::current_exe() {
        Ok(path) => path,
        Err(error) => panic!("expected to know the running executable: {error}"),
    };
    let inner = |path: &&Path| !path.ends_with("deps") && !path.ends_with("examples");
    match executable.ancestors().skip(1).find(inner) {
        Some(folder) => folder.to_path_buf(),
        None => panic!("expected an executable in a target folder, got {}", executable.display()),
    }
}

/// Whether a binary exists and none of its sources is younger.
fn is_fresh(path: &Path) -> bool {
    let modified = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
    let Some(built) = modified(path) else { return false };
    let sources = fs::read_to_string(path.with_extension("d")).unwrap_or_default();
    let sources = sources.split_once(':').map(|(_, sources)| sources.to_owned()).unwrap_or_default();
    sources.split_whitespace().all(|source| modified(Path::new(source)).is_some_and(|time| time <= built))
}

/// A process as `/proc/PID/stat` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its parent's id.
    pub parent: u32,
    /// Its process group.
    pub group: u32,
    /// Its state letter, as in `ps`; `Z` is a zombie.
    pub state: char,
    /// The executable's name, cut to 15 bytes.
    pub name: String,
}

impl Process {
    /// Reads one process; `None` when there is none (any more).
    pub fn read(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name is in parentheses and may itself hold parentheses and spaces.
        let (head, tail) = stat.rsplit_once(')')?;
        let name = head.split_once('(')?.1.to_owned();
        let mut fields = tail.split_whitespace();
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        Some(Self { pid, parent, group, state, name })
    }

    /// Whether it still runs (a zombie does not).
    pub fn is_live(&self) -> bool {
        !matches!(self.state, 'Z' | 'X')
    }
}

/// Every process that `wanted` picks, from one look at `/proc`.
pub fn processes(wanted: impl Fn(&Process) -> bool) -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(Process::read)
        .filter(wanted)
        .collect()
}

/// The live processes of a process group.
pub fn live_group(group: u32) -> Vec<Process> {
    processes(|process| process.group == group && process.is_live())
}

/// The live children of a process.
pub fn live_children(parent: u32) -> Vec<Process> {
    processes(|process| process.parent == parent && process.is_live())
}

/// The processes below this one that still run, at any depth.
pub fn live_descendants(root: u32) -> Vec<Process> {
    let mut found = live_children(root);
    let mut next = 0;
    while let Some(process) = found.get(next) {
        let below = live_children(process.pid);
        found.extend(below);
        next += 1;
    }
    found
}

/// Whether the process still runs.
pub fn is_live(pid: u32) -> bool {
    Process::read(pid).is_some_and(|process| process.is_live())
}

/// Sends a signal to a process; panics when there is none.
pub fn signal(pid: u32, signal: Signal) {
    assert!(try_signal(pid, signal), "expected to send {signal:?} to {pid}");
}

/// Sends a signal to a process; false when there is none (any more).
pub fn try_signal(pid: u32, signal: Signal) -> bool {
    let known = i32::try_from(pid).ok().and_then(Pid::from_raw);
    known.is_some_and(|pid| kill_process(pid, signal).is_ok())
}

/// Polls every 5 ms until `condition` gives something; panics after `deadline`, saying `what` was awaited.
pub async fn wait_until<T>(deadline: Duration, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < deadline, "expected {what} within {deadline:?}; it did not come");
        tokio::time::sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_sees_itself_in_its_own_group() {
        let me = Process::read(std::process::id()).unwrap();
        assert!(me.is_live());
        assert!(live_group(me.group).iter().any(|process| process.pid == me.pid));
    }

    #[tokio::test]
    #[should_panic(expected = "expected the moon within 20ms")]
    async fn waiting_in_vain_says_what_for() {
        wait_until(Duration::from_millis(20), "the moon", || None::<()>).await;
    }
}
