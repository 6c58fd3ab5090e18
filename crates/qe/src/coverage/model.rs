//! What a coverage report says, whatever its format: for each file its lines, branches and functions.
//!
//! The three are kept apart, and each may be absent: `None` means that the report has nothing of the kind, which is not
//! the same as an empty list. Nothing here is a percentage until it is shown.

use std::cmp::Ordering;
use std::sync::Arc;

use super::totals::Counted;
pub(crate) use super::totals::{Counts, Totals};
use crate::project::git::Lines;

/// One report, or several merged. Files are sorted by path, and each is there once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Report {
    files: Vec<Arc<FileCoverage>>,
}

/// What is known of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FileCoverage {
    /// As the report has it, or relative to the project once it is mapped to one.
    pub(crate) path: String,
    /// Lines with code, by number.
    pub(crate) lines: Option<Vec<Line>>,
    /// By line, block, outcome.
    pub(crate) branches: Option<Vec<Branch>>,
    /// By first line, then name.
    pub(crate) functions: Option<Vec<Function>>,
    /// Its figures, so that they are counted once and not for each call.
    pub(super) counted: Counted,
}

/// A line with code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Line {
    /// From 1.
    pub(crate) number: u32,
    /// How often it ran; 1 if only that it ran is known. Stays at the largest number rather than overflow.
    pub(crate) hits: u32,
}

/// One outcome of a decision.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Branch {
    pub(crate) line: u32,
    /// Which of the line's decisions.
    pub(crate) block: u32,
    pub(crate) outcome: Outcome,
    /// How often it was taken; `None`: the decision was never reached.
    pub(crate) taken: Option<u32>,
}

/// Which outcome of a decision, in the words of the report.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// Most formats only count them.
    Number(u32),
    /// As `jump to line 15`.
    Text(Box<Words>),
}

/// Text behind one pointer: most outcomes are numbers, and there may be millions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Words(pub(crate) String);

impl Outcome {
    pub(crate) fn text(words: impl Into<String>) -> Self {
        Self::Text(Box::new(Words(words.into())))
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(words) => f.write_str(&words.0),
        }
    }
}

/// A function, method or closure.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Function {
    /// First line; 0 if the report does not say.
    pub(crate) start: u32,
    pub(crate) name: String,
    /// Last line, if the report says.
    pub(crate) end: Option<u32>,
    /// As [`Line::hits`].
    pub(crate) hits: u32,
}

impl Report {
    /// Files in any order; those with the same path are merged.
    pub(crate) fn new(files: impl IntoIterator<Item = FileCoverage>) -> Self {
        let mut files: Vec<_> = files.into_iter().map(Arc::new).collect();
        // A stable sort, and quick where they are in order already.
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Self { files: files.into_iter().fold(Vec::new(), push) }
    }

    /// Files that are in order, each once.
    pub(super) fn of_sorted(files: Vec<Arc<FileCoverage>>) -> Self {
        debug_assert!(files.is_sorted_by(|one, other| one.path < other.path), "each file is there once");
        Self { files }
    }

    pub(crate) fn files(&self) -> &[Arc<FileCoverage>] {
        &self.files
    }

    pub(crate) fn file(&self, path: &str) -> Option<&Arc<FileCoverage>> {
        let at = self.files.binary_search_by(|file| file.path.as_str().cmp(path)).ok()?;
        self.files.get(at)
    }

    /// What both say: hits are added, and what one of them has not measured is as in the other.
    #[cfg(test)]
    pub(crate) fn merge(self, other: Self) -> Self {
        let all = self.files.into_iter().chain(other.files);
        Self::new(all.map(Arc::unwrap_or_clone))
    }

    /// The files of which something is so, and the others.
    pub(super) fn parted(self, is_so: impl Fn(&str) -> bool) -> (Self, Self) {
        let (these, others) = self.files.into_iter().partition(|file| is_so(&file.path));
        (Self { files: these }, Self { files: others })
    }

    /// Leaves out the files whose paths are not wanted.
    pub(super) fn keep(&mut self, has: impl Fn(&str) -> bool) {
        self.files.retain(|file| has(&file.path));
    }

