//! A response that is passed on while it comes: proven piece by piece to be what it must be, with the client's id in
//! the place of ours and in the form of the client's era, in constant memory.
//!
//! Whatever is wrong with it may show at its last byte. So the brace that ends it is kept back until all has been
//! proven: what is broken off never reads as a whole message.

mod beginning;

#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};

use super::push::{Mark, Place};
use super::{Field, PushScanner, ScanError, decode_string};

pub use beginning::{Beginning, answers_to};

/// Longest key or value, with its quotes, that is looked at; longer ones are none of those that matter. The longest
/// known key takes this much if each of its characters is escaped.
const MAX_SEEN: usize = 320;
/// White space before a member of the result that is kept.
const MAX_SPACE: usize = 64;

const _: () = assert!(Field::COUNT <= u64::BITS as usize, "each field has a bit of its own");

const ASKS_FOR_INPUT: &[u8] = b"\"input_required\"";

/// What is changed about a response.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// The id that the response must have, in one of the forms of [`answers_to`].
    pub from: u64,
    /// The id that it gets, raw JSON.
    pub to: &'a str,
    /// What becomes of the result's `resultType`.
    pub result_type: ResultType,
}

/// What becomes of `resultType`, which one era requires and the other does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultType {
    /// As it is.
    Keep,
    /// Taken out; a result that asks for input is refused.
    Remove,
    /// Where there is none, these members (`"a":1,"b":2`) are added.
    Require(&'static str),
}

/// Why a response cannot be passed on to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransitError {
    /// It is no JSON text.
    #[error(transparent)]
    NotJson(#[from] ScanError),
    /// It is no response with a result.
    #[error("{0}")]
    NotAResult(&'static str),
    /// It answers another request.
    #[error("an answer to another request")]
    OtherId,
    /// It asks for input, for which the client's era has no words.
    #[error("it asks for input")]
    AsksForInput,
}

/// What becomes of the bytes at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    /// They go on.
    Pass,
    /// They are white space before a member of the result, or its key: kept back until it is known whether it stays.
    Hold,
    /// They are taken out.
    Drop,
}

/// The member of the envelope at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    Other,
    Id,
    Version,
    Result,
}

/// A response on its way.
#[derive(Debug)]
pub struct Transit {
    scanner: PushScanner,
    from: u64,
    to: Box<str>,
    result_type: ResultType,
    course: Course,
    /// White space and comma that stand before the member of the result at hand.
    held: Vec<u8>,
    /// The key or value at hand, as far as it is looked at; `None` if it is not or is too long.
    seen: Option<Vec<u8>>,
    member: Member,
    field: Option<Field>,
    /// Members that were there, one bit for each field.
    fields: u64,
    has_id: bool,
    has_version: bool,
    has_result: bool,
    /// A member of the result has been passed on.
    has_member: bool,
    /// The result says `isError`.
    is_error: bool,
    ended: bool,
}

impl Transit {
    /// For a response of at most `max_depth` levels of nesting.
    pub fn new(change: Change<'_>, max_depth: u16) -> Self {
        let mut scanner = PushScanner::new(max_depth);
        scanner.watch(1);
        Self {
            scanner,
            from: change.from,
            to: change.to.into(),
            result_type: change.result_type,
            course: Course::Pass,
            held: Vec::new(),
            seen: None,
            member: Member::Other,
            field: None,
            fields: 0,
            has_id: false,
            has_version: false,
            has_result: false,
            has_member: false,
            is_error: false,
            ended: false,
        }
    }

    /// Takes the next piece and gives what becomes of it to `out`, without line breaks.
    ///
    /// # Errors
    /// As soon as it shows that this is no response that can be passed on.
    pub fn push(&mut self, mut piece: BytesMut, mut out: impl FnMut(Bytes)) -> Result<(), TransitError> {
        let mut parts = Parts { from: 0, list: Vec::new() };
        self.scanner.begin(&piece)?;
        let mut at = 0;
        while let Some(place) = self.scanner.next(&piece, &mut at)? {
            self.take(&piece, place, &mut parts)?;
        }
        self.flush(&piece, piece.len(), &mut parts);
        // A line break in a string would have been an error.
        without_line_breaks(&mut piece);
        let piece = piece.freeze();
        for part in parts.list {
            match part {
                Part::Passed(start, end) => out(piece.slice(start..end)),
                Part::Added(bytes) => out(bytes),
            }
        }
        Ok(())
    }

