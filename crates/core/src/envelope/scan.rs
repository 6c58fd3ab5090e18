//! A validating JSON scanner (RFC 8259) that yields byte spans instead of values.

use super::{MAX_FRAGMENT_DEPTH, decode_string};

/// A range of byte offsets into one message. Offsets are 32 bits: no message may reach 4 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// Whether the span holds no byte. A JSON value never does, so an empty span means "absent".
    pub const fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// The bytes of this span in the message it was taken from.
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    pub(crate) fn new(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end as u32 }
    }
}

/// Why a text is not JSON that we take, and where (byte offset).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct ScanError {
    /// What was wrong, in words for the peer.
    pub what: &'static str,
    /// Byte offset of the fault.
    pub at: usize,
}

/// Walks a JSON text once. The caller drives it through the members it cares about with [`Scanner::object`]
/// and [`Scanner::array`] and lets [`Scanner::value`] skip (and validate) the rest.
#[derive(Debug)]
pub struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: u16,
    max_depth: u16,
}

type Result<T> = std::result::Result<T, ScanError>;

impl<'a> Scanner<'a> {
    /// A scanner over text that is checked to be UTF-8 and shorter than 4 GiB. It takes at most `max_depth` levels of
    /// nesting, and never more than [`MAX_FRAGMENT_DEPTH`], whatever is asked for.
    pub fn new(bytes: &'a [u8], max_depth: u16) -> Result<Self> {
        if let Err(error) = std::str::from_utf8(bytes) {
            return Err(ScanError { what: "invalid UTF-8", at: error.valid_up_to() });
        }
        if u32::try_from(bytes.len()).is_err() {
            return Err(ScanError { what: "message too large", at: 0 });
        }
        Ok(Self { bytes, at: 0, depth: 0, max_depth: max_depth.min(MAX_FRAGMENT_DEPTH) })
    }

    /// The next byte that is not white space, without taking it.
    pub fn peek(&mut self) -> Option<u8> {
        self.white_space();
        self.bytes.get(self.at).copied()
    }