    pub(crate) fn totals(&self) -> Totals {
        self.files.iter().fold(Totals::default(), |mut totals, file| {
            totals.add(file.totals());
            totals
        })
    }
}

/// Adds a file to sorted ones, of which the last may be the same.
fn push(mut files: Vec<Arc<FileCoverage>>, file: Arc<FileCoverage>) -> Vec<Arc<FileCoverage>> {
    match files.last_mut() {
        Some(last) if last.path == file.path => Arc::make_mut(last).merge(Arc::unwrap_or_clone(file)),
        _ => files.push(file),
    }
    files
}

impl FileCoverage {
    /// A file of which nothing is known yet.
    pub(crate) fn new(path: impl Into<String>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }

    /// Puts everything in order and adds up what is there twice. To be called once by whoever filled it.
    pub(crate) fn sorted(mut self) -> Self {
        tidy(&mut self.lines);
        tidy(&mut self.branches);
        tidy(&mut self.functions);
        self.counted = Counted::default();
        self.totals();
        self
    }

    /// Adds what another report says of the same file.
    pub(crate) fn merge(&mut self, other: Self) {
        append(&mut self.lines, other.lines);
        append(&mut self.branches, other.branches);
        append(&mut self.functions, other.functions);
        *self = std::mem::take(self).sorted();
    }

    pub(crate) fn totals(&self) -> Totals {
        self.counted.or_count(|| Totals {
            line: self.lines.as_ref().map(|all| Counts::of(all, |line| line.hits > 0)),
            branch: self.branches.as_ref().map(|all| Counts::of(all, Branch::is_taken)),
            function: self.functions.as_ref().map(|all| Counts::of(all, |function| function.hits > 0)),
        })
    }

    /// How often a line ran; `None` if it has no code, or lines were not measured.
    pub(crate) fn hits(&self, line: u32) -> Option<u32> {
        let lines = self.lines.as_deref()?;
        let at = lines.binary_search_by_key(&line, |line| line.number).ok()?;
        lines.get(at).map(|line| line.hits)
    }

    /// The lines with code from `lines.start` to `lines.end`.
    pub(crate) fn within(&self, lines: Lines) -> &[Line] {
        let all = self.lines.as_deref().unwrap_or_default();
        let from = all.partition_point(|line| line.number < lines.start);
        let to = all.partition_point(|line| line.number <= lines.end);
        all.get(from..to).unwrap_or_default()
    }

    /// The outcomes of the decisions on these lines.
    pub(crate) fn branches_within(&self, lines: Lines) -> &[Branch] {
        let all = self.branches.as_deref().unwrap_or_default();
        let from = all.partition_point(|branch| branch.line < lines.start);
        let to = all.partition_point(|branch| branch.line <= lines.end);
        all.get(from..to).unwrap_or_default()
    }

    /// The last line that the report speaks of; 0 if it speaks of none.
    pub(crate) fn last_line(&self) -> u32 {
        let line = self.lines.iter().flatten().map(|line| line.number).next_back();
        let branch = self.branches.iter().flatten().map(|branch| branch.line).next_back();
        line.max(branch).unwrap_or(0)
    }
}

/// Stretches of lines that never ran, of lines with code in order. Lines without code between two of them belong to the
/// stretch, so that a comment does not cut it in two.
pub(crate) fn stretches(lines: impl IntoIterator<Item = Line>) -> Vec<Lines> {
    let mut stretches: Vec<Lines> = Vec::new();
    let mut is_open = false;
    for line in lines {
        match stretches.last_mut() {
            _ if line.hits > 0 => is_open = false,
            Some(last) if is_open => last.end = line.number,
            _ => {
                stretches.push(Lines { start: line.number, end: line.number });
                is_open = true;
            }
        }
    }
    stretches
}

impl Branch {
    pub(crate) fn is_taken(&self) -> bool {
        self.taken.is_some_and(|taken| taken > 0)
    }
}

/// Something that a report may say twice.
trait Record {
    /// Equal: both are about the same thing.
    fn order(&self, other: &Self) -> Ordering;
    fn add(&mut self, more: &Self);
}

impl Record for Line {
    fn order(&self, other: &Self) -> Ordering {
        self.number.cmp(&other.number)
    }

