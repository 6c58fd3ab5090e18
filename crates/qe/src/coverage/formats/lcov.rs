//! Trace files of lcov: geninfo(1), section FILES, of lcov 1.16 and 2.3.

mod section;

use memchr::{memchr, memmem, memrchr};

use self::section::Section;
use super::count::digits;
use super::{Draft, MOST_LINES, ReadError};
use crate::coverage::model::{Branch, Line, Outcome};
use crate::coverage::threads;

/// Bytes of a part that one thread reads. What is smaller is read before a thread would have begun.
const PART_BYTES: usize = 1 << 20;
/// The line behind all that is said of a file.
const END: &[u8] = b"end_of_record";

pub(super) fn read(bytes: &[u8], draft: &mut Draft<'_>) -> Result<(), ReadError> {
    read_parts(bytes, PART_BYTES, draft)
}

/// Reads parts of at least so many bytes, as many at a time as there are processors.
pub(super) fn read_parts(bytes: &[u8], part_bytes: usize, draft: &mut Draft<'_>) -> Result<(), ReadError> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let parts = parts(text, bytes.len() - text.len(), part_bytes);
    if let [(start, part)] = parts[..] {
        return read_part(part, start, draft);
    }
    let whole = &*draft;
    let read = threads::map(&parts, |&(start, part)| {
        let mut draft = whole.part();
        read_part(part, start, &mut draft).map(|()| draft)
    });
    read.into_iter().try_for_each(|part| draft.append(part?))
}

/// Cuts a report behind ends of records: what follows depends on nothing before. With each part, at which byte of the file
/// it starts, if the first one starts at `start`.
fn parts(mut text: &[u8], mut start: usize, part_bytes: usize) -> Vec<(usize, &[u8])> {
    let end = memmem::Finder::new(END);
    let mut parts = Vec::new();
    while !text.is_empty() {
        let (part, rest) = text.split_at(part_end(text, part_bytes, &end));
        parts.push((start, part));
        start += part.len();
        text = rest;
    }
    parts
}

/// Behind the first line after `least` bytes that ends a record.
fn part_end(text: &[u8], least: usize, words: &memmem::Finder<'_>) -> usize {
    let mut from = least.min(text.len());
    while let Some(found) = words.find(&text[from..]) {
        let at = from + found;
        let begin = memrchr(b'\n', &text[..at]).map_or(0, |end| end + 1);
        from = memchr(b'\n', &text[at..]).map_or(text.len(), |length| at + length + 1);
        if text[begin..from].trim_ascii() == END {
            return from;
        }
    }
    text.len()
}

/// Reads a part of a report, or the whole, that starts at this byte of the file.
fn read_part(part: &[u8], start: usize, draft: &mut Draft<'_>) -> Result<(), ReadError> {
    let mut rest = part;
    let mut section = Section::default();
    // The name of a test was the last that was there: a file is to follow.
    let mut is_begun = false;
    while !rest.is_empty() {
        draft.take(1)?;
        // Nine lines of ten are these.
        if section.is_open() {
            if let Some((line, after)) = plain_line(rest) {
                section.lines.push(line);
                rest = after;
                continue;
            }
            if let Some((branch, after)) = plain_branch(rest) {
                section.push(branch);
                rest = after;
                continue;
            }
        }
        let at = start + part.len() - rest.len();
        let end = memchr(b'\n', rest).unwrap_or(rest.len());
        let line = rest[..end].trim_ascii();
        rest = rest.get(end + 1..).unwrap_or_default();
        if let Some(path) = line.strip_prefix(b"SF:") {
            is_begun = false;
            cut_off(&mut section, draft);
            section.open(path);
        } else if line == END {
            is_begun = false;
            section.close().into_iter().for_each(|file| draft.file(file));
        } else if section.is_open() {
            if !section.record(line, draft) {
                draft.skip("records that are not understood", || format!("at byte {at}: {}", shown(line)));
            }
        } else if line.starts_with(b"TN:") {
            is_begun = true;
        } else if !(line.is_empty() || line.starts_with(b"#")) {
            is_begun |= rest.is_empty() && !part.ends_with(b"\n");
            draft.skip("records outside of a file", || format!("at byte {at}: {}", shown(line)));
        }
    }
    cut_off(&mut section, draft);
    if is_begun {
        draft.cut("at the beginning of a record");
    }
    Ok(())
}

/// Keeps a file whose record has no end.
fn cut_off(section: &mut Section<'_>, draft: &mut Draft<'_>) {
    if let Some(file) = section.close() {
        draft.cut(format_args!("within the record of {}", file.path));
        draft.file(file);
    }
}

/// `DA:12,3` and the end of the line, if it is just that and a number that a file may have. A checksum of the line may be
/// between them.
fn plain_line(text: &[u8]) -> Option<(Line, &[u8])> {
    let (number, rest) = digits(text.strip_prefix(b"DA:")?)?;
    let (hits, rest) = digits(rest.strip_prefix(b",")?)?;
    let rest = match rest.split_first()? {
        (b'\n', rest) => rest,
        (b',', checksum) => checksum.get(memchr(b'\n', checksum)? + 1..)?,
        _ => return None,
    };
    Some((Line { number: line_number(number)?, hits: u32::try_from(hits).unwrap_or(u32::MAX) }, rest))
}

/// `BRDA:12,0,1,3` or `BRDA:12,0,1,-` and the end of the line, as [`plain_line`].
fn plain_branch(text: &[u8]) -> Option<(Branch, &[u8])> {
    let (line, rest) = digits(text.strip_prefix(b"BRDA:")?)?;
    let (block, rest) = digits(rest.strip_prefix(b",")?)?;
    let (outcome, rest) = digits(rest.strip_prefix(b",")?)?;
    let rest = rest.strip_prefix(b",")?;
    let (taken, rest) = match rest.strip_prefix(b"-") {
        Some(rest) => (None, rest),
        None => digits(rest).map(|(taken, rest)| (Some(u32::try_from(taken).unwrap_or(u32::MAX)), rest))?,
    };
    let rest = rest.strip_prefix(b"\n")?;
    let block = u32::try_from(block).unwrap_or(u32::MAX);
    let outcome = Outcome::Number(u32::try_from(outcome).ok()?);
    Some((Branch { line: line_number(line)?, block, outcome, taken }, rest))
}

fn line_number(number: u64) -> Option<u32> {
    u32::try_from(number).ok().filter(|number| (1..=MOST_LINES).contains(number))
}

fn shown(line: &[u8]) -> String {
    String::from_utf8_lossy(&line[..line.len().min(60)]).into_owned()
}
