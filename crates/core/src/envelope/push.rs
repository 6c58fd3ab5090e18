//! Proving that a text is JSON while it comes, in pieces of any size and in constant memory (RFC 8259).
//!
//! It takes and refuses the same texts as [`super::Scanner`], which has the whole of one before it and is faster. Strings
//! and white space are walked by the same functions; what a piece may end within is kept as a state.

mod utf8;

#[cfg(test)]
mod tests;

use super::{MAX_FRAGMENT_DEPTH, ScanError, skip};
use utf8::Utf8;

type Result<T> = std::result::Result<T, ScanError>;

/// A place in the text that a reader of members wants to know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// A member's key begins: its quote.
    Key,
    /// A member's key has ended: the byte behind its quote.
    KeyEnd,
    /// A value begins: its first byte.
    Value,
    /// A value has ended whose own members are not watched: the byte behind it.
    End,
    /// The comma between two members or elements.
    Comma,
    /// The bracket that ends a container whose members are watched.
    Close,
}

/// Where a [`Mark`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// What it is.
    pub mark: Mark,
    /// Its offset in the piece at hand.
    pub at: usize,
    /// Containers around it; for [`Mark::Close`] with the one that ends.
    pub depth: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Value,
    /// Right behind `[`.
    FirstElement,
    /// Right behind `{`.
    FirstKey,
    Key,
    Colon,
    /// Behind a value.
    After,
    Text {
        is_key: bool,
    },
    Escape {
        is_key: bool,
    },
    Hex {
        is_key: bool,
        left: u8,
    },
    Number(Digits),
    /// What is left of a literal.
    Literal(&'static [u8]),
}

/// What of a number has been read last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Digits {
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    E,
    Sign,
    Exponent,
}

const WORDS: usize = MAX_FRAGMENT_DEPTH as usize / u64::BITS as usize;

/// Reads one JSON text, piece by piece: first [`PushScanner::begin`] with a piece, then [`PushScanner::next`] until the
/// piece has no more marks; at the end [`PushScanner::finish`].
#[derive(Debug)]
pub struct PushScanner {
    state: State,
    /// One bit for each open container, set for an object.
    objects: [u64; WORDS],
    depth: u16,
    max_depth: u16,
    /// Marks are told of members with so many containers around them, or fewer.
    watched: u16,
    utf8: Utf8,
}

impl PushScanner {
    /// A scanner for a text of at most `max_depth` levels of nesting, and never more than [`MAX_FRAGMENT_DEPTH`]. It tells
    /// where the text as a whole begins and ends; see [`PushScanner::watch`].
    pub fn new(max_depth: u16) -> Self {
        Self {
            state: State::Value,
            objects: [0; WORDS],
            depth: 0,
            max_depth: max_depth.min(MAX_FRAGMENT_DEPTH),
            watched: 0,
            utf8: Utf8::default(),
        }
    }

    /// From now on tells of members with up to `depth` containers around them.
    pub fn watch(&mut self, depth: u16) {
        self.watched = depth;
    }

    /// Takes up the next piece.
    ///
    /// # Errors
    /// If the text is not UTF-8.
    pub fn begin(&mut self, piece: &[u8]) -> Result<()> {
        self.utf8.push(piece).map_err(|at| ScanError { what: "invalid UTF-8", at })
    }

    /// Reads the piece on from `at`, up to the next mark or its end (`None`).
    ///
    /// # Errors
    /// If the text is not JSON or nested too deeply; the offset is that within the piece.
    pub fn next(&mut self, piece: &[u8], at: &mut usize) -> Result<Option<Place>> {
        while *at < piece.len() {
            let marked = match self.state {
                State::Text { is_key } => self.text(piece, at, is_key)?,
                State::Escape { is_key } => {
                    self.state = match piece[*at] {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => State::Text { is_key },
                        b'u' => State::Hex { is_key, left: 4 },
                        _ => return fail("invalid escape", *at),
                    };
                    *at += 1;
                    None
                }
                State::Hex { is_key, left } => {
                    if !piece[*at].is_ascii_hexdigit() {
                        return fail("invalid escape", *at);
                    }
                    *at += 1;
                    self.state =
                        if left > 1 { State::Hex { is_key, left: left - 1 } } else { State::Text { is_key } };
                    None
                }
                State::Number(digits) => self.number(piece, at, digits)?,
                State::Literal(rest) => {
                    let Some((first, rest)) = rest.split_first() else {
                        return fail("expected a value", *at);
                    };
                    if piece[*at] != *first {
                        return fail("expected a value", *at);
                    }
                    *at += 1;
                    self.state = State::Literal(rest);
                    if rest.is_empty() { self.ended(*at) } else { None }
                }
                _ => {
                    *at = skip::white_end(piece, *at);
                    let Some(byte) = piece.get(*at) else { break };
                    self.token(*byte, at)?
                }
            };
            if marked.is_some() {
                return Ok(marked);
            }
        }
        Ok(None)
    }

    /// Reads a piece in which nothing is of interest but whether it is JSON.
    ///
    /// # Errors
    /// As [`PushScanner::begin`] and [`PushScanner::next`].
    pub fn push(&mut self, piece: &[u8]) -> Result<()> {
        self.begin(piece)?;
        let mut at = 0;
        while self.next(piece, &mut at)?.is_some() {}
        Ok(())
    }

