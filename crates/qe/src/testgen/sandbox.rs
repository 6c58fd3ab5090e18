//! How programs are run that run the project's code: bounded, in a copy, without network where the kernel permits.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::scratch::Scratch;
use crate::project::child::{Output, Program, RunError};
use crate::project::confine::Confinement;
use crate::stop::Stop;

/// Limits of each process, beside the wall clock of the call.
pub(super) const MEMORY_BYTES: u64 = 2 << 30;
pub(super) const CPU_SECONDS: u64 = 120;
pub(super) const FILE_BYTES: u64 = 16 << 20;
const CONFINE: &str = include_str!("python/confine.py");
const OPEN_FILES: u64 = 256;
const OUTPUT_BYTES: usize = 32 << 20;

/// Limits that are not the same for all programs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) cpu_seconds: u64,
    pub(super) open_files: u64,
    pub(super) file_bytes: u64,
}

/// What is said of it in results.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Told {
    /// `none`: a network namespace of its own, without any interface that is up. `refused`: calls that open connections
    /// are refused inside of the interpreter; native code is not held back.
    network: &'static str,
    /// `kernel`: only the copy can be written, and nothing read but it and what is installed (Landlock). `refused`: calls
    /// that write elsewhere are refused inside of the interpreter; native code is not held back.
    files: &'static str,
    /// `none`: the kernel refuses new ones, and signals to others (seccomp). `ended`: they cannot outlive the call (a
    /// process namespace). `refused`: inside of the interpreter; those that leave the group are not ended with the call.
    processes: &'static str,
    folder: &'static str,
    effects: &'static str,
    memory_bytes: Option<u64>,
    cpu_seconds: u64,
}

/// What the kernel holds a process to, as the process itself says.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct Held {
    pub(super) files: bool,
    pub(super) processes: bool,
}

impl Limits {
    /// Of interpreters.
    pub(super) const USUAL: Self =
        Self { cpu_seconds: CPU_SECONDS, open_files: OPEN_FILES, file_bytes: FILE_BYTES };
}

impl Held {
    /// What holds in both.
    pub(super) fn and(self, other: Self) -> Self {
        Self { files: self.files && other.files, processes: self.processes && other.processes }
    }
}

impl Told {
    /// `is_native`: of some target, code is run that no interpreter holds back.
    pub(super) fn of(allow_effects: bool, limits_memory: bool, is_native: bool) -> Self {
        let namespaces = namespaces();
        Self {
            network: if namespaces == Namespaces::None { "refused" } else { "none" },
            files: "refused",
            processes: if namespaces == Namespaces::All { "ended" } else { "refused" },
            folder: "temporary copy",
            effects: match (allow_effects, is_native) {
                (true, false) => "allowed in the copy",
                (true, true) => "allowed; native code is not held to the copy",
                (false, false) => "refused",
                (false, true) => "functions that show them are not called; native code is not held back",
            },
            memory_bytes: limits_memory.then_some(MEMORY_BYTES),
            cpu_seconds: CPU_SECONDS,
        }
    }

    /// With what held in the processes that were run.
    pub(super) fn held(mut self, held: Held) -> Self {
        if held.files {
            self.files = "kernel";
            if self.effects.contains("native") {
                self.effects = "functions that show them are not called, unless allowed; what is called writes in the copy only";
            }
        }
        if held.processes {
            self.processes = "none";
        }
        self
    }
}

/// What a process may be given of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Namespaces {
    None,
    Network,
    /// Of processes, too: all that is in one ends with its first.
    All,
}

impl Namespaces {
    /// `is_plain`: without names for users, which would have to be written where a confined program may not.
    fn args(self, is_plain: bool) -> &'static [&'static str] {
        match self {
            Self::None => &[],
            Self::Network if is_plain => &["unshare", "-Un", "--"],
            Self::All if is_plain => {
                &["unshare", "-Unpf", "--kill-child", "--", "sh", "-c", "\"$@\"; exit $?", "sh"]
            }
            Self::Network => &["unshare", "-rn", "--"],
            // The first process of a namespace is not ended by its own signals, so another one has to be it.
            Self::All => &["unshare", "-rnpf", "--kill-child", "--", "sh", "-c", "\"$@\"; exit $?", "sh"],
        }
    }
}

/// Asked of the kernel once.
fn namespaces() -> Namespaces {
    static HAS: OnceLock<Namespaces> = OnceLock::new();
    *HAS.get_or_init(|| {
        let works = |has: &Namespaces| {
            let (stop, _call) = Stop::at(Instant::now() + Duration::from_secs(2));
            let program = Program::new("env", Path::new("/")).args(has.args(false)).args(["true"]);
            program.run(&stop).is_ok_and(|output| output.status.success())
        };
        [Namespaces::All, Namespaces::Network].into_iter().find(works).unwrap_or(Namespaces::None)
    })
}

