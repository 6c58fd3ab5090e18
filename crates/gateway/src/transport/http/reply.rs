//! Response bodies: a whole JSON text in parts, or a stream of server-sent events.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use aqe_core::envelope::encode_event;
use aqe_core::revision::Era;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use super::compression::{self, Packing};
use super::long::{LongEvent, Writing};
use super::post::Work;
use crate::admin::Feed;
use crate::proxy::{Answer, Broken, Passing, Pieces};
use crate::session::{EventStream, Read};

/// A comment keeps proxies from closing a stream that has nothing to say.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// When a client that lost the stream should come back, in milliseconds; sent with the priming event.
const RETRY: &[u8] = b"retry: 1000\n";
/// Events are written together up to this size.
const CHUNK_BYTES: usize = 64 * 1024;

/// The body of a response.
pub enum ReplyBody {
    /// Parts that are written one after the other.
    Parts([Bytes; 3], usize),
    /// A stream of events.
    Events(Box<Events>),
    /// A result that is passed on while it comes.
    Passing(Pieces),
    /// The figures of the dashboard, for as long as somebody looks.
    Feed(Feed),
}

impl std::fmt::Debug for ReplyBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Parts(parts, _) => f.debug_tuple("Parts").field(&parts.each_ref().map(Bytes::len)).finish(),
            Self::Events(_) => f.write_str("Events"),
            Self::Passing(_) => f.write_str("Passing"),
            Self::Feed(_) => f.write_str("Feed"),
        }
    }
}

impl ReplyBody {
    /// A body in one piece.
    pub fn whole(bytes: Bytes) -> Self {
        Self::Parts([bytes, Bytes::new(), Bytes::new()], 0)
    }

