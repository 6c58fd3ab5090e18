//! From how a program ended to what the store is told.

use aqe_core::work::Failure;
use serde_json::json;

use super::profile::Command;
use super::wire::{End, Job};

/// What an attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// `None`: it succeeded. Else why not, and what to tell people.
    pub(crate) failure: Option<(Failure, String)>,
    pub(crate) result: Option<String>,
    pub(crate) evidence: Option<String>,
}

impl Outcome {
    pub(crate) fn failed(failure: Failure, error: impl Into<String>) -> Self {
        Self { failure: Some((failure, error.into())), result: None, evidence: None }
    }

    pub(crate) fn of(end: End, job: &Job, command: &Command, agent_pid: u32) -> Self {
        if let Some(error) = end.not_started {
            return Self::failed(Failure::Permanent, error);
        }
        let failure = match (end.code, end.signal) {
            _ if end.cancelled => {
                Some((Failure::Cancelled, "it was stopped because that was wanted".to_owned()))
            }
            _ if end.timed_out => {
                Some((Failure::Timeout, format!("it took longer than {} ms and was stopped", job.timeout_ms)))
            }
            (Some(code), _) if command.success_codes.contains(&code) => None,
            (Some(code), _) if command.transient_codes.contains(&code) => {
                Some((Failure::Transient, format!("exit code {code}, which means something passing")))
            }
            (Some(code), _) => {
                Some((Failure::ExitCode, format!("exit code {code}{}", about_memory(&end, job))))
            }
            (None, Some(signal)) => {
                let about = about_memory(&end, job);
                Some((Failure::Transient, format!("it was killed by signal {signal}{about}")))
            }
            (None, None) => Some((Failure::Transient, "nobody knows how it ended".to_owned())),
        };
        let result = json!({
            "exit_code": end.code, "signal": end.signal, "ms": end.ms,
            "stdout": end.stdout, "stderr": end.stderr,
        });
        let evidence = json!({
            "program": job.argv.first(), "cwd": job.cwd, "pid": end.pid, "agent_pid": agent_pid,
            "stdout_sha256": end.stdout.sha256, "stderr_sha256": end.stderr.sha256,
        });
        Self { failure, result: Some(result.to_string()), evidence: Some(evidence.to_string()) }
    }
}

/// What programs of many kinds say when they are given no more memory, in lower case: C and its descendants, Python, Go,
/// JavaScript, Rust.
const OUT_OF_MEMORY: [&str; 6] = [
    "cannot allocate memory",
    "memoryerror",
    "out of memory",
    "bad_alloc",
    "memory allocation of",
    "memory exhausted",
];

/// The bound of memory, where the program speaks of memory in the end: a system that gives no more does not say whose bound that is.
fn about_memory(end: &End, job: &Job) -> String {
    let Some(most) = job.memory_mb else { return String::new() };
    let speaks = [&end.stdout, &end.stderr].into_iter().any(|kept| {
        let last = if kept.tail.is_empty() { &kept.head } else { &kept.tail };
        let last = last.to_lowercase();
        OUT_OF_MEMORY.iter().any(|words| last.contains(words))
    });
    if !speaks {
        return String::new();
    }
    format!(
        "; it ran out of memory: its profile gives each process {most} MiB of address space (`memory_mb`)"
    )
}
