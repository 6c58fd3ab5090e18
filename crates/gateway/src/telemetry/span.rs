//! A span: one piece of work within a trace.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aqe_core::trace::{SpanId, TraceId, TraceParent};

use super::random;
use super::tracer::Tracer;

/// Bytes of one text in a span; what is longer is cut.
const MAX_TEXT_BYTES: usize = 256;
/// Events and links of one span: a call is sent some few times.
const MAX_EVENTS: usize = 16;

/// Which side of a call a span describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A request that we answer.
    Server,
    /// A request that we send.
    Client,
}

/// What an attribute says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(Cow<'static, str>),
    Int(i64),
    Flag(bool),
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(clipped(text).into())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

fn clipped(mut text: String) -> String {
    if text.len() > MAX_TEXT_BYTES {
        let end = (0..=MAX_TEXT_BYTES).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
    }
    text
}

pub(crate) type Attributes = Vec<(&'static str, Value)>;

/// Something that happened during a span.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(super) name: &'static str,
    pub(super) at: Duration,
    pub(super) attributes: Attributes,
}

/// A span that has ended.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(super) trace: TraceId,
    pub(super) id: SpanId,
    pub(super) parent: Option<SpanId>,
    /// The parent is not one of ours.
    pub(super) is_parent_remote: bool,
    pub(super) state: Option<Arc<str>>,
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Since 1970.
    pub(super) start: Duration,
    pub(super) length: Duration,
    pub(super) attributes: Attributes,
    pub(super) events: Vec<Event>,
    pub(super) links: Vec<TraceParent>,
    /// It has failed, and how it says so.
    pub(super) failure: Option<String>,
}

/// A span under way. Dropped without an [`Active::end`], what it describes was cancelled.
#[derive(Debug)]
pub(crate) struct Active(Box<Open>);

#[derive(Debug)]
struct Open {
    tracer: Arc<Tracer>,
    began: Instant,
    /// `None` once it has ended.
    span: Option<Span>,
}

impl Active {
    /// A span of a request that has begun already, with a parent elsewhere or none. It has no name yet.
    pub(super) fn of_request(
        tracer: &Arc<Tracer>,
        parent: Option<TraceParent>,
        state: Option<Arc<str>>,
        began: Instant,
    ) -> Self {
        Self::begin(tracer, parent, state, String::new(), began)
    }

    /// A span of something that we do within another one of ours; it begins now.
    pub(super) fn child_of(
        tracer: &Arc<Tracer>,
        parent: TraceParent,
        state: Option<Arc<str>>,
        name: String,
    ) -> Self {
        let mut child = Self::begin(tracer, Some(parent), state, name, Instant::now());
        if let Some(span) = &mut child.0.span {
            span.kind = Kind::Client;
            span.is_parent_remote = false;
        }
        child
    }

    fn begin(
        tracer: &Arc<Tracer>,
        parent: Option<TraceParent>,
        state: Option<Arc<str>>,
        name: String,
        began: Instant,
    ) -> Self {
        let span = Span {
            trace: parent.map_or_else(random::trace, |parent| parent.trace),
            id: random::span(),
            parent: parent.map(|parent| parent.span),
            is_parent_remote: true,
            state,
            name: clipped(name),
            kind: Kind::Server,
            start: since_1970().saturating_sub(began.elapsed()),
            length: Duration::ZERO,
            attributes: Vec::with_capacity(14),
            events: Vec::new(),
            links: Vec::new(),
            failure: None,
        };
        Self(Box::new(Open { tracer: Arc::clone(tracer), began, span: Some(span) }))
    }

    /// How others refer to it.
    pub(crate) fn reference(&self) -> Option<TraceParent> {
        let span = self.0.span.as_ref()?;
        Some(TraceParent { trace: span.trace, span: span.id, sampled: true })
    }

    /// What vendors have to say of its trace.
    pub(crate) fn state(&self) -> Option<&Arc<str>> {
        self.0.span.as_ref()?.state.as_ref()
    }

    /// Names it anew, when more is known of what it is about.
    pub(crate) fn rename(&mut self, name: String) {
        if let Some(span) = &mut self.0.span {
            span.name = clipped(name);
        }
    }

    /// Adds an attribute; each name may be given once.
    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<Value>) {
        if let Some(span) = &mut self.0.span {
            debug_assert!(span.attributes.iter().all(|(other, _)| *other != name), "{name} twice");
            span.attributes.push((name, value.into()));
        }
    }

    /// Notes that something happened.
    pub(crate) fn event(&mut self, name: &'static str, attributes: Attributes) {
        let elapsed = self.0.began.elapsed();
        if let Some(span) = self.0.span.as_mut().filter(|span| span.events.len() < MAX_EVENTS) {
            span.events.push(Event { name, at: span.start + elapsed, attributes });
        }
    }

    /// Refers to another span that has to do with it.
    pub(crate) fn link(&mut self, other: TraceParent) {
        if let Some(span) = self.0.span.as_mut().filter(|span| span.links.len() < MAX_EVENTS) {
            span.links.push(other);
        }
    }

    /// What it describes has come to its end, whichever that is.
    pub(crate) fn end(mut self) {
        self.close();
    }

    fn close(&mut self) {
        if let Some(mut span) = self.0.span.take() {
            span.length = self.0.began.elapsed();
            self.0.tracer.ended(span);
        }
    }

    /// It has failed: `kind` for programs (`error.type`), `message` for people.
    pub(crate) fn fail(&mut self, kind: impl Into<Value>, message: &str) {
        self.set("error.type", kind);
        if let Some(span) = &mut self.0.span {
            span.failure = Some(clipped(message.to_owned()));
        }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.event("cancelled", Vec::new());
        self.close();
    }
}

fn since_1970() -> Duration {
    // A clock before 1970 is not set at all.
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
