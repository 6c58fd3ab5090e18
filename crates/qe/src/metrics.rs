//! `qe_quality_metrics`: how large, how complex, how often changed, how much of it twice.
//!
//! # Layout
//! - `files`: the sources of a project, and which of them are tests.
//! - `measure`: what is measured of one source, by its content alone.
//! - `churn`: how often files changed, from Git's log.
//! - `cache`: all of it for a project, measured again only where something changed: `reading` reads, and `kept` is what later
//!   processes find.
//! - `reports`: what the project's reports say of its tests. `covered`: which lines of functions and files ran.
//! - `rows`: figures of functions, files, folders and the project.
//! - `history`: figures of commits, in the store.

mod cache;
mod churn;
pub(crate) mod covered;
pub(crate) mod files;
mod history;
mod kept;
mod measure;
mod reading;
mod reports;
mod rows;

use std::cmp::Reverse;
use std::thread;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub(crate) use cache::{Measurements, Snapshot, Source};
pub(crate) use files::is_test;
use history::Trend;
use reports::{Covered, Mutation, Reports, Tests, known};
use rows::{Row, Totals, View};

use crate::arguments;
use crate::builtin::{Context, Request};
use crate::each::joined;
use crate::project::git::Lines;
use crate::reply::{Refusal, structured};

/// The tool as it is listed.
pub(crate) const DEFINITION: &str = r#"{"name":"qe_quality_metrics","title":"Quality metrics","description":"Measure code (Rust, Python, JS, TS, Java, Go): size, complexity, maintainability, duplication, churn, hotspots; from reports: tests, coverage, CRAP, mutation. Use it to find what to refactor, review or test.","inputSchema":{"type":"object","properties":{"root":{"type":"string"},"paths":{"type":"array","description":"files or folders"},"scope":{"enum":["sources","tests","all"]},"group_by":{"enum":["file","function","dir","duplicate"]},"sort":{"enum":["hotspot","cyclomatic","cognitive","ncloc","maintainability","duplication","churn","coverage","crap","path"]},"history":{"type":"integer","description":"commits"},"max_items":{"type":"integer"},"cursor":{"type":"string"}},"required":[]},"outputSchema":{"type":"object","required":["project"]},"annotations":{"readOnlyHint":true,"openWorldHint":false}}"#;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Arguments {
    root: Option<String>,
    paths: Vec<String>,
    scope: Scope,
    group_by: GroupBy,
    sort: Option<Sort>,
    history: Option<u32>,
    max_items: Option<usize>,
    cursor: Option<String>,
}