    /// The last bytes, once the text has ended.
    ///
    /// # Errors
    /// If something is missing.
    pub fn finish(&self) -> Result<Bytes, TransitError> {
        self.scanner.finish()?;
        let missing = match (self.has_version, self.has_id, self.has_result) {
            (false, ..) => "jsonrpc must be \"2.0\"",
            (_, false, _) => "a result needs an id",
            (.., false) => "no result",
            (true, true, true) => return Ok(Bytes::from_static(b"}")),
        };
        Err(TransitError::NotAResult(missing))
    }

    /// Whether the result has said so far that the tool failed (`isError`).
    pub fn is_error(&self) -> bool {
        self.is_error
    }

    /// Lets the bytes before `to` take their course.
    fn flush(&mut self, piece: &[u8], to: usize, parts: &mut Parts) {
        let bytes = &piece[parts.from..to];
        if let Some(seen) = &mut self.seen {
            if seen.len() + bytes.len() <= MAX_SEEN {
                seen.extend_from_slice(bytes);
            } else {
                self.seen = None;
                if self.course == Course::Hold {
                    // A key of this length is none that is taken out. Of it, what was held is all but these bytes.
                    self.let_go(parts);
                }
            }
        }
        match self.course {
            Course::Pass if self.ended => {}
            Course::Pass if parts.from < to => parts.list.push(Part::Passed(parts.from, to)),
            Course::Hold if self.seen.is_some() => self.held.extend_from_slice(bytes),
            Course::Hold => {
                let room = MAX_SPACE.saturating_sub(self.held.len());
                self.held.extend_from_slice(&bytes[..room.min(bytes.len())]);
            }
            Course::Pass | Course::Drop => {}
        }
        parts.from = to;
    }

    /// The member of the result that was held stays.
    fn let_go(&mut self, parts: &mut Parts) {
        let mut held = std::mem::take(&mut self.held);
        without_line_breaks(&mut held);
        if self.has_member {
            parts.add(&b","[..]);
        }
        self.has_member = true;
        parts.add(held);
        self.course = Course::Pass;
    }

    fn take(&mut self, piece: &[u8], place: Place, parts: &mut Parts) -> Result<(), TransitError> {
        let Place { mark, at, depth } = place;
        self.flush(piece, at, parts);
        match (mark, depth) {
            (Mark::Value, 0) if piece[at] != b'{' => {
                return Err(TransitError::NotAResult("a message must be an object"));
            }
            (Mark::Key, _) => {
                self.seen = Some(Vec::new());
                if depth == 2 {
                    self.course = Course::Hold;
                }
            }
            (Mark::KeyEnd, 1) => self.member()?,
            (Mark::KeyEnd, 2) => self.result_member(parts)?,
            (Mark::KeyEnd, _) => self.meta_member()?,
            (Mark::Value, 1) => self.value(piece[at])?,
            (Mark::Value, 2) => self.result_value(piece[at]),
            (Mark::End, 1) => self.end(parts)?,
            (Mark::End, 2) => self.result_end()?,
            (Mark::Close, 3) => self.scanner.watch(2),
            (Mark::Comma, 2) => {
                // It stands where it stood, if the member behind it stays.
                parts.from = at + 1;
                self.course = Course::Hold;
            }
            (Mark::Close, 2) => self.close_result(parts),
            (Mark::Close, 1) => {
                // Kept back until the text has ended; what stands behind is white space.
                self.ended = true;
            }
            _ => {}
        }
        Ok(())
    }

    /// The key at hand, unescaped and without its quotes.
    fn key(&mut self) -> Option<String> {
        let seen = self.seen.take()?;
        let text = seen.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        Some(decode_string(text).into_owned())
    }

    fn member(&mut self) -> Result<(), TransitError> {
        let (member, was_there) = match self.key().as_deref() {
            Some("id") => (Member::Id, self.has_id),
            Some("jsonrpc") => (Member::Version, self.has_version),
            Some("result") => (Member::Result, self.has_result),
            Some("method" | "params" | "error") => {
                return Err(TransitError::NotAResult("a response has nothing but a result"));
            }
            _ => (Member::Other, false),
        };
        self.member = member;
        if was_there { Err(TransitError::NotAResult("duplicate member")) } else { Ok(()) }
    }