/// Where programs lie and what they read to run: the list that Python's harness holds itself to, and what the kernel shows of
/// processes, of which it keeps a confined one from those of others.
fn installed() -> impl Iterator<Item = &'static str> {
    let (_, list) = CONFINE.split_once("SYSTEM = (").unwrap_or_default();
    let list = list.split("\n)").next().unwrap_or_default();
    list.split('"').skip(1).step_by(2).chain(["/proc"])
}

/// A program to be run, and what it is given.
pub(super) struct Job<'a> {
    pub(super) limits: Limits,
    pub(super) program: &'a str,
    pub(super) args: &'a [&'a str],
    pub(super) env: &'a [(&'a str, &'a str)],
    /// What it reads.
    pub(super) input: Vec<u8>,
    /// Held by the kernel to writing in the copy and reading there, what is installed, and these; `None`: it is not.
    pub(super) held_to: Option<&'a [PathBuf]>,
}

/// Where a program works, has its home and puts what is for a moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places<'a> {
    pub(super) folder: &'a Path,
    pub(super) home: &'a Path,
    pub(super) tmp: &'a Path,
}

impl<'a> Job<'a> {
    /// Within the limits of interpreters, without variables and input.
    pub(super) fn of(program: &'a str, args: &'a [&'a str]) -> Self {
        Self { limits: Limits::USUAL, program, args, env: &[], input: Vec::new(), held_to: None }
    }

    /// Runs it in the copy.
    pub(super) fn run(self, scratch: &Scratch, stop: &Stop) -> Result<Output, RunError> {
        let (folder, home, tmp) = (scratch.project(), scratch.beside("home"), scratch.beside("tmp"));
        self.run_at(Places { folder: &folder, home: &home, tmp: &tmp }, stop)
    }

    /// Runs it where it is told to.
    pub(super) fn run_at(self, places: Places<'_>, stop: &Stop) -> Result<Output, RunError> {
        let Self { limits, program, args, env, input, held_to } = self;
        // 512-byte blocks, as POSIX has it; dash and bash in POSIX mode agree.
        let limits = format!(
            "ulimit -c 0; ulimit -t {}; ulimit -n {}; ulimit -f {}; exec \"$@\"",
            limits.cpu_seconds,
            limits.open_files,
            limits.file_bytes / 512
        );
        let mut line = vec!["-c", limits.as_str(), "sh"];
        line.extend(namespaces().args(held_to.is_some()));
        line.push(program);
        line.extend(args);
        let mut child = Program::new("sh", places.folder)
            .args(line)
            .env("HOME", places.home)
            .env("TMPDIR", places.tmp)
            .env("LANG", "C.UTF-8");
        let zone = env.iter().find(|(name, _)| *name == "TZ").map_or("", |(_, zone)| *zone);
        for (name, value) in found_in(zone).iter().chain(env) {
            child = child.env(name, value);
        }
        if let Some(more) = held_to {
            let readable = installed().map(PathBuf::from).chain(more.iter().cloned()).collect();
            let writable = places.tmp.parent().map(Path::to_path_buf).into_iter().collect();
            child = child.within(Confinement { writable, readable });
        }
        child.input(input).most_output(OUTPUT_BYTES).run(stop)
    }
}

/// What a program finds on a machine besides the time of its zone: fresh processes run in different ones, so that no test
/// asserts what only one of them has. Searches run where there is nothing of it.
fn found_in(zone: &str) -> &'static [(&'static str, &'static str)] {
    match zone {
        "Asia/Tokyo" => &[
            ("TERM", "xterm"),
            ("COLUMNS", "133"),
            ("LINES", "50"),
            ("USER", "akiko"),
            ("LOGNAME", "akiko"),
            ("EDITOR", "vi"),
        ],
        "America/New_York" => &[
            ("TERM", "xterm-256color"),
            ("TERM_PROGRAM", "iTerm.app"),
            ("COLORTERM", "truecolor"),
            ("COLUMNS", "80"),
            ("NO_COLOR", "1"),
            ("CI", "true"),
            ("USER", "runner"),
            ("LOGNAME", "runner"),
        ],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_that_are_installed_can_be_read_and_homes_cannot() {
        let all: Vec<_> = installed().collect();
        assert!(all.contains(&"/usr") && all.contains(&"/dev/urandom") && all.len() > 20, "{all:?}");
        assert!(
            all.iter().all(|one| one.starts_with('/') && !one.starts_with("/home") && *one != "/"),
            "{all:?}"
        );
    }
}