/// Which of the sources are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Scope {
    /// Neither files of tests nor functions that are marked as tests.
    #[default]
    Sources,
    Tests,
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum GroupBy {
    Function,
    #[default]
    File,
    Dir,
    Duplicate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Sort {
    Hotspot,
    Cyclomatic,
    Cognitive,
    Ncloc,
    Maintainability,
    Duplication,
    Churn,
    /// Lines that never ran, the most first.
    Coverage,
    Crap,
    Path,
}

#[derive(Debug, Serialize)]
struct Answer {
    project: Totals,
    coverage: Option<Covered>,
    /// Of the whole project, whatever `paths` are asked for.
    tests: Option<Tests>,
    mutation: Option<Mutation>,
    /// Why what is `null` is not known.
    unknown: serde_json::Map<String, Value>,
    items: Vec<Value>,
    total: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trend: Option<Trend>,
    computed_files: usize,
    cached_files: usize,
    excluded: Value,
    provenance: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// Items of a page, and the most that may be asked for.
const ITEMS: usize = 20;
const MOST_ITEMS: usize = 200;
/// Commits of a trend.
const MOST_COMMITS: u32 = 100;
const MOST_WARNINGS: usize = 20;

/// Answers a call.
pub(crate) fn run(context: &Context, arguments: &str, request: &Request) -> Result<Vec<u8>, Refusal> {
    let arguments: Arguments = arguments::parse(arguments)?;
    let project = context.roots.project(arguments.root.as_deref())?;
    let paths = arguments.paths.iter().map(|path| Ok(project.shown(&project.find(path)?)));
    let paths = paths.collect::<Result<Vec<_>, Refusal>>()?;
    let scope = arguments.scope;
    let wanted = |file: &files::SourceFile| match scope {
        Scope::Sources => !file.is_test,
        Scope::Tests => file.is_test,
        Scope::All => true,
    };
    let (snapshot, reports) = thread::scope(|scope| {
        let reports = scope.spawn(|| Reports::read(context, &project, request));
        (context.measurements.snapshot(&project, wanted, request), joined(reports))
    });
    let (snapshot, reports) = (snapshot?, reports?);
    let is_in = |path: &str, folder: &String| {
        folder.is_empty()
            || path.strip_prefix(folder.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let is_asked = |path: &str| paths.is_empty() || paths.iter().any(|folder| is_in(path, folder));
    let places: Vec<usize> =
        (0..snapshot.files.len()).filter(|&at| is_asked(&snapshot.files[at].file.path)).collect();
    let coverage = reports.coverage();
    let view =
        View { snapshot: &snapshot, with_tests: scope != Scope::Sources, coverage: coverage.as_deref().ok() };
    let project_totals = view.totals(&places);
    let mut items = items(&view, &places, arguments.group_by, arguments.sort, coverage.as_ref().err())?;
    let mut unknown = serde_json::Map::new();
    let covered = known("coverage", reports.covered(&snapshot, &places, is_asked), &mut unknown);
    let tests = known("tests", reports.tests(&snapshot), &mut unknown);
    let mutation = known("mutation", reports.mutation(&snapshot), &mut unknown);
    let mut sources = provenance(&snapshot, places.len(), request);
    sources.extend(reports.provenance());
    let page = Page::of(&arguments, &snapshot, &sources, &paths)?;
    let total = items.len();
    let items: Vec<_> = items.drain(page.first.min(total)..total.min(page.first + page.most)).collect();
    let next = page.first + items.len();
    let trend = match arguments.history {
        None | Some(0) => None,
        Some(_) if !paths.is_empty() || scope != Scope::Sources => {
            return Err(Refusal("`history` is kept of all sources: leave `paths` and `scope` out".into()));
        }
        Some(most) => {
            let of_reports = [
                covered.iter().flat_map(Covered::fresh).collect::<Vec<_>>(),
                tests.iter().flat_map(Tests::fresh).collect(),
                mutation.iter().flat_map(Mutation::fresh).collect(),
            ];
            let values = history::values(&project_totals, of_reports.into_iter().flatten());
            history::trend(context, &project, values, most.min(MOST_COMMITS), request)?
        }
    };
    let wants_trend = arguments.history.is_some_and(|most| most > 0);
    if let Err(why) = &snapshot.history {
        let more = (wants_trend && trend.is_none()).then_some("trend");
        unknown.extend(
            ["churn", "hotspot"].into_iter().chain(more).map(|what| (what.to_owned(), why.as_str().into())),
        );
    }
    let warnings = snapshot.warnings.iter().cloned().chain(reports.warnings()).take(MOST_WARNINGS).collect();
    structured(&Answer {
        unknown,
        project: project_totals,
        coverage: covered,
        tests,
        mutation,
        items,
        total,
        next_cursor: (next < total).then(|| page.cursor(next)),
        trend,
        computed_files: snapshot.computed,
        cached_files: snapshot.cached,
        excluded: excluded(scope, snapshot.excluded),
        provenance: sources,
        warnings,
    })
}

fn excluded(scope: Scope, files: usize) -> Value {
    let rule = match scope {
        Scope::Sources => {
            "tests: files in folders of tests or named as tests are; functions that Rust marks as tests"
        }
        Scope::Tests => "sources: all files that are no tests",
        Scope::All => "nothing",
    };
    json!({"files": files, "rule": rule})
}

fn provenance(snapshot: &Snapshot, files: usize, request: &Request) -> Vec<Value> {
    let mut sources = vec![json!({
        "kind": "measured", "what": "sources", "files": files, "sha256_128": hex(&snapshot.fingerprint),
    })];
    if let (Ok(_), Some(head)) = (&snapshot.history, &snapshot.head) {
        let since = arguments::rfc3339(churn::since(request.now));
        sources.push(json!({"kind": "measured", "what": "git log", "commit": head, "since": since}));
    }
    sources
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The rows in their order.
fn items(
    view: &View<'_>,
    places: &[usize],
    group_by: GroupBy,
    sort: Option<Sort>,
    no_coverage: Option<&String>,
) -> Result<Vec<Value>, Refusal> {
    if group_by == GroupBy::Duplicate {
        return Ok(duplicates(view.snapshot, places));
    }
    let (mut rows, default) = match group_by {
        GroupBy::Function => (view.function_rows(places), Sort::Cognitive),
        GroupBy::Dir => (view.folder_rows(places), Sort::Path),
        GroupBy::File | GroupBy::Duplicate => {
            let is_known = view.snapshot.history.is_ok();
            (view.file_rows(places), if is_known { Sort::Hotspot } else { Sort::Cyclomatic })
        }
    };
    let sort = sort.unwrap_or(default);
    if let (Sort::Hotspot | Sort::Churn, Err(why)) = (sort, &view.snapshot.history) {
        return Err(Refusal(format!("`sort`: changes are not known: {why}")));
    }
    if let (Sort::Coverage | Sort::Crap, Some(why)) = (sort, no_coverage) {
        return Err(Refusal(format!("`sort`: coverage is not known: {why}")));
    }
    if group_by == GroupBy::Function
        && matches!(sort, Sort::Hotspot | Sort::Churn | Sort::Maintainability | Sort::Duplication)
    {
        return Err(Refusal(
            "`sort`: that is known of files: set `group_by` to file, or sort functions by cyclomatic, cognitive, ncloc, coverage, crap or path"
                .into(),
        ));
    }
    // They come in the order of their paths, which is kept among equals.
    if sort != Sort::Path {
        rows.sort_by_cached_key(|row| Reverse(weight(row, sort)));
    }
    Ok(rows.into_iter().filter_map(|row| serde_json::to_value(row).ok()).collect())
}

/// What a row is sorted by, the largest first.
fn weight(row: &Row, sort: Sort) -> u64 {
    match (row, sort) {
        (_, Sort::Path) => 0,
        (Row::Function(row), Sort::Cyclomatic) => row.cyclomatic.into(),
        (Row::Function(row), Sort::Cognitive) => row.cognitive.into(),
        (Row::Function(row), Sort::Coverage) => row.uncovered,
        (Row::Function(row), Sort::Crap) => hundredths(row.crap),
        (Row::Function(row), _) => row.ncloc.into(),
        (Row::File(row), Sort::Hotspot) => row.hotspot.unwrap_or(0),
        (Row::File(row), Sort::Cyclomatic) => row.cyclomatic.into(),
        (Row::File(row), Sort::Cognitive) => row.cognitive.into(),
        (Row::File(row), Sort::Ncloc) => row.ncloc.into(),
        (Row::File(row), Sort::Duplication) => row.duplicated_lines.into(),
        (Row::File(row), Sort::Coverage) => row.covered.total - row.covered.covered,
        (Row::File(row), Sort::Crap) => hundredths(row.crap_max),
        (Row::File(row), Sort::Churn) => row.lines_changed_90d.unwrap_or(0).into(),
        // The hardest to maintain first, what has no code last.
        (Row::File(row), Sort::Maintainability) => {
            row.maintainability.map_or(0, |index| ((200.0 - index) * 100.0) as u64)
        }
    }
}

fn hundredths(value: Option<f64>) -> u64 {
    value.map_or(0, |value| (value * 100.0) as u64)
}

/// Each duplicate once, with one of its counterparts, the longest first.
fn duplicates(snapshot: &Snapshot, places: &[usize]) -> Vec<Value> {
    let path = |at: usize| snapshot.files[at].file.path.as_str();
    let mut seen = hashbrown::HashSet::new();
    let blocks = snapshot.duplication.blocks.iter().filter(|block| {
        let (one, other) = ((block.file, block.lines), (block.other_file, block.other_lines));
        places.binary_search(&block.file).is_ok() && seen.insert((one.min(other), one.max(other)))
    });
    let item = |block: &crate::duplication::Block| {
        let place = |file: usize, lines: Lines| json!({"file": path(file), "lines": lines});
        json!({
            "places": [place(block.file, block.lines), place(block.other_file, block.other_lines)],
            "tokens": block.tokens,
        })
    };
    blocks.map(item).collect()
}

/// Which part of the items is shown.
struct Page {
    first: usize,
    most: usize,
    /// Of everything that the order and number of the items depend on.
    of: String,
}

impl Page {
    fn of(
        arguments: &Arguments,
        snapshot: &Snapshot,
        sources: &[Value],
        paths: &[String],
    ) -> Result<Self, Refusal> {
        let Arguments { scope, group_by, sort, .. } = arguments;
        let mut all = Sha256::new();
        all.update(snapshot.fingerprint);
        for source in sources {
            all.update(source["sha256"].as_str().unwrap_or_default());
        }
        all.update(format!("{scope:?} {group_by:?} {sort:?} {paths:?} {:?}", snapshot.head));
        let of = hex(&all.finalize()[..8]);
        let first = match arguments.cursor.as_deref().map(|cursor| cursor.split_once('-')) {
            None => 0,
            Some(Some((known, first))) if known == of => first
                .parse()
                .map_err(|_| Refusal("`cursor`: give the `next_cursor` of an answer as it was".into()))?,
            Some(_) => {
                return Err(Refusal(
                    "`cursor`: what it pages over, or the question, has changed; ask again without it".into(),
                ));
            }
        };
        Ok(Self { first, most: arguments.max_items.unwrap_or(ITEMS).clamp(1, MOST_ITEMS), of })
    }

    fn cursor(&self, first: usize) -> String {
        format!("{}-{first}", self.of)
    }
}
