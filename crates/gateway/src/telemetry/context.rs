//! The trace that a request belongs to, as its client says: in `_meta` (MCP SEP-414) or in the headers of HTTP.
//!
//! Where both say it, `_meta` counts: it belongs to the message, while the headers belong to the HTTP request, which may
//! be one of several that carry the message, or carry several messages (OpenTelemetry, "Semantic conventions for Model
//! Context Protocol"). The span that the headers name is then linked to.

use std::sync::Arc;

use aqe_core::envelope::{Field, Message};
use aqe_core::trace::{TRACEPARENT, TRACESTATE, TraceParent, is_state, shortened_state};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::span::Active;

static PARENT: HeaderName = HeaderName::from_static(TRACEPARENT);
static STATE: HeaderName = HeaderName::from_static(TRACESTATE);

/// The trace context in the headers of an HTTP request, if it is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceHeaders {
    parent: TraceParent,
    /// As sent.
    text: HeaderValue,
    state: Option<HeaderValue>,
}

impl TraceHeaders {
    /// Reads them; what does not fit the grammar is as if it had not been sent.
    pub(crate) fn read(headers: &HeaderMap) -> Option<Box<Self>> {
        let text = headers.get(&PARENT)?;
        if headers.get_all(&PARENT).iter().nth(1).is_some() {
            return None;
        }
        let parent = TraceParent::parse(text.as_bytes())?;
        // Copied, so that the request's own memory can be used again.
        let text = HeaderValue::from_bytes(text.as_bytes()).ok()?;
        Some(Box::new(Self { parent, text, state: state_of(headers) }))
    }

    /// The headers as they were sent, for an upstream.
    pub(crate) fn forwarded(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let state = self.state.clone().map(|state| (STATE.clone(), state));
        std::iter::once((PARENT.clone(), self.text.clone())).chain(state)
    }
}

/// Several lines of it are one list (RFC 9110 section 5.3).
fn state_of(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut lines = headers.get_all(&STATE).iter();
    let mut list = lines.next()?.to_str().ok()?.to_owned();
    for line in lines {
        list.push(',');
        list.push_str(line.to_str().ok()?);
    }
    is_state(&list).then(|| HeaderValue::from_str(&list).ok())?
}

/// What a request says of its trace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Incoming {
    /// The span that it was sent in.
    pub(crate) parent: Option<TraceParent>,
    /// What goes along with it, no longer than others must pass on.
    pub(crate) state: Option<Box<str>>,
    /// The span of the HTTP request that carried it, where that is another one.
    pub(crate) transport: Option<TraceParent>,
}

impl Incoming {
    /// Reads what a message and the headers around it say.
    pub(crate) fn read(message: &Message, headers: Option<&TraceHeaders>) -> Self {
        let own = message.string(Field::MetaTraceparent);
        if let Some(parent) = own.and_then(|text| TraceParent::parse(text.as_bytes())) {
            let state = message.string(Field::MetaTracestate).filter(|state| is_state(state));
            let transport = headers.map(|headers| headers.parent).filter(|other| *other != parent);
            return Self { parent: Some(parent), state: state.and_then(|state| boxed(&state)), transport };
        }
        let Some(headers) = headers else { return Self::default() };
        let state = headers.state.as_ref().and_then(|state| state.to_str().ok()).and_then(boxed);
        Self { parent: Some(headers.parent), state, transport: None }
    }
}

/// A span of ours, as an upstream is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Propagated {
    /// The `traceparent`.
    pub(crate) parent: String,
    /// The `tracestate`, if there is one.
    pub(crate) state: Option<Arc<str>>,
}

impl Propagated {
    /// What is said of a span that has not ended.
    pub(crate) fn of(span: &Active) -> Option<Self> {
        Some(Self { parent: span.reference()?.to_string(), state: span.state().cloned() })
    }

    /// As headers.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let header = |name: &HeaderName, text: &str| Some((name.clone(), HeaderValue::from_str(text).ok()?));
        let state = self.state.as_deref().and_then(|state| header(&STATE, state));
        header(&PARENT, &self.parent).into_iter().chain(state)
    }
}

fn boxed(state: &str) -> Option<Box<str>> {
    let short = shortened_state(state);
    (!short.is_empty()).then(|| short.into())
}

#[cfg(test)]
mod tests {
    use aqe_core::envelope::Limits;

    use super::*;

    const ONE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const OTHER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

    fn message(meta: &str) -> Message {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{{"_meta":{meta}}}}}"#);
        Message::parse(text.into(), Limits::default()).unwrap()
    }

    fn headers(lines: &[(&'static str, &str)]) -> Option<Box<TraceHeaders>> {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        TraceHeaders::read(&map)
    }

    fn parent(text: &str) -> Option<TraceParent> {
        TraceParent::parse(text.as_bytes())
    }

    #[test]
    fn meta_is_the_parent_and_the_headers_are_linked_to() {
        let headers = headers(&[("traceparent", OTHER), ("tracestate", "h=1")]);
        let said = message(&format!(r#"{{"traceparent":"{ONE}","tracestate":"m=1"}}"#));
        let read = Incoming::read(&said, headers.as_deref());
        assert_eq!((read.parent, read.transport), (parent(ONE), parent(OTHER)));
        assert_eq!(read.state.as_deref(), Some("m=1"));
    }

    #[test]
    fn headers_count_where_meta_says_nothing_or_nonsense() {
        let headers = headers(&[("traceparent", OTHER), ("tracestate", "h=1"), ("tracestate", "i=2")]);
        for meta in ["{}", r#"{"traceparent":7,"tracestate":"m=1"}"#, r#"{"traceparent":"00-x"}"#] {
            let read = Incoming::read(&message(meta), headers.as_deref());
            assert_eq!((read.parent, read.transport), (parent(OTHER), None), "{meta}");
            assert_eq!(read.state.as_deref(), Some("h=1,i=2"));
            assert_eq!(Incoming::read(&message(meta), None), Incoming::default());
        }
    }

    #[test]
    fn headers_that_do_not_fit_the_grammar_are_as_if_not_sent() {
        assert_eq!(headers(&[("tracestate", "h=1")]), None);
        assert_eq!(headers(&[("traceparent", "nonsense")]), None);
        assert_eq!(headers(&[("traceparent", ONE), ("traceparent", OTHER)]), None);
        let without_state = headers(&[("traceparent", ONE), ("tracestate", "h=1"), ("tracestate", "h=2")]);
        let forwarded: Vec<_> = without_state.unwrap().forwarded().collect();
        assert_eq!(forwarded, [(PARENT.clone(), HeaderValue::from_static(ONE))]);
    }

    #[test]
    fn an_escaped_traceparent_is_read() {
        let said = message(&format!(r#"{{"traceparent":"\u0030{}"}}"#, &ONE[1..]));
        assert_eq!(Incoming::read(&said, None).parent, parent(ONE));
    }
}
