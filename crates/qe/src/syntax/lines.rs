//! Kinds of lines: with code, with a comment and nothing else, with nothing.

use serde::{Deserialize, Serialize};

/// How many lines of each kind. A line with code and a comment counts as code. Python's docstrings are comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct LineCounts {
    /// Lines with code.
    pub(crate) ncloc: u32,
    pub(crate) comment: u32,
    pub(crate) blank: u32,
}

impl LineCounts {
    /// All lines.
    pub(crate) fn all(self) -> u32 {
        self.ncloc + self.comment + self.blank
    }
}

impl std::ops::AddAssign for LineCounts {
    fn add_assign(&mut self, other: Self) {
        self.ncloc += other.ncloc;
        self.comment += other.comment;
        self.blank += other.blank;
    }
}

/// What is on each line, while a tree is walked.
#[derive(Debug)]
pub(super) struct Lines {
    kinds: Vec<Kind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// White space.
    Blank,
    /// Something that nobody has claimed yet.
    Unknown,
    Comment,
    Code,
}

impl Lines {
    pub(super) fn new(source: &[u8]) -> Self {
        let source = source.strip_suffix(b"\n").unwrap_or(source);
        let kind = |line: &[u8]| {
            if line.iter().all(u8::is_ascii_whitespace) { Kind::Blank } else { Kind::Unknown }
        };
        let kinds = if source.is_empty() {
            Vec::new()
        } else {
            source.split(|&byte| byte == b'\n').map(kind).collect()
        };
        Self { kinds }
    }

    /// Rows from 0, both included; blank ones stay blank.
    pub(super) fn code(&mut self, first: usize, last: usize) {
        self.mark(first, last, Kind::Code);
    }

    pub(super) fn comment(&mut self, first: usize, last: usize) {
        self.mark(first, last, Kind::Comment);
    }

    fn mark(&mut self, first: usize, last: usize, kind: Kind) {
        let end = last.saturating_add(1).min(self.kinds.len());
        for line in self.kinds.get_mut(first..end).unwrap_or_default() {
            if *line != Kind::Blank {
                *line = (*line).max(kind);
            }
        }
    }

    /// Of lines `first` to `last`, from 1. What nobody claimed is code: it is not a comment.
    pub(super) fn count(&self, first: u32, last: u32) -> LineCounts {
        let end = (last as usize).min(self.kinds.len());
        let mut counts = LineCounts::default();
        for kind in self.kinds.get(first.saturating_sub(1) as usize..end).unwrap_or_default() {
            match kind {
                Kind::Blank => counts.blank += 1,
                Kind::Comment => counts.comment += 1,
                Kind::Code | Kind::Unknown => counts.ncloc += 1,
            }
        }
        counts
    }

    pub(super) fn all(&self) -> LineCounts {
        self.count(1, u32::MAX)
    }
}
