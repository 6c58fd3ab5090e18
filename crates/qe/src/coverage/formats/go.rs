//! What `go test -coverprofile` writes: blocks of statements, from a line and column to another.
//!
//! A line ran as often as the block of it that ran most. A file of the same package that is tested from several others
//! has each of its blocks several times.

use std::collections::{BinaryHeap, HashMap};

use memchr::{memchr, memrchr};

use super::count::digits;
use super::{Draft, ReadError};
use crate::coverage::model::{FileCoverage, Line};

pub(super) fn read(bytes: &[u8], draft: &mut Draft<'_>) -> Result<(), ReadError> {
    if !bytes.ends_with(b"\n") {
        draft.cut("within a line");
    }
    let mut files: HashMap<&[u8], Vec<(u32, u32, u32)>> = HashMap::new();
    for line in bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
        draft.take(1)?;
        // Profiles that were joined have the mode several times.
        if line.is_empty() || line.starts_with(b"mode: ") || line.starts_with(b"\xef\xbb\xbfmode: ") {
            continue;
        }
        let Some((path, block)) = block(line) else {
            draft.skip("lines that are not understood", || {
                String::from_utf8_lossy(&line[..line.len().min(80)]).into_owned()
            });
            continue;
        };
        let Block { start, end, statements, count } = block;
        let blocks = files.entry(path).or_default();
        if let (Some(start), Some(end), true) = (draft.line(start), draft.line(end), statements > 0) {
            blocks.push((start, end, u32::try_from(count).unwrap_or(u32::MAX)));
        }
    }
    for (path, blocks) in files {
        let path = String::from_utf8_lossy(path).into_owned();
        let lines = lines(blocks, draft)?;
        draft.file(FileCoverage { lines: Some(lines), ..FileCoverage::new(path) });
    }
    Ok(())
}

struct Block {
    start: u64,
    end: u64,
    statements: u64,
    count: u64,
}

/// `example.com/m/a.go:3.14,5.2 1 7`.
fn block(line: &[u8]) -> Option<(&[u8], Block)> {
    // A path may have colons and blanks; what follows it has none of the former.
    let colon = memrchr(b':', line)?;
    let (path, rest) = (&line[..colon], &line[colon + 1..]);
    let (start, rest) = digits(rest)?;
    let (end, rest) = digits(&rest[memchr(b',', rest)? + 1..])?;
    let (statements, rest) = digits(&rest[memchr(b' ', rest)? + 1..])?;
    let (count, rest) = digits(rest.strip_prefix(b" ")?)?;
    (rest.is_empty() && !path.is_empty()).then_some((path, Block { start, end, statements, count }))
}

/// The lines of blocks that may overlap: first line, last line, count. Each line is made once, however many blocks it has.
fn lines(mut blocks: Vec<(u32, u32, u32)>, draft: &mut Draft<'_>) -> Result<Vec<Line>, ReadError> {
    blocks.sort_unstable();
    let mut coming = blocks.into_iter().peekable();
    // Blocks that have begun, the one that ran most first; some may have ended.
    let mut open: BinaryHeap<(u32, u32)> = BinaryHeap::new();
    let mut lines = Vec::new();
    let mut number = 0;
    loop {
        if open.is_empty() {
            let Some((start, ..)) = coming.peek() else { return Ok(lines) };
            number = number.max(*start);
        }
        while let Some((_, end, count)) = coming.next_if(|(start, ..)| *start <= number) {
            open.push((count, end));
        }
        while open.peek().is_some_and(|(_, end)| *end < number) {
            open.pop();
        }
        if let Some((hits, _)) = open.peek() {
            draft.take(1)?;
            lines.push(Line { number, hits: *hits });
            number += 1;
        }
    }
}
