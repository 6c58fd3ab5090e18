//! What holds for `Message` and `Edits`, whatever the bytes.

use aqe_core::envelope::{
    Fault, FaultKind, Field, Kind, Limits, Message, Span, decode_string, encode_string, is_batch, line_safe,
    open_object, recover_id, split_batch,
};
use bytes::Bytes;

use super::reference::{self, Members, Shape, Verdict, members, plain};

const META: &str = "io.modelcontextprotocol/";

/// Where each field is read from, and its name in the specification's schema (in `_meta` without [`META`]).
const FIELDS: &[(&str, &str, Field)] = &[
    ("params", "name", Field::Name),
    ("params", "uri", Field::Uri),
    ("params", "cursor", Field::Cursor),
    ("params", "arguments", Field::Arguments),
    ("params", "progressToken", Field::ProgressToken),
    ("params", "requestId", Field::RequestId),
    ("params", "level", Field::Level),
    ("params", "taskId", Field::TaskId),
    ("params", "ref", Field::Ref),
    ("params", "protocolVersion", Field::ProtocolVersion),
    ("params", "capabilities", Field::Capabilities),
    ("params", "clientInfo", Field::ClientInfo),
    ("params", "notifications", Field::Notifications),
    ("params", "_meta", Field::Meta),
    ("result", "resultType", Field::ResultType),
    ("result", "nextCursor", Field::NextCursor),
    ("result", "ttlMs", Field::TtlMs),
    ("result", "cacheScope", Field::CacheScope),
    ("result", "serverInfo", Field::ServerInfo),
    ("result", "instructions", Field::Instructions),
    ("result", "protocolVersion", Field::ProtocolVersion),
    ("result", "capabilities", Field::Capabilities),
    ("result", "supportedVersions", Field::SupportedVersions),
    ("result", "tools", Field::Tools),
    ("result", "prompts", Field::Prompts),
    ("result", "resources", Field::Resources),
    ("result", "resourceTemplates", Field::ResourceTemplates),
    ("result", "contents", Field::Contents),
    ("result", "taskId", Field::TaskId),
    ("result", "_meta", Field::Meta),
    ("error", "code", Field::Code),
    ("error", "message", Field::ErrorMessage),
    ("error", "data", Field::Data),
    ("_meta", "progressToken", Field::MetaProgressToken),
    ("_meta", "io.modelcontextprotocol/protocolVersion", Field::MetaProtocolVersion),
    ("_meta", "io.modelcontextprotocol/clientInfo", Field::MetaClientInfo),
    ("_meta", "io.modelcontextprotocol/clientCapabilities", Field::MetaClientCapabilities),
    ("_meta", "io.modelcontextprotocol/logLevel", Field::MetaLogLevel),
    ("_meta", "io.modelcontextprotocol/subscriptionId", Field::MetaSubscriptionId),
    ("_meta", "io.modelcontextprotocol/serverInfo", Field::MetaServerInfo),
    ("_meta", "traceparent", Field::MetaTraceparent),
    ("_meta", "tracestate", Field::MetaTracestate),
];

/// Checks every promise on one input.
pub(crate) fn check(bytes: &[u8]) {
    let limits = Limits::default();
    let text = Bytes::copy_from_slice(bytes);
    let known = |place: &str, key: &str| FIELDS.iter().any(|(at, name, _)| (*at, *name) == (place, key));
    let expected = reference::judge(bytes, usize::from(limits.max_depth), known);
    match (Message::parse(text.clone(), limits), expected) {
        (Ok(message), Verdict::Taken(shape)) => {
            same_parts(&message, &shape);
            same_fields(&message, &shape);
            edits_change_only_what_they_name(&message, &shape);
        }
        (Err(Fault { kind: FaultKind::Parse, id: None, .. }), Verdict::Unreadable) => {}
        (Err(Fault { kind: FaultKind::Invalid, id, .. }), Verdict::Refused { id: expected }) => {
            assert_eq!(id.as_deref(), expected);
        }
        (parsed, expected) => panic!("taken for {parsed:?}, but it is {expected:?}"),
    }
    batch(&text, limits);
    strings(bytes);
    let (head, tail) = bytes.split_at(bytes.len() / 2);
    recovered_ids_are_json(bytes, bytes);
    recovered_ids_are_json(head, tail);
}

