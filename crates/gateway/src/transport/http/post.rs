//! POST: one message, or in 2025-03-26 a batch.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use aqe_core::batching::Due;
use aqe_core::envelope::{Fault, Kind, Message, is_batch, split_batch};
use aqe_core::revision::{Era, Revision};
use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::time::Sleep;

use super::compression::{Compression, Packing};
use super::connections::Request as UnderWay;
use super::get::unknown_session;
use super::long::{self, LongEvent};
use super::reply::{self, Events, ReplyBody};
use super::{Edge, body, headers, json};
use crate::monitor::Turned;
use crate::proxy::{Answer, Caller, Gateway};
use crate::refusal::Refusal;
use crate::session::{CreateError, EventStream, Outlet, Session, next_owner};
use crate::telemetry::{TraceHeaders, Via};
use crate::transport::intake;
use crate::{tasks, wire};

pub(super) async fn answer(
    edge: &Arc<Edge>,
    request: Request<Incoming>,
    principal: Arc<str>,
    from_user: bool,
    compression: Option<Compression>,
    under_way: &UnderWay,
) -> Response<ReplyBody> {
    let (mut parts, incoming) = request.into_parts();
    let via = Via::Http { version: parts.version, unix: from_user };
    let headers = std::mem::take(&mut parts.headers);
    drop(parts);
    if !headers::is_json(&headers) {
        return reply::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type must be application/json\n");
    }
    if !headers::accepts_replies(&headers) {
        let text = "Accept must include application/json and text/event-stream\n";
        return reply::text(StatusCode::NOT_ACCEPTABLE, text);
    }
    let bytes = match body::collect(incoming, &headers, &edge.limits).await {
        Ok(bytes) => bytes,
        Err(refusal) => {
            if refusal.status() == StatusCode::PAYLOAD_TOO_LARGE {
                edge.gateway.turned(Turned::TooLarge);
            }
            return refusal;
        }
    };
    let began = Instant::now();
    let packing = Packing::settle(compression, &headers);
    let post = Post { edge, headers, principal, packing, under_way, began, via };
    if is_batch(&bytes) {
        return Box::pin(post.batch(&bytes)).await;
    }
    let message = match Message::parse(bytes, edge.gateway.settings.message) {
        Ok(message) => message,
        Err(fault) => {
            edge.gateway.turned(Turned::Parse);
            return fault_reply(&fault);
        }
    };
    let claims_modern = intake::claims_modern(&message);
    let is_initialize = message.method() == "initialize" && message.kind() == Kind::Request;
    let next = if claims_modern {
        post.modern(message)
    } else if headers::claim_modern(&post.headers) && message.method() != "initialize" {
        // A header of the modern era over a body without its `_meta`, which only a request must carry.
        match (not_asking(&message), intake::modern_revision(&message)) {
            (Some(reply), _) => Next::Reply(reply),
            (None, Ok(_)) => post.modern(message),
            (None, Err(refusal)) => Next::Reply(post.turned(&refusal, message.id())),
        }
    } else if is_initialize {
        return Box::pin(post.initialize(message)).await;
    } else {
        post.legacy(message)
    };
    match next {
        Next::Reply(reply) => reply,
        Next::Call(work, era, style, room) => respond(work, era, style, room, under_way).await,
    }
}

/// What becomes of a message.
enum Next {
    Reply(Response<ReplyBody>),
    /// With the request's map of headers, emptied: the reply needs one, and this has room.
    Call(Work, Era, Style, HeaderMap),
}

fn fault_reply(fault: &Fault) -> Response<ReplyBody> {
    json(StatusCode::BAD_REQUEST, Refusal::from(fault).to_bytes(fault.id.as_deref()))
}

fn refused(refusal: &Refusal, id: Option<&str>) -> Response<ReplyBody> {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
    json(status, refusal.to_bytes(id))
}

/// The reply to what a modern client sends that is no request.
fn not_asking(message: &Message) -> Option<Response<ReplyBody>> {
    match message.kind() {
        Kind::Request => None,
        Kind::Notification => Some(reply::empty(StatusCode::ACCEPTED)),
        Kind::Response | Kind::Error => {
            let refusal = Refusal::invalid_request("a server sends no requests in this revision");
            Some(refused(&refusal, None))
        }
    }
}

