//! Names of gaps, by which they are found again without the report they are from: `FILE:LINES@SOURCE`, as
//! `src/shop.py:12-14,20@1f3a99c0`. `SOURCE` is the beginning of the SHA-256 of the file: lines of another state of it
//! would be others.

use std::fmt::{self, Write as _};

use sha2::{Digest as _, Sha256};

use crate::project::git::Lines;
use crate::reply::Refusal;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GapId {
    pub(crate) file: String,
    /// In order, at least one.
    pub(crate) lines: Vec<Lines>,
    source: String,
}

impl GapId {
    pub(crate) fn new(file: &str, mut lines: Vec<Lines>, source: &[u8]) -> Self {
        lines.sort_unstable_by_key(|range| (range.start, range.end));
        Self { file: file.to_owned(), lines, source: digest(source) }
    }

    /// # Errors
    /// If it is none.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let refused = || {
            Refusal(format!("`gap_id` {text}: none; it is copied from the `id` of a gap of qe_coverage_gaps"))
        };
        let (place, source) = text.rsplit_once('@').ok_or_else(refused)?;
        let (file, lines) = place.rsplit_once(':').ok_or_else(refused)?;
        let range = |part: &str| {
            let (start, end) = part.split_once('-').unwrap_or((part, part));
            let lines = Lines { start: start.parse().ok()?, end: end.parse().ok()? };
            (1 <= lines.start && lines.start <= lines.end).then_some(lines)
        };
        let lines: Option<Vec<Lines>> = lines.split(',').map(range).collect();
        let lines = lines.ok_or_else(refused)?;
        Ok(Self { file: file.to_owned(), lines, source: source.to_owned() })
    }

    /// # Errors
    /// If the lines are not of this source.
    pub(crate) fn check(&self, source: &[u8]) -> Result<(), Refusal> {
        if digest(source) == self.source {
            return Ok(());
        }
        Err(Refusal(format!("`gap_id` {self}: {} has changed since; ask qe_coverage_gaps again", self.file)))
    }
}

impl fmt::Display for GapId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        for (place, range) in self.lines.iter().enumerate() {
            f.write_str(if place > 0 { "," } else { "" })?;
            if range.start == range.end {
                write!(f, "{}", range.start)?;
            } else {
                write!(f, "{}-{}", range.start, range.end)?;
            }
        }
        write!(f, "@{}", self.source)
    }
}

fn digest(source: &[u8]) -> String {
    Sha256::digest(source).iter().take(4).fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_found_again_by_its_name_as_long_as_its_source_is_the_same() {
        let lines = vec![Lines { start: 20, end: 20 }, Lines { start: 12, end: 14 }];
        let id = GapId::new("a b:c@d.py", lines, b"source");
        assert!(id.to_string().starts_with("a b:c@d.py:12-14,20@"), "{id}");
        assert_eq!(GapId::parse(&id.to_string()).unwrap(), id);
        id.check(b"source").unwrap();
        assert!(id.check(b"sources").unwrap_err().0.contains("has changed"));
    }

    #[test]
    fn what_is_no_name_says_where_names_come_from() {
        for text in ["", "a.py", "a.py:1", "a.py:@00", "a.py:3-2@00", "a.py:0@00", "a.py:x@00"] {
            assert!(GapId::parse(text).unwrap_err().0.contains("qe_coverage_gaps"), "{text}");
        }
    }
}