/// The text of the message between a span's ends.
fn at(message: &Message, span: Span) -> Option<&str> {
    let bytes = &message.bytes()[span.start as usize..span.end as usize];
    (!span.is_empty()).then(|| std::str::from_utf8(bytes).expect("spans end between characters"))
}

/// Equal text at the same place, not merely equal text.
fn same(message: &Message, span: Span, part: Option<&str>, whole: &Shape<'_>, what: &str) {
    assert_eq!(at(message, span), part, "{what}");
    if let Some(part) = part {
        let distance = part.as_ptr() as usize - whole.whole.as_ptr() as usize;
        assert_eq!(span.start as usize - message.whole_span().start as usize, distance, "place of {what}");
    }
}

fn same_parts(message: &Message, shape: &Shape<'_>) {
    same(message, message.whole_span(), Some(shape.whole), shape, "whole");
    same(message, message.id_span(), shape.id, shape, "id");
    same(message, message.method_span(), shape.method, shape, "method");
    same(message, message.body_span(), shape.body(), shape, "body");
    assert_eq!(message.id(), shape.id);
    assert_eq!(message.body_bytes(), shape.body().unwrap_or_default());
    let kind = match (shape.method, shape.id, shape.result) {
        (Some(_), Some(_), _) => Kind::Request,
        (Some(_), None, _) => Kind::Notification,
        (None, _, Some(_)) => Kind::Response,
        (None, _, None) => Kind::Error,
    };
    assert_eq!(message.kind(), kind);
    if let Some(method) = shape.method.and_then(plain) {
        assert_eq!(message.method(), method);
    }
}

/// The containers of a message by name, each with its members.
fn containers<'a>(shape: &Shape<'a>) -> Vec<(&'static str, Members<'a>)> {
    let place = if shape.params.is_some() {
        "params"
    } else if shape.result.is_some() {
        "result"
    } else {
        "error"
    };
    let inner = shape.body().and_then(members).unwrap_or_default();
    let is_meta = |key: &str| place != "error" && plain(key).as_deref() == Some("_meta");
    let meta = inner.iter().find(|(key, _)| is_meta(key)).and_then(|(_, value)| members(value));
    vec![(place, inner), ("_meta", meta.unwrap_or_default())]
}

fn same_fields(message: &Message, shape: &Shape<'_>) {
    let containers = containers(shape);
    let find = |place: &str, name: &str| {
        let (_, members) = containers.iter().find(|(at, _)| *at == place)?;
        members.iter().find(|(key, _)| plain(key).as_deref() == Some(name)).map(|(_, value)| *value)
    };
    for (_, name, field) in FIELDS {
        // A field that two containers may hold belongs to the one that is there.
        let mut places = FIELDS.iter().filter(|(_, _, other)| other == field);
        let expected = places.find_map(|(place, name, _)| find(place, name));
        same(message, message.span(*field), expected, shape, name);
        assert_eq!(message.raw(*field), expected);
        if let Some(text) = expected.and_then(plain) {
            assert_eq!(message.string(*field).as_deref(), Some(&*text));
        }
        let number = expected.and_then(|value| serde_json::from_str::<u64>(value).ok());
        assert_eq!(message.integer(*field), number.filter(|_| expected != Some("-0")), "{expected:?}");
    }
}

