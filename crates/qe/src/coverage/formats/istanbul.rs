//! Istanbul's `coverage-final.json`, as by nyc, c8, Jest and Vitest.
//!
//! It has statements, not lines: a line is where statements begin, and it ran as often as the one of them that ran most,
//! as in Istanbul's own reports.

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::count::Count;
use super::json::{self, Members};
use super::{Draft, ReadError};
use crate::arguments::Text;
use crate::coverage::model::{Branch, FileCoverage, Function, Line, Outcome};

pub(super) fn read(bytes: &[u8], draft: &mut Draft<'_>) -> Result<(), ReadError> {
    let files: Members<'_, Coverage<'_>> = json::read(bytes, draft)?;
    for (path, mut coverage) in files.0 {
        // Some writers put what is of a file into a `data` of its own.
        if let Some(data) = coverage.data.take() {
            coverage = *data;
        }
        let file = coverage.file(&path, draft)?;
        draft.file(file);
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Coverage<'a> {
    #[serde(borrow)]
    path: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<Box<Coverage<'a>>>,
    #[serde(borrow)]
    statement_map: Option<Members<'a, Span>>,
    #[serde(borrow)]
    fn_map: Option<Members<'a, FunctionPlace<'a>>>,
    #[serde(borrow)]
    branch_map: Option<Members<'a, Decision<'a>>>,
    #[serde(borrow, default)]
    s: Members<'a, Count>,
    #[serde(borrow, default)]
    f: Members<'a, Count>,
    #[serde(borrow, default)]
    b: Members<'a, Vec<Count>>,
    input_source_map: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Span {
    start: Place,
    #[serde(default)]
    end: Place,
}

/// Columns may be null, and so may whole places that a compiler made up.
#[derive(Deserialize, Default)]
struct Place {
    #[serde(default)]
    line: Count,
}

#[derive(Deserialize)]
struct FunctionPlace<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    decl: Option<Span>,
    loc: Option<Span>,
    line: Option<Count>,
}

#[derive(Deserialize)]
struct Decision<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    loc: Option<Span>,
    line: Option<Count>,
    #[serde(default)]
    locations: Vec<IgnoredAny>,
}

impl Coverage<'_> {
    fn file(&self, name: &str, draft: &mut Draft<'_>) -> Result<FileCoverage, ReadError> {
        let path = self.path.as_ref().map_or(name, |Text(path)| path);
        let mut file = FileCoverage::new(path);
        if self.input_source_map.is_some() {
            draft.skip("source maps: lines are those of the compiled file", || path.to_owned());
        }
        if let Some(statements) = &self.statement_map {
            file.lines = Some(lines(statements, &self.s, draft)?);
        }
        if let Some(decisions) = &self.branch_map {
            let mut branches = Vec::new();
            // Decisions of a line are told apart by their order.
            let mut of_line: HashMap<u32, u32> = HashMap::new();
            for (decision, taken) in decisions.with(&self.b) {
                let Some(line) = decision.line().and_then(|line| draft.line(line.into())) else { continue };
                let block = of_line.entry(line).or_insert(0);
                decision.outcomes(line, *block, taken, &mut branches);
                *block += 1;
                draft.take(decision.locations.len() as u64)?;
            }
            file.branches = Some(branches);
        }
        if let Some(places) = &self.fn_map {
            draft.take(places.0.len() as u64)?;
            let functions = places.with(&self.f).into_iter().map(|(place, hits)| place.function(hits));
            file.functions = Some(functions.collect());
        }
        Ok(file)
    }
}

fn lines(
    statements: &Members<'_, Span>,
    hits: &Members<'_, Count>,
    draft: &mut Draft<'_>,
) -> Result<Vec<Line>, ReadError> {
    draft.take(statements.0.len() as u64)?;
    let mut lines = Vec::with_capacity(statements.0.len());
    for (span, hits) in statements.with(hits) {
        if let Some(number) = draft.line(span.start.line.0.into()) {
            lines.push(Line { number, hits: hits.map_or(0, |hits| hits.0) });
        }
    }
    lines.sort_unstable();
    lines.dedup_by(|later, kept| {
        let is_same = later.number == kept.number;
        if is_same {
            kept.hits = kept.hits.max(later.hits);
        }
        is_same
    });
    Ok(lines)
}

impl Decision<'_> {
    fn line(&self) -> Option<u32> {
        let of_span = self.loc.as_ref().map(|loc| loc.start.line.0).filter(|line| *line > 0);
        of_span.or(self.line.map(|line| line.0))
    }

    fn outcomes(&self, line: u32, block: u32, taken: Option<&Vec<Count>>, branches: &mut Vec<Branch>) {
        let taken = taken.map_or(&[][..], |taken| taken);
        let is_reached = taken.iter().any(|count| count.0 > 0);
        let is_if = self.kind.as_ref().is_some_and(|Text(kind)| kind == "if" || kind == "cond-expr");
        for number in 0..self.locations.len().max(taken.len()) {
            let outcome = match number {
                0 if is_if => Outcome::text("true"),
                1 if is_if => Outcome::text("false"),
                _ => Outcome::Number(number as u32),
            };
            let taken = taken.get(number).map_or(0, |count| count.0);
            branches.push(Branch { line, block, outcome, taken: is_reached.then_some(taken) });
        }
    }
}

impl FunctionPlace<'_> {
    fn function(&self, hits: Option<&Count>) -> Function {
        let start =
            |span: &Option<Span>| span.as_ref().map(|span| span.start.line.0).filter(|line| *line > 0);
        let start = start(&self.decl).or(start(&self.loc)).or(self.line.map(|line| line.0)).unwrap_or(0);
        let end = self.loc.as_ref().map(|loc| loc.end.line.0).filter(|end| *end >= start && *end > 0);
        let name = self.name.as_ref().map(|Text(name)| name.clone().into_owned()).unwrap_or_default();
        Function { start, name, end, hits: hits.map_or(0, |hits| hits.0) }
    }
}
