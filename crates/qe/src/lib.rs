//! The built-in quality-engineering tools.
//!
//! # Layout
//! - [`builtin`]: all tools of this crate as one set, for the gateway.
//! - `coverage`: `qe_coverage_analyze` and `qe_coverage_gaps`: reports of all formats, and what they say of the working tree.
//! - `memory`: `qe_memory_store`, `qe_memory_retrieve` and `qe_memory_search`, entries that outlive the conversation;
//!   [`embedder`]: the vectors that they are found by.
//! - `each`: the same work on many things, on several threads.
//! - `learn`: `qe_learn_pattern` and `qe_learn_status`, what went how well, fed by the other tools too.
//! - [`fleet`]: agents and durable tasks: `qe_fleet_init`, `qe_fleet_status`, `qe_agent_spawn`, `qe_task_orchestrate`.
//! - `gate`: `qe_quality_gate`, conditions on what was measured, and a verdict.
//! - `metrics`: `qe_quality_metrics`; `duplication`: what stands in a project more than once.
//! - `project`: the folders that may be read, Git, and programs that are run to their end.
//! - `arguments`, `reply`: from raw arguments to typed ones, from typed results to raw ones.
//! - `syntax`: what is in a source file: functions, branches, calls, kinds of lines.
//! - `testgen`: `qe_test_generate`, tests found by running the code.
//! - `xml`: the one reader of XML, for reports.
//! - `stop`: when work that nobody waits for any more ends.
//!
//! Nothing here reads the wall clock; [`builtin`] is given one.

mod arguments;
mod builtin;
mod coverage;
mod duplication;
mod each;
pub mod fleet;
mod gap_id;
mod gate;
mod learn;
mod memory;
mod metrics;
mod project;
mod reply;
mod stop;
mod syntax;
mod testgen;
mod xml;

pub use arguments::rfc3339;
pub use builtin::{Settings, builtin, definitions};
pub use coverage::{Format, ReadError, Summary, summarize};
pub use memory::{Secrets, embedder};
pub use project::child::Keeper;
pub use syntax::{Survey, survey};

/// What is fuzzed: each function panics if a promise is broken.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing {
    /// Of the readers of test, findings and mutation reports.
    pub fn gate_report(bytes: &[u8]) {
        crate::gate::check_report(bytes);
    }
}
