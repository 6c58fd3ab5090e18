//! One JSON-RPC message as spans of its bytes.

use std::borrow::Cow;

use bytes::Bytes;
use bytestring::ByteString;

use super::string::decode_text;
use super::{Edits, Fault, FaultKind, Field, Limits, ScanError, Scanner, Span, methods};

/// What a message is (JSON-RPC 2.0 sections 4 and 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Has a method and an id.
    Request,
    /// Has a method and no id.
    Notification,
    /// Has a result and an id.
    Response,
    /// Has an error; its id may be absent or null where the peer could not read ours.
    Error,
}

/// One message: its bytes and where the members lie that a gateway looks at.
#[derive(Debug, Clone)]
pub struct Message {
    /// Proven to be UTF-8 once, so that a member's text is a slice and no second proof.
    text: ByteString,
    kind: Kind,
    whole: Span,
    id: Span,
    method: Span,
    /// The method, if it is one that MCP names.
    known_method: Option<&'static str>,
    body: Span,
    /// In a box, for a message passes through many hands.
    fields: Box<Fields>,
}

/// Whether the text is a JSON array, that is, a JSON-RPC batch.
pub fn is_batch(bytes: &[u8]) -> bool {
    bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[')
}

/// Splits a batch into its messages, each sharing the memory of the whole.
///
/// # Errors
/// A [`Fault`] if the text is not an array, is empty, or holds more than `limits.max_batch` messages.
pub fn split_batch(bytes: &Bytes, limits: Limits) -> Result<Vec<Bytes>, Fault> {
    let mut items = Vec::new();
    // The array itself is no level of its messages.
    let mut scanner = Scanner::new(bytes, limits.max_depth.saturating_add(1))?;
    let mut too_many = false;
    scanner.array(|scanner| {
        let span = scanner.value()?;
        if items.len() < limits.max_batch {
            items.push(bytes.slice(span.start as usize..span.end as usize));
        } else {
            too_many = true;
        }
        Ok(())
    })?;
    scanner.end()?;
    let invalid = |reason: String| Fault { kind: FaultKind::Invalid, reason, id: None };
    if too_many {
        return Err(invalid(format!("batch of more than {} messages", limits.max_batch)));
    }
    if items.is_empty() {
        return Err(invalid("empty batch".into()));
    }
    Ok(items)
}

#[derive(Debug, Clone)]
struct Fields([Span; Field::COUNT]);

impl Default for Fields {
    fn default() -> Self {
        Self([Span::default(); Field::COUNT])
    }
}

#[derive(Default)]
struct Draft {
    id: Span,
    method: Span,
    params: Span,
    result: Span,
    error: Span,
    version: Span,
    fields: Box<Fields>,
    invalid: Option<&'static str>,
}

impl Draft {
    fn set(slot: &mut Span, span: Span, invalid: &mut Option<&'static str>) {
        if slot.is_empty() {
            *slot = span;
        } else {
            *invalid = Some("duplicate member");
        }
    }

    fn note(&mut self, field: Option<Field>, span: Span) {
        if let Some(field) = field {
            Self::set(&mut self.fields.0[field as usize], span, &mut self.invalid);
        }
    }

    fn member(&mut self, scanner: &mut Scanner<'_>, key: &[u8]) -> Result<(), ScanError> {
        match key {
            b"params" => {
                let span = self.container(scanner, Field::of_params)?;
                Self::set(&mut self.params, span, &mut self.invalid);
            }
            b"result" => {
                let span = self.container(scanner, Field::of_result)?;
                Self::set(&mut self.result, span, &mut self.invalid);
            }
            b"error" => {
                let span = self.container(scanner, Field::of_error)?;
                Self::set(&mut self.error, span, &mut self.invalid);
            }
            b"id" => {
                let span = scanner.value()?;
                Self::set(&mut self.id, span, &mut self.invalid);
            }
            b"method" => {
                let span = scanner.value()?;
                Self::set(&mut self.method, span, &mut self.invalid);
            }
            b"jsonrpc" => {
                let span = scanner.value()?;
                Self::set(&mut self.version, span, &mut self.invalid);
            }
            _ => {
                scanner.value()?;
            }
        }
        Ok(())
    }

    /// Scans params, result or error; anything but an object is noted by its span alone.
    fn container(
        &mut self,
        scanner: &mut Scanner<'_>,
        field_of: impl Fn(&[u8]) -> Option<Field>,
    ) -> Result<Span, ScanError> {
        if scanner.peek() != Some(b'{') {
            return scanner.value();
        }
        scanner.object(|scanner, key| {
            let field = field_of(key);
            let span = if field == Some(Field::Meta) && scanner.peek() == Some(b'{') {
                scanner.object(|scanner, key| {
                    let span = scanner.value()?;
                    self.note(Field::of_meta(key), span);
                    Ok(())
                })?
            } else {
                scanner.value()?
            };
            self.note(field, span);
            Ok(())
        })
    }

    /// Which kind of message this is, with its body, or why it is none.
    fn judge(&self, bytes: &[u8]) -> Result<(Kind, Span), &'static str> {
        if let Some(reason) = self.invalid {
            return Err(reason);
        }
        if self.version.of(bytes) != b"\"2.0\"" {
            return Err("jsonrpc must be \"2.0\"");
        }
        let id_is_null = self.id.of(bytes) == b"null";
        if !matches!(self.id.of(bytes).first(), None | Some(b'"' | b'-' | b'0'..=b'9')) && !id_is_null {
            return Err("id must be a string or a number");
        }
        if !self.method.is_empty() {
            if !self.result.is_empty() || !self.error.is_empty() {
                return Err("a message has either a method or a result or an error");
            }
            if self.method.of(bytes).first() != Some(&b'"') || self.method.of(bytes) == b"\"\"" {
                return Err("method must be a non-empty string");
            }
            // `null` is what some encoders write for "no params".
            if !matches!(self.params.of(bytes).first(), None | Some(b'{' | b'n')) {
                return Err("params must be an object");
            }
            if id_is_null {
                return Err("the id of a request must not be null");
            }
            let kind = if self.id.is_empty() { Kind::Notification } else { Kind::Request };
            return Ok((kind, self.params));
        }
        if !self.params.is_empty() {
            // Members are noted by name; those of params must not pass for those of the result.
            return Err("a response has no params");
        }
        match (self.result.is_empty(), self.error.is_empty()) {
            (true, true) => Err("neither method nor result nor error"),
            (false, false) => Err("both result and error"),
            (false, true) if self.id.is_empty() || id_is_null => Err("a result needs an id"),
            (false, true) if self.result.of(bytes).first() != Some(&b'{') => Err("result must be an object"),
            (false, true) => Ok((Kind::Response, self.result)),
            (true, false) if self.error.of(bytes).first() != Some(&b'{') => Err("error must be an object"),
            (true, false) => Ok((Kind::Error, self.error)),
        }
    }
}

