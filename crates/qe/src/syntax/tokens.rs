//! A source as the words of its language, without comments and white space.

use std::hash::{BuildHasher as _, Hasher as _};

use super::roles::Role;
use super::walk::{Step, Visit, walk};
use super::{Parsed, SyntaxError, first_line, last_line};
use crate::project::git::Lines;
use crate::stop::Stop;

/// One word of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    /// Of its text: equal for equal words, of whatever language.
    pub(crate) hash: u32,
    pub(crate) lines: Lines,
}

impl Parsed<'_> {
    /// The words, in order. A text between quotes is one word.
    pub(crate) fn tokens(&self, stop: &Stop) -> Result<Vec<Token>, SyntaxError> {
        let mut visitor = Tokens::new(self);
        walk(self, stop, &mut visitor)?;
        Ok(visitor.found())
    }
}

/// Collects them while a tree is walked.
pub(super) struct Tokens<'t, 's> {
    parsed: &'t Parsed<'s>,
    found: Vec<Token>,
    /// The end of the last token or comment.
    upto: usize,
}

impl<'t, 's> Tokens<'t, 's> {
    pub(super) fn new(parsed: &'t Parsed<'s>) -> Self {
        Self { parsed, found: Vec::with_capacity(parsed.source.len() / 6), upto: 0 }
    }

    pub(super) fn found(mut self) -> Vec<Token> {
        self.found.shrink_to_fit();
        self.found
    }
}

impl<'t> Visit<'t> for Tokens<'t, '_> {
    fn enter(&mut self, path: &[Step<'t>]) {
        let Some(step) = path.last() else { return };
        let bytes = step.node.byte_range();
        if bytes.start < self.upto || !(step.is_leaf || matches!(step.role, Role::Text | Role::Comment)) {
            return;
        }
        let text = self.parsed.source.get(bytes.clone()).unwrap_or_default();
        if text.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        self.upto = bytes.end;
        if step.role == Role::Comment {
            return;
        }
        let lines = Lines { start: first_line(step.node), end: last_line(step.node) };
        self.found.push(Token { hash: word_hash(text), lines });
    }
}

/// The [`Token::hash`] of a word.
pub(crate) fn word_hash(word: &[u8]) -> u32 {
    let mut hasher = HASHER.build_hasher();
    hasher.write(word);
    let hash = hasher.finish();
    (hash ^ (hash >> 32)) as u32
}

/// The same in every run, so that hashes of one file can be kept beside those of another.
static HASHER: std::sync::LazyLock<foldhash::fast::FixedState> =
    std::sync::LazyLock::new(|| foldhash::fast::FixedState::with_seed(0x6475_706c));
