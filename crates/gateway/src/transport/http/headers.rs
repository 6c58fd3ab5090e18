//! The headers of MCP over HTTP, and what they must say.

use aqe_core::envelope::{Field, Message};
use aqe_core::revision::Revision;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::catalog::decode_header;
use crate::refusal::Refusal;

// Parsed once: looking a header up by text parses its name each time.
pub(super) static SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
pub(super) static VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
pub(super) static LAST_EVENT: HeaderName = HeaderName::from_static("last-event-id");
static METHOD: HeaderName = HeaderName::from_static("mcp-method");
static NAME: HeaderName = HeaderName::from_static("mcp-name");

/// What the specification has clients send as `Accept`, and nearly all do: it needs no parsing.
const USUAL_ACCEPT: &str = "application/json, text/event-stream";

/// A header occurs more than once that may not.
pub(super) struct Repeated;

/// A header that may occur once.
pub(super) fn one<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, Repeated> {
    // Nearly always nothing at all is repeated, which is cheaper to ask.
    if headers.len() == headers.keys_len() {
        return Ok(headers.get(name));
    }
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(Repeated),
    }
}

/// The same as text.
pub(super) fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    one(headers, name).ok()??.to_str().ok()
}

/// Whether the body is said to be JSON.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let media = single(headers, &header::CONTENT_TYPE).unwrap_or_default();
    if media == "application/json" {
        return true;
    }
    let media = media.split(';').next().unwrap_or_default().trim();
    media.eq_ignore_ascii_case("application/json")
}

/// Whether the client takes both kinds of reply to a POST.
pub(super) fn accepts_replies(headers: &HeaderMap) -> bool {
    is_usual(headers) || (accepts(headers, "application", "json") && accepts(headers, "text", "event-stream"))
}

fn is_usual(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).is_some_and(|value| value == USUAL_ACCEPT)
}

/// Whether the client takes `kind/sub`. One that does not say takes everything (RFC 9110 section 12.5.1).
pub(super) fn accepts(headers: &HeaderMap, kind: &str, sub: &str) -> bool {
    let mut said = false;
    for value in headers.get_all(header::ACCEPT) {
        said = true;
        let ranges = value.to_str().unwrap_or_default().split(',');
        for range in ranges {
            let mut parts = range.split(';').map(str::trim);
            let Some((type_, subtype)) = parts.next().unwrap_or_default().split_once('/') else { continue };
            if parts.any(is_zero_weight) {
                continue;
            }
            if (type_ == "*" && subtype == "*")
                || (type_.eq_ignore_ascii_case(kind) && (subtype == "*" || subtype.eq_ignore_ascii_case(sub)))
            {
                return true;
            }
        }
    }
    !said
}

/// Whether a parameter says "not this" (RFC 9110 section 12.4.2).
fn is_zero_weight(parameter: &str) -> bool {
    let Some((name, weight)) = parameter.split_once('=') else { return false };
    name.trim().eq_ignore_ascii_case("q") && weight.trim().parse() == Ok(0.0)
}

/// Whether the client would rather have events than JSON: `text/event-stream` stands before `application/json`, both
/// without a weight. Either is a complete reply; most clients name JSON first.
pub(super) fn prefers_events(headers: &HeaderMap) -> bool {
    if is_usual(headers) {
        return false;
    }
    let Some(accept) = single(headers, &header::ACCEPT) else { return false };
    let mut ranges = accept.split(',').map(str::trim);
    ranges.next().is_some_and(|first| first.eq_ignore_ascii_case("text/event-stream"))
}

/// Checks the `Mcp-*` headers of a modern request against its body (2026-07-28, "Standard MCP Request Headers").
///
/// # Errors
/// -32020 with what is missing or differs.
pub(super) fn check(headers: &HeaderMap, message: &Message) -> Result<(), Refusal> {
    let method = message.method();
    repeats(headers, &METHOD, &method)?;
    let name = match &*method {
        "tools/call" | "prompts/get" => Field::Name,
        "resources/read" => Field::Uri,
        "tasks/get" | "tasks/update" | "tasks/cancel" => Field::TaskId,
        _ => return Ok(()),
    };
    match message.string(name) {
        Some(name) => repeats(headers, &NAME, &name),
        // The request lacks what the header repeats; that is said when it is looked at.
        None => Ok(()),
    }
}

