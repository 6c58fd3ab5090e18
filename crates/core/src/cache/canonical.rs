//! The canonical form of JSON (RFC 8785), written from the raw text.
//!
//! Two texts that say the same get one form: white space, the order of members, escapes and the spelling of numbers
//! do not count. Unlike a writer that goes through doubles, this one loses nothing: a number keeps all its digits, a
//! lone surrogate keeps its escape, a member that stands twice stays twice. So texts that any reader can tell apart
//! by more than spelling never get one form, which is what a cache must rely on. For what the RFC is made for, I-JSON
//! (RFC 7493) whose numbers are written with no more digits than a double needs, the form is the one that it asks for.

use std::ops::Range;

use crate::envelope::MAX_FRAGMENT_DEPTH;

/// The text is no JSON, or is nested too deeply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no JSON that can be brought into canonical form")]
pub struct NotCanonical;

type Result<T> = std::result::Result<T, NotCanonical>;

/// Appends the canonical form of `json` to `out`. On an error `out` holds a part of it.
///
/// # Errors
/// If the text is not one JSON value, or is nested beyond [`MAX_FRAGMENT_DEPTH`].
pub fn canonicalize(json: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let mut writer = Writer { text: json, at: 0, depth: 0, out };
    writer.value()?;
    writer.white_space();
    if writer.at == json.len() { Ok(()) } else { Err(NotCanonical) }
}

struct Writer<'a> {
    text: &'a [u8],
    at: usize,
    depth: u16,
    out: &'a mut Vec<u8>,
}

/// A member that was written: the raw text of its name, and where it stands in the output with its name.
struct Member<'a> {
    name: &'a [u8],
    written: Range<usize>,
}

impl<'a> Writer<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn white_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Result<()> {
        if self.peek() != Some(byte) {
            return Err(NotCanonical);
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self) -> Result<()> {
        self.white_space();
        match self.peek().ok_or(NotCanonical)? {
            b'{' => self.nested(Self::object),
            b'[' => self.nested(Self::array),
            b'"' => {
                let raw = self.string()?;
                write_string(raw, self.out)
            }
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number(),
        }
    }

    fn nested(&mut self, inner: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        if self.depth == MAX_FRAGMENT_DEPTH {
            return Err(NotCanonical);
        }
        self.depth += 1;
        inner(self)?;
        self.depth -= 1;
        Ok(())
    }

    fn word(&mut self, word: &[u8]) -> Result<()> {
        if !self.text[self.at..].starts_with(word) {
            return Err(NotCanonical);
        }
        self.at += word.len();
        self.out.extend_from_slice(word);
        Ok(())
    }

    /// Takes a string; its raw content, without the quotes.
    fn string(&mut self) -> Result<&'a [u8]> {
        self.take(b'"')?;
        let start = self.at;
        loop {
            let next = memchr::memchr2(b'"', b'\\', &self.text[self.at..]).ok_or(NotCanonical)?;
            self.at += next;
            if self.text[self.at] == b'"' {
                self.at += 1;
                return Ok(&self.text[start..self.at - 1]);
            }
            // The escaped character is no end, whatever it is.
            self.at += 2;
            if self.at > self.text.len() {
                return Err(NotCanonical);
            }
        }
    }

    fn number(&mut self) -> Result<()> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')) {
            self.at += 1;
        }
        write_number(&self.text[start..self.at], self.out)
    }

    fn array(&mut self) -> Result<()> {
        self.take(b'[')?;
        self.out.push(b'[');
        self.white_space();
        if self.peek() != Some(b']') {
            loop {
                self.value()?;
                self.white_space();
                if self.peek() != Some(b',') {
                    break;
                }
                self.at += 1;
                self.out.push(b',');
            }
        }
        self.take(b']')?;
        self.out.push(b']');
        Ok(())
    }

    fn object(&mut self) -> Result<()> {
        self.take(b'{')?;
        self.out.push(b'{');
        let start = self.out.len();
        let mut members: Vec<Member<'a>> = Vec::new();
        self.white_space();
        if self.peek() != Some(b'}') {
            loop {
                self.white_space();
                let from = self.out.len();
                let name = self.string()?;
                write_string(name, self.out)?;
                self.white_space();
                self.take(b':')?;
                self.out.push(b':');
                self.value()?;
                members.push(Member { name, written: from..self.out.len() });
                self.white_space();
                if self.peek() != Some(b',') {
                    break;
                }
                self.at += 1;
                self.out.push(b',');
            }
        }
        self.take(b'}')?;
        if !members.is_sorted_by(|one, other| units(one.name).le(units(other.name))) {
            self.sort(start, members);
        }
        self.out.push(b'}');
        Ok(())
    }

    /// Puts the members that were written from `start` on into the order of their names' UTF-16 code units (RFC 8785,
    /// section 3.2.3). Members of one name keep theirs.
    fn sort(&mut self, start: usize, mut members: Vec<Member<'a>>) {
        members.sort_by(|one, other| units(one.name).cmp(units(other.name)));
        let unsorted = self.out.split_off(start);
        for (at, member) in members.iter().enumerate() {
            if at > 0 {
                self.out.push(b',');
            }
            self.out.extend_from_slice(&unsorted[member.written.start - start..member.written.end - start]);
        }
    }
}

