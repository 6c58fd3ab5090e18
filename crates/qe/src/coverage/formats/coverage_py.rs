//! The JSON of coverage.py, formats 2 and 3. Format 3 has functions.
//!
//! It says what ran, not how often. Branches are jumps from a line to another; a negative one leaves the code object. They
//! are named as coverage.py's own lcov names them.

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use super::count::Count;
use super::json::{self, Members};
use super::{Draft, ReadError};
use crate::arguments::Text;
use crate::coverage::model::{Branch, FileCoverage, Function, Line, Outcome};

pub(super) fn read(bytes: &[u8], draft: &mut Draft<'_>) -> Result<(), ReadError> {
    let report: Report<'_> = json::read(bytes, draft)?;
    let version = report.meta.version.map(|Text(version)| format!("coverage.py {version}"));
    draft.tool = version;
    for (path, measured) in report.files.0 {
        let file = measured.file(&path, draft)?;
        draft.file(file);
    }
    Ok(())
}

#[derive(Deserialize)]
struct Report<'a> {
    #[serde(borrow, default)]
    meta: Meta<'a>,
    #[serde(borrow)]
    files: Members<'a, Measured<'a>>,
}

#[derive(Deserialize, Default)]
struct Meta<'a> {
    #[serde(borrow)]
    version: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Measured<'a> {
    executed_lines: Vec<u32>,
    missing_lines: Vec<u32>,
    executed_branches: Option<Vec<(i64, i64)>>,
    missing_branches: Option<Vec<(i64, i64)>>,
    #[serde(borrow)]
    functions: Option<Members<'a, Region>>,
}

#[derive(Deserialize)]
struct Region {
    executed_lines: Span,
    missing_lines: Span,
    start_line: Option<Count>,
}

/// The first and the last of a list of lines; `None` of none.
struct Span(Option<(u32, u32)>);

impl Measured<'_> {
    fn file(&self, path: &str, draft: &mut Draft<'_>) -> Result<FileCoverage, ReadError> {
        let mut file = FileCoverage::new(path);
        draft.take((self.executed_lines.len() + self.missing_lines.len()) as u64)?;
        let ran = self.executed_lines.iter().map(|line| (line, 1));
        let all = ran.chain(self.missing_lines.iter().map(|line| (line, 0)));
        let mut lines: Vec<Line> =
            all.filter_map(|(line, hits)| Some(Line { number: draft.line((*line).into())?, hits })).collect();
        // Those that ran are in order, and those that did not: a stable sort only has to merge them.
        lines.sort();
        let has_run = |line| lines.binary_search(&Line { number: line, hits: 1 }).is_ok();
        let jumps = [(&self.executed_branches, true), (&self.missing_branches, false)];
        for (jumps, is_taken) in jumps {
            let Some(jumps) = jumps else { continue };
            draft.take(jumps.len() as u64)?;
            let branches = file.branches.get_or_insert_default();
            for &(from, to) in jumps {
                let Some(line) = draft.line(from.unsigned_abs()) else { continue };
                let words = if to > 0 { format!("jump to line {to}") } else { "exit".to_owned() };
                let taken = if is_taken { Some(1) } else { has_run(line).then_some(0) };
                branches.push(Branch { line, block: 0, outcome: Outcome::text(words), taken });
            }
        }
        if let Some(regions) = &self.functions {
            // The rest of the file is a region without a name.
            let regions = regions.0.iter().filter(|(name, _)| !name.is_empty());
            file.functions = Some(regions.map(|(name, region)| region.function(name)).collect());
        }
        file.lines = Some(lines);
        Ok(file)
    }
}

impl Region {
    fn function(&self, name: &str) -> Function {
        let spans = || [&self.executed_lines, &self.missing_lines].into_iter().filter_map(|span| span.0);
        let (first, last) = (spans().map(|span| span.0).min(), spans().map(|span| span.1).max());
        // Before version 7.13 the line of the `def` is not said, only those of the body.
        let start = self.start_line.map(|line| line.0).or(first).unwrap_or(0);
        let hits = u32::from(self.executed_lines.0.is_some());
        Function { start, name: name.to_owned(), end: last, hits }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(SpanVisitor)
    }
}

struct SpanVisitor;

impl<'de> Visitor<'de> for SpanVisitor {
    type Value = Span;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array of lines")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Span, S::Error> {
        let mut span: Option<(u32, u32)> = None;
        while let Some(line) = seq.next_element()? {
            span = span.map_or(Some((line, line)), |(first, last)| Some((first.min(line), last.max(line))));
        }
        Ok(Span(span))
    }
}
