//! What is said of one file, from `SF:` to `end_of_record`.

use std::borrow::Cow;
use std::collections::HashMap;

use memchr::{memchr, memrchr};

use super::super::count::{digits, times};
use super::super::{Draft, rust_names};
use crate::coverage::model::{Branch, FileCoverage, Function, Line, Outcome};

/// One file after the other, so that its lists grow once and each file keeps just what it has.
#[derive(Debug, Default)]
pub(super) struct Section<'a> {
    path: Option<&'a [u8]>,
    pub(super) lines: Vec<Line>,
    branches: Vec<Branch>,
    /// Whether these are told at all: that there are none is also something to know.
    has_branches: bool,
    has_functions: bool,
    /// `FN:` records, and the hits of `FNDA:` ones: several functions may share a name.
    functions: Vec<Place<'a>>,
    called: Vec<(&'a [u8], u32)>,
    /// `FNL:` records of lcov 2.2 by their index: first and last line. Each has one or more names.
    places: HashMap<u64, (u32, Option<u32>)>,
    /// `FNA:` records.
    aliases: Vec<Function>,
}

/// A function without its hits.
#[derive(Debug)]
struct Place<'a> {
    start: u32,
    end: Option<u32>,
    name: &'a [u8],
}

impl<'a> Section<'a> {
    pub(super) fn is_open(&self) -> bool {
        self.path.is_some()
    }

    /// To be called when it is not open.
    pub(super) fn open(&mut self, path: &'a [u8]) {
        self.path = Some(path);
    }

    /// The file, if one was open.
    pub(super) fn close(&mut self) -> Option<FileCoverage> {
        let mut file = FileCoverage::new(words(self.path.take()?));
        file.lines = Some(self.lines.drain(..).collect());
        let branches = self.branches.drain(..).collect();
        file.branches = std::mem::take(&mut self.has_branches).then_some(branches);
        let functions = self.functions();
        file.functions = std::mem::take(&mut self.has_functions).then_some(functions);
        Some(file)
    }

    pub(super) fn push(&mut self, branch: Branch) {
        self.has_branches = true;
        self.branches.push(branch);
    }

    /// Whether the record was understood.
    pub(super) fn record(&mut self, line: &'a [u8], draft: &mut Draft<'_>) -> bool {
        let Some(colon) = memchr(b':', line) else { return line.is_empty() || line.starts_with(b"#") };
        let (kind, value) = (&line[..colon], &line[colon + 1..]);
        match kind {
            b"DA" => self.line(value, draft),
            b"BRDA" => self.branch(value, draft),
            b"FN" => self.function(value),
            b"FNDA" => self.call(value),
            b"FNL" => self.place(value),
            b"FNA" => self.alias(value),
            b"BRF" => {
                self.has_branches = true;
                true
            }
            b"FNF" => {
                self.has_functions = true;
                true
            }
            // Sums that we make ourselves, the version of the file, conditions of MC/DC.
            b"LF" | b"LH" | b"BRH" | b"FNH" | b"VER" | b"TN" | b"MCDC" | b"MCF" | b"MCH" => true,
            _ => kind.starts_with(b"#"),
        }
    }

    fn line(&mut self, value: &[u8], draft: &mut Draft<'_>) -> bool {
        let Some((number, rest)) = digits(value) else { return false };
        // A checksum of the line may follow.
        let Some(hits) = rest.strip_prefix(b",").and_then(|rest| rest.split(|byte| *byte == b',').next())
        else {
            return false;
        };
        let Some(hits) = times(hits) else { return false };
        if let Some(number) = draft.line(number) {
            self.lines.push(Line { number, hits });
        }
        true
    }

