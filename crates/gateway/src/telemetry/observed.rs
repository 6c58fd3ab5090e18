//! A request that is told of: what is gathered on its way, and what is said at its end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use aqe_core::envelope::{Field, Limits, Message, decode_quoted};
use aqe_core::monitor::ErrorKind;
use aqe_core::registry::ToolEntry;
use aqe_core::revision::Era;
use aqe_core::trace::{TraceId, TraceParent};

use super::access_log::{Entry, session_mark};
use super::context::Incoming;
use super::span::{Active, Attributes, Value};
use super::{AccessLog, Telemetry};
use crate::proxy::{Answer, Caller};
use crate::upstream::ReplicaName;

/// How a request came to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// Over standard input.
    Pipe,
    /// Over a Unix socket, in lines.
    Unix,
    /// Over HTTP of this version.
    Http {
        /// The version.
        version: http::Version,
        /// Over a Unix socket instead of TCP.
        unix: bool,
    },
}

/// A request on its way, where it is recorded or logged. Whoever works for it may hold it longer than it lasts.
pub(crate) struct Observed {
    telemetry: Arc<Telemetry>,
    /// `None` where the request is not recorded, or has ended.
    span: Mutex<Option<Active>>,
    /// How its span is referred to, where it is recorded.
    reference: Option<TraceParent>,
    state: Option<Arc<str>>,
    /// The trace that it belongs to, recorded or not.
    trace: Option<TraceId>,
    principal: Arc<str>,
    era: Era,
    session: Option<String>,
    /// Where it was sent last.
    sent: Mutex<Option<Arc<ReplicaName>>>,
}

/// How a request has ended.
#[derive(Debug)]
pub(crate) struct Ending<'a> {
    /// Its method, as far as it is known.
    pub(crate) method: &'static str,
    /// The tool that was called.
    pub(crate) tool: Option<&'a ToolEntry>,
    /// `None`: its client has cancelled it, or left.
    pub(crate) result: Option<Told<'a>>,
    /// From the request to its answer.
    pub(crate) latency: Duration,
    /// Bytes of the request.
    pub(crate) request_bytes: usize,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Told<'a> {
    /// Why it failed, if it did.
    pub(crate) error: Option<ErrorKind>,
    /// What the upstream took.
    pub(crate) upstream: Option<Duration>,
    /// It was answered with what had been answered before.
    pub(crate) from_cache: bool,
    /// Bytes of the answer.
    pub(crate) bytes: usize,
    /// The answer, where it is here in whole.
    pub(crate) answer: Option<&'a Answer>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing below these locks can be torn.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Observed {
    /// Begins to tell of a request, if anybody wants to know.
    pub(crate) fn begin(telemetry: &Arc<Telemetry>, caller: &Caller, message: &Message) -> Option<Arc<Self>> {
        if telemetry.tracer.is_none() && telemetry.access_log.is_none() {
            return None;
        }
        let incoming = Incoming::read(message, caller.trace.as_deref());
        let trace = incoming.parent.map(|parent| parent.trace);
        let span = telemetry.tracer.as_ref().and_then(|tracer| tracer.begin(incoming, caller.began));
        if span.is_none() && telemetry.access_log.is_none() {
            return None;
        }
        let session = caller.session.as_ref().and_then(|session| session.key.as_deref()).map(session_mark);
        let span = span.map(|mut span| {
            describe(&mut span, caller, message, session.clone());
            span
        });
        let reference = span.as_ref().and_then(Active::reference);
        Some(Arc::new(Self {
            telemetry: Arc::clone(telemetry),
            state: span.as_ref().and_then(Active::state).cloned(),
            span: Mutex::new(span),
            trace: reference.map(|span| span.trace).or(trace),
            reference,
            principal: Arc::clone(&caller.principal),
            era: caller.era(),
            session,
            sent: Mutex::default(),
        }))
    }

    /// It calls this tool.
    pub(crate) fn is_of(&self, tool: &ToolEntry) {
        if let Some(span) = &mut *lock(&self.span) {
            span.rename(format!("tools/call {}", tool.shown));
            span.set("gen_ai.tool.name", tool.shown.to_string());
        }
    }

    /// It is sent to this replica.
    pub(crate) fn sent_to(&self, replica: &Arc<ReplicaName>) {
        *lock(&self.sent) = Some(Arc::clone(replica));
    }

    /// Something has happened to it on its way.
    pub(crate) fn event(&self, name: &'static str, attributes: impl FnOnce() -> Attributes) {
        if let Some(span) = &mut *lock(&self.span) {
            span.event(name, attributes());
        }
    }

    /// Begins the span of an attempt to have it answered by an upstream, if the request is recorded.
    pub(crate) fn attempt(&self, name: impl FnOnce() -> String) -> Option<Active> {
        let tracer = self.telemetry.tracer.as_ref()?;
        Some(Active::child_of(tracer, self.reference?, self.state.clone(), name()))
    }

    /// It has ended. To be called once.
    pub(crate) fn end(&self, ending: &Ending<'_>) {
        let sent = lock(&self.sent).take();
        if let Some(log) = &self.telemetry.access_log {
            self.log(log, ending, sent.as_deref());
        }
        let Some(mut span) = lock(&self.span).take() else { return };
        if let Some(sent) = sent {
            span.set("aqe.upstream", sent.upstream.to_string());
            span.set("aqe.replica", sent.replica.to_string());
        }
        // Without an end it is a span of something that was cancelled.
        let Some(told) = &ending.result else { return };
        span.set("aqe.cached", told.from_cache);
        if let Some(error) = told.error {
            fail(&mut span, error, told.answer);
        }
        span.end();
    }

    fn log(&self, log: &AccessLog, ending: &Ending<'_>, sent: Option<&ReplicaName>) {
        let told = ending.result.as_ref();
        log.add(&Entry {
            at: SystemTime::now(),
            principal: &self.principal,
            era: self.era,
            method: ending.method,
            tool: ending.tool.map(|tool| &*tool.shown),
            upstream: sent.map(|sent| &*sent.upstream),
            replica: sent.map(|sent| &*sent.replica),
            status: told.map_or("cancelled", |told| told.error.map_or("ok", ErrorKind::as_str)),
            latency: ending.latency,
            upstream_time: told.and_then(|told| told.upstream),
            request_bytes: ending.request_bytes as u64,
            response_bytes: told.map_or(0, |told| told.bytes as u64),
            cached: told.is_some_and(|told| told.from_cache),
            trace: self.trace,
            session: self.session.as_deref(),
        });
    }
}

