//! Messages on their way between a client and an upstream: ids, names and tokens are swapped, and what one era
//! requires and the other does not know is added or taken away. Everything else passes as it came.
//!
//! Sources: 2026-07-28 "Versioning", "Lifecycle" (`_meta` of requests, `resultType`), "Errors".

use std::fmt::Write as _;

use aqe_core::envelope::{Edits, Field, Kind, Message, Span, encode_string, line_safe};
use aqe_core::revision::Era;
use aqe_core::trace::{TRACEPARENT, TRACESTATE};

use crate::telemetry::Propagated;
use crate::upstream::handshake::modern_meta;

/// What an upstream of the modern era is told about the client of a request.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The client's era.
    pub era: Era,
    /// Raw JSON of the client's `clientInfo`, if a legacy client has told it.
    pub client_info: Option<&'a [u8]>,
    /// The log level that a legacy client has set.
    pub log_level: Option<&'a str>,
    /// The span that the request is sent in, where it is recorded.
    pub trace: Option<&'a Propagated>,
}

/// The reserved members of a modern request's `_meta` that a legacy server has no use for.
const MODERN_META: [Field; 4] =
    [Field::MetaProtocolVersion, Field::MetaClientInfo, Field::MetaClientCapabilities, Field::MetaLogLevel];

/// A client's request for an upstream of era `to`: with our `id`, which serves as progress token too, and with
/// the value at `rename.0` replaced by the string `rename.1`.
pub fn request(
    message: &Message,
    from: Origin<'_>,
    to: Era,
    id: u64,
    rename: Option<(Span, &str)>,
) -> Vec<u8> {
    let id = id.to_string();
    let mut edits = message.edit();
    edits.replace(message.id_span(), id.as_bytes());
    if let Some((span, name)) = rename {
        edits.replace(span, encode_string(name).into_bytes());
    }
    token(message, &mut edits, Field::MetaProgressToken, &id);
    let mut members = String::new();
    match (from.era, to) {
        (Era::Legacy, Era::Modern) => members = meta_of(from),
        (Era::Modern, Era::Legacy) => strip_meta(message, &mut edits),
        _ => {}
    }
    if let Some(trace) = from.trace {
        set_trace(message, &mut edits, trace, &mut members);
    }
    if !members.is_empty() {
        add_meta(message, &mut edits, &members);
    }
    line_safe(edits.apply())
}

/// Puts our span in the place of the client's: in its members where they are, else in `members`, which are to be added.
/// A `tracestate` without its `traceparent` says nothing (W3C Trace Context, section 3.2).
fn set_trace(message: &Message, edits: &mut Edits<'_>, trace: &Propagated, members: &mut String) {
    let mut set = |field, name, value: Option<&str>| {
        let there = message.span(field);
        match (value, there.is_empty()) {
            (Some(value), false) => {
                edits.replace(there, encode_string(value).into_bytes());
            }
            (Some(value), true) => {
                let comma = if members.is_empty() { "" } else { "," };
                let _ = write!(members, r#"{comma}"{name}":{}"#, encode_string(value));
            }
            (None, false) => {
                edits.remove_member(there);
            }
            (None, true) => {}
        }
    };
    set(Field::MetaTraceparent, TRACEPARENT, Some(&trace.parent));
    set(Field::MetaTracestate, TRACESTATE, trace.state.as_deref());
}

fn token<'a>(message: &Message, edits: &mut Edits<'a>, field: Field, token: &'a str) {
    let span = message.span(field);
    if !span.is_empty() {
        edits.replace(span, token.as_bytes());
    }
}

