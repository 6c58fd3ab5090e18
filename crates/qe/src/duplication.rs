//! Duplicates: runs of the same words in two places.
//!
//! A duplicate has at least 50 words and 5 lines, as by jscpd's defaults; comments and white space are not looked at, and
//! places that overlap are not two. All windows of 50 words are hashed, windows with the same hash are matched, and
//! neighbouring matches are one duplicate. Each duplicated line counts once, in whatever many copies it stands.

mod windows;

use serde::Serialize;

use crate::project::git::Lines;
use crate::reply::Refusal;
use crate::stop::Stop;
use crate::syntax::{Language, Token};

/// Words of the shortest duplicate.
pub(crate) const MIN_TOKENS: usize = 50;
/// Lines of the shortest duplicate.
pub(crate) const MIN_LINES: u32 = 5;
/// Duplicates that are kept; all duplicated lines are counted.
const MOST_BLOCKS: usize = 10_000;

/// A source to be compared. Only sources of one language are compared with each other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words<'a> {
    pub(crate) language: Language,
    pub(crate) tokens: &'a [Token],
}

/// A part of a source, and where the same words stand. Sources are given by their places in the list that was searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Block {
    pub(crate) file: usize,
    pub(crate) lines: Lines,
    pub(crate) other_file: usize,
    pub(crate) other_lines: Lines,
    pub(crate) tokens: u32,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Duplication {
    /// Of each source, in the order that was given: the duplicated lines, in order, without overlaps.
    pub(crate) lines: Vec<Vec<Lines>>,
    /// Each place with one of its counterparts, the longest first.
    pub(crate) blocks: Vec<Block>,
}

impl Duplication {
    /// Duplicated lines of a source.
    pub(crate) fn count(&self, file: usize) -> u32 {
        self.lines.get(file).map_or(0, |lines| lines.iter().map(|lines| lines.end - lines.start + 1).sum())
    }

    /// Duplicated lines among some of a source, as those that are new. `ranges` do not overlap.
    pub(crate) fn count_within(&self, file: usize, ranges: impl IntoIterator<Item = Lines>) -> u32 {
        let Some(duplicated) = self.lines.get(file) else { return 0 };
        let mut count = 0;
        for range in ranges {
            let first = duplicated.partition_point(|lines| lines.end < range.start);
            for lines in duplicated[first..].iter().take_while(|lines| lines.start <= range.end) {
                count += lines.end.min(range.end) - lines.start.max(range.start) + 1;
            }
        }
        count
    }
}

/// Searches sources for duplicates.
///
/// # Errors
/// If the work is to stop.
pub(crate) fn search(sources: &[Words<'_>], stop: &Stop) -> Result<Duplication, Refusal> {
    let mut blocks = Vec::new();
    let mut lines: Vec<Vec<Lines>> = vec![Vec::new(); sources.len()];
    windows::matches(sources, stop, |block| {
        if block.lines.end - block.lines.start + 1 < MIN_LINES {
            return;
        }
        lines[block.file].push(block.lines);
        blocks.push(block);
    })?;
    blocks.sort_unstable_by_key(|block| {
        (
            std::cmp::Reverse(block.tokens),
            block.file,
            block.lines.start,
            block.other_file,
            block.other_lines.start,
        )
    });
    blocks.truncate(MOST_BLOCKS);
    for lines in &mut lines {
        join(lines);
    }
    Ok(Duplication { lines, blocks })
}

/// Puts lines in order and joins those that touch.
fn join(lines: &mut Vec<Lines>) {
    lines.sort_unstable();
    let mut joined: Vec<Lines> = Vec::with_capacity(lines.len());
    for next in lines.drain(..) {
        match joined.last_mut() {
            Some(last) if next.start <= last.end.saturating_add(1) => last.end = last.end.max(next.end),
            _ => joined.push(next),
        }
    }
    *lines = joined;
}

#[cfg(test)]
mod tests;
