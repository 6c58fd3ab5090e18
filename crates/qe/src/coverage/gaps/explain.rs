//! A gap as it is told: where it is, why it matters, what stands there, how to close it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::thread;

use serde::Serialize;
use serde_json::{Value, json};

use super::find::{Gap, Users, first_line, name};
use crate::coverage::collect::Coverage;
use crate::coverage::load::Cache;
use crate::coverage::model::{Branch, Outcome};
use crate::gap_id::GapId;
use crate::metrics::Snapshot;
use crate::project::Project;
use crate::project::git::Lines;
use crate::reply::Refusal;
use crate::stop::Stop;
use crate::syntax::{self, FunctionKind, Parsed, SOURCE_MAX_BYTES};

/// Outcomes of one gap that are told.
const MOST_MISSING: usize = 10;
/// Tests of one gap.
const MOST_TESTS: usize = 3;
/// Threads that read the sources of one page.
const MOST_THREADS: usize = 4;
/// Characters of a line of a snippet.
const LINE_CHARS: usize = 120;

#[derive(Debug, Serialize)]
pub(super) struct Told {
    /// By which a call for tests names it.
    id: String,
    file: String,
    range: Lines,
    ranges: Vec<Lines>,
    function: Option<ToldFunction>,
    uncovered_lines: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing_branches: Vec<Missing>,
    /// Of these, the ones that are not told too.
    #[serde(skip_serializing_if = "is_none")]
    missing_branches_total: usize,
    crap: Option<f64>,
    cyclomatic: Option<u32>,
    cognitive: Option<u32>,
    line_pct: Option<f64>,
    commits_90d: Option<u32>,
    in_change: bool,
    /// By name alone, so approximate.
    used_in_files: Option<u32>,
    priority: f64,
    why: Vec<String>,
    snippet: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    nearest_tests: Vec<String>,
    suggest: Option<Value>,
}

#[derive(Debug, Serialize)]
struct ToldFunction {
    name: String,
    kind: FunctionKind,
    lines: Lines,
    signature: String,
}

#[derive(Debug, Serialize)]
struct Missing {
    line: u32,
    /// `null`: the source has no decision there that could be meant alone.
    condition: Option<String>,
    outcome: String,
}

/// Tells gaps, and keeps the sources that it has read.
pub(super) struct Teller<'a> {
    pub(super) project: &'a Project,
    pub(super) coverage: &'a Coverage,
    pub(super) snapshot: &'a Snapshot,
    pub(super) users: &'a Users,
    pub(super) root: Option<&'a str>,
    pub(super) context_lines: u32,
    pub(super) stop: &'a Stop,
    pub(super) cache: &'a Cache,
    pub(super) sources: BTreeMap<String, Read>,
}

/// A source's text and its decisions.
#[derive(Debug, Default)]
pub(super) struct Read {
    text: Vec<u8>,
    branches: Arc<Vec<syntax::Branch>>,
}