    fn value(&mut self, first: u8) -> Result<(), TransitError> {
        match self.member {
            Member::Id => {
                self.seen = Some(Vec::new());
                self.course = Course::Drop;
            }
            Member::Version => self.seen = Some(Vec::new()),
            Member::Result if first == b'{' => {
                self.has_result = true;
                self.scanner.watch(2);
            }
            Member::Result => return Err(TransitError::NotAResult("result must be an object")),
            Member::Other => {}
        }
        Ok(())
    }

    fn end(&mut self, parts: &mut Parts) -> Result<(), TransitError> {
        let seen = self.seen.take();
        match self.member {
            Member::Id => {
                let is_ours = seen
                    .as_deref()
                    .and_then(|raw| std::str::from_utf8(raw).ok())
                    .is_some_and(|raw| answers_to(raw, self.from));
                if !is_ours {
                    return Err(TransitError::OtherId);
                }
                self.has_id = true;
                parts.add(Bytes::copy_from_slice(self.to.as_bytes()));
                self.course = Course::Pass;
            }
            Member::Version if seen.as_deref() == Some(b"\"2.0\"") => self.has_version = true,
            Member::Version => return Err(TransitError::NotAResult("jsonrpc must be \"2.0\"")),
            Member::Result | Member::Other => {}
        }
        Ok(())
    }

    fn note(&mut self, field: Option<Field>) -> Result<(), TransitError> {
        let Some(field) = field else { return Ok(()) };
        let bit = 1 << field as u64;
        if self.fields & bit != 0 {
            return Err(TransitError::NotAResult("duplicate member"));
        }
        self.fields |= bit;
        Ok(())
    }

    fn result_member(&mut self, parts: &mut Parts) -> Result<(), TransitError> {
        self.field = self.key().and_then(|key| Field::of_result(key.as_bytes()));
        self.note(self.field)?;
        if self.course == Course::Hold {
            if self.field == Some(Field::ResultType) && self.result_type == ResultType::Remove {
                self.held.clear();
                self.course = Course::Drop;
            } else {
                self.let_go(parts);
            }
        }
        Ok(())
    }

    fn result_value(&mut self, first: u8) {
        match self.field {
            Some(Field::ResultType | Field::IsError) => self.seen = Some(Vec::new()),
            Some(Field::Meta) if first == b'{' => self.scanner.watch(3),
            _ => {}
        }
    }

    fn result_end(&mut self) -> Result<(), TransitError> {
        let seen = self.seen.take();
        match self.field.take() {
            Some(Field::ResultType) if self.result_type == ResultType::Remove => {
                if seen.as_deref() == Some(ASKS_FOR_INPUT) {
                    return Err(TransitError::AsksForInput);
                }
                self.course = Course::Pass;
            }
            Some(Field::IsError) => self.is_error = seen.as_deref() == Some(b"true"),
            _ => {}
        }
        Ok(())
    }

    fn meta_member(&mut self) -> Result<(), TransitError> {
        let field = self.key().and_then(|key| Field::of_meta(key.as_bytes()));
        self.note(field)
    }

    fn close_result(&mut self, parts: &mut Parts) {
        self.scanner.watch(1);
        if let ResultType::Require(members) = self.result_type
            && self.fields & (1 << Field::ResultType as u64) == 0
        {
            if self.has_member {
                parts.add(&b","[..]);
            }
            parts.add(members.as_bytes());
        }
    }
}

/// What a piece is turned into.
struct Parts {
    /// Up to here the piece has taken its course.
    from: usize,
    list: Vec<Part>,
}

enum Part {
    /// A range of the piece.
    Passed(usize, usize),
    Added(Bytes),
}

impl Parts {
    fn add(&mut self, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        if !bytes.is_empty() {
            self.list.push(Part::Added(bytes));
        }
    }
}

fn without_line_breaks(text: &mut [u8]) {
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'\n', b'\r', &text[at..]) {
        at += found;
        text[at] = b' ';
    }
}
