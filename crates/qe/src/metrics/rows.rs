//! Figures of functions, files, folders and the project.

use std::collections::BTreeMap;

use serde::Serialize;

use super::cache::{Snapshot, Source};
use super::churn::{Churn, History};
use super::covered;
use crate::coverage::collect::Coverage;
use crate::coverage::model::{Counts, FileCoverage};
use crate::project::git::Lines;
use crate::syntax::{Function, FunctionKind, Language, LineCounts};

/// Sums over files. What is not known is `null`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Totals {
    pub(crate) files: u32,
    #[serde(flatten)]
    pub(crate) lines: LineCounts,
    pub(crate) functions: u32,
    pub(crate) cyclomatic: Spread,
    pub(crate) cognitive: Spread,
    /// Mean over the files, weighted by their lines of code.
    pub(crate) maintainability: Option<f64>,
    pub(crate) duplicated_lines: u32,
    pub(crate) duplicated_pct: Option<f64>,
}

/// A sum over files, and percentiles over their functions (nearest rank); `null` without functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Spread {
    pub(crate) sum: u64,
    pub(crate) p50: Option<u32>,
    pub(crate) p95: Option<u32>,
    pub(crate) max: Option<u32>,
}

/// One item of a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Row {
    Function(FunctionRow),
    File(FileRow),
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct FunctionRow {
    pub(crate) file: String,
    pub(crate) lines: Lines,
    pub(crate) name: String,
    pub(crate) kind: FunctionKind,
    pub(crate) cyclomatic: u32,
    pub(crate) cognitive: u32,
    pub(crate) ncloc: u32,
    pub(crate) parameters: u32,
    /// Percent of its lines with code that ran; `null` if no report has its file, or it has no such line.
    pub(crate) line_pct: Option<f64>,
    /// comp² · (1 − cov)³ + comp.
    pub(crate) crap: Option<f64>,
    #[serde(skip)]
    pub(crate) uncovered: u64,
}

/// A file, or all files of a folder and of those below it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct FileRow {
    pub(crate) path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) language: Option<Language>,
    pub(crate) files: u32,
    pub(crate) ncloc: u32,
    pub(crate) comment: u32,
    pub(crate) functions: u32,
    pub(crate) cyclomatic: u32,
    pub(crate) cyclomatic_max: Option<u32>,
    pub(crate) cognitive: u32,
    pub(crate) maintainability: Option<f64>,
    pub(crate) duplicated_lines: u32,
    pub(crate) duplicated_pct: Option<f64>,
    /// Of a folder, the sum of its files': a commit counts for each file.
    pub(crate) commits_90d: Option<u32>,
    pub(crate) lines_changed_90d: Option<u32>,
    /// Of a folder not known: authors of its files may be the same.
    pub(crate) authors_90d: Option<u32>,
    /// Cyclomatic complexity times commits; of a folder the sum.
    pub(crate) hotspot: Option<u64>,
    /// Percent of the lines with code that ran, of files that are in a report.
    pub(crate) line_pct: Option<f64>,
    /// The largest of its functions'.
    pub(crate) crap_max: Option<f64>,
    /// Files that are in no coverage report though others are.
    #[serde(skip_serializing_if = "is_none")]
    pub(crate) unmeasured_files: u32,
    #[serde(skip)]
    pub(crate) covered: Counts,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // Serde's signature.
fn is_none(count: &u32) -> bool {
    *count == 0
}

/// Whose figures are wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) snapshot: &'a Snapshot,
    /// Functions that are marked as tests are looked at too.
    pub(crate) with_tests: bool,
    /// `None` if no report says which lines ran.
    pub(crate) coverage: Option<&'a Coverage>,
}

