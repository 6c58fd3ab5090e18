//! Splicing: new bytes around the members that stay as they were received.

use std::borrow::Cow;

use super::{Message, Span};

/// Replacements in one message. They must not overlap; two insertions at one place keep their order.
#[derive(Debug)]
pub struct Edits<'a> {
    source: &'a [u8],
    edits: Vec<(Span, Cow<'a, [u8]>)>,
}

impl<'a> Edits<'a> {
    pub(super) fn new(source: &'a [u8]) -> Self {
        Self { source, edits: Vec::with_capacity(4) }
    }

    /// Puts `bytes` in the place of `span`. An empty span is an insertion.
    pub fn replace(&mut self, span: Span, bytes: impl Into<Cow<'a, [u8]>>) -> &mut Self {
        self.edits.push((span, bytes.into()));
        self
    }

    /// Inserts members (`"a":1,"b":2`, without outer commas) at the front of the object at `object`.
    pub fn insert_members(&mut self, object: Span, members: &str) -> &mut Self {
        let at = object.start + 1;
        let rest = self.source.get(at as usize..object.end as usize).unwrap_or_default();
        let is_empty = rest.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'}');
        let comma = if is_empty { "" } else { "," };
        self.edits.push((Span { start: at, end: at }, format!("{members}{comma}").into_bytes().into()));
        self
    }

    /// Removes the member whose value stands at `value`, with its key and one comma.
    pub fn remove_member(&mut self, value: Span) -> &mut Self {
        let before = self.source.get(..value.start as usize).unwrap_or_default();
        let Some(colon) = before.iter().rposition(|byte| *byte == b':') else { return self };
        let Some(close) = before[..colon].iter().rposition(|byte| *byte == b'"') else { return self };
        // A quote within the key is escaped; the one that opens it is not.
        let opens = |at: &usize| before[*at] == b'"' && (*at == 0 || before[*at - 1] != b'\\');
        let Some(open) = (0..close).rev().find(opens) else { return self };
        let mut start = open;
        let mut end = value.end as usize;
        let blank = |byte: &u8| byte.is_ascii_whitespace();
        let left = before[..open].iter().rposition(|byte| !blank(byte));
        if let Some(comma) = left.filter(|at| before[*at] == b',') {
            start = comma;
        } else {
            let after = self.source.get(end..).unwrap_or_default();
            if let Some(comma) = after.iter().position(|byte| !blank(byte)).filter(|at| after[*at] == b',') {
                end += comma + 1;
            }
        }
        self.replace(Span::new(start, end), Vec::new())
    }

    /// The edited text.
    pub fn apply(&mut self) -> Vec<u8> {
        self.edits.sort_by_key(|(span, _)| span.start);
        let added: usize = self.edits.iter().map(|(_, bytes)| bytes.len()).sum();
        let mut out = Vec::with_capacity(self.source.len() + added);
        let mut at = 0;
        for (span, bytes) in &self.edits {
            debug_assert!(at <= span.start, "edits overlap");
            out.extend_from_slice(Span { start: at, end: span.start }.of(self.source));
            out.extend_from_slice(bytes);
            at = span.end;
        }
        out.extend_from_slice(self.source.get(at as usize..).unwrap_or_default());
        out
    }
}

/// Appends `message` with another id: the commonest edit, without the general machinery.
impl Message {
    /// The message with its id replaced by `id` (raw JSON text).
    pub fn with_id(&self, id: &str) -> Vec<u8> {
        let span = self.id_span();
        if span.is_empty() {
            return self.bytes().to_vec();
        }
        let bytes = self.bytes();
        let mut out = Vec::with_capacity(bytes.len() + id.len());
        out.extend_from_slice(&bytes[..span.start as usize]);
        out.extend_from_slice(id.as_bytes());
        out.extend_from_slice(&bytes[span.end as usize..]);
        out
    }
}

/// Splits an object's raw text into its members: `(key without quotes, raw value)`, in order.
///
/// # Errors
/// If the text is not one JSON object.
pub fn open_object(raw: &[u8]) -> Result<Vec<(String, &[u8])>, super::ScanError> {
    let mut scanner = super::Scanner::new(raw, super::MAX_FRAGMENT_DEPTH)?;
    let mut members = Vec::new();
    scanner.object(|scanner, key| {
        let key = String::from_utf8_lossy(key).into_owned();
        members.push((key, scanner.value()?.of(raw)));
        Ok(())
    })?;
    scanner.end()?;
    Ok(members)
}

/// Makes a JSON text fit for a newline-delimited stream: a line break outside a string is white space, inside
/// a string it cannot occur (RFC 8259 section 7), so each becomes a space.
pub fn line_safe(mut json: Vec<u8>) -> Vec<u8> {
    if memchr::memchr2(b'\n', b'\r', &json).is_some() {
        for byte in &mut json {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
    }
    json
}

#[cfg(test)]
mod tests {
    use super::super::{Field, Limits};
    use super::*;
    use bytes::Bytes;

    fn parse(text: &'static str) -> Message {
        Message::parse(Bytes::from_static(text.as_bytes()), Limits::default()).unwrap()
    }

    #[test]
    fn everything_but_the_edited_members_stays_byte_for_byte() {
        let message = parse(
            "{ \"x-odd\" : 1e400,\"id\":1.0,\"method\":\"tools/call\", \"jsonrpc\":\"2.0\",\n\"params\":{\"name\":\"files__read\",\"arguments\":{\"b\":1,\"a\":null}, \"z\":-0}}",
        );
        let mut edits = message.edit();
        edits.replace(message.span(Field::Name), &b"\"read\""[..]);
        edits.replace(message.id_span(), &b"17"[..]);
        edits.insert_members(message.body_span(), "\"_meta\":{}");
        assert_eq!(
            String::from_utf8(edits.apply()).unwrap(),
            "{ \"x-odd\" : 1e400,\"id\":17,\"method\":\"tools/call\", \"jsonrpc\":\"2.0\",\n\"params\":{\"_meta\":{},\"name\":\"read\",\"arguments\":{\"b\":1,\"a\":null}, \"z\":-0}}"
        );
    }

    #[test]
    fn inserting_into_an_empty_object_adds_no_comma() {
        let message = parse(r#"{"jsonrpc":"2.0","id":1,"result":{ }}"#);
        let edited = message.edit().insert_members(message.body_span(), "\"a\":1").apply();
        assert_eq!(edited, br#"{"jsonrpc":"2.0","id":1,"result":{"a":1 }}"#);
    }

    #[test]
    fn a_removed_member_takes_one_comma_with_it() {
        for (text, expected) in [
            (r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"x","a":1}}"#, r#"{"a":1}"#),
            (r#"{"jsonrpc":"2.0","id":1,"result":{"a":1 , "resultType" : "x"}}"#, r#"{"a":1 }"#),
            (r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"x"}}"#, r"{}"),
            (r#"{"jsonrpc":"2.0","id":1,"result":{"a":1,"resultType":"x","b":2}}"#, r#"{"a":1,"b":2}"#),
        ] {
            let message = parse(text);
            let edited = message.edit().remove_member(message.span(Field::ResultType)).apply();
            let edited = String::from_utf8(edited).unwrap();
            assert_eq!(edited, format!(r#"{{"jsonrpc":"2.0","id":1,"result":{expected}}}"#));
        }
    }

    #[test]
    fn line_breaks_between_tokens_become_spaces() {
        assert_eq!(line_safe(b"{\r\n\"a\\n\":\n1}".to_vec()), b"{  \"a\\n\": 1}");
    }
}
