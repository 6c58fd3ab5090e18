//! What a message is, worked out slowly and plainly with serde_json, to compare the scanner with.

use std::fmt;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of an object in order: raw key (with quotes) and raw value, both as parts of the text.
pub(crate) type Members<'a> = Vec<(&'a str, &'a str)>;

/// The members of the object that `text` is, if it is one.
pub(crate) fn members(text: &str) -> Option<Members<'_>> {
    struct Object;
    impl<'de> Visitor<'de> for Object {
        type Value = Members<'de>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
                members.push((key.get(), value.get()));
            }
            Ok(members)
        }
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let members = json.deserialize_map(Object).ok()?;
    json.end().ok()?;
    Some(members)
}

/// A key without its quotes and escapes; `None` if it is not Unicode (a lone surrogate).
pub(crate) fn plain(key: &str) -> Option<String> {
    serde_json::from_str(key).ok()
}

/// How deep arrays and objects are nested in a valid text.
pub(crate) fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth -= 1,
            _ => {}
        }
    }
    deepest
}

/// What a text should be taken for.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict<'a> {
    /// No JSON, or nested too deeply.
    Unreadable,
    /// JSON, but no message.
    Refused {
        /// The first id, if it is a string or a number.
        id: Option<&'a str>,
    },
    /// A message.
    Taken(Box<Shape<'a>>),
}

/// The parts of a message as raw JSON.
#[derive(Debug, PartialEq, Default)]
pub(crate) struct Shape<'a> {
    pub(crate) whole: &'a str,
    pub(crate) id: Option<&'a str>,
    pub(crate) method: Option<&'a str>,
    pub(crate) params: Option<&'a str>,
    pub(crate) result: Option<&'a str>,
    pub(crate) error: Option<&'a str>,
}

impl<'a> Shape<'a> {
    /// `params`, `result` or `error`.
    pub(crate) fn body(&self) -> Option<&'a str> {
        self.params.or(self.result).or(self.error)
    }
}

/// Judges a text by RFC 8259, JSON-RPC 2.0 and MCP: objects only as params and results, no null ids in requests,
/// none of `known` (by container) twice.
pub(crate) fn judge(bytes: &[u8], max_depth: usize, known: impl Fn(&str, &str) -> bool) -> Verdict<'_> {
    let Ok(text) = std::str::from_utf8(bytes) else { return Verdict::Unreadable };
    let Ok(whole) = serde_json::from_str::<&RawValue>(text) else { return Verdict::Unreadable };
    let whole = whole.get();
    if depth(whole) > max_depth {
        return Verdict::Unreadable;
    }
    let Some(top) = members(whole) else { return Verdict::Refused { id: None } };
    let all =
        |name: &str| top.iter().filter(|(key, _)| plain(key).as_deref() == Some(name)).collect::<Vec<_>>();
    let one = |name: &str| all(name).first().map(|(_, value)| *value);
    let is = |value: Option<&str>, starts: &str| {
        value.is_some_and(|value| value.starts_with(|c| starts.contains(c)))
    };
    let (id, method, version) = (one("id"), one("method"), one("jsonrpc"));
    let (params, result, error) = (one("params"), one("result"), one("error"));
    let readable = is(id, "\"-0123456789");

    let twice =
        ["jsonrpc", "id", "method", "params", "result", "error"].iter().any(|name| all(name).len() > 1)
            || ["params", "result", "error"]
                .iter()
                .any(|name| all(name).iter().any(|(_, container)| has_twice(container, name, &known)));
    let is_right = match (method, result, error) {
        _ if twice || version != Some("\"2.0\"") => false,
        _ if id.is_some() && !readable && id != Some("null") => false,
        (Some(method), None, None) => {
            method.starts_with('"')
                && method != "\"\""
                && id != Some("null")
                && (params.is_none() || is(params, "{n"))
        }
        (None, Some(_), None) => readable && is(result, "{") && params.is_none(),
        (None, None, Some(_)) => is(error, "{") && params.is_none(),
        _ => false,
    };
    if is_right {
        Verdict::Taken(Box::new(Shape { whole, id, method, params, result, error }))
    } else {
        Verdict::Refused { id: id.filter(|_| readable) }
    }
}

fn has_twice(container: &str, name: &str, known: &impl Fn(&str, &str) -> bool) -> bool {
    let Some(inner) = members(container) else { return false };
    let keys: Vec<String> = inner.iter().filter_map(|(key, _)| plain(key)).collect();
    let repeats = |keys: &[String], place: &str| {
        keys.iter().enumerate().any(|(at, key)| known(place, key) && keys[..at].contains(key))
    };
    let nested = |(key, value): &(&str, &str)| {
        let is_meta = name != "error" && plain(key).as_deref() == Some("_meta");
        let keys = members(value).filter(|_| is_meta).unwrap_or_default();
        repeats(&keys.iter().filter_map(|(key, _)| plain(key)).collect::<Vec<_>>(), "_meta")
    };
    repeats(&keys, name) || inner.iter().any(nested)
}
