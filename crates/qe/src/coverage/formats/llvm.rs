//! What `llvm-cov export` writes (LLVM's CoverageExporterJson.cpp, versions 2 and 3).
//!
//! A file is cut into segments, each from a line and column to the next; what a line's count is follows from those that
//! begin on it and the one that goes on from the line before (LineCoverageStats in CoverageMapping.cpp). A function that
//! was compiled several times is one function.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::count::Count;
use super::json::{self, Leading};
use super::{Draft, MOST_LINES, ReadError, rust_names};
use crate::arguments::Text;
use crate::coverage::model::{Branch, FileCoverage, Function, Line, Outcome};

pub(super) fn read(bytes: &[u8], draft: &mut Draft<'_>) -> Result<(), ReadError> {
    let export: Export<'_> = json::read(bytes, draft)?;
    draft.tool = export.version.map(|Text(version)| format!("llvm-cov export {version}"));
    for data in export.data {
        let mut functions = functions(data.functions.as_deref());
        for measured in data.files {
            let Some(segments) = &measured.segments else {
                draft.skip("files without segments (written with -summary-only)", || {
                    measured.filename.0.into()
                });
                continue;
            };
            let mut file = FileCoverage::new(&*measured.filename.0);
            file.lines = Some(lines(segments, draft)?);
            file.branches = measured.branches.as_deref().map(|all| branches(all, draft)).transpose()?;
            let of_file = functions.as_mut().map(|functions| functions.remove(&*measured.filename.0));
            file.functions = of_file.map(|of_file| of_file.unwrap_or_default().into_values().collect());
            draft.file(file);
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct Export<'a> {
    #[serde(borrow)]
    version: Option<Text<'a>>,
    #[serde(borrow)]
    data: Vec<Data<'a>>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow)]
    files: Vec<Measured<'a>>,
    #[serde(borrow)]
    functions: Option<Vec<Compiled<'a>>>,
}

#[derive(Deserialize)]
struct Measured<'a> {
    #[serde(borrow)]
    filename: Text<'a>,
    segments: Option<Vec<Leading<6>>>,
    branches: Option<Vec<Leading<6>>>,
}

#[derive(Deserialize)]
struct Compiled<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(default)]
    count: Count,
    #[serde(borrow, default)]
    filenames: Vec<Text<'a>>,
    #[serde(default)]
    regions: Vec<Leading<8>>,
}

/// A segment, in the report after its line and column: count, whether there is a count, whether a region begins, whether that is a gap (only since
/// version 2.0.1).
struct Segment {
    count: u32,
    has_count: bool,
    is_entry: bool,
    is_gap: bool,
}

impl Segment {
    fn of(&Leading([_, _, count, has_count, is_entry, is_gap]): &Leading<6>) -> Self {
        Self { count, has_count: has_count > 0, is_entry: is_entry > 0, is_gap: is_gap > 0 }
    }

    fn begins_counted(&self) -> bool {
        self.has_count && self.is_entry && !self.is_gap
    }
}

fn lines(segments: &[Leading<6>], draft: &mut Draft<'_>) -> Result<Vec<Line>, ReadError> {
    let mut lines = Vec::new();
    let mut rest = segments;
    // The segment that goes on from a line before.
    let mut wrapped: Option<Segment> = None;
    let mut number = segments.first().map_or(0, |segment| segment.0[0]);
    while let Some(next) = rest.first().map(|segment| segment.0[0]) {
        if next > MOST_LINES || next < number {
            return Err(draft.broken("segments", format!("line {next} after line {number}")));
        }
        draft.take(1)?;
        let here = rest.iter().take_while(|segment| segment.0[0] == number).count();
        let (begun, later) = rest.split_at(here);
        rest = later;
        let mut begun: Vec<_> = begun.iter().map(Segment::of).collect();
        if let Some(hits) = line(wrapped.as_ref(), &begun)
            && let Some(number) = draft.line(number.into())
        {
            lines.push(Line { number, hits });
        }
        wrapped = begun.pop().or(wrapped);
        number += 1;
    }
    Ok(lines)
}

/// The count of a line, if it has one.
fn line(wrapped: Option<&Segment>, begun: &[Segment]) -> Option<u32> {
    let counted = || begun.iter().filter(|segment| segment.begins_counted());
    let is_skipped = begun.first().is_some_and(|segment| !segment.has_count && segment.is_entry);
    let goes_on = wrapped.filter(|segment| segment.has_count);
    let has_entry = begun.iter().any(|segment| segment.is_entry && segment.has_count);
    let is_mapped = (!is_skipped && (goes_on.is_some() || counted().next().is_some())) || has_entry;
    is_mapped.then(|| {
        let counts = counted().map(|segment| segment.count).chain(wrapped.map(|segment| segment.count));
        counts.max().unwrap_or(0)
    })
}

/// Decisions of a file: the same place may be there once for each time that it was compiled.
fn branches(all: &[Leading<6>], draft: &mut Draft<'_>) -> Result<Vec<Branch>, ReadError> {
    draft.take(all.len() as u64 * 2)?;
    let mut places: BTreeMap<[u32; 4], (u32, u32)> = BTreeMap::new();
    for &Leading([line, column, end, end_column, yes, no]) in all {
        let sums = places.entry([line, column, end, end_column]).or_default();
        *sums = (sums.0.saturating_add(yes), sums.1.saturating_add(no));
    }
    let mut branches = Vec::with_capacity(places.len() * 2);
    let mut of_line = (0, 0);
    for ([line, ..], (yes, no)) in places {
        let Some(line) = draft.line(line.into()) else { continue };
        of_line = if of_line.0 == line { (line, of_line.1 + 1) } else { (line, 0) };
        let is_reached = yes > 0 || no > 0;
        branches.extend([("true", yes), ("false", no)].map(|(words, taken)| Branch {
            line,
            block: of_line.1,
            outcome: Outcome::text(words),
            taken: is_reached.then_some(taken),
        }));
    }
    Ok(branches)
}

/// Functions by the place where they begin.
type Places = BTreeMap<(u32, u32), Function>;

/// The functions of each file, each once however often it was compiled.
fn functions(all: Option<&[Compiled<'_>]>) -> Option<HashMap<String, Places>> {
    let mut files: HashMap<String, Places> = HashMap::new();
    for compiled in all? {
        let (Some(Text(file)), Some(Leading([start, column, ..]))) =
            (compiled.filenames.first(), compiled.regions.first())
        else {
            continue;
        };
        // Regions of macros are in other files; those of this file have the number 0.
        let end = compiled.regions.iter().filter(|region| region.0[5] == 0).map(|region| region.0[2]).max();
        let name = source_name(&compiled.name.0);
        let new = Function { start: *start, name, end, hits: compiled.count.0 };
        let places = files.entry(file.clone().into_owned()).or_default();
        places
            .entry((*start, *column))
            .and_modify(|known| {
                known.hits = known.hits.max(new.hits);
                known.end = known.end.max(new.end);
                // Any of the names would do; this one does not depend on the order.
                if new.name < known.name {
                    known.name.clone_from(&new.name);
                }
            })
            .or_insert(new);
    }
    Some(files)
}

/// A name as the source has it, if it is one of Rust's: the same for whatever types it was compiled, in this report or another.
fn source_name(name: &str) -> String {
    // A function that is private to a file of C has that file's name before its own.
    let own = name.rsplit_once(':').map_or(name, |(_, own)| own);
    rust_names::path(own).unwrap_or_else(|| name.to_owned())
}