impl Message {
    /// Reads one message.
    ///
    /// # Errors
    /// A [`Fault`] with the JSON-RPC code to answer with and the id where it could be read.
    pub fn parse(bytes: Bytes, limits: Limits) -> Result<Self, Fault> {
        let text = ByteString::try_from(bytes).map_err(|error| ScanError::not_utf8(&error))?;
        let mut draft = Draft::default();
        let mut scanner = Scanner::over(&text, limits.max_depth)?;
        if !matches!(scanner.peek(), Some(b'{') | None) {
            scanner.value()?;
            scanner.end()?;
            let reason = "a message must be an object".into();
            return Err(Fault { kind: FaultKind::Invalid, reason, id: None });
        }
        let whole = scanner.object(|scanner, key| draft.member(scanner, key))?;
        scanner.end()?;
        match draft.judge(text.as_bytes()) {
            Ok((kind, body)) => {
                let Draft { id, method, fields, .. } = draft;
                let known_method = methods::known(method.of(text.as_bytes()));
                Ok(Self { text, kind, whole, id, method, known_method, body, fields })
            }
            Err(reason) => {
                let id = draft.id.of(text.as_bytes());
                let readable = matches!(id.first(), Some(b'"' | b'-' | b'0'..=b'9'));
                let id = readable.then(|| String::from_utf8_lossy(id).into_owned());
                Err(Fault { kind: FaultKind::Invalid, reason: reason.into(), id })
            }
        }
    }

    /// What the message is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The message as received.
    pub fn bytes(&self) -> &Bytes {
        self.text.as_bytes()
    }