impl Teller<'_> {
    /// Tells a gap of those that were read.
    pub(super) fn tell(&self, gap: &Gap) -> Told {
        let path = &gap.file.path;
        let nothing = Read::default();
        let read = self.sources.get(path).unwrap_or(&nothing);
        let source = gap.source.and_then(|at| self.snapshot.files.get(at));
        let function = source.zip(gap.function).and_then(|(source, at)| source.measured.functions.get(at));
        let first = first_line(gap);
        let last = gap.ranges.last().map_or(first, |range| range.end);
        let missing =
            gap.missing.iter().take(MOST_MISSING).map(|branch| missing(branch, gap, &read.branches));
        let lines = gap.missing.iter().map(|branch| Lines { start: branch.line, end: branch.line });
        let id = GapId::new(path, gap.ranges.iter().copied().chain(lines).collect(), &read.text).to_string();
        let suggest = source.filter(|source| !source.file.is_test).map(|_| {
            let mut arguments = json!({ "targets": [{ "gap_id": id }] });
            if let Some(root) = self.root {
                arguments["root"] = root.into();
            }
            json!({ "tool": "qe_test_generate", "arguments": arguments })
        });
        Told {
            id,
            file: path.clone(),
            range: Lines { start: first, end: last },
            ranges: gap.ranges.clone(),
            function: function.map(|function| ToldFunction {
                name: function.qualified.clone(),
                kind: function.kind,
                lines: function.lines,
                signature: function.signature.clone(),
            }),
            uncovered_lines: gap.uncovered,
            missing_branches: missing.collect(),
            missing_branches_total: gap.missing.len(),
            crap: gap.risk.crap.map(rounded),
            cyclomatic: gap.risk.cyclomatic,
            cognitive: gap.risk.cognitive,
            line_pct: gap.line.percent(),
            commits_90d: gap.risk.commits,
            in_change: gap.risk.in_change,
            used_in_files: gap.risk.used_in,
            priority: rounded(gap.risk.priority),
            why: self.why(gap),
            snippet: self.snippet(&read.text, gap),
            nearest_tests: self.tests(gap),
            suggest,
        }
    }

    /// Reads the sources of gaps that are to be told, on a few threads.
    pub(super) fn read(&mut self, gaps: &[Gap]) -> Result<(), Refusal> {
        // Whether a file's decisions are to be named.
        let mut wanted: BTreeMap<&str, (Option<usize>, bool)> = BTreeMap::new();
        for gap in gaps {
            let (source, has_missing) = wanted.entry(&gap.file.path).or_default();
            *source = gap.source;
            *has_missing |= !gap.missing.is_empty();
        }
        let wanted: Vec<_> = wanted.into_iter().collect();
        let threads = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
        let each = wanted.len().div_ceil(threads).max(1);
        let teller = &*self;
        let work = |part: &[(&str, (Option<usize>, bool))]| -> Vec<(String, Read)> {
            let read = |(path, (source, has_missing)): &(&str, (Option<usize>, bool))| {
                ((*path).to_owned(), teller.read_one(path, source.filter(|_| *has_missing)))
            };
            part.iter().map(read).collect()
        };
        let mut parts = wanted.chunks(each);
        let first = parts.next().unwrap_or_default();
        let read: Vec<_> = thread::scope(|scope| {
            let others: Vec<_> = parts.map(|part| scope.spawn(move || work(part))).collect();
            let mut all = work(first);
            // What a thread that panicked should have read is told without text.
            all.extend(others.into_iter().flat_map(|thread| thread.join().unwrap_or_default()));
            all
        });
        self.sources.extend(read);
        self.stop.check()
    }

    /// A file's text and, of a source, its decisions.
    fn read_one(&self, path: &str, source: Option<usize>) -> Read {
        // A file that is not in the project, or no longer, has no text to be shown.
        let Ok(text) = self.project.read(path, SOURCE_MAX_BYTES as u64) else { return Read::default() };
        let Some(source) = source.and_then(|at| self.snapshot.files.get(at)) else {
            return Read { text, branches: Arc::default() };
        };
        let branches = self.cache.decisions(&text, source.file.language, || {
            Parsed::new(&text, source.file.language, self.stop).ok()?.branches(self.stop).ok()
        });
        Read { text, branches }
    }

    fn why(&self, gap: &Gap) -> Vec<String> {
        let risk = &gap.risk;
        let mut why = Vec::new();
        if risk.is_test {
            why.push("a test itself: ranked last".to_owned());
        }
        if risk.in_change {
            why.push("in the change".to_owned());
        }
        match risk.cyclomatic {
            Some(cyclomatic) if cyclomatic > 1 => why.push(format!("complexity {cyclomatic}")),
            Some(_) => {}
            None => why.push("complexity not known: the file is no source that is understood".to_owned()),
        }
        if gap.line.covered == 0 {
            why.push("never runs".to_owned());
        }
        match risk.commits {
            Some(0) => {}
            Some(commits) => why.push(format!("commits in 90 days: {commits}")),
            None => why.push("history not known".to_owned()),
        }
        if let Some(files @ 1..) = risk.used_in {
            why.push(format!("other files that use its name: {files}"));
        }
        if self.coverage.is_stale(&gap.file.path) {
            why.push("STALE: the source is not what was measured, lines may be others".to_owned());
        }
        why
    }

    /// The first stretch, with some lines around it.
    fn snippet(&self, text: &[u8], gap: &Gap) -> String {
        let first = first_line(gap);
        let end = gap.ranges.first().map_or(first, |range| range.end);
        let from = first.saturating_sub(self.context_lines.min(1)).max(1);
        let to = end.min(first.saturating_add(self.context_lines)).max(first);
        let mut snippet = String::new();
        let numbered = (1_u32..).zip(text.split(|byte| *byte == b'\n'));
        for (number, line) in numbered.skip(from as usize - 1).take_while(|(number, _)| *number <= to) {
            let line = String::from_utf8_lossy(line);
            let line: String = line.trim_end().chars().take(LINE_CHARS).collect();
            // Writing to a string does not fail.
            let _ = writeln!(snippet, "{number}: {line}");
        }
        snippet
    }

    /// Tests that have the function's name among their words; those named after the file come first.
    fn tests(&self, gap: &Gap) -> Vec<String> {
        let stem = |path: &str| {
            let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
            name.split('.').next().unwrap_or(name).to_lowercase()
        };
        let own = stem(&gap.file.path);
        let users = name(gap, self.snapshot).and_then(|name| self.users.get(&name));
        let uses = |at: usize| users.is_some_and(|users| users.binary_search(&at).is_ok());
        let tests = self.snapshot.files.iter().enumerate().filter(|(_, source)| source.file.is_test);
        let mut tests: Vec<_> = tests
            .map(|(at, source)| {
                let test = stem(&source.file.path);
                let bare =
                    test.trim_start_matches("test_").trim_end_matches("_test").trim_end_matches("test");
                (uses(at), bare == own, &source.file.path)
            })
            .filter(|(uses, is_named, _)| *uses || *is_named)
            .collect();
        tests.sort_by_key(|(uses, is_named, path)| (!(*uses && *is_named), !*is_named, *path));
        tests.into_iter().take(MOST_TESTS).map(|(_, _, path)| path.clone()).collect()
    }
}