    /// Requires that the text has ended.
    ///
    /// # Errors
    /// If it lacks something.
    pub fn finish(&self) -> Result<()> {
        let has_ended = match self.state {
            State::After => true,
            State::Number(digits) => digits.may_end(),
            _ => false,
        };
        if self.depth == 0 && has_ended && self.utf8.is_whole() { Ok(()) } else { fail("unexpected end", 0) }
    }

    fn place(&self, mark: Mark, at: usize) -> Option<Place> {
        (self.depth <= self.watched).then_some(Place { mark, at, depth: self.depth })
    }

    /// A value that is no container, or whose members are not watched, has ended before `at`.
    fn ended(&mut self, at: usize) -> Option<Place> {
        self.state = State::After;
        self.place(Mark::End, at)
    }

    /// Takes a byte between values, which is no white space.
    fn token(&mut self, byte: u8, at: &mut usize) -> Result<Option<Place>> {
        let here = *at;
        *at += 1;
        match (self.state, byte) {
            (State::FirstElement, b']') | (State::FirstKey, b'}') => Ok(self.close(here)),
            (State::Value | State::FirstElement, _) => self.value(byte, here),
            (State::Key | State::FirstKey, b'"') => {
                self.state = State::Text { is_key: true };
                Ok(self.place(Mark::Key, here))
            }
            (State::Key | State::FirstKey, _) => fail("expected a string", here),
            (State::Colon, b':') => {
                self.state = State::Value;
                Ok(None)
            }
            (State::Colon, _) => fail("expected ':'", here),
            (_, _) if self.depth == 0 => fail("trailing characters", here),
            (_, b',') => {
                self.state = if self.is_in_object() { State::Key } else { State::Value };
                Ok(self.place(Mark::Comma, here))
            }
            (_, b'}') if self.is_in_object() => Ok(self.close(here)),
            (_, b']') if !self.is_in_object() => Ok(self.close(here)),
            _ => fail("expected ',' or a closing bracket", here),
        }
    }

    fn value(&mut self, byte: u8, here: usize) -> Result<Option<Place>> {
        let begun = self.place(Mark::Value, here);
        self.state = match byte {
            b'"' => State::Text { is_key: false },
            b'{' | b'[' => {
                if self.depth >= self.max_depth {
                    return fail("nested too deeply", here + 1);
                }
                let (word, bit) = (usize::from(self.depth / 64), 1 << (self.depth % 64));
                self.depth += 1;
                if byte == b'{' {
                    self.objects[word] |= bit;
                    State::FirstKey
                } else {
                    self.objects[word] &= !bit;
                    State::FirstElement
                }
            }
            b'-' => State::Number(Digits::Minus),
            b'0' => State::Number(Digits::Zero),
            b'1'..=b'9' => State::Number(Digits::Integer),
            b't' => State::Literal(b"rue"),
            b'f' => State::Literal(b"alse"),
            b'n' => State::Literal(b"ull"),
            _ => return fail("expected a value", here),
        };
        Ok(begun)
    }

    fn is_in_object(&self) -> bool {
        let innermost = self.depth.saturating_sub(1);
        self.objects[usize::from(innermost / 64)] >> (innermost % 64) & 1 == 1
    }

    fn close(&mut self, here: usize) -> Option<Place> {
        let closes = self.place(Mark::Close, here);
        self.depth -= 1;
        self.state = State::After;
        closes.or_else(|| self.place(Mark::End, here + 1))
    }

    #[inline]
    fn text(&mut self, piece: &[u8], at: &mut usize, is_key: bool) -> Result<Option<Place>> {
        *at = skip::plain_end(piece, *at);
        match piece.get(*at) {
            None => Ok(None),
            Some(b'"') => {
                *at += 1;
                if !is_key {
                    return Ok(self.ended(*at));
                }
                self.state = State::Colon;
                Ok(self.place(Mark::KeyEnd, *at))
            }
            Some(b'\\') => {
                *at += 1;
                self.state = State::Escape { is_key };
                Ok(None)
            }
            Some(_) => fail("control character in a string", *at),
        }
    }

    fn number(&mut self, piece: &[u8], at: &mut usize, mut digits: Digits) -> Result<Option<Place>> {
        while let Some(byte) = piece.get(*at) {
            let Some(next) = digits.and(*byte) else {
                return if digits.may_end() { Ok(self.ended(*at)) } else { fail("invalid number", *at) };
            };
            digits = next;
            *at += 1;
        }
        self.state = State::Number(digits);
        Ok(None)
    }
}

impl Digits {
    fn may_end(self) -> bool {
        matches!(self, Self::Zero | Self::Integer | Self::Fraction | Self::Exponent)
    }

    /// The number with one byte more; `None` if that is no part of it.
    fn and(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Minus, b'0') => Self::Zero,
            (Self::Minus, b'1'..=b'9') | (Self::Integer, b'0'..=b'9') => Self::Integer,
            (Self::Zero | Self::Integer, b'.') => Self::Point,
            (Self::Point | Self::Fraction, b'0'..=b'9') => Self::Fraction,
            (Self::Zero | Self::Integer | Self::Fraction, b'e' | b'E') => Self::E,
            (Self::E, b'+' | b'-') => Self::Sign,
            (Self::E | Self::Sign | Self::Exponent, b'0'..=b'9') => Self::Exponent,
            _ => return None,
        })
    }
}

fn fail<T>(what: &'static str, at: usize) -> Result<T> {
    Err(ScanError { what, at })
}