    /// An answer's body.
    pub(super) fn answer(answer: Answer) -> Self {
        Self::Parts(answer.parts, 0)
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    /// Ends the connection, so that the client sees that the reply is not whole.
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut *self {
            Self::Parts(parts, next) => {
                while let Some(part) = parts.get_mut(*next) {
                    *next += 1;
                    if !part.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(std::mem::take(part)))));
                    }
                }
                Poll::Ready(None)
            }
            Self::Events(events) => events.poll(cx).map(|chunk| chunk.map(|chunk| chunk.map(Frame::data))),
            Self::Passing(pieces) => {
                pieces.poll_next(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
            }
            Self::Feed(feed) => feed.poll(cx).map(|frame| frame.map(|frame| Ok(Frame::data(frame)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Parts(parts, _) => parts.iter().all(Bytes::is_empty),
            Self::Events(_) | Self::Passing(_) | Self::Feed(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Parts(parts, _) => SizeHint::with_exact(parts.iter().map(|part| part.len() as u64).sum()),
            Self::Events(_) | Self::Passing(_) | Self::Feed(_) => SizeHint::default(),
        }
    }
}

/// The events of one stream, with the call that makes them. The body drives the call, so a reply needs no task; a
/// legacy call goes on in a task of its own when the client leaves.
pub struct Events {
    stream: Arc<EventStream>,
    reader: u64,
    work: Option<Work>,
    head: Vec<u8>,
    quiet: Pin<Box<Sleep>>,
    ended: bool,
    /// What takes the place of the last event, if that is a long one.
    long: Option<LongEvent>,
    writing: Option<Writing>,
}

impl Events {
    /// A reader of `stream` from the event after `after` on. `primed` sends an event without data first, from
    /// whose id a client can resume (2025-11-25, "Sending Messages to the Server").
    pub(super) fn new(
        stream: Arc<EventStream>,
        work: Option<Work>,
        after: Option<u64>,
        primed: bool,
    ) -> Self {
        let reader = stream.attach(after);
        let mut head = Vec::new();
        if primed && let Some(id) = stream.event_id(after.unwrap_or(0)) {
            head.extend_from_slice(RETRY);
            encode_event(&mut head, Some(&id), b"");
        }
        let quiet = Box::pin(tokio::time::sleep(KEEP_ALIVE));
        Self { stream, reader, work, head, quiet, ended: false, long: None, writing: None }
    }

    /// With what takes the place of the last event, if that is there.
    pub(super) fn with_last(mut self, long: Option<LongEvent>) -> Self {
        self.long = long;
        self
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        if let Some(writing) = &mut self.writing {
            return writing.poll(cx);
        }
        if self.ended {
            return Poll::Ready(None);
        }
        let mut chunk = std::mem::take(&mut self.head);
        loop {
            let mut held = None;
            while chunk.len() < CHUNK_BYTES {
                match self.stream.read(self.reader, cx) {
                    Read::Event(number, _)
                        if self.long.as_ref().is_some_and(|long| long.number == number) =>
                    {
                        let id = self.stream.event_id(number);
                        self.writing = self.long.take().map(|long| long.start(id.as_deref()));
                        break;
                    }
                    Read::Event(number, data) => {
                        encode_event(&mut chunk, self.stream.event_id(number).as_deref(), &data);
                    }
                    Read::End => {
                        self.ended = true;
                        break;
                    }
                    Read::Held(until) => {
                        held = Some(Instant::from_std(until));
                        break;
                    }
                    Read::Nothing => break,
                }
            }
            if !chunk.is_empty() {
                self.quiet.as_mut().reset(Instant::now() + KEEP_ALIVE);
                return Poll::Ready(Some(Ok(chunk.into())));
            }
            if let Some(writing) = &mut self.writing {
                return writing.poll(cx);
            }
            if self.ended {
                return Poll::Ready(None);
            }
            // Nothing to write: let the call go on, and look again if it has said something.
            if let Some(work) = &mut self.work {
                let before = self.stream.pushed();
                if let Poll::Ready(long) = work.poll(cx) {
                    self.work = None;
                    self.long = long;
                    continue;
                }
                if self.stream.pushed() != before {
                    continue;
                }
            }
            if let Some(until) = held.filter(|until| *until < self.quiet.deadline()) {
                self.quiet.as_mut().reset(until);
            }
            if self.quiet.as_mut().as_mut().poll_elapsed(cx) {
                self.quiet.as_mut().reset(Instant::now() + KEEP_ALIVE);
                if held.is_some() {
                    continue;
                }
                chunk.extend_from_slice(b": keep-alive\n\n");
                continue;
            }
            return Poll::Pending;
        }
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.stream.detach(self.reader);
    }
}

/// Polling a timer where only "has it fired" matters.
trait Elapsed {
    fn poll_elapsed(self: Pin<&mut Self>, cx: &mut Context<'_>) -> bool;
}

impl Elapsed for Sleep {
    fn poll_elapsed(self: Pin<&mut Self>, cx: &mut Context<'_>) -> bool {
        std::future::Future::poll(self, cx).is_ready()
    }
}

/// A response with server-sent events.
pub(super) fn events(events: Events) -> Response<ReplyBody> {
    event_stream(ReplyBody::Events(Box::new(events)))
}

/// The figures of the dashboard, as server-sent events.
pub(super) fn feed(feed: Feed) -> Response<ReplyBody> {
    event_stream(ReplyBody::Feed(feed))
}

fn event_stream(body: ReplyBody) -> Response<ReplyBody> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// A complete answer as JSON, compressed where that was settled; see [`answer`] for `room`.
pub(super) async fn packed(
    answer: Answer,
    era: Era,
    packing: Option<Packing>,
    room: HeaderMap,
) -> Response<ReplyBody> {
    let Some(packing) = packing else { return self::answer(answer, era, room) };
    // In a box, for it is rare and would make the future of every call larger.
    let (answer, coding) = Box::pin(packing.pack(answer)).await;
    let mut response = self::answer(answer, era, room);
    if let Some(coding) = coding {
        compression::label(response.headers_mut(), coding);
    }
    response
}

/// A complete answer as JSON. `room` is an empty map that becomes that of the reply: hyper reads the next request's
/// headers into it, so that one with room for as many saves making another.
pub(super) fn answer(answer: Answer, era: Era, room: HeaderMap) -> Response<ReplyBody> {
    let status = super::status_for(era, answer.status);
    let mut response = Response::new(ReplyBody::answer(answer));
    *response.status_mut() = status;
    *response.headers_mut() = room;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A result that is passed on while it comes, as JSON. It is not compressed: the encoders work on whole texts.
pub(super) fn passing(passing: &Passing) -> Response<ReplyBody> {
    let Some(passage) = passing.take() else { return empty(StatusCode::ACCEPTED) };
    let mut response = Response::new(ReplyBody::Passing(passage.start()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A plain text, for what is not MCP.
pub(super) fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::whole(text.into()));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

/// A response without a body.
pub(super) fn empty(status: StatusCode) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::whole(Bytes::new()));
    *response.status_mut() = status;
    response
}

/// 405 with the methods that are allowed.
pub(super) fn method_not_allowed(allowed: &'static str) -> Response<ReplyBody> {
    let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}
