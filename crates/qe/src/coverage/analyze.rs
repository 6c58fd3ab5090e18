//! `qe_coverage_analyze`: how much of a project its tests run, from reports that exist.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::collect::{Asked, Coverage, Stale, TestsExcluded, Unmatched, collect};
use super::filter::Filter;
use super::load::Provenance;
use super::model::{Counts, Report, Totals};
use super::page::Page;
use super::patch::{Change, Indirect, Patch, Uncovered, indirect};
use super::path_map::PathMap;
use crate::builtin::{Context, Request};
use crate::metrics::is_test;
use crate::reply::{Refusal, structured};

pub(crate) const DEFINITION: &str = concat!(
    r#"{"name":"qe_coverage_analyze","title":"Analyze coverage","description":"What tests run, from reports (lcov, Cobertura, JaCoCo, Clover, Istanbul, coverage.py, llvm-cov, Go, SimpleCov): totals, files or folders by uncovered lines, coverage of a Git change, change from an earlier report, stale sources. Runs no tests.","#,
    r#""inputSchema":{"type":"object","properties":{"#,
    r#""root":{"type":"string"},"reports":{"type":"array","items":{"type":"string"},"description":"Paths; default: found"},"#,
    r#""base":{"type":"string","description":"Git revision: also judge what changed since"},"head":{"type":"string","description":"Default: working tree"},"#,
    r#""base_report":{"type":"string"},"include":{"type":"array","items":{"type":"string"},"description":"Globs"},"exclude":{"type":"array","items":{"type":"string"}},"#,
    r#""path_map":{"type":"object","description":"Prefix in reports: folder"},"include_tests":{"type":"boolean"},"#,
    r#""group_by":{"enum":["file","dir"]},"max_items":{"type":"integer"},"cursor":{"type":"string"}},"required":[]},"#,
    r#""outputSchema":{"type":"object","required":["totals","groups"]},"annotations":{"readOnlyHint":true,"openWorldHint":false}}"#
);

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    root: Option<String>,
    #[serde(default)]
    reports: Vec<String>,
    base: Option<String>,
    head: Option<String>,
    base_report: Option<String>,
    #[serde(default)]
    include: Vec<String>,
    #[serde(default)]
    exclude: Vec<String>,
    #[serde(default)]
    path_map: BTreeMap<String, String>,
    #[serde(default)]
    include_tests: bool,
    #[serde(default)]
    group_by: GroupBy,
    #[serde(skip_serializing)]
    max_items: Option<usize>,
    #[serde(skip_serializing)]
    cursor: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum GroupBy {
    #[default]
    File,
    Dir,
}

/// Entries of the lists that have no pages: they are examples, with a count of all.
const EXAMPLES: usize = 20;
/// Files of a change with uncovered lines, and their stretches.
const PATCH_FILES: usize = 50;
const PATCH_RANGES: usize = 50;

#[derive(Serialize)]
struct Answer<'a> {
    totals: Totals,
    /// Why a total is null.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    absent: BTreeMap<&'static str, &'static str>,
    files: usize,
    /// Absent if tests count like all others.
    #[serde(skip_serializing_if = "Option::is_none")]
    tests_excluded: Option<TestsExcluded>,
    patch: Option<PatchAnswer<'a>>,
    delta: Option<Delta>,
    groups: &'a [Group<'a>],
    total: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    stale: Examples<'a, Stale>,
    unmatched: Examples<'a, Unmatched>,
    provenance: &'a [Provenance],
    warnings: &'a [String],
}

/// Of a list, the first and how many there are.
#[derive(Serialize)]
struct Examples<'a, T> {
    total: usize,
    first: &'a [T],
}

impl<'a, T> Examples<'a, T> {
    fn of(all: &'a [T], most: usize) -> Self {
        Self { total: all.len(), first: &all[..all.len().min(most)] }
    }
}

#[derive(Serialize)]
struct PatchAnswer<'a> {
    base: &'a str,
    head: &'a str,
    line: Counts,
    branch: Option<Counts>,
    /// Files of the change whose source is not what was measured: their lines may be others.
    stale: usize,
    uncovered: Examples<'a, Uncovered>,
    unmeasured: Examples<'a, String>,
}

#[derive(Serialize)]
struct Delta {
    before: Totals,
    /// Percent now less percent before.
    line: Option<f64>,
    branch: Option<f64>,
    function: Option<f64>,
    /// Null without `base`: only a change tells which lines it did not touch.
    indirect: Option<Vec<Indirect>>,
    indirect_total: Option<usize>,
    provenance: Vec<Provenance>,
}

#[derive(Debug, Serialize)]
struct Group<'a> {
    path: &'a str,
    #[serde(flatten)]
    totals: Totals,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stale: bool,
}

