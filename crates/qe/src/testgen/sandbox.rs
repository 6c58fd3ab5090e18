//! How programs are run that run the project's code: bounded, in a copy, without network where the kernel permits.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Instant;

use serde::Serialize;

use super::scratch::Scratch;
use crate::project::child::{Output, Program, RunError};
use crate::stop::Stop;

/// Limits of each process, beside the wall clock of the call.
pub(super) const MEMORY_BYTES: u64 = 2 << 30;
pub(super) const CPU_SECONDS: u64 = 120;
pub(super) const FILE_BYTES: u64 = 16 << 20;
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
    folder: &'static str,
    effects: &'static str,
    memory_bytes: Option<u64>,
    cpu_seconds: u64,
}

impl Told {
    /// `is_native`: of some target, code is run that no interpreter holds back.
    pub(super) fn of(allow_effects: bool, limits_memory: bool, is_native: bool) -> Self {
        Self {
            network: if has_namespaces() { "none" } else { "refused" },
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
}

/// Whether a process may be given a network of its own. Asked of the kernel once.
fn has_namespaces() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(|| {
        let (stop, _call) = Stop::at(Instant::now() + std::time::Duration::from_secs(2));
        let program = Program::new("unshare", Path::new("/")).args(["-rn", "true"]);
        program.run(&stop).is_ok_and(|output| output.status.success())
    })
}

/// Runs a program of the project's language in the copy.
pub(super) fn run(
    scratch: &Scratch,
    program: &str,
    args: &[&str],
    env: &[(&str, &str)],
    input: Vec<u8>,
    stop: &Stop,
) -> Result<Output, RunError> {
    let limits = Limits { cpu_seconds: CPU_SECONDS, open_files: OPEN_FILES, file_bytes: FILE_BYTES };
    run_within(scratch, &limits, program, args, env, input, stop)
}

/// As [`run`], within other limits: for compilers.
pub(super) fn run_within(
    scratch: &Scratch,
    limits: &Limits,
    program: &str,
    args: &[&str],
    env: &[(&str, &str)],
    input: Vec<u8>,
    stop: &Stop,
) -> Result<Output, RunError> {
    // 512-byte blocks, as POSIX has it; dash and bash in POSIX mode agree.
    let limits = format!(
        "ulimit -c 0; ulimit -t {}; ulimit -n {}; ulimit -f {}; exec \"$@\"",
        limits.cpu_seconds,
        limits.open_files,
        limits.file_bytes / 512
    );
    let mut line = vec!["-c", limits.as_str(), "sh"];
    if has_namespaces() {
        line.extend(["unshare", "-rn", "--"]);
    }
    line.push(program);
    line.extend(args);
    let mut child = Program::new("sh", &scratch.project())
        .args(line)
        .env("HOME", scratch.beside("home"))
        .env("TMPDIR", scratch.beside("tmp"))
        .env("LANG", "C.UTF-8");
    for (name, value) in env {
        child = child.env(name, value);
    }
    child.input(input).most_output(OUTPUT_BYTES).run(stop)
}
