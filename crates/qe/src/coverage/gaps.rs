//! `qe_coverage_gaps`: what no test runs, the riskiest first, with all that is needed to write the test.

mod explain;
mod find;
mod rank;

use std::collections::BTreeMap;
use std::thread;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::analyze::no_report;
use super::collect::{Asked, TestsExcluded, collect};
use super::filter::Filter;
use super::page::Page;
use super::patch::Change;
use super::path_map::PathMap;
use crate::builtin::{Context, Request};
use crate::each::joined;
use crate::reply::{Refusal, structured};
use explain::Teller;
pub(crate) use find::Innermost;
use rank::Rank;

pub(crate) const DEFINITION: &str = concat!(
    r#"{"name":"qe_coverage_gaps","title":"Find coverage gaps","description":"What no test runs, riskiest first, from existing coverage reports: per function its uncovered lines, missing branch outcomes, complexity, CRAP, churn, snippet, nearest tests, and the call that generates tests.","#,
    r#""inputSchema":{"type":"object","properties":{"root":{"type":"string"},"reports":{"type":"array","items":{"type":"string"}},"#,
    r#""base":{"type":"string","description":"Git revision a change began at"},"scope":{"enum":["all","patch"]},"rank":{"enum":["risk","crap","size","churn"]},"#,
    r#""include":{"type":"array","items":{"type":"string"}},"exclude":{"type":"array","items":{"type":"string"}},"path_map":{"type":"object"},"include_tests":{"type":"boolean"},"#,
    r#""context_lines":{"type":"integer"},"max_items":{"type":"integer"},"cursor":{"type":"string"}},"required":[]},"#,
    r#""outputSchema":{"type":"object","required":["gaps","total"]},"annotations":{"readOnlyHint":true,"openWorldHint":false}}"#
);

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    root: Option<String>,
    #[serde(default)]
    reports: Vec<String>,
    base: Option<String>,
    #[serde(default)]
    scope: Scope,
    #[serde(default)]
    rank: Rank,
    #[serde(default)]
    include: Vec<String>,
    #[serde(default)]
    exclude: Vec<String>,
    #[serde(default)]
    path_map: BTreeMap<String, String>,
    #[serde(default)]
    include_tests: bool,
    #[serde(skip_serializing)]
    context_lines: Option<u32>,
    #[serde(skip_serializing)]
    max_items: Option<usize>,
    #[serde(skip_serializing)]
    cursor: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Scope {
    #[default]
    All,
    /// New and changed lines alone.
    Patch,
}

/// Lines of a snippet after its first, if nothing is said, and at most.
const CONTEXT_LINES: u32 = 3;
const MOST_CONTEXT_LINES: u32 = 20;
/// Bytes of an answer as it is sent, if no number of items is asked for, and at most: what is left comes with the next page.
const ANSWER_BYTES: usize = 24_000;
const MOST_ANSWER_BYTES: usize = 512 << 10;
/// What is around the two: the names of MCP's own members.
const FRAME_BYTES: usize = 100;
/// Entries of the lists beside the gaps.
const EXAMPLES: usize = 20;

#[derive(Serialize)]
struct Answer<'a> {
    gaps: Vec<Box<RawValue>>,
    total: usize,
    uncovered_lines: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    /// Why something is null.
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tests_excluded: Option<TestsExcluded>,
    stale: usize,
    unmatched: usize,
    provenance: &'a [super::load::Provenance],
    warnings: Vec<&'a String>,
}

pub(crate) fn run(context: &Context, arguments: &str, request: &Request) -> Result<Vec<u8>, Refusal> {
    let arguments: Arguments = crate::arguments::parse(arguments)?;
    let project = context.roots.project(arguments.root.as_deref())?;
    let stop = &request.stop;
    let filter = Filter::new(&arguments.include, &arguments.exclude)?;
    let path_map = PathMap::new(&project, &arguments.path_map)?;
    let asked = Asked { reports: &arguments.reports, path_map, with_tests: arguments.include_tests };
    let (found, snapshot) = thread::scope(|scope| {
        let snapshot = scope.spawn(|| context.measurements.sources(&project, request));
        (collect(&context.coverage, &project, &asked, request.now, stop), joined(snapshot))
    });
    let mut coverage = found?.ok_or_else(no_report)?;
    coverage.keep(|path| filter.has(path));
    let base = arguments.base.as_deref();
    let change = base.map(|base| Change::of(&project, base, None, stop)).transpose()?;
    let only = match arguments.scope {
        Scope::All => None,
        Scope::Patch => Some(change.as_ref().ok_or_else(|| {
            Refusal("`scope`: patch needs `base`, the revision that the change began at".into())
        })?),
    };
    let snapshot = snapshot?;
    let mut gaps = find::find(&coverage, &snapshot, only, stop)?;
    let users = find::users(&gaps, &snapshot, stop)?;
    rank::rank(&mut gaps, &snapshot, &users, change.as_ref(), arguments.rank);
    let sums: Vec<_> = coverage.provenance.iter().map(|source| &source.sha256).collect();
    let added = change.as_ref().map(|change| &change.added);
    let identity = (&arguments, sums, added, snapshot.fingerprint, &snapshot.head, gaps.len());
    let page = Page::new(arguments.max_items, arguments.cursor.as_deref(), &identity)?;
    let mut teller = Teller {
        project: &project,
        coverage: &coverage,
        snapshot: &snapshot,
        users: &users,
        root: arguments.root.as_deref(),
        context_lines: arguments.context_lines.unwrap_or(CONTEXT_LINES).min(MOST_CONTEXT_LINES),
        stop,
        cache: &context.coverage,
        sources: BTreeMap::new(),
    };
    let asked = page.of(&gaps).0;
    teller.read(asked)?;
    let mut answer = Answer {
        gaps: Vec::new(),
        total: gaps.len(),
        uncovered_lines: gaps.iter().map(|gap| u64::from(gap.uncovered)).sum(),
        // As long as any.
        next_cursor: page.after(0, usize::MAX),
        history: snapshot.history.as_ref().err().map(String::as_str),
        tests_excluded: coverage.tests_excluded(),
        stale: coverage.stale.len(),
        unmatched: coverage.unmatched.len(),
        provenance: &coverage.provenance[..coverage.provenance.len().min(EXAMPLES)],
        warnings: coverage.warnings.iter().chain(&snapshot.warnings).take(EXAMPLES).collect(),
    };
    let most = if arguments.max_items.is_some() { MOST_ANSWER_BYTES } else { ANSWER_BYTES };
    let mut bytes = FRAME_BYTES + sent_bytes(&raw(&answer)?);
    for gap in asked {
        stop.check()?;
        let gap = raw(&teller.tell(gap))?;
        bytes += sent_bytes(&gap);
        // At least one, so that who pages arrives.
        if bytes > most && !answer.gaps.is_empty() {
            break;
        }
        answer.gaps.push(gap);
    }
    answer.next_cursor = page.after(page.start() + answer.gaps.len(), gaps.len());
    structured(&answer)
}

fn raw(value: &impl Serialize) -> Result<Box<RawValue>, Refusal> {
    serde_json::value::to_raw_value(value)
        .map_err(|error| Refusal(format!("this is a fault of ours: {error}")))
}

/// Bytes that JSON takes in an answer, with a comma: once as it is, and once within a string.
fn sent_bytes(json: &RawValue) -> usize {
    let escaped = json.get().bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
    (json.get().len() + 1) * 2 + escaped
}