impl View<'_> {
    fn functions<'s>(&self, source: &'s Source) -> impl Iterator<Item = &'s Function> + use<'s> {
        self.numbered(source).map(|(_, function)| function)
    }

    /// With their places in the source.
    fn numbered<'s>(&self, source: &'s Source) -> impl Iterator<Item = (usize, &'s Function)> + use<'s> {
        let with_tests = self.with_tests;
        let all = source.measured.functions.iter().enumerate();
        all.filter(move |(_, function)| with_tests || !function.is_test)
    }

    /// What reports say of the lines of a source.
    fn file(&self, source: &Source) -> Option<&FileCoverage> {
        let file = self.coverage?.report.file(&source.file.path)?;
        file.lines.is_some().then_some(file)
    }

    /// Lines of a source's functions; empty if they are not known.
    fn lines(&self, source: &Source) -> Vec<Counts> {
        self.file(source)
            .map(|file| covered::of_functions(file, &source.measured.functions))
            .unwrap_or_default()
    }

    /// Complexity of a file, without its functions that are tests.
    fn complexity(&self, source: &Source) -> (u32, u32) {
        let measured = &source.measured;
        let tests = measured.functions.iter().filter(|function| !self.with_tests && function.is_test);
        tests.fold((measured.cyclomatic, measured.cognitive), |(cyclomatic, cognitive), test| {
            (cyclomatic.saturating_sub(test.cyclomatic), cognitive.saturating_sub(test.cognitive))
        })
    }

    /// Over the files at these places in the snapshot.
    pub(crate) fn totals(&self, places: &[usize]) -> Totals {
        let mut lines = LineCounts::default();
        let (mut cyclomatic, mut cognitive) = ((0, Vec::new()), (0, Vec::new()));
        let mut duplicated_lines = 0;
        let mut mean = Mean::default();
        for &at in places {
            let source = &self.snapshot.files[at];
            lines += source.measured.lines;
            let sums = self.complexity(source);
            cyclomatic.0 += u64::from(sums.0);
            cognitive.0 += u64::from(sums.1);
            cyclomatic.1.extend(self.functions(source).map(|function| function.cyclomatic));
            cognitive.1.extend(self.functions(source).map(|function| function.cognitive));
            duplicated_lines += self.snapshot.duplication.count(at);
            mean.add(source);
        }
        Totals {
            files: places.len() as u32,
            lines,
            functions: cyclomatic.1.len() as u32,
            cyclomatic: spread(cyclomatic),
            cognitive: spread(cognitive),
            maintainability: mean.value(),
            duplicated_lines,
            duplicated_pct: percent(duplicated_lines, lines.all()),
        }
    }

    pub(crate) fn function_rows(&self, places: &[usize]) -> Vec<Row> {
        let rows = places.iter().flat_map(|&at| {
            let source = &self.snapshot.files[at];
            let lines = self.lines(source);
            self.numbered(source).map(move |(at, function)| {
                let lines = lines.get(at).copied();
                Row::Function(FunctionRow {
                    file: source.file.path.clone(),
                    lines: function.lines,
                    name: function.qualified.clone(),
                    kind: function.kind,
                    cyclomatic: function.cyclomatic,
                    cognitive: function.cognitive,
                    ncloc: function.ncloc,
                    parameters: function.parameters,
                    line_pct: lines.and_then(Counts::percent),
                    crap: lines.and_then(|lines| covered::crap(function.cyclomatic, lines)),
                    uncovered: lines.map_or(0, |lines| lines.total - lines.covered),
                })
            })
        });
        rows.collect()
    }

    pub(crate) fn file_rows(&self, places: &[usize]) -> Vec<Row> {
        places.iter().map(|&at| Row::File(self.file_row(at))).collect()
    }

    fn file_row(&self, at: usize) -> FileRow {
        let source = &self.snapshot.files[at];
        let (cyclomatic, cognitive) = self.complexity(source);
        let lines = source.measured.lines;
        let duplicated_lines = self.snapshot.duplication.count(at);
        let churn = self.snapshot.history.as_ref().ok().map(|history| churn(history, &source.file.path));
        let covered = self.file(source).and_then(|file| file.totals().line);
        let of_functions = self.lines(source);
        let crap = self
            .numbered(source)
            .filter_map(|(at, function)| covered::crap(function.cyclomatic, of_functions.get(at).copied()?));
        FileRow {
            path: source.file.path.clone(),
            language: Some(source.file.language),
            files: 1,
            ncloc: lines.ncloc,
            comment: lines.comment,
            functions: self.functions(source).count() as u32,
            cyclomatic,
            cyclomatic_max: self.functions(source).map(|function| function.cyclomatic).max(),
            cognitive,
            maintainability: source.measured.maintainability.map(round),
            duplicated_lines,
            duplicated_pct: percent(duplicated_lines, lines.all()),
            commits_90d: churn.map(|churn| churn.commits),
            lines_changed_90d: churn.map(|churn| churn.lines),
            authors_90d: churn.map(|churn| churn.authors),
            hotspot: churn.map(|churn| u64::from(churn.commits) * u64::from(cyclomatic)),
            line_pct: covered.and_then(Counts::percent),
            crap_max: crap.max_by(f64::total_cmp),
            unmeasured_files: u32::from(
                self.coverage.is_some() && covered.is_none() && !source.measured.functions.is_empty(),
            ),
            covered: covered.unwrap_or_default(),
        }
    }

    /// A row for each folder that files stand in or below; `.` is the project.
    pub(crate) fn folder_rows(&self, places: &[usize]) -> Vec<Row> {
        let mut folders: BTreeMap<String, (FileRow, u32, Mean)> = BTreeMap::new();
        for &at in places {
            let row = self.file_row(at);
            let all = self.snapshot.files[at].measured.lines.all();
            let mut folder = row.path.as_str();
            loop {
                let outer = folder.rsplit_once('/').map_or(".", |(outer, _)| outer);
                let (sum, lines, mean) = folders.entry(outer.to_owned()).or_insert_with(|| {
                    (FileRow { path: outer.to_owned(), ..FileRow::default() }, 0, Mean::default())
                });
                sum.add(&row);
                *lines += all;
                mean.add(&self.snapshot.files[at]);
                if outer == "." {
                    break;
                }
                folder = outer;
            }
        }
        let row = |(row, lines, mean): (FileRow, u32, Mean)| {
            let duplicated_pct = percent(row.duplicated_lines, lines);
            let line_pct = row.covered.percent();
            Row::File(FileRow { duplicated_pct, maintainability: mean.value(), line_pct, ..row })
        };
        folders.into_values().map(row).collect()
    }
}

