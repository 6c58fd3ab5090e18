//! Trace files of lcov: geninfo(1), section FILES, of lcov 1.16 and 2.3.

use std::collections::HashMap;

use memchr::memchr;

use super::count::{digits, times};
use super::{Draft, ReadError, rust_names};
use crate::coverage::model::{Branch, FileCoverage, Function, Line, Outcome};

pub(super) fn read(bytes: &[u8], draft: &mut Draft<'_>) -> Result<(), ReadError> {
    let mut rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut section: Option<Section> = None;
    // The name of a test was the last that was there: a file is to follow.
    let mut is_begun = false;
    while !rest.is_empty() {
        draft.take(1)?;
        // Nine lines of ten are these.
        if let (Some(open), Some((line, after))) = (&mut section, plain_line(rest)) {
            open.lines.push(line);
            rest = after;
            continue;
        }
        let end = memchr(b'\n', rest).unwrap_or(rest.len());
        let line = rest[..end].trim_ascii();
        let at = bytes.len() - rest.len();
        rest = rest.get(end + 1..).unwrap_or_default();
        if let Some(path) = line.strip_prefix(b"SF:") {
            is_begun = false;
            if let Some(open) = section.replace(Section::new(path)) {
                draft.cut(format_args!("within the record of {}", open.file.path));
                draft.file(open.finish());
            }
        } else if line == b"end_of_record" {
            if let Some(open) = section.take() {
                draft.file(open.finish());
            }
        } else if let Some(open) = &mut section {
            if !open.record(line, draft) {
                draft.skip("records that are not understood", || format!("at byte {at}: {}", shown(line)));
            }
        } else if line.starts_with(b"TN:") {
            is_begun = true;
        } else if !(line.is_empty() || line.starts_with(b"#")) {
            is_begun |= rest.is_empty() && !bytes.ends_with(b"\n");
            draft.skip("records outside of a file", || format!("at byte {at}: {}", shown(line)));
        }
    }
    if let Some(open) = section {
        draft.cut(format_args!("within the record of {}", open.file.path));
        draft.file(open.finish());
    } else if is_begun {
        draft.cut("at the beginning of a record");
    }
    Ok(())
}

/// `DA:12,3` and the end of the line, if it is just that and a number that a file may have.
fn plain_line(text: &[u8]) -> Option<(Line, &[u8])> {
    let (number, rest) = digits(text.strip_prefix(b"DA:")?)?;
    let (hits, rest) = digits(rest.strip_prefix(b",")?)?;
    let rest = rest.strip_prefix(b"\n")?;
    let number = u32::try_from(number).ok().filter(|number| (1..=super::MOST_LINES).contains(number))?;
    Some((Line { number, hits: u32::try_from(hits).unwrap_or(u32::MAX) }, rest))
}

fn shown(line: &[u8]) -> String {
    String::from_utf8_lossy(&line[..line.len().min(60)]).into_owned()
}

fn words(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// From `SF:` to `end_of_record`.
struct Section {
    file: FileCoverage,
    lines: Vec<Line>,
    /// `FN:` records, and the hits of `FNDA:` ones by name, in order: several functions may share a name.
    functions: Vec<Function>,
    called: HashMap<String, Vec<u32>>,
    /// `FNL:` records of lcov 2.2 by their index: first and last line. Each has one or more names.
    places: HashMap<u64, (u32, Option<u32>)>,
}

impl Section {
    fn new(path: &[u8]) -> Self {
        Self {
            file: FileCoverage::new(words(path)),
            lines: Vec::new(),
            functions: Vec::new(),
            called: HashMap::new(),
            places: HashMap::new(),
        }
    }

    /// Whether the record was understood.
    fn record(&mut self, line: &[u8], draft: &mut Draft<'_>) -> bool {
        let Some(colon) = memchr(b':', line) else { return line.is_empty() || line.starts_with(b"#") };
        let (kind, value) = (&line[..colon], &line[colon + 1..]);
        match kind {
            b"DA" => self.line(value, draft),
            b"BRDA" => self.branch(value, draft),
            b"FN" => self.function(value),
            b"FNDA" => self.call(value),
            b"FNL" => self.place(value),
            b"FNA" => self.alias(value),
            // That there are none is also something to know.
            b"BRF" => {
                self.file.branches.get_or_insert_default();
                true
            }
            b"FNF" => {
                self.file.functions.get_or_insert_default();
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
        let Some(comma) = memchr::memrchr(b',', rest) else { return false };
        let (outcome, taken) = (&rest[..comma], &rest[comma + 1..]);
        let taken = if taken == b"-" { Some(None) } else { times(taken).map(Some) };
        let (Some(taken), false) = (taken, outcome.is_empty()) else { return false };
        let outcome = match digits(outcome) {
            Some((number, [])) if number <= u32::MAX.into() => Outcome::Number(number as u32),
            _ => Outcome::text(words(outcome)),
        };
        if let Some(line) = draft.line(line) {
            let block = u32::try_from(block).unwrap_or(u32::MAX);
            self.file.branches.get_or_insert_default().push(Branch { line, block, outcome, taken });
        }
        true
    }

    /// `START,NAME`, since lcov 2.0 also `START,END,NAME`.
    fn function(&mut self, value: &[u8]) -> bool {
        let Some((start, rest)) = digits(value) else { return false };
        let Some(rest) = rest.strip_prefix(b",") else { return false };
        let (end, name) = match digits(rest) {
            Some((end, name)) if name.starts_with(b",") => (u32::try_from(end).ok(), &name[1..]),
            _ => (None, rest),
        };
        let start = u32::try_from(start).unwrap_or(0);
        self.functions.push(Function { start, name: words(name), end, hits: 0 });
        true
    }

    fn call(&mut self, value: &[u8]) -> bool {
        let Some(comma) = memchr(b',', value) else { return false };
        let Some(hits) = times(&value[..comma]) else { return false };
        self.called.entry(words(&value[comma + 1..])).or_default().push(hits);
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
        let functions = self.file.functions.get_or_insert_default();
        functions.push(Function { start, name: words(name), end, hits });
        true
    }

    fn finish(mut self) -> FileCoverage {
        self.file.lines = Some(self.lines);
        if !self.functions.is_empty() || !self.called.is_empty() {
            let mut called = self.called;
            // The first of a name's records is of the first function of that name.
            for hits in called.values_mut() {
                hits.reverse();
            }
            for mut function in self.functions {
                function.hits = called.get_mut(&function.name).and_then(Vec::pop).unwrap_or(0);
                function.name = rust_names::path(&function.name).unwrap_or(function.name);
                self.file.functions.get_or_insert_default().push(function);
            }
            let nowhere = called.into_iter().flat_map(|(name, hits)| {
                hits.into_iter().map(move |hits| Function { start: 0, name: name.clone(), end: None, hits })
            });
            self.file.functions.get_or_insert_default().extend(nowhere);
        }
        self.file
    }
}