impl std::fmt::Debug for Observed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Observed").field("trace", &self.trace).finish_non_exhaustive()
    }
}

/// What is known of a request when it comes (OpenTelemetry, "Semantic conventions for Model Context Protocol").
fn describe(span: &mut Active, caller: &Caller, message: &Message, session: Option<String>) {
    let method = message.owned_method();
    span.rename(method.clone().into_owned());
    match &*method {
        "tools/call" => span.set("gen_ai.operation.name", "execute_tool"),
        "prompts/get" => {
            if let Some(name) = message.string(Field::Name) {
                span.set("gen_ai.prompt.name", name.into_owned());
            }
        }
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
            if let Some(uri) = message.string(Field::Uri) {
                span.set("mcp.resource.uri", without_query(&uri).to_owned());
            }
        }
        _ => {}
    }
    span.set("mcp.method.name", method.into_owned());
    if let Some(id) = message.id() {
        span.set(
            "jsonrpc.request.id",
            decode_quoted(id.as_bytes()).map_or_else(|| id.to_owned(), String::from),
        );
    }
    span.set("mcp.protocol.version", caller.revision.as_str());
    if let Some(session) = session {
        span.set("mcp.session.id", session);
    }
    let transport = match caller.via {
        Via::Pipe => "pipe",
        Via::Unix | Via::Http { unix: true, .. } => "unix",
        Via::Http { unix: false, .. } => "tcp",
    };
    span.set("network.transport", transport);
    if let Via::Http { version, .. } = caller.via {
        span.set("network.protocol.name", "http");
        span.set("network.protocol.version", if version == http::Version::HTTP_2 { "2" } else { "1.1" });
    }
}

/// A URI without what may be a key in its query.
pub(crate) fn without_query(uri: &str) -> &str {
    uri.split(['?', '#']).next().unwrap_or_default()
}

/// The request has failed. `error.type` is the code of a JSON-RPC error, or `tool_error`, as the conventions have it.
fn fail(span: &mut Active, error: ErrorKind, answer: Option<&Answer>) {
    span.set("aqe.error", error.as_str());
    let limits = Limits { max_depth: u16::MAX / 64, ..Limits::default() };
    let answer = answer.and_then(|answer| Message::parse(answer.clone().into_bytes(), limits).ok());
    fail_by(span, answer.as_ref(), error.as_str());
}

/// The same of an answer: by its error, if it is one.
pub(crate) fn fail_by(span: &mut Active, answer: Option<&Message>, otherwise: &'static str) {
    let code = answer.and_then(|answer| answer.raw(Field::Code));
    let message = answer.and_then(|answer| answer.string(Field::ErrorMessage)).unwrap_or_default();
    match code {
        Some(code) => {
            span.set("rpc.response.status_code", code.to_owned());
            span.fail(Value::from(code.to_owned()), &message);
        }
        None => span.fail(otherwise, ""),
    }
}