    /// Requires that nothing but white space is left.
    pub fn end(&mut self) -> Result<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => self.fail("trailing characters"),
        }
    }

    /// Skips one value of any type and returns its span.
    pub fn value(&mut self) -> Result<Span> {
        self.white_space();
        let start = self.at;
        self.skip()?;
        Ok(Span::new(start, self.at))
    }

    /// Walks an object; `member` gets each key (unescaped) and must consume the value. Returns the span of
    /// the object with its braces.
    pub fn object(&mut self, mut member: impl FnMut(&mut Self, &[u8]) -> Result<()>) -> Result<Span> {
        self.white_space();
        let start = self.at;
        self.expect(b'{', "expected an object")?;
        self.descend()?;
        if self.peek() == Some(b'}') {
            self.at += 1;
        } else {
            loop {
                self.white_space();
                let key = self.string()?;
                self.colon()?;
                let raw = key.of(self.bytes);
                if raw.contains(&b'\\') {
                    member(self, decode_string(raw).as_bytes())?;
                } else {
                    member(self, raw)?;
                }
                if self.separator(b'}')? {
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(Span::new(start, self.at))
    }

    /// Walks an array; `element` is called before each element and must consume it.
    pub fn array(&mut self, mut element: impl FnMut(&mut Self) -> Result<()>) -> Result<Span> {
        self.white_space();
        let start = self.at;
        self.expect(b'[', "expected an array")?;
        self.descend()?;
        if self.peek() == Some(b']') {
            self.at += 1;
        } else {
            loop {
                element(self)?;
                if self.separator(b']')? {
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(Span::new(start, self.at))
    }

    fn skip(&mut self) -> Result<()> {
        match self.bytes.get(self.at) {
            Some(b'"') => self.string().map(|_| ()),
            Some(b'{') => {
                self.at += 1;
                self.descend()?;
                if self.peek() == Some(b'}') {
                    self.at += 1;
                } else {
                    loop {
                        self.white_space();
                        self.string()?;
                        self.colon()?;
                        self.white_space();
                        self.skip()?;
                        if self.separator(b'}')? {
                            break;
                        }
                    }
                }
                self.depth -= 1;
                Ok(())
            }
            Some(b'[') => {
                self.at += 1;
                self.descend()?;
                if self.peek() == Some(b']') {
                    self.at += 1;
                } else {
                    loop {
                        self.white_space();
                        self.skip()?;
                        if self.separator(b']')? {
                            break;
                        }
                    }
                }
                self.depth -= 1;
                Ok(())
            }
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            Some(_) => self.fail("expected a value"),
            None => self.fail("unexpected end"),
        }
    }

    /// Takes a string and returns the span of its content, without the quotes.
    fn string(&mut self) -> Result<Span> {
        if self.bytes.get(self.at) != Some(&b'"') {
            return self.fail("expected a string");
        }
        self.at += 1;
        let start = self.at;
        loop {
            self.at += plain_run(&self.bytes[self.at..]);
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    let span = Span::new(start, self.at);
                    self.at += 1;
                    return Ok(span);
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return self.fail("control character in a string"),
                None => return self.fail("unexpected end in a string"),
            }
        }
    }

    fn escape(&mut self) -> Result<()> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let digits = self.bytes.get(self.at + 2..self.at + 6);
                if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    return self.fail("invalid escape");
                }
                self.at += 6;
            }
            _ => return self.fail("invalid escape"),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<()> {
        if self.bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        match self.bytes.get(self.at) {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return self.fail("invalid number"),
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<()> {
        let run = self.bytes[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if run == 0 {
            return self.fail("invalid number");
        }
        self.at += run;
        Ok(())
    }

    fn literal(&mut self, text: &[u8]) -> Result<()> {
        if self.bytes[self.at..].starts_with(text) {
            self.at += text.len();
            Ok(())
        } else {
            self.fail("expected a value")
        }
    }

    fn colon(&mut self) -> Result<()> {
        self.white_space();
        self.expect(b':', "expected ':'")
    }

    /// Takes a comma (`false`) or the closing byte (`true`).
    fn separator(&mut self, close: u8) -> Result<bool> {
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(false)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(true)
            }
            Some(_) => self.fail("expected ',' or a closing bracket"),
            None => self.fail("unexpected end"),
        }
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Result<()> {
        if self.bytes.get(self.at) == Some(&byte) {
            self.at += 1;
            Ok(())
        } else {
            self.fail(what)
        }
    }

    fn descend(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > self.max_depth { self.fail("nested too deeply") } else { Ok(()) }
    }

    fn white_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    /// Reports a fault at the current offset.
    pub fn fail<T>(&self, what: &'static str) -> Result<T> {
        Err(ScanError { what, at: self.at })
    }
}

/// Length of the leading run without quote, backslash or control character, eight bytes at a time.
fn plain_run(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let mut at = 0;
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*chunk);
        let quote = word ^ (ONES * u64::from(b'"'));
        let slash = word ^ (ONES * u64::from(b'\\'));
        // The classic "has a zero byte" and "has a byte less than" tests. Borrows only reach bytes above the
        // first hit, so the lowest marked byte is exact.
        let hit = ((quote.wrapping_sub(ONES) & !quote)
            | (slash.wrapping_sub(ONES) & !slash)
            | (word.wrapping_sub(ONES * 0x20) & !word))
            & HIGH;
        if hit != 0 {
            return at + hit.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let tail = bytes.get(at..).unwrap_or_default();
    at + tail.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < 0x20).unwrap_or(tail.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn accepts(text: &[u8]) -> bool {
        let scan = |text| {
            let mut scanner = Scanner::new(text, 128)?;
            scanner.value()?;
            scanner.end()
        };
        scan(text).is_ok()
    }

    fn reference(text: &[u8]) -> bool {
        std::str::from_utf8(text)
            .is_ok_and(|text| serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok())
    }

    #[test]
    fn takes_what_json_is_and_refuses_what_it_is_not() {
        for good in
            ["0", "-0", "1e400", "1.0E+9", "\"\\ud800\"", "[]", "{}", " [1 , 2]\n", "{\"a\":{\"b\":[null]}}"]
        {
            assert!(accepts(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            "01",
            "+1",
            "1.",
            ".5",
            "1e",
            "NaN",
            "Infinity",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "\"\t\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "tru",
            "[1 2]",
            "1 2",
            "\u{feff}1",
        ] {
            assert!(!accepts(bad.as_bytes()), "{bad}");
        }
        assert!(!accepts(b"\"\xff\""));
    }

    #[test]
    fn stops_at_the_depth_limit_without_recursing_further() {
        let nested = |n: usize| [vec![b'['; n], vec![b']'; n]].concat();
        assert!(accepts(&nested(128)));
        assert!(!accepts(&nested(129)));
        assert!(!accepts(&nested(1_000_000)));
    }

    #[test]
    fn no_limit_lets_nesting_overflow_the_stack() {
        let text = vec![b'['; 1_000_000];
        assert_eq!(Scanner::new(&text, u16::MAX).unwrap().value().unwrap_err().what, "nested too deeply");
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json_on_arbitrary_text(text in r#"[\[\]{}",:0-9a-z\\\-+.eE \n]{0,40}"#) {
            prop_assert_eq!(accepts(text.as_bytes()), reference(text.as_bytes()));
        }

        #[test]
        fn agrees_with_serde_json_on_arbitrary_bytes(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            prop_assert_eq!(accepts(&bytes), reference(&bytes));
        }

        #[test]
        fn any_string_is_scanned_to_its_end(text in any::<String>()) {
            let encoded = serde_json::to_string(&text).unwrap();
            prop_assert!(accepts(encoded.as_bytes()));
        }
    }
}