    /// `LINE,[e]BLOCK,BRANCH,TAKEN`, where `BRANCH` may be any text, with commas in it.
    fn branch(&mut self, value: &[u8], draft: &mut Draft<'_>) -> bool {
        let Some((line, rest)) = digits(value) else { return false };
        let Some(rest) = rest.strip_prefix(b",") else { return false };
        let Some((block, rest)) = digits(rest.strip_prefix(b"e").unwrap_or(rest)) else { return false };
        let Some(rest) = rest.strip_prefix(b",") else { return false };
        let Some(comma) = memrchr(b',', rest) else { return false };
        let (outcome, taken) = (&rest[..comma], &rest[comma + 1..]);
        let taken = if taken == b"-" { Some(None) } else { times(taken).map(Some) };
        let (Some(taken), false) = (taken, outcome.is_empty()) else { return false };
        let outcome = match digits(outcome) {
            Some((number, [])) if number <= u32::MAX.into() => Outcome::Number(number as u32),
            _ => Outcome::text(words(outcome)),
        };
        if let Some(line) = draft.line(line) {
            let block = u32::try_from(block).unwrap_or(u32::MAX);
            self.push(Branch { line, block, outcome, taken });
        }
        true
    }

    /// `START,NAME`, since lcov 2.0 also `START,END,NAME`.
    fn function(&mut self, value: &'a [u8]) -> bool {
        let Some((start, rest)) = digits(value) else { return false };
        let Some(rest) = rest.strip_prefix(b",") else { return false };
        let (end, name) = match digits(rest) {
            Some((end, name)) if name.starts_with(b",") => (u32::try_from(end).ok(), &name[1..]),
            _ => (None, rest),
        };
        self.has_functions = true;
        self.functions.push(Place { start: u32::try_from(start).unwrap_or(0), end, name });
        true
    }

    fn call(&mut self, value: &'a [u8]) -> bool {
        let Some(comma) = memchr(b',', value) else { return false };
        let Some(hits) = times(&value[..comma]) else { return false };
        self.has_functions = true;
        self.called.push((&value[comma + 1..], hits));
        true
    }

    fn place(&mut self, value: &[u8]) -> bool {
        let mut fields = value.split(|byte| *byte == b',').map(|field| match digits(field) {
            Some((number, [])) => Some(number),
            _ => None,
        });
        let (Some(Some(index)), Some(Some(start)), end) = (fields.next(), fields.next(), fields.next())
        else {
            return false;
        };
        let end = end.flatten().and_then(|end| u32::try_from(end).ok());
        self.places.insert(index, (u32::try_from(start).unwrap_or(0), end));
        true
    }

    fn alias(&mut self, value: &[u8]) -> bool {
        let mut fields = value.splitn(3, |byte| *byte == b',');
        let (Some(index), Some(hits), Some(name)) = (fields.next(), fields.next(), fields.next()) else {
            return false;
        };
        let (Some((index, [])), Some(hits)) = (digits(index), times(hits)) else { return false };
        let (start, end) = self.places.get(&index).copied().unwrap_or((0, None));
        self.has_functions = true;
        self.aliases.push(Function { start, name: words(name), end, hits });
        true
    }

    /// Functions with their hits: the first `FNDA:` record of a name is of the first function of that name, and so on. What
    /// was called and is no function has no line.
    fn functions(&mut self) -> Vec<Function> {
        self.places.clear();
        let mut all = Vec::with_capacity(self.aliases.len() + self.functions.len());
        all.append(&mut self.aliases);
        let function = |place: Place<'_>, name: String, hits| {
            let name = rust_names::path(&name).unwrap_or(name);
            Function { start: place.start, name, end: place.end, hits }
        };
        let is_in_order = self.functions.len() == self.called.len()
            && self.functions.iter().zip(&self.called).all(|(place, (name, _))| place.name == *name);
        if is_in_order {
            let both = self.functions.drain(..).zip(self.called.drain(..));
            all.extend(both.map(|(place, (name, hits))| function(place, words(name), hits)));
            return all;
        }
        let mut called: HashMap<Cow<'_, str>, Vec<u32>> = HashMap::with_capacity(self.called.len());
        // From the last: those of the first are taken from the end.
        for (name, hits) in self.called.drain(..).rev() {
            called.entry(String::from_utf8_lossy(name)).or_default().push(hits);
        }
        all.extend(self.functions.drain(..).map(|place| {
            let name = String::from_utf8_lossy(place.name);
            let hits = called.get_mut(&name).and_then(Vec::pop).unwrap_or(0);
            function(place, name.into_owned(), hits)
        }));
        all.extend(called.into_iter().flat_map(|(name, hits)| {
            hits.into_iter().map(move |hits| Function { start: 0, name: name.to_string(), end: None, hits })
        }));
        all
    }
}

fn words(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