/// The version header of a modern request says what its body says.
pub(super) fn check_version(headers: &HeaderMap, message: &Message) -> Result<(), Refusal> {
    match message.string(Field::MetaProtocolVersion) {
        Some(version) => repeats(headers, &VERSION, &version),
        // The body lacks what the header repeats; that is said when it is looked at.
        None => Ok(()),
    }
}

fn repeats(headers: &HeaderMap, name: &HeaderName, body: &str) -> Result<(), Refusal> {
    let value = match one(headers, name) {
        Ok(Some(value)) => value,
        Ok(None) => return Err(Refusal::header_mismatch(format!("{name} is missing"))),
        Err(Repeated) => return Err(Refusal::header_mismatch(format!("{name} occurs twice"))),
    };
    // Equal as they are, and with nothing that stands for something else.
    if value == body && !body.starts_with('=') {
        return Ok(());
    }
    match decode_header(value) {
        Some(value) if value == body => Ok(()),
        Some(_) => Err(Refusal::header_mismatch(format!("{name} differs from the body"))),
        None => Err(Refusal::header_mismatch(format!("{name} is not a valid value"))),
    }
}

/// The version that a legacy request states; it must be one that we know.
pub(super) fn legacy_version(headers: &HeaderMap) -> Result<(), Refusal> {
    let version = one(headers, &VERSION);
    match version.map(|value| value.map(|value| value.to_str().ok().and_then(Revision::parse))) {
        Ok(None | Some(Some(_))) => Ok(()),
        Err(Repeated) | Ok(Some(None)) => Err(Refusal::invalid_request(format!(
            "unknown {VERSION}; this server speaks {}",
            Revision::ALL.map(Revision::as_str).join(", ")
        ))),
    }
}

/// A copy of the headers that repeat arguments (2026-07-28, "Custom Headers from Tool Parameters").
pub(super) fn params(headers: &HeaderMap) -> HeaderMap {
    let mut params = HeaderMap::new();
    for (name, value) in headers {
        // Copied, so that the request's own memory can be used again.
        if name.as_str().starts_with("mcp-param-")
            && let Ok(value) = HeaderValue::from_bytes(value.as_bytes())
        {
            params.append(name, value);
        }
    }
    params
}

/// Whether the headers say that the request is of the modern era.
pub(super) fn claim_modern(headers: &HeaderMap) -> bool {
    let version = headers.get(&VERSION).map(HeaderValue::to_str);
    matches!(version, Some(Ok(version)) if version >= Revision::NEWEST_MODERN.as_str() && version.len() == 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_is_read_as_http_says() {
        let accepts = |value: Option<&'static str>, sub: &str| {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(header::ACCEPT, HeaderValue::from_static(value));
            }
            let (kind, sub) = if sub == "json" { ("application", "json") } else { ("text", "event-stream") };
            super::accepts(&headers, kind, sub)
        };
        assert!(accepts(None, "json"));
        assert!(accepts(Some("*/*"), "sse"));
        assert!(accepts(Some("application/json, text/event-stream"), "sse"));
        assert!(accepts(Some("text/*;q=0.5"), "sse"));
        assert!(!accepts(Some("application/json"), "sse"));
        assert!(!accepts(Some("text/html"), "json"));
        assert!(!accepts(Some(""), "json"));
        assert!(!accepts(Some("text/event-stream;q=0, */*;q=0.0"), "sse"));
    }

    #[test]
    fn a_post_needs_both_kinds_of_reply_however_they_are_written() {
        for (accept, expected) in [
            (USUAL_ACCEPT, true),
            ("text/event-stream;q=1,application/*", true),
            ("*/*", true),
            ("application/json", false),
            ("text/event-stream", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(accepts_replies(&headers), expected, "{accept}");
        }
    }
}
