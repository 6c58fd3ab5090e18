//! `qe_test_generate`: tests for code that is there, found by running it.
//!
//! Without any model: inputs come from the source, results from running it, and a test is kept only if it passed in two
//! fresh processes and reaches something that no other test of it reaches. What a model is better at is left to the
//! caller's own: `workorder` says what is missing, `verify` judges what it wrote.

mod answer;
mod arguments;
mod before;
mod call;
mod candidates;
mod faults;
mod figures;
mod files;
mod go;
mod harness;
mod interpreter;
mod java;
mod javascript;
mod judge;
mod kept;
mod learned;
mod memo;
mod mutation;
mod native;
mod order;
mod probes;
mod python;
mod recording;
mod rust;
mod sandbox;
mod scratch;
mod select;
mod sketch;
mod target;
mod trial;
mod workorder;

use crate::arguments::parse;
use crate::builtin::{Context, Request};
use crate::reply::{Refusal, structured};
use arguments::{Arguments, Mode};
pub(crate) use memo::Memo;

/// Entries of one list in a result.
const LISTED_MAX: usize = 40;

/// The tool as it is listed.
pub(crate) const DEFINITION: &str = r#"{"name":"qe_test_generate","title":"Generate tests","description":"Characterization tests for Python, JavaScript, TypeScript, Rust, Go and Java, found by running the code in a sandbox; each kept test passed in 2 fresh processes. workorder: what to write yourself; verify: judge it.","inputSchema":{"type":"object","properties":{"root":{"type":"string"},"targets":{"type":"array","description":"{file,function?} or {gap_id} of qe_coverage_gaps"},"mode":{"enum":["generate","plan","workorder","verify"],"default":"generate"},"candidates":{"type":"array","description":"verify: {path,content}"},"framework":{"enum":["auto","pytest","unittest","node","vitest","jest"]},"mutants":{"type":"integer"},"budget_ms":{"type":"integer"},"max_tests":{"type":"integer"},"seed":{"type":"integer"},"order":{"enum":["fixed","learned"]},"write":{"enum":["none","patch","files"]},"allow_effects":{"type":"boolean"}},"required":["targets"]},"outputSchema":{"type":"object","required":["mode","results"]},"annotations":{"destructiveHint":false,"openWorldHint":false}}"#;

/// One call.
pub(crate) fn run(context: &Context, arguments: &str, request: &Request) -> Result<Vec<u8>, Refusal> {
    let arguments: Arguments = parse(arguments)?;
    arguments.check()?;
    let project = context.roots.project(arguments.root.as_deref())?;
    let targets = target::of(&project, &arguments.targets)?;
    let answer = match arguments.mode {
        Mode::Generate | Mode::Plan => answer::generate(context, &project, &targets, &arguments, request)?,
        Mode::Workorder => answer::workorder(context, &project, &targets, &arguments, request)?,
        Mode::Verify => answer::verify(context, &project, &targets, &arguments, request)?,
    };
    structured(&answer)
}
