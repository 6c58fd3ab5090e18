//! What a call may say.

use serde::Deserialize;

use crate::reply::Refusal;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    pub(super) root: Option<String>,
    pub(super) targets: Vec<Wanted>,
    #[serde(default)]
    pub(super) mode: Mode,
    #[serde(default)]
    pub(super) candidates: Vec<Candidate>,
    #[serde(default)]
    pub(super) framework: Framework,
    /// Most faults that are planted to choose tests by; 0: none.
    #[serde(default = "mutants")]
    pub(super) mutants: u32,
    /// How long is searched, about: it is counted in lines run, so that a seed gives the same everywhere.
    /// By default 400, and more for modules with many functions.
    pub(super) budget_ms: Option<u32>,
    #[serde(default = "max_tests")]
    pub(super) max_tests: usize,
    #[serde(default = "seed")]
    pub(super) seed: u64,
    /// In which order sources of values have their turn.
    #[serde(default)]
    pub(super) order: Order,
    #[serde(default)]
    pub(super) write: Write,
    /// Functions that write files are run as well; they may write in the copy. Processes and the network stay refused.
    #[serde(default)]
    pub(super) allow_effects: bool,
}

/// A file, or one function, class or method (`Class.method`) of it, or a gap that `qe_coverage_gaps` found.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    pub(super) file: Option<String>,
    pub(super) function: Option<String>,
    pub(super) gap_id: Option<String>,
}

/// A test file that somebody else wrote.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Candidate {
    pub(super) path: String,
    pub(super) content: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    #[default]
    Generate,
    /// As `generate`, but nothing of the project is run.
    Plan,
    Workorder,
    Verify,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Framework {
    #[default]
    Auto,
    Pytest,
    Unittest,
    Node,
    /// Written for it, and said to be not run by it.
    Vitest,
    Jest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Order {
    /// Always the same one, so that the same seed gives the same bytes.
    #[default]
    Fixed,
    /// By what earlier searches have learnt.
    Learned,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Write {
    /// The content is in the result.
    #[default]
    None,
    /// As a patch that makes new files.
    Patch,
    /// New files in the project; none is overwritten.
    Files,
}

const TARGETS_MAX: usize = 10;
const CANDIDATES_MAX: usize = 20;
const CANDIDATE_BYTES_MAX: usize = 256 * 1024;
const BUDGET_MAX_MS: u32 = 60_000;
const TESTS_MAX: usize = 300;
const MUTANTS_MAX: u32 = 500;

fn mutants() -> u32 {
    80
}

fn max_tests() -> usize {
    60
}

fn seed() -> u64 {
    42
}

impl Arguments {
    /// Milliseconds for languages in which it does not depend on the module.
    pub(super) fn budget(&self) -> u32 {
        self.budget_ms.unwrap_or(400)
    }

    /// That numbers are within what can be done, and that what belongs together is there.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let refuse = |text: String| Err(Refusal(text));
        if self.targets.is_empty() || self.targets.len() > TARGETS_MAX {
            return refuse(format!("`targets`: 1 to {TARGETS_MAX} are taken, not {}", self.targets.len()));
        }
        if self.budget_ms.is_some_and(|budget| budget == 0 || budget > BUDGET_MAX_MS) {
            return refuse(format!("`budget_ms`: 1 to {BUDGET_MAX_MS} are taken"));
        }
        if self.max_tests == 0 || self.max_tests > TESTS_MAX {
            return refuse(format!("`max_tests`: 1 to {TESTS_MAX} are taken"));
        }
        if self.mutants > MUTANTS_MAX {
            return refuse(format!("`mutants`: at most {MUTANTS_MAX} are taken"));
        }
        if (self.mode == Mode::Verify) == self.candidates.is_empty() {
            return refuse("`candidates` are what mode `verify` judges, and belong to it alone".into());
        }
        if self.candidates.len() > CANDIDATES_MAX
            || self.candidates.iter().any(|candidate| candidate.content.len() > CANDIDATE_BYTES_MAX)
        {
            return refuse(format!(
                "`candidates`: at most {CANDIDATES_MAX}, of at most {CANDIDATE_BYTES_MAX} bytes each"
            ));
        }
        Ok(())
    }
}