    /// The id as raw JSON text (`1`, `"a"`, `1.0`), if the message has one.
    pub fn id(&self) -> Option<&str> {
        self.text(self.id)
    }

    /// Where the id stands.
    pub fn id_span(&self) -> Span {
        self.id
    }

    /// The method, unescaped; empty for a response.
    pub fn method(&self) -> Cow<'_, str> {
        match self.known_method {
            Some(known) => Cow::Borrowed(known),
            None => self.unquote(self.method).unwrap_or_default(),
        }
    }

    /// The same for keeping; allocates only for a method that MCP does not name.
    pub fn owned_method(&self) -> Cow<'static, str> {
        match self.known_method {
            Some(known) => Cow::Borrowed(known),
            None => Cow::Owned(self.unquote(self.method).unwrap_or_default().into_owned()),
        }
    }

    /// Where the method stands, with its quotes.
    pub fn method_span(&self) -> Span {
        self.method
    }

    /// `params`, `result` or `error`, whichever the message has; empty where params are absent.
    pub fn body_span(&self) -> Span {
        self.body
    }

    /// The raw JSON text of `params`, `result` or `error`.
    pub fn body(&self) -> &[u8] {
        self.body.of(self.bytes())
    }

    /// The same, sharing the message's memory.
    pub fn body_bytes(&self) -> Bytes {
        self.slice(self.body)
    }

    /// The whole object, from brace to brace.
    pub fn whole_span(&self) -> Span {
        self.whole
    }

    /// Where a member stands; empty if absent.
    pub fn span(&self, field: Field) -> Span {
        self.fields.0[field as usize]
    }

    /// The raw JSON text of a member.
    pub fn raw(&self, field: Field) -> Option<&str> {
        self.text(self.span(field))
    }

    /// The raw JSON text of a member, sharing the message's memory.
    pub fn raw_bytes(&self, field: Field) -> Option<Bytes> {
        let span = self.span(field);
        (!span.is_empty()).then(|| self.slice(span))
    }

    /// A string member, unescaped; `None` if it is absent or not a string.
    pub fn string(&self, field: Field) -> Option<Cow<'_, str>> {
        self.unquote(self.span(field))
    }

    /// An unsigned integer member; `None` if it is absent or anything else.
    pub fn integer(&self, field: Field) -> Option<u64> {
        self.raw(field)?.parse().ok()
    }

    /// A new set of edits on this message.
    pub fn edit(&self) -> Edits<'_> {
        Edits::new(self.bytes())
    }

    fn slice(&self, span: Span) -> Bytes {
        self.bytes().slice(span.start as usize..span.end as usize)
    }

    fn text(&self, span: Span) -> Option<&str> {
        self.text.get(span.start as usize..span.end as usize).filter(|text| !text.is_empty())
    }

    fn unquote(&self, span: Span) -> Option<Cow<'_, str>> {
        Some(decode_text(self.text(span)?.strip_prefix('"')?.strip_suffix('"')?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Message, Fault> {
        Message::parse(Bytes::copy_from_slice(text.as_bytes()), Limits::default())
    }

    #[test]
    fn tells_the_four_kinds_apart() {
        let kind = |text| parse(text).unwrap().kind();
        assert_eq!(kind(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#), Kind::Request);
        assert_eq!(kind(r#"{"jsonrpc":"2.0","method":"ping","params":null}"#), Kind::Notification);
        assert_eq!(kind(r#"{"result":{},"id":"x","jsonrpc":"2.0"}"#), Kind::Response);
        assert_eq!(kind(r#"{"jsonrpc":"2.0","id":null,"error":{"code":1}}"#), Kind::Error);
        assert_eq!(kind(r#"{"jsonrpc":"2.0","error":{"code":1}}"#), Kind::Error);
    }

    #[test]
    fn ids_keep_their_exact_text() {
        for id in ["1", "1.0", "-0", "1e3", "123456789012345678901234567890", r#""a\u0062""#, r#""""#] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
            assert_eq!(parse(&text).unwrap().id(), Some(id));
        }
    }

    #[test]
    fn refuses_wrong_shapes_with_the_id_where_it_can_be_read() {
        let cases = [
            (r#"{"id":1,"method":"x"}"#, Some("1")),
            (r#"{"jsonrpc":"1.0","id":2,"method":"x"}"#, Some("2")),
            (r#"{"jsonrpc":"2.0","id":null,"method":"x"}"#, None),
            (r#"{"jsonrpc":"2.0","id":{},"method":"x"}"#, None),
            (r#"{"jsonrpc":"2.0","id":true,"method":"x"}"#, None),
            (r#"{"jsonrpc":"2.0","id":3,"method":""}"#, Some("3")),
            (r#"{"jsonrpc":"2.0","id":3,"method":7}"#, Some("3")),
            (r#"{"jsonrpc":"2.0","id":4,"method":"x","params":[]}"#, Some("4")),
            (r#"{"jsonrpc":"2.0","id":4,"method":"x","params":"s"}"#, Some("4")),
            (r#"{"jsonrpc":"2.0","id":5}"#, Some("5")),
            (r#"{"jsonrpc":"2.0","id":6,"result":{},"error":{}}"#, Some("6")),
            (r#"{"jsonrpc":"2.0","id":7,"method":"x","result":{}}"#, Some("7")),
            (r#"{"jsonrpc":"2.0","id":8,"result":"text"}"#, Some("8")),
            (r#"{"jsonrpc":"2.0","id":8,"result":{},"params":{"_meta":{}}}"#, Some("8")),
            (r#"{"jsonrpc":"2.0","id":8,"error":{},"params":null}"#, Some("8")),
            (r#"{"jsonrpc":"2.0","result":{}}"#, None),
            (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"x"}"#, Some("1")),
            (r#"{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"a","name":"b"}}"#, Some("9")),
            (r#"{"jsonrpc":"2.0","id":9,"method":"x","m\u0065thod":"y"}"#, Some("9")),
            ("7", None),
            ("\"text\"", None),
        ];
        for (text, id) in cases {
            let fault = parse(text).unwrap_err();
            assert_eq!((fault.kind, fault.id.as_deref()), (FaultKind::Invalid, id), "{text}");
        }
    }

    #[test]
    fn every_truncation_is_a_parse_error() {
        let text = r#"{"jsonrpc":"2.0","id":"ab","method":"tools/call","params":{"name":"é","arguments":{"n":[1,2.5e3,null,true]},"_meta":{"progressToken":1}}}"#;
        for end in 0..text.len() {
            let fault = Message::parse(Bytes::copy_from_slice(&text.as_bytes()[..end]), Limits::default());
            assert_eq!(fault.unwrap_err().kind, FaultKind::Parse, "cut at {end}");
        }
    }

    #[test]
    fn notes_members_of_params_and_meta_under_escaped_keys_too() {
        let message = parse(
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"n\u0061me":"a\"b","arguments":{"name":"inner"},"_meta":{"progressToken":"t","io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#,
        )
        .unwrap();
        assert_eq!(message.string(Field::Name).unwrap(), "a\"b");
        assert_eq!(message.raw(Field::Arguments), Some(r#"{"name":"inner"}"#));
        assert_eq!(message.raw(Field::MetaProgressToken), Some("\"t\""));
        assert_eq!(message.string(Field::MetaProtocolVersion).unwrap(), "2026-07-28");
    }

    #[test]
    fn splits_batches_and_bounds_them() {
        let bytes = Bytes::from_static(b" [ {\"a\":1} , 2 ]");
        assert!(is_batch(&bytes));
        let items = split_batch(&bytes, Limits::default()).unwrap();
        assert_eq!(items, [Bytes::from_static(b"{\"a\":1}"), Bytes::from_static(b"2")]);
        assert!(split_batch(&Bytes::from_static(b"[]"), Limits::default()).is_err());
        // The array itself is no level of its messages.
        let limits = Limits { max_depth: 2, ..Limits::default() };
        let [item] = &split_batch(
            &Bytes::from_static(br#"[{"jsonrpc":"2.0","id":1,"result":{"a":{}}}]"#),
            Limits { max_depth: 3, ..limits },
        )
        .unwrap()[..] else {
            panic!("not one")
        };
        assert!(Message::parse(item.clone(), Limits { max_depth: 3, ..limits }).is_ok());
        assert!(split_batch(&Bytes::from_static(b"[[[[]]]]"), limits).is_err());
        let limits = Limits { max_batch: 1, ..Limits::default() };
        assert!(split_batch(&bytes, limits).unwrap_err().reason.contains("more than 1"));
    }
}
