//! Finding where a JSON value ends, and proving on the way that it is one (RFC 8259).
//!
//! This is where a long message spends its time. So it is one loop over plain offsets; where and why a text is no
//! JSON is worked out only once that is known.

use super::ScanError;

type Result<T> = std::result::Result<T, ScanError>;

/// Containers that one loop keeps track of; what is nested deeper is a loop of its own.
const OPEN_PER_LOOP: u32 = u64::BITS;

/// The containers around a place: one bit for each, from the innermost on; set for an object.
#[derive(Default)]
struct Open {
    objects: u64,
    count: u32,
}

impl Open {
    fn push(&mut self, is_object: bool) {
        self.objects = self.objects << 1 | u64::from(is_object);
        self.count += 1;
    }

    fn pop(&mut self) {
        self.objects >>= 1;
        self.count -= 1;
    }

    fn is_in_object(&self) -> bool {
        self.objects & 1 == 1
    }
}

/// Where the value ends that starts at `at`. It may hold containers `room` deep.
pub(super) fn value_end(bytes: &[u8], mut at: usize, room: u16) -> Result<usize> {
    let mut open = Open::default();
    loop {
        at = match bytes.get(at) {
            Some(b'"') => string_end(bytes, at)?,
            Some(b'0'..=b'9' | b'-') => number_end(bytes, at)?,
            Some(bracket @ (b'{' | b'[')) => {
                let is_object = *bracket == b'{';
                if open.count >= u32::from(room) {
                    return fail("nested too deeply", at + 1);
                }
                if open.count == OPEN_PER_LOOP {
                    value_end(bytes, at, room - OPEN_PER_LOOP as u16)?
                } else {
                    at = white_end(bytes, at + 1);
                    open.push(is_object);
                    if !closes(bytes, at, is_object) {
                        if is_object {
                            at = key_end(bytes, at)?;
                        }
                        continue;
                    }
                    at
                }
            }
            Some(b't') => literal_end(bytes, at, b"true")?,
            Some(b'f') => literal_end(bytes, at, b"false")?,
            Some(b'n') => literal_end(bytes, at, b"null")?,
            Some(_) => return fail("expected a value", at),
            None => return fail("unexpected end", at),
        };
        // A value has ended, or a container is about to; on to the next value, if there is one.
        loop {
            if open.count == 0 {
                return Ok(at);
            }
            at = white_end(bytes, at);
            let is_object = open.is_in_object();
            if closes(bytes, at, is_object) {
                open.pop();
                at += 1;
                continue;
            }
            match bytes.get(at) {
                Some(b',') => at = white_end(bytes, at + 1),
                Some(_) => return fail("expected ',' or a closing bracket", at),
                None => return fail("unexpected end", at),
            }
            if is_object {
                at = key_end(bytes, at)?;
            }
            break;
        }
    }
}

fn fail<T>(what: &'static str, at: usize) -> Result<T> {
    Err(ScanError { what, at })
}

fn closes(bytes: &[u8], at: usize, is_object: bool) -> bool {
    bytes.get(at) == Some(if is_object { &b'}' } else { &b']' })
}

/// Where white space that starts at `at` ends.
#[inline]
pub(super) fn white_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(at) {
        at += 1;
    }
    at
}

/// Where the value of the member starts whose key starts at `at`.
fn key_end(bytes: &[u8], at: usize) -> Result<usize> {
    let at = white_end(bytes, string_end(bytes, at)?);
    if bytes.get(at) == Some(&b':') { Ok(white_end(bytes, at + 1)) } else { fail("expected ':'", at) }
}

/// One past the closing quote of the string that starts at `at`.
#[inline]
pub(super) fn string_end(bytes: &[u8], at: usize) -> Result<usize> {
    find_string_end(bytes, at).map_err(|at| string_fault(bytes, at))
}

/// The same; the error is where the fault is.
#[inline]
fn find_string_end(bytes: &[u8], at: usize) -> std::result::Result<usize, usize> {
    if bytes.get(at) != Some(&b'"') {
        return Err(at);
    }
    let mut at = at + 1;
    loop {
        at = plain_end(bytes, at);
        match bytes.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => at = escape_end(bytes, at).ok_or(at)?,
            _ => return Err(at),
        }
    }
}

