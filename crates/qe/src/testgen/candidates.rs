//! Tests that may be kept: what the harnesses found, in one form for all languages.

use serde::Deserialize;

use super::order::Sources;
use super::sandbox::Held;

/// An arc from a line to a line, or to the end of what it is in (negative).
pub(super) type Branch = (i64, i64);

/// One test as text, and what it reaches.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Block {
    /// Without the number that follows when it is known what stays. In the texts it is `test_`.
    pub(super) name: String,
    /// The text that says all that was seen.
    pub(super) strong: String,
    /// One that says less, for results that differ from process to process.
    pub(super) weak: Option<String>,
    /// What the text uses: modules, and names of them.
    pub(super) imports: Vec<(String, Option<String>)>,
    pub(super) target: String,
    pub(super) oracle: String,
    /// Numbers of the planted faults that it notices.
    pub(super) kills: Vec<u32>,
    /// What reading it costs, to choose among equals.
    pub(super) cost: u32,
    /// What it reaches beyond what importing does.
    pub(super) lines: Vec<u32>,
    pub(super) branches: Vec<Branch>,
}

/// A planted fault.
#[derive(Debug, Clone, Deserialize, serde::Serialize)]
pub(crate) struct Mutant {
    pub(super) target: String,
    pub(super) line: u32,
    pub(super) mutation: String,
}

/// What became of a function, method or class.
#[derive(Debug, Clone, Deserialize, serde::Serialize)]
pub(crate) struct Fate {
    pub(super) target: String,
    pub(super) status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
}

/// What the search in one file came to.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Found {
    pub(super) blocks: Vec<Block>,
    pub(super) targets: Vec<Fate>,
    pub(super) universe: Reach,
    pub(super) import: Reach,
    pub(super) mutants: Option<Vec<Mutant>>,
    pub(super) executed: u64,
    /// The clock ended it, not the budget: another run may find other tests.
    pub(super) late: bool,
    pub(super) version: String,
    /// What the kernel held the process to; not all harnesses say.
    #[serde(default)]
    pub(super) held: Held,
    /// Files outside of the copy that were read.
    #[serde(default)]
    pub(super) outside: Vec<String>,
    /// Only Python's search says.
    #[serde(default)]
    pub(super) sources: Sources,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Reach {
    pub(super) lines: Vec<u32>,
    pub(super) branches: Vec<Branch>,
}

/// How a text did in a fresh process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Passed,
    Failed,
    /// It does not compile.
    Broken,
}

impl Verdict {
    /// Of a text that does not compile, or that a run names among those that passed or does not.
    pub(super) fn of(is_broken: bool, has_passed: bool) -> Self {
        match (is_broken, has_passed) {
            (true, _) => Self::Broken,
            (false, true) => Self::Passed,
            (false, false) => Self::Failed,
        }
    }
}

/// Both texts of a block in one fresh process.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Verdicts {
    pub(super) strong: Verdict,
    pub(super) weak: Option<Verdict>,
}
