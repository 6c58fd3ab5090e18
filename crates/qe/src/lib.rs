//! The built-in quality-engineering tools.
//!
//! # Layout
//! - [`builtin`]: all tools of this crate as one set, for the gateway.
//! - `coverage`: `qe_coverage_analyze` and `qe_coverage_gaps`: reports of all formats, and what they say of the working tree.
//! - [`fleet`]: agents and durable tasks: `qe_fleet_init`, `qe_fleet_status`, `qe_agent_spawn`, `qe_task_orchestrate`.
//! - `memory`: `qe_memory_store` and `qe_memory_retrieve`, entries that outlive the conversation.
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
pub mod fleet;
mod gap_id;
mod gate;
mod memory;
mod metrics;
mod project;
mod reply;
mod stop;
mod syntax;
mod testgen;
mod xml;

pub use builtin::{Settings, builtin, definitions};
pub use coverage::{Format, ReadError, Summary, summarize};
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