fn edits_change_only_what_they_name(message: &Message, shape: &Shape<'_>) {
    let reparse = |edited: Vec<u8>| {
        let depth = Limits { max_depth: Limits::default().max_depth + 2, ..Limits::default() };
        Message::parse(edited.into(), depth).expect("an edited message is a message")
    };
    if shape.id.is_some_and(|id| id != "null") {
        let renamed = reparse(message.with_id("17"));
        assert_eq!(renamed.id(), Some("17"));
        assert_eq!(reparse(renamed.with_id(shape.id.expect("it has one"))).bytes(), message.bytes());
        let mut edits = message.edit();
        assert_eq!(edits.replace(message.id_span(), &b"17"[..]).apply(), renamed.bytes()[..]);
    }
    let safe = line_safe(message.bytes().to_vec());
    assert!(!safe.contains(&b'\n') && !safe.contains(&b'\r'));
    assert_eq!(reparse(safe).kind(), message.kind());

    let Some(before) = shape.body().and_then(members) else { return };
    let fields: Vec<Span> = FIELDS
        .iter()
        .filter(|(place, ..)| *place == containers(shape)[0].0)
        .map(|(.., field)| message.span(*field))
        .filter(|span| !span.is_empty())
        .collect();
    let key = format!("\"{META}x\"");
    // Every subset of the first few, with and without members put in.
    for subset in 0..1_u32 << fields.len().min(4) {
        for inserted in 0..3 {
            let chosen = |at: usize| subset >> at & 1 == 1;
            let mut edits = message.edit();
            for (_, span) in fields.iter().enumerate().filter(|(at, _)| chosen(*at)).rev() {
                edits.remove_member(*span);
            }
            for number in 0..inserted {
                edits.insert_members(message.body_span(), &format!("{key}:{number}"));
            }
            let after = reparse(edits.apply());
            let after = std::str::from_utf8(after.body()).expect("a message is UTF-8");
            let gone = |value: &str| {
                fields.iter().enumerate().any(|(at, span)| {
                    let start = value.as_ptr() as usize - shape.whole.as_ptr() as usize;
                    chosen(at) && span.start as usize - message.whole_span().start as usize == start
                })
            };
            let numbers = ["0", "1"];
            let mut expected: Members<'_> =
                numbers[..inserted].iter().map(|number| (&*key, *number)).collect();
            expected.extend(before.iter().filter(|(_, value)| !gone(value)));
            assert_eq!(members(after), Some(expected));
        }
    }
    let opened = open_object(message.body()).expect("a body is an object");
    let values: Vec<&[u8]> = opened.iter().map(|(_, value)| *value).collect();
    assert_eq!(values, before.iter().map(|(_, value)| value.as_bytes()).collect::<Vec<_>>());
}

fn batch(text: &Bytes, limits: Limits) {
    let items = split_batch(text, limits);
    let expected: Option<Vec<&serde_json::value::RawValue>> = std::str::from_utf8(text)
        .ok()
        .filter(|_| is_batch(text))
        .and_then(|text| serde_json::from_str(text).ok())
        .filter(|items: &Vec<_>| !items.is_empty() && items.len() <= limits.max_batch);
    let expected = expected.filter(|items| {
        items.iter().all(|item| reference::depth(item.get()) <= usize::from(limits.max_depth))
    });
    match (items, expected) {
        (Ok(items), Some(expected)) => {
            let expected: Vec<&[u8]> = expected.iter().map(|item| item.get().as_bytes()).collect();
            assert_eq!(items, expected);
        }
        (Err(_), None) => {}
        (items, expected) => panic!("{items:?}, but it is {expected:?}"),
    }
}

fn strings(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let encoded = encode_string(&text);
    assert_eq!(plain(&encoded).as_deref(), Some(&*text));
    assert_eq!(decode_string(&encoded.as_bytes()[1..encoded.len() - 1]), text);
    // Decoding never panics on what was not scanned, either.
    decode_string(bytes);
}

fn recovered_ids_are_json(head: &[u8], tail: &[u8]) {
    let Some(id) = recover_id(head, tail) else { return };
    let value: &serde_json::value::RawValue = serde_json::from_str(&id).expect("a recovered id is JSON");
    assert_eq!(value.get(), id);
    assert!(id.starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_digit()));
    let holds = |text: &[u8]| text.windows(id.len()).any(|part| part == id.as_bytes());
    assert!(holds(head) || holds(tail));
}
