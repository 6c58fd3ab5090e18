//! Splicing: new bytes around the members that stay as they were received.

use std::borrow::Cow;

use super::{Message, Span};

/// Replacements in one message. They must not overlap; two insertions at one place keep their order. Any number of
/// members of one object may be inserted and removed: the commas between what stays are put right.
#[derive(Debug)]
pub struct Edits<'a> {
    source: &'a [u8],
    edits: Vec<Edit<'a>>,
}

#[derive(Debug)]
struct Edit<'a> {
    span: Span,
    bytes: Cow<'a, [u8]>,
    /// Inserts or removes a whole member, so that the comma before it may have lost what it separates.
    is_member: bool,
}

impl<'a> Edits<'a> {
    pub(super) fn new(source: &'a [u8]) -> Self {
        Self { source, edits: Vec::with_capacity(4) }
    }

    /// Puts `bytes` in the place of `span`. An empty span is an insertion.
    pub fn replace(&mut self, span: Span, bytes: impl Into<Cow<'a, [u8]>>) -> &mut Self {
        self.edits.push(Edit { span, bytes: bytes.into(), is_member: false });
        self
    }

    /// Inserts members (`"a":1,"b":2`, without outer commas) at the front of the object at `object`.
    pub fn insert_members(&mut self, object: Span, members: &str) -> &mut Self {
        if !members.is_empty() {
            let at = object.start + 1;
            let bytes = format!("{members},").into_bytes().into();
            self.edits.push(Edit { span: Span { start: at, end: at }, bytes, is_member: true });
        }
        self
    }

    /// Removes the member whose value stands at `value`, with its key and one comma. Nothing happens where no
    /// member's value stands there.
    pub fn remove_member(&mut self, value: Span) -> &mut Self {
        if let Some(span) = self.member(value) {
            self.edits.push(Edit { span, bytes: Cow::default(), is_member: true });
        }
        self
    }

    /// A member from its key to the comma after it or, in the last one, to the value's end.
    fn member(&self, value: Span) -> Option<Span> {
        let before = self.source.get(..value.start as usize)?.trim_ascii_end().strip_suffix(b":")?;
        let key = before.trim_ascii_end().strip_suffix(b"\"")?;
        // A quote within the key is escaped; the one that opens it is not.
        let opens = |at: &usize| key[*at] == b'"' && (*at == 0 || key[*at - 1] != b'\\');
        let start = (0..key.len()).rev().find(opens)?;
        let rest = self.source.get(value.end as usize..)?.trim_ascii_start();
        let end = rest.strip_prefix(b",").map_or(value.end as usize, |after| self.source.len() - after.len());
        Some(Span::new(start, end))
    }

    /// The edited text.
    pub fn apply(&mut self) -> Vec<u8> {
        // At one place, an insertion comes before what is taken away there.
        self.edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
        let added: usize = self.edits.iter().map(|edit| edit.bytes.len()).sum();
        let mut out = Vec::with_capacity(self.source.len() + added);
        let mut at = 0;
        let mut may_dangle = false;
        for Edit { span, bytes, is_member } in &self.edits {
            debug_assert!(at <= span.start, "edits overlap");
            keep(&mut out, Span { start: at, end: span.start }.of(self.source), &mut may_dangle);
            out.extend_from_slice(bytes);
            may_dangle |= is_member;
            at = span.end;
        }
        keep(&mut out, self.source.get(at as usize..).unwrap_or_default(), &mut may_dangle);
        out
    }
}

/// Appends text that stays. Where it closes an object whose last member was removed or never was, the comma that
/// `out` ends with goes.
fn keep(out: &mut Vec<u8>, text: &[u8], may_dangle: &mut bool) {
    if *may_dangle && let Some(first) = text.trim_ascii_start().first() {
        *may_dangle = false;
        if *first == b'}'
            && let Some(rest) = out.trim_ascii_end().strip_suffix(b",")
        {
            out.truncate(rest.len());
        }
    }
    out.extend_from_slice(text);
}

// The commonest edit, without the general machinery.
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
    fn members_of_one_object_are_inserted_and_removed_together() {
        let text =
            r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"x", "ttlMs":1 ,"cacheScope":"private"}}"#;
        let message = parse(text);
        let members = [Field::ResultType, Field::TtlMs, Field::CacheScope];
        for (removed, inserted, expected) in [
            (&[0, 1][..], "", r#"{ "cacheScope":"private"}"#),
            (&[1, 2], "", r#"{"resultType":"x"}"#),
            (&[2, 0], "", r#"{ "ttlMs":1 }"#),
            (&[2, 1, 0], "", r"{ }"),
            (&[0, 1, 2], r#""a":1"#, r#"{"a":1}"#),
            (&[2], r#""a":1"#, r#"{"a":1,"resultType":"x", "ttlMs":1 }"#),
        ] {
            let mut edits = message.edit();
            for at in removed {
                edits.remove_member(message.span(members[*at]));
            }
            let edited =
                String::from_utf8(edits.insert_members(message.body_span(), inserted).apply()).unwrap();
            assert_eq!(edited, format!(r#"{{"jsonrpc":"2.0","id":1,"result":{expected}}}"#));
        }
    }

    #[test]
    fn an_empty_object_takes_several_insertions() {
        let message = parse(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
        let mut edits = message.edit();
        edits.insert_members(message.body_span(), "\"a\":1").insert_members(message.body_span(), "\"b\":2");
        assert_eq!(edits.apply(), br#"{"jsonrpc":"2.0","id":1,"result":{"a":1,"b":2}}"#);
    }

    #[test]
    fn removing_what_is_no_member_changes_nothing() {
        let message = parse(r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"}]}}"#);
        let absent = message.span(Field::TtlMs);
        assert_eq!(message.edit().remove_member(absent).apply(), message.bytes()[..]);
        assert_eq!(message.edit().remove_member(message.whole_span()).apply(), message.bytes()[..]);
    }

    #[test]
    fn line_breaks_between_tokens_become_spaces() {
        assert_eq!(line_safe(b"{\r\n\"a\\n\":\n1}".to_vec()), b"{  \"a\\n\": 1}");
    }
}