#[cold]
fn string_fault(bytes: &[u8], at: usize) -> ScanError {
    let what = match bytes.get(at) {
        Some(b'\\') => "invalid escape",
        Some(0..0x20) => "control character in a string",
        Some(_) => "expected a string",
        None => "unexpected end in a string",
    };
    ScanError { what, at }
}

fn escape_end(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at + 1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 2),
        b'u' => {
            let digits = bytes.get(at + 2..at + 6)?;
            digits.iter().all(u8::is_ascii_hexdigit).then_some(at + 6)
        }
        _ => None,
    }
}

/// Where the next quote, backslash or control character is, or the end: eight bytes at a time, and more in a long text.
#[inline]
pub(super) fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    let mut words = 0;
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let marks = special_marks(*word);
        if marks != 0 {
            return at + marks.trailing_zeros() as usize / 8;
        }
        at += 8;
        words += 1;
        if words == SHORT_WORDS {
            at += plain_blocks(&bytes[at..]);
        }
    }
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).unwrap_or(rest.len())
}

/// Most strings are shorter than this and are through before a block would pay.
const SHORT_WORDS: u32 = 4;
const BLOCK: usize = 64;

/// The length of the plain blocks in front. Written so that the compiler turns a block into a few vector compares.
#[inline(never)]
#[expect(clippy::needless_bitwise_bool, reason = "a lazy operator is a branch for every byte")]
fn plain_blocks(bytes: &[u8]) -> usize {
    let is_special = |byte: &u8| (*byte == b'"') | (*byte == b'\\') | (*byte < 0x20);
    let is_plain = |block: &&[u8; BLOCK]| !block.iter().fold(false, |any, byte| any | is_special(byte));
    bytes.as_chunks::<BLOCK>().0.iter().take_while(is_plain).count() * BLOCK
}

/// The top bit of each byte (the first byte lowest) that is a quote, backslash or control character.
fn special_marks(bytes: [u8; 8]) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let word = u64::from_le_bytes(bytes);
    let quote = word ^ (ONES * u64::from(b'"'));
    let slash = word ^ (ONES * u64::from(b'\\'));
    // The classic "has a zero byte" and "has a byte less than" tests. Borrows only reach bytes above the first hit,
    // so the lowest mark is exact. The tests ask for a byte whose own top bit is clear; neither quote nor backslash
    // changes that bit, so all three ask `word`.
    (quote.wrapping_sub(ONES) | slash.wrapping_sub(ONES) | word.wrapping_sub(ONES * 0x20)) & !word & HIGH
}

/// Where the number ends that starts at `at`.
fn number_end(bytes: &[u8], at: usize) -> Result<usize> {
    find_number_end(bytes, at).map_err(|at| ScanError { what: "invalid number", at })
}

fn find_number_end(bytes: &[u8], at: usize) -> std::result::Result<usize, usize> {
    let mut at = at + usize::from(bytes.get(at) == Some(&b'-'));
    at = match bytes.get(at) {
        Some(b'0') => at + 1,
        _ => digits_end(bytes, at)?,
    };
    if bytes.get(at) == Some(&b'.') {
        at = digits_end(bytes, at + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        let sign = matches!(bytes.get(at + 1), Some(b'+' | b'-'));
        at = digits_end(bytes, at + 1 + usize::from(sign))?;
    }
    Ok(at)
}

/// Where the digits end that start at `at`; there must be one.
fn digits_end(bytes: &[u8], at: usize) -> std::result::Result<usize, usize> {
    let mut end = at;
    while let Some(b'0'..=b'9') = bytes.get(end) {
        end += 1;
    }
    if end == at { Err(at) } else { Ok(end) }
}

fn literal_end(bytes: &[u8], at: usize, text: &[u8]) -> Result<usize> {
    if bytes[at..].starts_with(text) { Ok(at + text.len()) } else { fail("expected a value", at) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_ends_at_its_first_special_byte_however_long_it_is() {
        for special in [b'"', b'\\', 0x00, 0x1f] {
            for at in 0..300 {
                let mut text = vec![b'x'; 300];
                text[at] = special;
                assert_eq!(plain_end(&text, 0), at, "{special} at {at}");
            }
        }
        for plain in [b' ', b'!', b'#', b'[', b']', 0x7f, 0x80, 0xff] {
            assert_eq!(plain_end(&[plain; 300], 0), 300, "{plain}");
        }
    }
}