/// In the source's words, where one decision alone can be meant.
fn missing(branch: &Branch, gap: &Gap, decisions: &[syntax::Branch]) -> Missing {
    let here: Vec<_> = decisions.iter().filter(|decision| decision.lines.start == branch.line).collect();
    let words = branch.outcome.to_string();
    let target = words.strip_prefix("jump to line ").and_then(|line| line.parse::<u32>().ok());
    let leads = |decision: &&&syntax::Branch| {
        decision.outcomes.iter().any(|way| way.line.is_some() && way.line == target)
    };
    let decision = match &here[..] {
        [one] => Some(*one),
        several => several.iter().find(leads).or(several.get(branch.block as usize)).copied(),
    };
    let label = decision.and_then(|decision| {
        let by_line = decision.outcomes.iter().find(|way| way.line.is_some() && way.line == target);
        // A jump to where nothing of the decision is goes on behind it.
        let behind = || decision.outcomes.iter().find(|way| way.line.is_none());
        match &branch.outcome {
            Outcome::Text(_) if target.is_some() || words == "exit" => by_line.or_else(behind),
            _ => None,
        }
        .map(|way| way.label.clone())
    });
    let outcome = label.unwrap_or_else(|| match branch.outcome {
        Outcome::Text(_) => words,
        // Formats that only count do not say which it is.
        Outcome::Number(number) => {
            let line = Lines { start: branch.line, end: branch.line };
            let of =
                gap.file.branches_within(line).iter().filter(|other| other.block == branch.block).count();
            format!("outcome {} of {of}, by the report's count", number.saturating_add(1))
        }
    });
    Missing { line: branch.line, condition: decision.map(|decision| decision.condition.clone()), outcome }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as Serde calls it
fn is_none(count: &usize) -> bool {
    *count == 0
}

fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
