//! What is in a source file: its functions and how complex they are, its branches, its calls, its kinds of lines.
//!
//! Sources are parsed by the grammars of tree-sitter, which find their way through broken ones too. What differs between
//! languages stands in `roles`; everything else goes by roles.
//!
//! # What is counted
//! - *Cyclomatic complexity* is 1 and one for each: `if`, `elif`, loop with a condition, `case` or arm that is not the
//!   default, `catch`/`except`, conditional expression, `&&`, `||`, `??`, Rust's `?`, guard and `let … else`; in Python also
//!   each `for` and `if` of a comprehension, `else` of a loop or `try`, and `assert`, as radon does; in JavaScript and
//!   TypeScript also `?.`, logical assignments and values by default, as ESLint does.
//!   In the arguments of Rust's macros `if`, `while`, `for`, `&&` and `||` are counted as words.
//! - *Cognitive complexity* follows G. Ann Campbell, "Cognitive Complexity" (SonarSource, 2018), but for recursion and
//!   what stands in the arguments of macros, which are not looked for.
//! - A closure counts to the function around it; in JavaScript, TypeScript and Go, where functions are written as
//!   closures, it has an entry of its own. So has a function in a function; neither counts to the outer one.

mod branches;
mod calls;
mod complexity;
mod functions;
mod language;
mod lines;
mod roles;
mod tokens;
mod walk;
mod wording;

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tree_sitter::{ParseOptions, ParseState, Parser, Tree};

pub(crate) use branches::Branch;
pub(crate) use functions::{Function, FunctionKind};
pub(crate) use language::Language;
pub(crate) use lines::LineCounts;
pub(crate) use tokens::{Token, word_hash};
pub(crate) use wording::Wording;

use crate::stop::Stop;
use roles::Roles;

/// Bytes of a source that is parsed. Longer ones are made by programs.
pub(crate) const SOURCE_MAX_BYTES: usize = 4 << 20;

/// Time that one file may take. A parser that seeks a way through nonsense can take long.
const PARSE_MAX: Duration = Duration::from_secs(2);

/// Why a source was not looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SyntaxError {
    #[error("{bytes} bytes are more than the {SOURCE_MAX_BYTES} that are parsed")]
    TooLong { bytes: usize },
    #[error("not parsed within {} s", PARSE_MAX.as_secs())]
    TooSlow,
    #[error("stopped: the call was cancelled, or its time was up")]
    Stopped,
    #[error("the grammar does not fit the parser: {0}")]
    Grammar(String),
}

/// A source and its tree.
#[derive(Debug)]
pub(crate) struct Parsed<'s> {
    source: &'s [u8],
    language: Language,
    roles: &'static Roles,
    tree: Tree,
}

impl<'s> Parsed<'s> {
    /// Parses a source, whatever its bytes are.
    pub(crate) fn new(source: &'s [u8], language: Language, stop: &Stop) -> Result<Self, SyntaxError> {
        if source.len() > SOURCE_MAX_BYTES {
            return Err(SyntaxError::TooLong { bytes: source.len() });
        }
        let mut parser = Parser::new();
        parser.set_language(&language.grammar()).map_err(|error| SyntaxError::Grammar(error.to_string()))?;
        let last = Instant::now() + PARSE_MAX;
        let mut look = |_: &ParseState| {
            if stop.left().is_zero() || Instant::now() > last {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let options = ParseOptions::new().progress_callback(&mut look);
        let mut read = |from: usize, _| source.get(from..).unwrap_or_default();
        let tree = parser
            .parse_with_options(&mut read, None, Some(options))
            .ok_or_else(|| if stop.left().is_zero() { SyntaxError::Stopped } else { SyntaxError::TooSlow })?;
        Ok(Self { source, language, roles: Roles::of(language), tree })
    }

    /// Whether some part of the source was not understood.
    pub(crate) fn has_errors(&self) -> bool {
        self.tree.root_node().has_error()
    }

    /// The text of a node; what is not UTF-8 in it is replaced.
    fn text(&self, node: tree_sitter::Node<'_>) -> std::borrow::Cow<'s, str> {
        String::from_utf8_lossy(self.source.get(node.byte_range()).unwrap_or_default())
    }

    /// As [`Self::text`], in one line and at most `most` characters, and `…` if that is not all.
    fn short(&self, node: tree_sitter::Node<'_>, most: usize) -> String {
        shortened(&self.text(node), most)
    }
}

/// How much is in a source, for those who test and time the reading of sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Survey {
    pub lines: u32,
    pub ncloc: u32,
    pub functions: usize,
    pub cyclomatic: u64,
    pub branches: usize,
    pub tokens: usize,
}

/// Looks at a source in every way that the tools do; `None` if the name of the file is of no known language, or the source
/// takes too long.
pub fn survey(source: &[u8], name: &str) -> Option<Survey> {
    let (stop, _call) = Stop::at(Instant::now() + PARSE_MAX * 4);
    let parsed = Parsed::new(source, Language::of(name)?, &stop).ok()?;
    let outline = parsed.outline(&stop).ok()?;
    parsed.calls(&stop).ok()?;
    let functions = &outline.functions;
    Some(Survey {
        lines: outline.lines.all(),
        ncloc: outline.lines.ncloc,
        functions: functions.len(),
        cyclomatic: functions.iter().map(|function| u64::from(function.cyclomatic)).sum(),
        branches: parsed.branches(&stop).ok()?.len(),
        tokens: parsed.tokens(&stop).ok()?.len(),
    })
}

/// `text` in one line and at most `most` characters, and `…` if that is not all.
fn shortened(text: &str, most: usize) -> String {
    let mut short = String::new();
    for (count, character) in words(text).enumerate() {
        if count >= most {
            short.push('…');
            break;
        }
        short.push(character);
    }
    short
}

/// The characters of `text` with each run of white space as one blank.
fn words(text: &str) -> impl Iterator<Item = char> + '_ {
    text.split_whitespace()
        .enumerate()
        .flat_map(|(at, word)| (at > 0).then_some(' ').into_iter().chain(word.chars()))
}

/// The line, from 1, on which a node begins.
fn first_line(node: tree_sitter::Node<'_>) -> u32 {
    u32::try_from(node.start_position().row).unwrap_or(u32::MAX).saturating_add(1)
}

/// The last line that a node has characters on. Some end with the line break before the next.
fn last_line(node: tree_sitter::Node<'_>) -> u32 {
    let end = node.end_position();
    let row = if end.column == 0 && end.row > node.start_position().row { end.row - 1 } else { end.row };
    u32::try_from(row).unwrap_or(u32::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests;