/// The methods of 2026-07-28 and its tasks extension.
const MODERN_METHODS: [&str; 13] = [
    "server/discover",
    "tools/list",
    "tools/call",
    "prompts/list",
    "prompts/get",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "completion/complete",
    "subscriptions/listen",
    "tasks/get",
    "tasks/update",
    "tasks/cancel",
];

/// A request on its way to the gateway. The headers' values are let go before the call begins: they are slices of the
/// connection's read buffer and keep all of it.
struct Post<'a> {
    edge: &'a Arc<Edge>,
    headers: HeaderMap,
    principal: Arc<str>,
    packing: Option<Packing>,
    under_way: &'a UnderWay,
    /// When the body was here in whole.
    began: Instant,
    via: Via,
}

impl Post<'_> {
    fn modern(self, message: Message) -> Next {
        let checked = headers::check_version(&self.headers, &message)
            .and_then(|()| intake::modern_revision(&message))
            .and_then(|revision| match &*message.method() {
                method if message.kind() == Kind::Request && !MODERN_METHODS.contains(&method) => {
                    Err(Refusal::method_not_found(method))
                }
                _ => Ok(revision),
            });
        let revision = match checked {
            Ok(revision) => revision,
            Err(refusal) => return Next::Reply(self.turned(&refusal, message.id())),
        };
        if let Some(reply) = not_asking(&message) {
            return Next::Reply(reply);
        }
        if let Err(refusal) = headers::check(&self.headers, &message) {
            return Next::Reply(self.turned(&refusal, message.id()));
        }
        let events = headers::prefers_events(&self.headers);
        let caller = Caller {
            revision,
            principal: self.principal,
            session: None,
            owner: next_owner(),
            param_headers: Some(headers::params(&self.headers)),
            takes_long: true,
            began: self.began,
            via: self.via,
            trace: TraceHeaders::read(&self.headers),
            observed: None,
        };
        let mut room = self.headers;
        room.clear();
        let stream = EventStream::ephemeral(self.edge.gateway.settings.batching);
        let outlet: Arc<dyn Outlet> = Arc::clone(&stream) as Arc<dyn Outlet>;
        let call = Arc::clone(&self.edge.gateway).handle(caller, message, outlet);
        let work = Work { call: Some(Box::pin(call)), stream, session: None };
        Next::Call(work, Era::Modern, Style { primed: false, events, packing: self.packing }, room)
    }

    /// The reply to what its headers, or what must agree with them, forbid.
    fn turned(&self, refusal: &Refusal, id: Option<&str>) -> Response<ReplyBody> {
        self.edge.gateway.turned(Turned::Headers);
        refused(refusal, id)
    }

    /// The session that a legacy request names.
    fn session(&self, id: Option<&str>) -> Result<Arc<Session>, Response<ReplyBody>> {
        if let Err(refusal) = headers::legacy_version(&self.headers) {
            return Err(self.turned(&refusal, id));
        }
        if !self.headers.contains_key(&headers::SESSION) {
            let refusal = Refusal::invalid_request("Mcp-Session-Id is missing: initialize first");
            return Err(self.turned(&refusal, id));
        }
        let key = headers::single(&self.headers, &headers::SESSION);
        let session = key.and_then(|key| self.edge.gateway.sessions.get(key, &self.principal));
        session.ok_or_else(|| {
            self.edge.gateway.turned(Turned::Session);
            unknown_session(id)
        })
    }

    fn legacy(self, message: Message) -> Next {
        let session = match self.session(message.id()) {
            Ok(session) => session,
            Err(refusal) => return Next::Reply(refusal),
        };
        session.touch();
        let revision = session.handshake().map_or(Revision::NEWEST_LEGACY, |handshake| handshake.revision);
        let caller = self.caller(&session, revision, true);
        match message.kind() {
            Kind::Notification => self.edge.gateway.notified(&caller, &message),
            Kind::Response | Kind::Error => Gateway::answered(&session, &message),
            Kind::Request => {
                let stream = session.streams.open();
                let outlet: Arc<dyn Outlet> = Arc::clone(&stream) as Arc<dyn Outlet>;
                let call = Arc::clone(&self.edge.gateway).handle(caller, message, outlet);
                let style = Style {
                    primed: session.primes_streams(),
                    events: headers::prefers_events(&self.headers),
                    packing: self.packing,
                };
                let mut room = self.headers;
                room.clear();
                let work = Work { call: Some(Box::pin(call)), stream, session: Some(session) };
                return Next::Call(work, Era::Legacy, style, room);
            }
        }
        Next::Reply(reply::empty(StatusCode::ACCEPTED))
    }

    fn caller(&self, session: &Arc<Session>, revision: Revision, takes_long: bool) -> Caller {
        Caller {
            revision,
            principal: Arc::clone(&self.principal),
            session: Some(Arc::clone(session)),
            owner: session.owner,
            param_headers: None,
            takes_long,
            began: self.began,
            via: self.via,
            trace: TraceHeaders::read(&self.headers),
            observed: None,
        }
    }

    async fn initialize(self, message: Message) -> Response<ReplyBody> {
        let session = match self.edge.gateway.sessions.create(&self.principal) {
            Ok(session) => session,
            Err(error) => {
                let refusal = Refusal::internal(error.to_string());
                let mut response = json(StatusCode::SERVICE_UNAVAILABLE, refusal.to_bytes(message.id()));
                if error == CreateError::Full {
                    response.headers_mut().insert(http::header::RETRY_AFTER, HeaderValue::from_static("5"));
                }
                return response;
            }
        };
        let key = session.key.clone().unwrap_or_default();
        let caller = self.caller(&session, Revision::NEWEST_LEGACY, false);
        match self.edge.gateway.initialize(caller, &session, &message).await {
            Ok(answer) => {
                let mut response = reply::answer(answer, Era::Legacy, HeaderMap::new());
                if let Ok(key) = HeaderValue::from_str(&key) {
                    response.headers_mut().insert(&headers::SESSION, key);
                }
                response
            }
            Err(refusal) => {
                self.edge.gateway.sessions.remove(&key, &self.principal);
                json(StatusCode::OK, refusal.to_bytes(message.id()))
            }
        }
    }

    /// A batch of 2025-03-26: run at the same time, answered with one array.
    async fn batch(self, bytes: &Bytes) -> Response<ReplyBody> {
        let no_batches =
            || refused(&Refusal::invalid_request("batches exist in revision 2025-03-26 only"), None);
        if headers::claim_modern(&self.headers) {
            return no_batches();
        }
        let session = match self.session(None) {
            Ok(session) => session,
            Err(refusal) => return refusal,
        };
        let revision = session.handshake().map(|handshake| handshake.revision);
        if revision != Some(Revision::V20250326) {
            return no_batches();
        }
        let items = match split_batch(bytes, self.edge.gateway.settings.message) {
            Ok(items) => items,
            Err(fault) => return fault_reply(&fault),
        };
        session.touch();
        let stream = session.streams.open();
        let mut calls: Vec<Pin<Box<dyn Future<Output = Option<Answer>> + Send>>> = Vec::new();
        for item in items {
            let message = match Message::parse(item, self.edge.gateway.settings.message) {
                Ok(message) => message,
                Err(fault) => {
                    let answer = Answer::ok(Refusal::from(&fault).to_bytes(fault.id.as_deref()));
                    calls.push(Box::pin(std::future::ready(Some(answer))));
                    continue;
                }
            };
            let caller = self.caller(&session, Revision::V20250326, false);
            match message.kind() {
                Kind::Notification => self.edge.gateway.notified(&caller, &message),
                Kind::Response | Kind::Error => Gateway::answered(&session, &message),
                Kind::Request if message.method() == "initialize" => {
                    let refusal = Refusal::invalid_request("initialize must not be part of a batch");
                    let answer = Answer::ok(refusal.to_bytes(message.id()));
                    calls.push(Box::pin(std::future::ready(Some(answer))));
                }
                Kind::Request => {
                    let outlet: Arc<dyn Outlet> = Arc::clone(&stream) as Arc<dyn Outlet>;
                    calls.push(Box::pin(Arc::clone(&self.edge.gateway).handle(caller, message, outlet)));
                }
            }
        }
        if calls.is_empty() {
            return reply::empty(StatusCode::ACCEPTED);
        }
        let call = async move {
            let answers: Vec<Bytes> =
                join_all(calls).await.into_iter().flatten().map(Answer::into_bytes).collect();
            (!answers.is_empty()).then(|| Answer::ok(wire::batch(&answers)))
        };
        let work = Work { call: Some(Box::pin(call)), stream, session: Some(session) };
        let events = headers::prefers_events(&self.headers);
        let style = Style { primed: false, events, packing: self.packing };
        respond(work, Era::Legacy, style, HeaderMap::new(), self.under_way).await
    }
}

