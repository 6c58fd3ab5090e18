//! A validating JSON scanner (RFC 8259) that yields byte spans instead of values.

use memchr::memchr;

use super::{MAX_FRAGMENT_DEPTH, decode_string, skip};

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

impl ScanError {
    pub(super) fn not_utf8(error: &std::str::Utf8Error) -> Self {
        Self { what: "invalid UTF-8", at: error.valid_up_to() }
    }
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
        let text = std::str::from_utf8(bytes).map_err(|error| ScanError::not_utf8(&error))?;
        Self::over(text, max_depth)
    }

    /// The same over what is known to be UTF-8.
    ///
    /// # Errors
    /// If it is 4 GiB or longer.
    pub(super) fn over(text: &'a str, max_depth: u16) -> Result<Self> {
        let bytes = text.as_bytes();
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
        self.at = skip::value_end(self.bytes, start, self.max_depth.saturating_sub(self.depth))?;
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
                if memchr(b'\\', raw).is_some() {
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

    /// Takes a string and returns the span of its content, without the quotes.
    fn string(&mut self) -> Result<Span> {
        let start = self.at + 1;
        self.at = skip::string_end(self.bytes, self.at)?;
        Ok(Span::new(start, self.at - 1))
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
        self.at = skip::white_end(self.bytes, self.at);
    }

    /// Reports a fault at the current offset.
    pub fn fail<T>(&self, what: &'static str) -> Result<T> {
        Err(ScanError { what, at: self.at })
    }
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
        fn agrees_with_serde_json_on_deep_text_with_a_fault(
            deep in prop::collection::vec(any::<bool>(), 0..120),
            fault in prop::option::of((any::<prop::sample::Index>(), prop::sample::select(&b"[]{}:,\"1e\\ "[..]))),
        ) {
            let mut text = Vec::new();
            for is_object in &deep {
                text.extend_from_slice(if *is_object { br#"{"k\n": "# } else { b"[-1.5e3, " });
            }
            text.extend_from_slice(b"null");
            for is_object in deep.iter().rev() {
                text.extend_from_slice(if *is_object { b" }" } else { b",{}]" });
            }
            if let Some((place, byte)) = fault {
                let place = place.index(text.len());
                text[place] = byte;
            }
            prop_assert_eq!(accepts(&text), reference(&text));
        }

        #[test]
        fn any_string_is_scanned_to_its_end(text in any::<String>()) {
            let encoded = serde_json::to_string(&text).unwrap();
            prop_assert!(accepts(encoded.as_bytes()));
        }
    }
}
