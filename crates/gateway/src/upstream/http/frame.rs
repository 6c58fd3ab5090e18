//! The headers around a message (MCP specification, "Streamable HTTP").

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::super::{Negotiated, Outgoing};
use super::coding;
use super::fields::Fields;
use super::spec::{HttpSpec, Origin};

pub(super) const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
const JSON_OR_EVENTS: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("aqe-v3/", env!("CARGO_PKG_VERSION")));

/// The first revision that sends `MCP-Protocol-Version`.
const FIRST_WITH_VERSION_HEADER: &str = "2025-06-18";
/// The first revision of streamable HTTP, and so of the GET stream.
const FIRST_WITH_GET_STREAM: &str = "2025-03-26";

/// What every request of a connection carries, prepared once per change and written per request.
#[derive(Clone)]
pub(super) struct Frame {
    /// Host, user agent, the configured headers, and what was negotiated.
    common: HeaderMap,
    /// The same for a POST.
    post: HeaderMap,
    /// The lines of `post`, where nothing that a message can bring would replace one of them.
    post_lines: Option<Vec<u8>>,
    session: Option<HeaderValue>,
    negotiated: Option<Negotiated>,
}

impl Frame {
    /// Before negotiation.
    pub(super) fn new(spec: &HttpSpec, origin: &Origin) -> Self {
        let mut common = HeaderMap::new();
        if let Ok(host) = HeaderValue::from_str(&origin.host_header()) {
            common.insert(header::HOST, host);
        }
        common.insert(header::USER_AGENT, USER_AGENT);
        if !origin.is_loopback() {
            common.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(coding::ACCEPTED));
        }
        for (name, _) in &spec.headers {
            common.remove(name);
        }
        for (name, value) in &spec.headers {
            let mut value = value.clone();
            value.set_sensitive(true);
            common.append(name, value);
        }
        Self { common, post: HeaderMap::new(), post_lines: None, session: None, negotiated: None }.prepared()
    }

    /// The frame of a session that the server has opened.
    pub(super) fn with_session(&self, mut session: HeaderValue) -> Self {
        session.set_sensitive(true);
        Self { session: Some(session), ..self.clone() }.prepared()
    }

    /// The frame after negotiation. A modern peer has no session.
    pub(super) fn with_negotiated(&self, negotiated: Negotiated) -> Self {
        let session = self.session.clone().filter(|_| !negotiated.modern);
        let mut common = self.common.clone();
        if negotiated.modern || negotiated.protocol_version.as_str() >= FIRST_WITH_VERSION_HEADER {
            // A version that is no header value cannot have come from a header-sending peer.
            if let Ok(version) = HeaderValue::from_str(&negotiated.protocol_version) {
                common.insert(VERSION, version);
            }
        }
        Self { common, session, negotiated: Some(negotiated), ..self.clone() }.prepared()
    }

    fn prepared(mut self) -> Self {
        let mut post = self.common.clone();
        post.insert(header::CONTENT_TYPE, JSON);
        post.insert(header::ACCEPT, JSON_OR_EVENTS);
        if let Some(session) = &self.session {
            post.insert(SESSION, session.clone());
        }
        self.post_lines = (!post.contains_key(METHOD) && !post.contains_key(NAME)).then(|| {
            let mut lines = Vec::new();
            for (name, value) in &post {
                lines.add(name, value);
            }
            lines
        });
        self.post = post;
        self
    }

    /// Whether the peer is known to be of the modern era.
    pub(super) fn is_modern(&self) -> bool {
        self.negotiated.as_ref().is_some_and(|negotiated| negotiated.modern)
    }

    /// Whether the peer is known to be of the legacy era.
    pub(super) fn is_legacy(&self) -> bool {
        self.negotiated.as_ref().is_some_and(|negotiated| !negotiated.modern)
    }

    /// Whether the server may offer a GET stream.
    pub(super) fn has_get_stream(&self) -> bool {
        self.is_legacy()
            && (self.session.is_some()
                || self
                    .negotiated
                    .as_ref()
                    .is_some_and(|it| it.protocol_version.as_str() >= FIRST_WITH_GET_STREAM))
    }

    /// Whether the server has opened a session.
    pub(super) fn has_session(&self) -> bool {
        self.session.is_some()
    }

    /// Writes the header fields of a POST.
    pub(super) fn post(&self, out: &Outgoing, into: &mut dyn Fields) {
        let routed = self.is_modern() && !out.method.is_empty();
        let lines = self.post_lines.as_ref().filter(|_| out.headers.is_empty() && out.method != "initialize");
        if let Some(lines) = lines {
            into.add_prepared(&self.post, lines);
        } else {
            for (name, value) in &self.post {
                let replaced = (name == SESSION && out.method == "initialize")
                    || (routed && (name == METHOD || (name == NAME && out.name.is_some())))
                    || out.headers.iter().any(|(other, _)| other == name);
                if !replaced {
                    into.add(name, value);
                }
            }
        }
        if routed {
            into.add_text(&METHOD, &encoded(&out.method));
            if let Some(name) = &out.name {
                into.add_text(&NAME, &encoded(name));
            }
        }
        for (name, value) in &out.headers {
            into.add(name, value);
        }
    }

    /// Writes the header fields of a GET for an event stream, continued after `last_event_id`.
    pub(super) fn get(&self, last_event_id: Option<&str>, into: &mut dyn Fields) {
        self.delete(into);
        into.add(&header::ACCEPT, &EVENTS);
        // An id that is no header value cannot be sent back; the server then starts a stream anew.
        if let Some(id) = last_event_id.and_then(|id| HeaderValue::from_bytes(id.as_bytes()).ok()) {
            into.add(&LAST_EVENT_ID, &id);
        }
    }

    /// Writes the header fields of a DELETE.
    pub(super) fn delete(&self, into: &mut dyn Fields) {
        for (name, value) in &self.common {
            into.add(name, value);
        }
        if let Some(session) = &self.session {
            into.add(&SESSION, session);
        }
    }
}