    fn add(&mut self, more: &Self) {
        self.hits = self.hits.saturating_add(more.hits);
    }
}

impl Record for Branch {
    fn order(&self, other: &Self) -> Ordering {
        (self.line, self.block, &self.outcome).cmp(&(other.line, other.block, &other.outcome))
    }

    fn add(&mut self, more: &Self) {
        self.taken = match (self.taken, more.taken) {
            (Some(ours), Some(theirs)) => Some(ours.saturating_add(theirs)),
            (ours, theirs) => ours.or(theirs),
        };
    }
}

impl Record for Function {
    fn order(&self, other: &Self) -> Ordering {
        (self.start, &self.name).cmp(&(other.start, &other.name))
    }

    fn add(&mut self, more: &Self) {
        self.hits = self.hits.saturating_add(more.hits);
        self.end = self.end.max(more.end);
    }
}

fn append<T>(ours: &mut Option<Vec<T>>, theirs: Option<Vec<T>>) {
    if let Some(theirs) = theirs {
        ours.get_or_insert_default().extend(theirs);
    }
}

/// Sorts, and adds up what is about the same thing. Most reports are in order and stay as they are.
fn tidy<T: Record>(records: &mut Option<Vec<T>>) {
    let Some(records) = records else { return };
    if records.is_sorted_by(|one, other| one.order(other).is_lt()) {
        return;
    }
    records.sort_by(Record::order);
    records.dedup_by(|later, kept| {
        let is_same = later.order(kept).is_eq();
        if is_same {
            kept.add(later);
        }
        is_same
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, lines: &[(u32, u32)]) -> FileCoverage {
        let lines = lines.iter().map(|&(number, hits)| Line { number, hits }).collect();
        FileCoverage { lines: Some(lines), ..FileCoverage::new(path) }
    }

    fn branch(line: u32, number: u32, taken: Option<u32>) -> Branch {
        Branch { line, block: 0, outcome: Outcome::Number(number), taken }
    }

    #[test]
    fn what_is_said_twice_is_added_up_and_what_is_absent_stays_so() {
        let mut one = file("a", &[(1, 1), (2, 0)]);
        one.branches = Some(vec![branch(1, 0, None), branch(1, 1, Some(0))]);
        let mut other = file("a", &[(2, 3), (4, u32::MAX)]);
        other.branches = Some(vec![branch(1, 0, Some(2)), branch(1, 1, None)]);
        let both = Report::new([one.clone()]).merge(Report::new([other.clone(), file("b", &[])]));
        let merged = both.file("a").unwrap();
        assert_eq!([1, 2, 3, 4].map(|line| merged.hits(line)), [Some(1), Some(3), None, Some(u32::MAX)]);
        assert_eq!(merged.branches, Some(vec![branch(1, 0, Some(2)), branch(1, 1, Some(0))]));
        assert_eq!(merged.functions, None);
        assert_eq!(both, Report::new([file("b", &[]), other, one]), "in any order");
        let totals = both.totals();
        assert_eq!(totals.line, Some(Counts { covered: 3, total: 3 }));
        assert_eq!(totals.branch, Some(Counts { covered: 1, total: 2 }));
        assert_eq!(totals.function, None, "not measured is not nothing of nothing");
    }

    #[test]
    fn only_all_of_them_are_100_percent() {
        let counts = |covered, total| Counts { covered, total }.percent();
        assert_eq!((counts(99_999, 100_000), counts(1, 1), counts(0, 0)), (Some(99.99), Some(100.0), None));
        assert_eq!(counts(u64::MAX, u64::MAX), Some(100.0));
    }

    #[test]
    fn uncovered_lines_are_joined_over_lines_without_code() {
        let file = file("a", &[(2, 0), (5, 0), (6, 1), (7, 0), (9, 0)]).sorted();
        let lines = |start, end| Lines { start, end };
        let all = file.lines.clone().unwrap();
        assert_eq!(stretches(all), [lines(2, 5), lines(7, 9)]);
        assert_eq!(file.within(lines(5, 7)).len(), 3);
        assert_eq!(file.last_line(), 9);
    }
}