/// How a client wants its answer.
#[derive(Debug, Clone, Copy)]
struct Style {
    /// A stream begins with an event from which the client can resume.
    primed: bool,
    /// Events rather than JSON, where both are possible.
    events: bool,
    /// How JSON is compressed.
    packing: Option<Packing>,
}

type Call = Pin<Box<dyn Future<Output = Option<Answer>> + Send>>;

/// A call under way and the stream that its messages go to. When the client leaves, a modern call ends with it; a
/// legacy one goes on, and its answer waits in the stream (2025-11-25: "Disconnection SHOULD NOT be interpreted as
/// the client cancelling its request").
pub(super) struct Work {
    call: Option<Call>,
    stream: Arc<EventStream>,
    session: Option<Arc<Session>>,
}

impl Work {
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Option<Answer>> {
        let Some(call) = &mut self.call else { return Poll::Ready(None) };
        let answer = std::task::ready!(call.as_mut().poll(cx));
        self.call = None;
        Poll::Ready(answer)
    }

    /// Lets the call go on; its answer becomes the last event of the stream.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<LongEvent>> {
        let answer = std::task::ready!(self.poll_answer(cx));
        let long = answer.and_then(|answer| long::settle(&self.stream, answer));
        self.stream.finish();
        Poll::Ready(long)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let (Some(call), Some(session)) = (self.call.take(), self.session.take()) else { return };
        if tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        session.streams.keep(&self.stream);
        let stream = Arc::clone(&self.stream);
        tasks::spawn("detached call", async move {
            if let Some(answer) = call.await {
                // A long result cannot wait for the client: what waits is the error in its place.
                long::settle(&stream, answer);
            }
            stream.finish();
        });
    }
}