/// The UTF-16 code units of a string, from its raw content. What is no valid escape or UTF-8 ends them: such text
/// has been refused by then.
fn units(raw: &[u8]) -> impl Iterator<Item = u16> + '_ {
    let mut pieces = Pieces { raw, at: 0 };
    let mut low = None;
    std::iter::from_fn(move || {
        if let Some(low) = low.take() {
            return Some(low);
        }
        let mut units = [0; 2];
        match pieces.next()?.ok()? {
            Piece::Char(char) => {
                if let [_, second] = char.encode_utf16(&mut units) {
                    low = Some(*second);
                }
                Some(units[0])
            }
            Piece::Surrogate(unit) => Some(unit),
        }
    })
}

/// One character of a string, or half of one that stands alone.
enum Piece {
    Char(char),
    Surrogate(u16),
}

/// Walks the raw content of a string.
struct Pieces<'a> {
    raw: &'a [u8],
    at: usize,
}

impl Pieces<'_> {
    /// The code unit of an escape `\uXXXX` whose `\` stands at `at`.
    fn unit(&self, at: usize) -> Option<u16> {
        let digits = self.raw.get(at..at + 6)?.strip_prefix(b"\\u")?;
        digits.iter().try_fold(0, |unit, digit| {
            Some(unit << 4 | u16::try_from(char::from(*digit).to_digit(16)?).ok()?)
        })
    }

    fn escape(&mut self) -> Result<Piece> {
        let char = match self.raw.get(self.at + 1).ok_or(NotCanonical)? {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = self.unit(self.at).ok_or(NotCanonical)?;
                let second = self.unit(self.at + 6).filter(|_| (0xD800..0xDC00).contains(&unit));
                let pair = [unit, second.unwrap_or_default()];
                let decoded = char::decode_utf16(pair).next();
                self.at += 6;
                let Some(Ok(char)) = decoded else { return Ok(Piece::Surrogate(unit)) };
                if char as u32 > 0xFFFF {
                    self.at += 6;
                }
                return Ok(Piece::Char(char));
            }
            _ => return Err(NotCanonical),
        };
        self.at += 2;
        Ok(Piece::Char(char))
    }

    fn literal(&mut self) -> Result<Piece> {
        let rest = &self.raw[self.at..];
        let length = match rest[0] {
            0..0x80 => 1,
            0xC0..0xE0 => 2,
            0xE0..0xF0 => 3,
            _ => 4,
        };
        let text =
            rest.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok()).ok_or(NotCanonical)?;
        self.at += length;
        text.chars().next().map(Piece::Char).ok_or(NotCanonical)
    }
}

impl Iterator for Pieces<'_> {
    type Item = Result<Piece>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.raw.get(self.at)? {
            b'\\' => Some(self.escape()),
            _ => Some(self.literal()),
        }
    }
}