impl Default for FileRow {
    /// Of no file.
    fn default() -> Self {
        Self {
            path: String::new(),
            language: None,
            files: 0,
            ncloc: 0,
            comment: 0,
            functions: 0,
            cyclomatic: 0,
            cyclomatic_max: None,
            cognitive: 0,
            maintainability: None,
            duplicated_lines: 0,
            duplicated_pct: None,
            commits_90d: Some(0),
            lines_changed_90d: Some(0),
            authors_90d: None,
            hotspot: Some(0),
            line_pct: None,
            crap_max: None,
            unmeasured_files: 0,
            covered: Counts::default(),
        }
    }
}

impl FileRow {
    fn add(&mut self, file: &Self) {
        let sum = |one: Option<u32>, other: Option<u32>| Some(one?.saturating_add(other?));
        self.files += 1;
        self.ncloc += file.ncloc;
        self.comment += file.comment;
        self.functions += file.functions;
        self.cyclomatic = self.cyclomatic.saturating_add(file.cyclomatic);
        self.cyclomatic_max = self.cyclomatic_max.max(file.cyclomatic_max);
        self.cognitive = self.cognitive.saturating_add(file.cognitive);
        self.duplicated_lines += file.duplicated_lines;
        self.commits_90d = sum(self.commits_90d, file.commits_90d);
        self.lines_changed_90d = sum(self.lines_changed_90d, file.lines_changed_90d);
        self.hotspot = self.hotspot.zip(file.hotspot).map(|(one, other)| one + other);
        self.crap_max = self.crap_max.into_iter().chain(file.crap_max).max_by(f64::total_cmp);
        self.unmeasured_files += file.unmeasured_files;
        self.covered.add(file.covered);
    }
}

fn churn(history: &History, path: &str) -> Churn {
    history.get(path).copied().unwrap_or_default()
}

/// A mean of the maintainability of files.
#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    sum: f64,
    weight: f64,
}

impl Mean {
    fn add(&mut self, source: &Source) {
        if let Some(value) = source.measured.maintainability {
            let weight = f64::from(source.measured.lines.ncloc);
            self.sum += value * weight;
            self.weight += weight;
        }
    }

    fn value(self) -> Option<f64> {
        (self.weight > 0.0).then(|| round(self.sum / self.weight))
    }
}

fn spread((sum, mut values): (u64, Vec<u32>)) -> Spread {
    values.sort_unstable();
    // The smallest value that at least so many percent of all do not exceed.
    let rank = |percent: usize| values.get((values.len() * percent).div_ceil(100).saturating_sub(1)).copied();
    Spread { sum, p50: rank(50), p95: rank(95), max: values.last().copied() }
}

pub(crate) fn percent(part: u32, all: u32) -> Option<f64> {
    (all > 0).then(|| round(100.0 * f64::from(part) / f64::from(all)))
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occur() {
        let of = |values: Vec<u32>| spread((0, values));
        let wanted = Spread { sum: 0, p50: Some(2), p95: Some(4), max: Some(4) };
        assert_eq!(of(vec![4, 1, 3, 2]), wanted);
        assert_eq!(of((1..=100).collect()), Spread { sum: 0, p50: Some(50), p95: Some(95), max: Some(100) });
        assert_eq!(of(vec![]), Spread { sum: 0, p50: None, p95: None, max: None });
    }
}
