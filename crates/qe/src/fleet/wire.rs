//! What an agent's process and its server say to each other: one JSON object a line, on standard input and output.

use serde::{Deserialize, Serialize};

/// What the server says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// Run this. Only after the end of what was run before.
    Run(Box<Job>),
    /// End what is running.
    Cancel,
}

/// A program to be run. Its arguments and environment may hold secrets of the operator's: they are shown to nobody.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) argv: Vec<String>,
    pub(crate) cwd: String,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) timeout_ms: u64,
    pub(crate) memory_mb: Option<u64>,
}

/// What the agent says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Word {
    /// It can be given work.
    Ready,
    /// It is alive and at work: lines that the program has written, and the last of them.
    Beat { lines: u64, last: String },
    /// The program and all of its group are no more.
    End(Box<End>),
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub(crate) struct End {
    /// Why it never began.
    pub(crate) not_started: Option<String>,
    pub(crate) pid: Option<u32>,
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) timed_out: bool,
    pub(crate) cancelled: bool,
    pub(crate) ms: u64,
    pub(crate) stdout: Kept,
    pub(crate) stderr: Kept,
}

/// What is kept of an output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub(crate) struct Kept {
    /// All of it, or its beginning.
    pub(crate) head: String,
    /// Its end, if something was left out before it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) tail: String,
    pub(crate) bytes: u64,
    /// Bytes between the two that were not kept.
    pub(crate) omitted: u64,
    /// SHA-256 of the whole, in hexadecimal digits.
    pub(crate) sha256: String,
}