/// Writes a string from its raw content: only what must be escaped is (RFC 8785, section 3.2.2.2).
fn write_string(raw: &[u8], out: &mut Vec<u8>) -> Result<()> {
    out.push(b'"');
    if raw.contains(&b'\\') {
        for piece in (Pieces { raw, at: 0 }) {
            match piece? {
                Piece::Char(char) => write_char(char, out),
                // It cannot be written otherwise, and no other string holds a bare backslash and `u`.
                Piece::Surrogate(unit) => out.extend_from_slice(format!("\\u{unit:04x}").as_bytes()),
            }
        }
    } else {
        out.extend_from_slice(raw);
    }
    out.push(b'"');
    Ok(())
}

fn write_char(char: char, out: &mut Vec<u8>) {
    let short = match char {
        '"' => b'"',
        '\\' => b'\\',
        '\u{8}' => b'b',
        '\u{c}' => b'f',
        '\n' => b'n',
        '\r' => b'r',
        '\t' => b't',
        control if control < ' ' => {
            out.extend_from_slice(format!("\\u{:04x}", u32::from(control)).as_bytes());
            return;
        }
        char => {
            out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Writes a number as ECMAScript does (RFC 8785, section 3.2.2.3), from its digits and not through a double.
fn write_number(text: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let (negative, text) = text.strip_prefix(b"-").map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = match text.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &b"0"[..]),
    };
    let (whole, fraction) = match mantissa.iter().position(|byte| *byte == b'.') {
        Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
        None => (mantissa, &[][..]),
    };
    let all_digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return Err(NotCanonical);
    }
    let mut digits: Vec<u8> = Vec::with_capacity(whole.len() + fraction.len());
    digits.extend_from_slice(whole);
    digits.extend_from_slice(fraction);
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    let leading = length(&digits[..zeros]);
    digits.drain(..zeros);
    while digits.last() == Some(&b'0') {
        digits.pop();
    }
    if digits.is_empty() {
        out.push(b'0');
        return Ok(());
    }
    // An exponent that no number has is left as it is: all that is lost is that another spelling is another text.
    let place = std::str::from_utf8(exponent).ok().and_then(|text| text.parse::<i64>().ok());
    let place = place.filter(|place| place.unsigned_abs() < 1 << 40);
    if negative {
        out.push(b'-');
    }
    let Some(place) = place else {
        let unsigned = exponent.strip_prefix(b"-").or(exponent.strip_prefix(b"+")).unwrap_or(exponent);
        if unsigned.is_empty() || !all_digits(unsigned) {
            return Err(NotCanonical);
        }
        out.extend_from_slice(text);
        return Ok(());
    };
    // The value is 0.DIGITS times ten to the power of `point`.
    let point = place + length(whole) - leading;
    place_point(&digits, point, out);
    Ok(())
}

fn length(digits: &[u8]) -> i64 {
    i64::try_from(digits.len()).unwrap_or(i64::MAX)
}

/// Number::toString of ECMAScript, steps 6 to 10.
fn place_point(digits: &[u8], point: i64, out: &mut Vec<u8>) {
    let count = length(digits);
    match point {
        _ if count <= point && point <= 21 => {
            out.extend_from_slice(digits);
            out.extend(std::iter::repeat_n(b'0', (point - count) as usize));
        }
        1..=21 => {
            out.extend_from_slice(&digits[..point as usize]);
            out.push(b'.');
            out.extend_from_slice(&digits[point as usize..]);
        }
        -5..=0 => {
            out.extend_from_slice(b"0.");
            out.extend(std::iter::repeat_n(b'0', point.unsigned_abs() as usize));
            out.extend_from_slice(digits);
        }
        _ => {
            out.push(digits[0]);
            if count > 1 {
                out.push(b'.');
                out.extend_from_slice(&digits[1..]);
            }
            out.extend_from_slice(format!("e{:+}", point - 1).as_bytes());
        }
    }
}

#[cfg(test)]
mod tests;