/// JSON if the answer comes before anything else, soon enough; else a stream.
async fn respond(
    mut work: Work,
    era: Era,
    style: Style,
    room: HeaderMap,
    under_way: &UnderWay,
) -> Response<ReplyBody> {
    // A legacy reply has one status whatever comes, so a stream can begin at once.
    if style.events && era == Era::Legacy {
        return start_stream(work, style, None);
    }
    let mut held: Option<Pin<Box<Sleep>>> = None;
    let answered = std::future::poll_fn(|cx| {
        if let Poll::Ready(answer) = work.poll_answer(cx) {
            return Poll::Ready(Some(answer));
        }
        match work.stream.due() {
            Due::Now => return Poll::Ready(None),
            // The stream may as well begin with the answer.
            Due::At(until) => {
                let timer = held.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until.into())));
                if timer.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(None);
                }
            }
            Due::Nothing => {}
        }
        if under_way.is_slow() { Poll::Ready(None) } else { Poll::Pending }
    });
    match answered.await {
        Some(Some(answer)) if work.stream.is_used() || (style.events && answer.status == 200) => {
            let long = long::settle(&work.stream, answer);
            start_stream(work, style, long)
        }
        Some(Some(Answer { passing: Some(passing), .. })) => reply::passing(&passing),
        Some(Some(answer)) => reply::packed(answer, era, style.packing, room).await,
        // Cancelled: there is no answer, and nobody waits for one.
        Some(None) => reply::empty(StatusCode::ACCEPTED),
        None => start_stream(work, style, None),
    }
}

fn start_stream(work: Work, style: Style, long: Option<LongEvent>) -> Response<ReplyBody> {
    if let Some(session) = &work.session {
        session.streams.keep(&work.stream);
    }
    let stream = Arc::clone(&work.stream);
    reply::events(Events::new(stream, Some(work), None, style.primed).with_last(long))
}