pub(crate) fn run(context: &Context, arguments: &str, request: &Request) -> Result<Vec<u8>, Refusal> {
    let arguments: Arguments = crate::arguments::parse(arguments)?;
    let project = context.roots.project(arguments.root.as_deref())?;
    let filter = Filter::new(&arguments.include, &arguments.exclude)?;
    if arguments.head.is_some() && arguments.base.is_none() {
        return Err(Refusal("`head` without `base`: say which revision the change began at".into()));
    }
    let path_map = PathMap::new(&project, &arguments.path_map)?;
    let read = |reports: &[String]| {
        let asked = Asked { reports, path_map: path_map.clone(), with_tests: arguments.include_tests };
        let found = collect(&context.coverage, &project, &asked, request.now, &request.stop)?;
        found
            .map(|mut coverage| {
                coverage.keep(|path| filter.has(path));
                coverage
            })
            .ok_or_else(no_report)
    };
    let coverage = read(&arguments.reports)?;
    let base = arguments.base.as_deref();
    let change =
        base.map(|base| Change::of(&project, base, arguments.head.as_deref(), &request.stop)).transpose()?;
    let change = change.map(|mut change| {
        change.added.retain(|path, _| filter.has(path) && (arguments.include_tests || !is_test(path)));
        change
    });
    let patch = change.as_ref().map(|change| cut(Patch::of(&coverage, change)));
    let before = arguments.base_report.as_ref().map(|path| read(std::slice::from_ref(path))).transpose()?;
    let totals = coverage.report.totals();
    let delta = before.map(|before| delta(before, &coverage.report, totals, change.as_ref()));
    let groups = groups(&coverage, arguments.group_by);
    let sums: Vec<_> = coverage.provenance.iter().map(|source| &source.sha256).collect();
    let page =
        Page::new(arguments.max_items, arguments.cursor.as_deref(), &(&arguments, sums, groups.len()))?;
    let (shown, next_cursor) = page.of(&groups);
    let stale_in = |change: &Change| change.added.keys().filter(|path| coverage.is_stale(path)).count();
    structured(&Answer {
        totals,
        absent: absent(totals, &coverage.report),
        files: coverage.report.files().len(),
        tests_excluded: coverage.tests_excluded(),
        patch: patch.as_ref().zip(change.as_ref()).map(|(patch, change)| PatchAnswer {
            base: &change.base,
            head: change.head.as_deref().unwrap_or("worktree"),
            line: patch.line,
            branch: patch.branch,
            stale: stale_in(change),
            uncovered: Examples::of(&patch.uncovered, PATCH_FILES),
            unmeasured: Examples::of(&patch.unmeasured, PATCH_FILES),
        }),
        delta,
        groups: shown,
        total: groups.len(),
        next_cursor,
        stale: Examples::of(&coverage.stale, EXAMPLES),
        unmatched: Examples::of(&coverage.unmatched, EXAMPLES),
        provenance: &coverage.provenance[..coverage.provenance.len().min(EXAMPLES)],
        warnings: &coverage.warnings[..coverage.warnings.len().min(EXAMPLES)],
    })
}

pub(super) fn no_report() -> Refusal {
    Refusal(
        "no coverage report is named and none lies where test runners put them (coverage/lcov.info, coverage.xml, \
         coverage.json, target/site/jacoco/jacoco.xml, cover.out, …): run the tests with coverage, or name `reports`"
            .into(),
    )
}

fn absent(totals: Totals, report: &Report) -> BTreeMap<&'static str, &'static str> {
    if report.files().is_empty() {
        return ["line", "branch", "function"].map(|kind| (kind, "no file is left to be counted")).into();
    }
    let kinds = [
        ("line", totals.line, "no report has lines"),
        ("branch", totals.branch, "no report has branches"),
        ("function", totals.function, "no report has functions"),
    ];
    kinds.into_iter().filter(|(_, counts, _)| counts.is_none()).map(|(kind, _, why)| (kind, why)).collect()
}

/// Few enough stretches for each file; the count of lines stays.
fn cut(mut patch: Patch) -> Patch {
    for uncovered in &mut patch.uncovered {
        uncovered.ranges.truncate(PATCH_RANGES);
    }
    patch
}

fn delta(before: Coverage, now: &Report, totals: Totals, change: Option<&Change>) -> Delta {
    let old = before.report.totals();
    let less = |now: Option<Counts>, old: Option<Counts>| {
        let difference = now?.percent()? - old?.percent()?;
        Some((difference * 100.0).round() / 100.0)
    };
    let indirect = change.map(|change| indirect(&before.report, now, change));
    Delta {
        before: old,
        line: less(totals.line, old.line),
        branch: less(totals.branch, old.branch),
        function: less(totals.function, old.function),
        indirect_total: indirect.as_ref().map(Vec::len),
        indirect: indirect.map(|mut all| {
            all.truncate(EXAMPLES);
            all
        }),
        provenance: before.provenance,
    }
}

/// Files or folders, those with the most uncovered lines first.
fn groups(coverage: &Coverage, by: GroupBy) -> Vec<Group<'_>> {
    let mut groups: BTreeMap<&str, (Totals, bool)> = BTreeMap::new();
    for file in coverage.report.files() {
        let path = match by {
            GroupBy::File => file.path.as_str(),
            GroupBy::Dir => file.path.rsplit_once('/').map_or(".", |(folder, _)| folder),
        };
        let (totals, stale) = groups.entry(path).or_default();
        totals.add(file.totals());
        *stale |= coverage.is_stale(&file.path);
    }
    let uncovered = |group: &Group<'_>| group.totals.line.map_or(0, |counts| counts.total - counts.covered);
    let mut groups: Vec<Group<'_>> =
        groups.into_iter().map(|(path, (totals, stale))| Group { path, totals, stale }).collect();
    groups.sort_by_key(|group| std::cmp::Reverse(uncovered(group)));
    groups
}
