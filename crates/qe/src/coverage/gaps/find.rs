//! Code that no test runs, by function: each line that never ran is in one gap and no other.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::coverage::collect::Coverage;
use crate::coverage::model::{Branch, Counts, FileCoverage, Line};
use crate::coverage::patch::Change;
use crate::metrics::Snapshot;
use crate::project::git::Lines;
use crate::reply::Refusal;
use crate::stop::Stop;
use crate::syntax::{Function, word_hash};

/// Stretches of one gap. Code outside of functions, or in a language that is not understood, may have thousands; it is
/// told in several gaps.
const MOST_RANGES: usize = 40;

/// Lines and outcomes of one function that never ran.
#[derive(Debug, Clone)]
pub(super) struct Gap {
    pub(super) file: Arc<FileCoverage>,
    /// The source, by its place in the snapshot; `None` if it was not measured.
    pub(super) source: Option<usize>,
    /// The function, by its place in the source; `None`: what stands outside of all.
    pub(super) function: Option<usize>,
    pub(super) ranges: Vec<Lines>,
    pub(super) uncovered: u32,
    /// Outcomes that were not taken, of lines that ran.
    pub(super) missing: Vec<Branch>,
    /// Lines of the function that have code.
    pub(super) line: Counts,
    pub(super) risk: Risk,
}

/// Why a gap comes before others.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Risk {
    /// Cyclomatic and cognitive complexity; `None` if the language is not understood.
    pub(super) cyclomatic: Option<u32>,
    pub(super) cognitive: Option<u32>,
    /// complexity² · (1 - coverage)³ + complexity (Savoia and Evans, 2007).
    pub(super) crap: Option<f64>,
    pub(super) commits: Option<u32>,
    pub(super) in_change: bool,
    pub(super) is_test: bool,
    /// Other sources that have the function's name among their words.
    pub(super) used_in: Option<u32>,
    pub(super) priority: f64,
}

/// A gap's first line; of one without lines, that of its first outcome.
pub(super) fn first_line(gap: &Gap) -> u32 {
    let line = gap.ranges.first().map(|range| range.start);
    line.or(gap.missing.first().map(|branch| branch.line)).unwrap_or(0)
}

/// All gaps, without their risk. With `only`, of new and changed lines alone.
pub(super) fn find(
    coverage: &Coverage,
    snapshot: &Snapshot,
    only: Option<&Change>,
    stop: &Stop,
) -> Result<Vec<Gap>, Refusal> {
    let places: HashMap<&str, usize> =
        snapshot.files.iter().enumerate().map(|(at, source)| (source.file.path.as_str(), at)).collect();
    let mut gaps = Vec::new();
    for file in coverage.report.files() {
        stop.check()?;
        let source = places.get(file.path.as_str()).copied();
        let functions = source.map_or(&[][..], |at| snapshot.files[at].measured.functions.as_slice());
        let is_wanted =
            |line| only.is_none_or(|change| change.has(&file.path, Lines { start: line, end: line }));
        for (function, part) in parts(file, functions, is_wanted) {
            part.into_gaps(file, source, function, &mut gaps);
        }
    }
    Ok(gaps)
}

/// What a file's lines and outcomes are of one function.
#[derive(Default)]
struct Part {
    line: Counts,
    ranges: Vec<(Lines, u32)>,
    missing: Vec<Branch>,
}

fn parts(
    file: &FileCoverage,
    functions: &[Function],
    is_wanted: impl Fn(u32) -> bool,
) -> BTreeMap<Option<usize>, Part> {
    let mut parts: BTreeMap<Option<usize>, Part> = BTreeMap::new();
    let mut innermost = Innermost::new(functions);
    // The function of the line before, if that line never ran.
    let mut open: Option<Option<usize>> = None;
    for &Line { number, hits } in file.lines.iter().flatten() {
        let function = innermost.at(number);
        let part = parts.entry(function).or_default();
        part.line.add(Counts { covered: u64::from(hits > 0), total: 1 });
        if hits > 0 || !is_wanted(number) {
            open = None;
            continue;
        }
        match part.ranges.last_mut() {
            Some((range, lines)) if open == Some(function) => {
                range.end = number;
                *lines += 1;
            }
            _ => part.ranges.push((Lines { start: number, end: number }, 1)),
        }
        open = Some(function);
    }
    let mut innermost = Innermost::new(functions);
    for branch in file.branches.iter().flatten().filter(|branch| !branch.is_taken()) {
        let has_run = file.hits(branch.line).is_none_or(|hits| hits > 0);
        if has_run && is_wanted(branch.line) {
            parts.entry(innermost.at(branch.line)).or_default().missing.push(branch.clone());
        }
    }
    parts
}

impl Part {
    fn into_gaps(
        self,
        file: &Arc<FileCoverage>,
        source: Option<usize>,
        function: Option<usize>,
        gaps: &mut Vec<Gap>,
    ) {
        if self.ranges.is_empty() && self.missing.is_empty() {
            return;
        }
        let mut missing = Some(self.missing);
        let mut ranges = self.ranges.chunks(MOST_RANGES).peekable();
        loop {
            let ranges_of_gap = ranges.next().unwrap_or_default();
            gaps.push(Gap {
                file: Arc::clone(file),
                source,
                function,
                ranges: ranges_of_gap.iter().map(|(range, _)| *range).collect(),
                uncovered: ranges_of_gap.iter().map(|(_, lines)| lines).sum(),
                missing: missing.take().unwrap_or_default(),
                line: self.line,
                risk: Risk::default(),
            });
            if ranges.peek().is_none() {
                return;
            }
        }
    }
}

/// The innermost function that a line is in. To be asked with lines in order.
pub(crate) struct Innermost<'a> {
    functions: &'a [Function],
    /// Those that have begun, by their places; the innermost is the last.
    open: Vec<usize>,
    next: usize,
}

impl<'a> Innermost<'a> {
    pub(crate) fn new(functions: &'a [Function]) -> Self {
        Self { functions, open: Vec::new(), next: 0 }
    }

    pub(crate) fn at(&mut self, line: u32) -> Option<usize> {
        while let Some(function) =
            self.functions.get(self.next).filter(|function| function.lines.start <= line)
        {
            while self
                .open
                .last()
                .is_some_and(|outer| self.functions[*outer].lines.end < function.lines.start)
            {
                self.open.pop();
            }
            self.open.push(self.next);
            self.next += 1;
        }
        while self.open.last().is_some_and(|last| self.functions[*last].lines.end < line) {
            self.open.pop();
        }
        self.open.last().copied()
    }
}

/// Sources that have a word among theirs, by its hash; only of words that are asked for.
pub(super) type Users = HashMap<u32, Vec<usize>, foldhash::fast::FixedState>;

/// Which sources use the names of the gaps' functions.
pub(super) fn users(gaps: &[Gap], snapshot: &Snapshot, stop: &Stop) -> Result<Users, Refusal> {
    let mut users: Users =
        gaps.iter().filter_map(|gap| name(gap, snapshot)).map(|name| (name, Vec::new())).collect();
    for (at, source) in snapshot.files.iter().enumerate() {
        stop.check()?;
        for word in source.measured.wording.different() {
            if let Some(files) = users.get_mut(word) {
                files.push(at);
            }
        }
    }
    Ok(users)
}

/// The hash of a function's name.
pub(super) fn name(gap: &Gap, snapshot: &Snapshot) -> Option<u32> {
    let function = snapshot.files.get(gap.source?)?.measured.functions.get(gap.function?)?;
    Some(word_hash(function.name.as_bytes()))
}