/// What a modern request says in `_meta` that a legacy one does not.
fn meta_of(from: Origin<'_>) -> String {
    // Requests to the client cannot cross eras yet, so no capability is promised for it.
    let client_info = from.client_info.and_then(|info| std::str::from_utf8(info).ok());
    let mut members = modern_meta(client_info, "{}");
    if let Some(level) = from.log_level {
        let _ = write!(members, r#","io.modelcontextprotocol/logLevel":"{level}""#);
    }
    members
}

fn add_meta(message: &Message, edits: &mut Edits<'_>, members: &str) {
    let meta = message.span(Field::Meta);
    if meta.of(message.bytes()).first() == Some(&b'{') {
        edits.insert_members(meta, members);
        return;
    }
    let member = format!(r#""_meta":{{{members}}}"#);
    if !meta.is_empty() {
        edits.replace(meta, format!("{{{members}}}").into_bytes());
    } else if message.body().first() == Some(&b'{') {
        edits.insert_members(message.body_span(), &member);
    } else if message.body_span().is_empty() {
        edits.insert_members(message.whole_span(), &format!(r#""params":{{{member}}}"#));
    } else {
        edits.replace(message.body_span(), format!("{{{member}}}").into_bytes());
    }
}

fn strip_meta(message: &Message, edits: &mut Edits<'_>) {
    for field in MODERN_META {
        let span = message.span(field);
        if !span.is_empty() {
            edits.remove_member(span);
        }
    }
}

/// An upstream's notification for a client: with the client's progress token (raw JSON).
pub fn notification(message: &Message, progress_token: Option<&str>) -> Vec<u8> {
    match progress_token {
        Some(own) if !message.span(Field::ProgressToken).is_empty() => {
            let mut edits = message.edit();
            edits.replace(message.span(Field::ProgressToken), own.as_bytes());
            line_safe(edits.apply())
        }
        _ => line_safe(message.bytes().to_vec()),
    }
}

/// A request from one side for the other, under the id that we give it.
pub fn server_request(message: &Message, id: u64) -> Vec<u8> {
    let id = id.to_string();
    let mut edits = message.edit();
    token(message, &mut edits, Field::MetaProgressToken, &id);
    edits.replace(message.id_span(), id.as_bytes());
    line_safe(edits.apply())
}

/// Results that a modern server must mark with how long and by whom they may be kept.
fn is_cacheable(method: &str) -> bool {
    matches!(
        method,
        "server/discover"
            | "tools/list"
            | "prompts/list"
            | "resources/list"
            | "resources/templates/list"
            | "resources/read"
    )
}

/// Members that a modern result of `method` needs and that a legacy server did not write.
pub fn modern_members(method: &str) -> &'static str {
    if is_cacheable(method) {
        r#""resultType":"complete","ttlMs":0,"cacheScope":"private""#
    } else {
        r#""resultType":"complete""#
    }
}

/// An upstream's answer for a client: with the client's `id` (raw JSON), in the form of the client's era. `more`
/// may add edits of its own.
pub fn answer<'a>(
    message: &'a Message,
    id: &'a str,
    from: Era,
    to: Era,
    method: &str,
    more: impl FnOnce(&mut Edits<'a>) -> bool,
) -> Vec<u8> {
    let mut edits = message.edit();
    if message.id_span().is_empty() {
        edits.insert_members(message.whole_span(), &format!(r#""id":{id}"#));
    } else {
        edits.replace(message.id_span(), id.as_bytes());
    }
    let edited = more(&mut edits);
    match (message.kind(), from, to) {
        (Kind::Response, Era::Legacy, Era::Modern) if message.span(Field::ResultType).is_empty() => {
            edits.insert_members(message.body_span(), modern_members(method));
        }
        (Kind::Response, Era::Modern, Era::Legacy) if !message.span(Field::ResultType).is_empty() => {
            edits.remove_member(message.span(Field::ResultType));
        }
        (Kind::Error, Era::Legacy, Era::Modern) if message.raw(Field::Code) == Some("-32002") => {
            edits.replace(message.span(Field::Code), &b"-32602"[..]);
        }
        // Codes that a legacy client does not know.
        (Kind::Error, Era::Modern, Era::Legacy)
            if matches!(message.raw(Field::Code), Some("-32020" | "-32021" | "-32022")) =>
        {
            edits.replace(message.span(Field::Code), &b"-32603"[..]);
        }
        _ if !edited && !message.id_span().is_empty() => return line_safe(message.with_id(id)),
        _ => {}
    }
    line_safe(edits.apply())
}

/// The HTTP status of an error response to a modern client (2026-07-28, "Streamable HTTP").
pub fn status_of(answer: &Message) -> u16 {
    match (answer.kind(), answer.raw(Field::Code)) {
        (Kind::Error, Some("-32601")) => 404,
        (Kind::Error, Some("-32020" | "-32021" | "-32022")) => 400,
        _ => 200,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aqe_core::envelope::Limits;
    use bytes::Bytes;

    fn parse(text: &'static str) -> Message {
        Message::parse(Bytes::from_static(text.as_bytes()), Limits::default()).unwrap()
    }

    const LEGACY: Origin<'_> =
        Origin { era: Era::Legacy, client_info: Some(b"{\"name\":\"c\"}"), log_level: None, trace: None };
    const MODERN: Origin<'_> = Origin { era: Era::Modern, client_info: None, log_level: None, trace: None };

    #[test]
    fn within_an_era_only_id_name_and_token_change() {
        let message = parse(
            r#"{"x":1e400,"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"f__r","_meta":{"progressToken":"t","k":null},"arguments":{"b":1.0}}}"#,
        );
        let rename = Some((message.span(Field::Name), "r"));
        let sent = request(&message, LEGACY, Era::Legacy, 9, rename);
        assert_eq!(
            String::from_utf8(sent).unwrap(),
            r#"{"x":1e400,"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"r","_meta":{"progressToken":9,"k":null},"arguments":{"b":1.0}}}"#
        );
    }

    #[test]
    fn a_legacy_request_gets_the_meta_that_a_modern_server_needs() {
        for text in [
            r#"{"jsonrpc":"2.0","id":1,"method":"m"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"m","params":null}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{}}}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"progressToken":"x"},"a":1}}"#,
        ] {
            let sent = request(&parse(text), LEGACY, Era::Modern, 5, None);
            let sent = Message::parse(sent.into(), Limits::default()).unwrap();
            assert_eq!(sent.string(Field::MetaProtocolVersion).unwrap(), "2026-07-28", "{text}");
            assert_eq!(sent.raw(Field::MetaClientCapabilities), Some("{}"));
            assert_eq!(sent.raw(Field::MetaClientInfo), Some("{\"name\":\"c\"}"));
            assert!(sent.raw(Field::MetaProgressToken).is_none_or(|token| token == "5"));
        }
    }

    #[test]
    fn a_modern_request_loses_only_the_reserved_meta_for_a_legacy_server() {
        let message = parse(
            r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","traceparent":"t","io.modelcontextprotocol/clientCapabilities":{},"progressToken":"p","n":1e400}}}"#,
        );
        let sent = request(&message, MODERN, Era::Legacy, 5, None);
        assert_eq!(
            String::from_utf8(sent).unwrap(),
            r#"{"jsonrpc":"2.0","id":5,"method":"m","params":{"_meta":{"traceparent":"t","progressToken":5,"n":1e400}}}"#
        );
    }

    #[test]
    fn our_span_takes_the_place_of_the_clients_and_baggage_passes() {
        let trace = |state: Option<&str>| Propagated { parent: "P".into(), state: state.map(Into::into) };
        let sent = |text: &'static str, from: Origin<'_>, to, state| {
            let trace = trace(state);
            let sent = request(&parse(text), Origin { trace: Some(&trace), ..from }, to, 5, None);
            String::from_utf8(sent).unwrap()
        };
        let both = r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"traceparent":"t","baggage":"k=v","tracestate":"s=1"}}}"#;
        assert_eq!(
            sent(both, LEGACY, Era::Legacy, Some("s=1")),
            r#"{"jsonrpc":"2.0","id":5,"method":"m","params":{"_meta":{"traceparent":"P","baggage":"k=v","tracestate":"s=1"}}}"#
        );
        assert_eq!(
            sent(both, LEGACY, Era::Legacy, None),
            r#"{"jsonrpc":"2.0","id":5,"method":"m","params":{"_meta":{"traceparent":"P","baggage":"k=v"}}}"#
        );
        for (text, expected) in [
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"m"}"#,
                r#"{"params":{"_meta":{M}},"jsonrpc":"2.0","id":5,"method":"m"}"#,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":1}}"#,
                r#"{"jsonrpc":"2.0","id":5,"method":"m","params":{"_meta":{M},"a":1}}"#,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{}}}"#,
                r#"{"jsonrpc":"2.0","id":5,"method":"m","params":{"_meta":{M}}}"#,
            ),
        ] {
            let members = r#""traceparent":"P","tracestate":"s=1""#;
            assert_eq!(
                sent(text, LEGACY, Era::Legacy, Some("s=1")),
                expected.replace('M', members),
                "{text}"
            );
        }
        let modern = Message::parse(sent(both, LEGACY, Era::Modern, None).into(), Limits::default()).unwrap();
        assert_eq!(modern.string(Field::MetaTraceparent).unwrap(), "P");
        assert_eq!(modern.string(Field::MetaProtocolVersion).unwrap(), "2026-07-28");
        let text = r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
        assert_eq!(
            sent(text, MODERN, Era::Legacy, None),
            r#"{"jsonrpc":"2.0","id":5,"method":"m","params":{"_meta":{"traceparent":"P"}}}"#
        );
    }

    #[test]
    fn answers_take_the_form_of_the_clients_era() {
        let plain = parse(r#"{"jsonrpc":"2.0","id":7,"result":{"z":1.0}}"#);
        let say = |message: &Message, from, to, method| {
            String::from_utf8(answer(message, "\"c\"", from, to, method, |_| false)).unwrap()
        };
        assert_eq!(
            say(&plain, Era::Legacy, Era::Legacy, "m"),
            r#"{"jsonrpc":"2.0","id":"c","result":{"z":1.0}}"#
        );
        assert_eq!(
            say(&plain, Era::Legacy, Era::Modern, "resources/read"),
            r#"{"jsonrpc":"2.0","id":"c","result":{"resultType":"complete","ttlMs":0,"cacheScope":"private","z":1.0}}"#
        );
        let modern = parse(r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete","z":1.0}}"#);
        assert_eq!(
            say(&modern, Era::Modern, Era::Legacy, "m"),
            r#"{"jsonrpc":"2.0","id":"c","result":{"z":1.0}}"#
        );
        let missing = parse(r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32002,"message":"x","data":1e400}}"#);
        assert_eq!(
            say(&missing, Era::Legacy, Era::Modern, "m"),
            r#"{"jsonrpc":"2.0","id":"c","error":{"code":-32602,"message":"x","data":1e400}}"#
        );
    }
}