/// A text as the value of an `Mcp-*` header: as it is where it can be, else `=?base64?…?=` over its UTF-8
/// (specification 2026-07-28, "Streamable HTTP", value encoding).
pub fn encode_header_value(text: &str) -> HeaderValue {
    // Visible ASCII and inner spaces, either way; so the fallback is never taken.
    HeaderValue::from_str(&encoded(text)).unwrap_or(HeaderValue::from_static(""))
}

fn encoded(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let plain = bytes.iter().all(|byte| matches!(byte, b' '..=b'~'))
        && bytes.first() != Some(&b' ')
        && bytes.last() != Some(&b' ')
        // What looks like the encoding would be decoded by the server.
        && !bytes.get(..9).is_some_and(|prefix| prefix.eq_ignore_ascii_case(b"=?base64?"));
    if plain { text.into() } else { format!("=?base64?{}?=", STANDARD.encode(text)).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Frame {
        let headers = vec![(header::AUTHORIZATION, HeaderValue::from_static("Bearer s"))];
        let spec = HttpSpec {
            url: "http://a.example:8080/mcp".parse().unwrap(),
            headers,
            ca_file: None,
            http2: true,
        };
        Frame::new(&spec, &spec.origin().unwrap())
    }

    fn out(method: &'static str, name: Option<&str>) -> Outgoing {
        Outgoing {
            bytes: bytes::Bytes::new(),
            method: method.into(),
            name: name.map(Into::into),
            headers: Vec::new(),
            pass_from: None,
        }
    }

    #[test]
    fn compressed_replies_are_asked_for_only_beyond_this_machine() {
        for (url, asked) in [
            ("http://a.example/mcp", true),
            ("https://10.0.0.1/mcp", true),
            ("http://localhost:1/mcp", false),
            ("http://127.3.2.1/mcp", false),
            ("http://[::1]:8/mcp", false),
            ("http://[::ffff:127.0.0.1]/mcp", false),
        ] {
            let spec =
                HttpSpec { url: url.parse().unwrap(), headers: Vec::new(), ca_file: None, http2: true };
            let frame = Frame::new(&spec, &spec.origin().unwrap());
            assert_eq!(frame.post.contains_key(header::ACCEPT_ENCODING), asked, "{url}");
        }
    }

    /// What was written, read again.
    fn read(write: impl Fn(&mut Vec<u8>)) -> HeaderMap {
        let mut fields = Vec::new();
        write(&mut fields);
        let lines = String::from_utf8(fields).unwrap();
        let pairs =
            lines.strip_suffix("\r\n").unwrap().split("\r\n").map(|line| line.split_once(": ").unwrap());
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let earlier = headers.insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
            assert!(earlier.is_none(), "{name} twice");
        }
        headers
    }

    fn negotiated(version: &str, modern: bool) -> Negotiated {
        Negotiated { protocol_version: version.into(), modern }
    }

    #[test]
    fn names_that_are_not_plain_travel_in_base64() {
        for plain in ["files__read", "a b", "file:///x?y=1", "=?utf8?x?=", ""] {
            assert_eq!(encode_header_value(plain), plain);
        }
        for (text, encoded) in [
            ("é", "=?base64?w6k=?="),
            (" a", "=?base64?IGE=?="),
            ("a ", "=?base64?YSA=?="),
            ("a\nb", "=?base64?YQpi?="),
            ("a\tb", "=?base64?YQli?="),
            ("=?base64?YQ==?=", "=?base64?PT9iYXNlNjQ/WVE9PT89?="),
        ] {
            assert_eq!(encode_header_value(text), encoded, "{text:?}");
        }
    }

    #[test]
    fn the_version_header_is_sent_from_2025_06_18_on() {
        for (version, modern, sent) in [
            ("2024-11-05", false, false),
            ("2025-03-26", false, false),
            ("2025-06-18", false, true),
            ("2025-11-25", false, true),
            ("2026-07-28", true, true),
        ] {
            let frame = frame().with_negotiated(negotiated(version, modern));
            let value = read(|into| frame.post(&out("ping", None), into)).get(VERSION).cloned();
            assert_eq!(value.is_some(), sent, "{version}");
            assert_eq!(read(|into| frame.get(None, into)).get(VERSION).is_some(), sent, "{version}");
        }
        assert!(read(|into| frame().post(&out("initialize", None), into)).get(VERSION).is_none());
    }

    #[test]
    fn only_a_legacy_peer_gets_the_session_and_only_a_modern_one_the_routing_headers() {
        let opened = frame().with_session(HeaderValue::from_static("s1"));
        let legacy = opened.with_negotiated(negotiated("2025-11-25", false));
        let post = read(|into| legacy.post(&out("tools/call", Some("x")), into));
        assert_eq!(post[SESSION], "s1");
        assert!(post.get(METHOD).is_none() && post.get(NAME).is_none());
        assert!(read(|into| legacy.post(&out("initialize", None), into)).get(SESSION).is_none());

        let modern = opened.with_negotiated(negotiated("2026-07-28", true));
        let post = read(|into| modern.post(&out("tools/call", Some("ü")), into));
        assert!(post.get(SESSION).is_none());
        assert_eq!((&post[METHOD], &post[NAME]), (&"tools/call".parse().unwrap(), &encode_header_value("ü")));
    }

    #[test]
    fn the_callers_headers_win_and_configured_ones_go_everywhere() {
        let mut message = out("server/discover", None);
        message.headers = vec![(VERSION, HeaderValue::from_static("2026-07-28"))];
        let post = read(|into| frame().post(&message, into));
        assert_eq!(post[VERSION], "2026-07-28");
        assert_eq!(post[header::HOST], "a.example:8080");
        for headers in [post, read(|into| frame().get(Some("7"), into)), read(|into| frame().delete(into))] {
            assert_eq!(headers[header::AUTHORIZATION], "Bearer s");
        }
        assert_eq!(read(|into| frame().get(Some("7"), into))[LAST_EVENT_ID], "7");
    }
}
