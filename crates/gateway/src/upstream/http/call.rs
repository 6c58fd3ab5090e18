//! One request and everything that comes back for it.
//!
//! The call is driven by its caller's polling; no task stands between the socket and the caller. What the GET
//! stream brings for a call waits in the call's inbox and is handed out in the order of arrival.

use std::future::{Future, poll_fn};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use aqe_core::envelope::{Beginning, Event, answers_to};
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, StatusCode};

use super::super::{CallError, Item, LongReply, Outgoing, PendingCall};
use super::answer::{Content, Refusal, Verdict, messages, sort};
use super::body::{Body, BodyError, EventStream, Next};
use super::fields::Fields;
use super::long::LongBody;
use super::pool::Response;
use super::resume::Place;
use super::{HttpConnection, OpenCall, frame};

/// How often one call's stream is taken up again in all; the caller's deadline is the other bound.
const MAX_RESUMPTIONS: u32 = 1_000;
/// Failed attempts in a row to take it up.
const MAX_FAILED_ATTEMPTS: u32 = 5;

/// The last item of a call, and what is left of the stream that brought it.
struct Last {
    item: Item,
    rest: Option<Body>,
}

type Driver = Pin<Box<dyn Future<Output = Last> + Send>>;

/// A call in flight.
pub(super) struct HttpCall {
    connection: Arc<HttpConnection>,
    open: Arc<OpenCall>,
    id: u64,
    cancellable: bool,
    started: bool,
    /// `None` once the last item is known.
    driver: Option<Driver>,
    /// The last item, while older ones are still in the inbox.
    held: Option<Last>,
    rest: Option<Body>,
    ended: bool,
}

impl HttpCall {
    pub(super) fn new(connection: Arc<HttpConnection>, open: Arc<OpenCall>, id: u64, out: Outgoing) -> Self {
        // The specification forbids cancelling `initialize`.
        let cancellable = out.method != "initialize";
        let request = Request { connection: Arc::clone(&connection), open: Arc::clone(&open), id, out };
        let driver: Driver = Box::pin(async move { request.drive().await });
        Self {
            connection,
            open,
            id,
            cancellable,
            started: false,
            driver: Some(driver),
            held: None,
            rest: None,
            ended: false,
        }
    }

    /// Hands out an item of the inbox, which may be the last one: the GET stream can bring the answer, closing the
    /// connection or an overflow can end the call.
    fn hand_out(&mut self, item: Item) -> Poll<Item> {
        match &item {
            Item::Answer(_) | Item::Long(_) => self.end(false),
            Item::Failed(_) => self.end(true),
            Item::Notification(_) | Item::Request(_) => {}
        }
        Poll::Ready(item)
    }

    /// Lets go of the stream, which a modern server takes as cancellation; a legacy one is told, if asked to.
    fn end(&mut self, cancel: bool) {
        self.driver = None;
        self.ended = true;
        self.connection.deregister(self.id);
        if cancel && self.started && self.cancellable {
            self.connection.cancel(self.id);
        }
    }
}

impl PendingCall for HttpCall {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Item> {
        self.started = true;
        if let Poll::Ready(item) = self.open.inbox.poll_next(cx) {
            return self.hand_out(item);
        }
        if let Some(driver) = &mut self.driver {
            if let Poll::Ready(last) = driver.as_mut().poll(cx) {
                self.driver = None;
                self.held = Some(last);
            }
            // What the driver has read, and what the GET stream brought before it read the answer.
            if let Poll::Ready(item) = self.open.inbox.poll_next(cx) {
                return self.hand_out(item);
            }
        }
        let Some(last) = self.held.take() else { return Poll::Pending };
        self.rest = last.rest;
        self.end(false);
        Poll::Ready(last.item)
    }
}

impl Drop for HttpCall {
    fn drop(&mut self) {
        if !self.ended {
            self.end(self.held.is_none());
        }
        if let Some(rest) = self.rest.take().or_else(|| self.held.take()?.rest) {
            self.connection.endpoint.client.background().drain(rest);
        }
    }
}

/// The request side: sends, reads, puts what is not last into the inbox.
struct Request {
    connection: Arc<HttpConnection>,
    open: Arc<OpenCall>,
    id: u64,
    out: Outgoing,
}

impl Request {
    async fn drive(&self) -> Last {
        match self.exchange().await {
            Ok(last) => last,
            Err(error) => Last { item: Item::Failed(error), rest: None },
        }
    }

    async fn exchange(&self) -> Result<Last, CallError> {
        let Self { connection, out, .. } = self;
        let frame = connection.frame.load_full();
        let fields = |into: &mut dyn Fields| frame.post(out, into);
        let Response { head, mut body } =
            connection.endpoint.exchange(&Method::POST, fields, &out.bytes).await?;
        let is_initialize = out.method == "initialize";
        if !head.status.is_success() {
            let in_session = frame.has_session() && !is_initialize;
            let refusal = Refusal::read(head, body, &connection.limits).await;
            return match refusal.judge(Some(self.id), in_session, &connection.endpoint.secrets) {
                Verdict::Answer(message) => Ok(Last { item: Item::Answer(*message), rest: None }),
                Verdict::SessionLost => {
                    connection.session_lost();
                    Err(CallError::SessionLost)
                }
                Verdict::Failed(error) => Err(error),
            };
        }
        if is_initialize
            && let Some(session) =
                head.get(frame::SESSION.as_str()).and_then(|id| HeaderValue::from_str(id).ok())
        {
            connection.session_opened(&session);
        }
        match Content::of(&head) {
            Content::Json => match out.pass_from {
                // In a box, for it is rare.
                Some(from) if body.length().is_none_or(|length| length > from as u64) => {
                    Box::pin(self.read_long(body, from)).await
                }
                _ => {
                    let text = body.read(connection.limits.max_body_bytes).await?;
                    let answer = self.take(text).await?;
                    answer.ok_or_else(no_answer)
                }
            },
            Content::Events => self.follow(self.events(body), frame.is_modern()).await,
            Content::Other(what) => {
                Err(CallError::Malformed(format!("status {}: {what}", head.status.as_u16())))
            }
        }
    }

    /// Reads a body that may be long; beyond `from` bytes it is handed out while it comes, if it is a result.
    async fn read_long(&self, mut body: Body, from: usize) -> Result<Last, CallError> {
        let announced = body.length().unwrap_or_default();
        let mut whole = BytesMut::new();
        if !body.read_into(&mut whole, from).await? {
            if self.begins_result(&whole) {
                let length = body.length().map(|left| whole.len() as u64 + left);
                let rest = LongBody::new(&self.connection, self.id, body, None);
                let long = LongReply { head: whole, length, rest: Box::new(rest) };
                return Ok(Last { item: Item::Long(long), rest: None });
            }
            let max = self.connection.limits.max_body_bytes;
            if announced > max as u64 || !body.read_into(&mut whole, max).await? {
                return Err(BodyError::TooLarge(max).into());
            }
        }
        self.take(whole.freeze()).await?.ok_or_else(no_answer)
    }

    /// Whether a text begins as the answer to this call, and the answer as a result.
    fn begins_result(&self, text: &[u8]) -> bool {
        match Beginning::of(text, self.connection.limits.message.max_depth) {
            Beginning::Result(id) => id.is_none_or(|id| answers_to(&id, self.id)),
            Beginning::Other => false,
        }
    }

    fn events(&self, body: Body) -> EventStream {
        EventStream::new(body, self.connection.limits.max_body_bytes).pass_from(self.out.pass_from)
    }

    /// Reads an event stream to the answer, over interruptions where the legacy era allows it.
    async fn follow(&self, mut stream: EventStream, modern: bool) -> Result<Last, CallError> {
        let mut place = Place::default();
        let mut resumptions = 0;
        loop {
            let reason = match stream.next().await {
                Ok(Next::Event(event)) => {
                    place.note(&event);
                    if let Some(last) = self.take_event(event).await? {
                        return Ok(Last { rest: Some(stream.into_body()), ..last });
                    }
                    continue;
                }
                Ok(Next::Long) if self.begins_result(&stream.begun()) => {
                    let (head, pieces, body) = stream.into_long();
                    let rest = LongBody::new(&self.connection, self.id, body, Some(pieces));
                    let long = LongReply { head, length: None, rest: Box::new(rest) };
                    return Ok(Last { item: Item::Long(long), rest: None });
                }
                Ok(Next::Long) => {
                    // Something else that is long. What follows it on this stream is collected as well.
                    stream = stream.pass_from(None);
                    continue;
                }
                Ok(Next::End) => "the server ended the stream without an answer".to_owned(),
                Err(BodyError::Broken(reason)) => reason,
                Err(error @ BodyError::TooLarge(_)) => return Err(error.into()),
            };
            resumptions += 1;
            if modern || place.last_event_id().is_none() || resumptions > MAX_RESUMPTIONS {
                return Err(CallError::Closed(reason));
            }
            stream = self.resume(&place).await?;
        }
    }

    /// Opens the continuation of a stream.
    async fn resume(&self, place: &Place) -> Result<EventStream, CallError> {
        let connection = &self.connection;
        let mut reason = String::new();
        for _ in 0..MAX_FAILED_ATTEMPTS {
            tokio::time::sleep(place.delay()).await;
            let frame = connection.frame.load_full();
            let fields = |into: &mut dyn Fields| frame.get(place.last_event_id(), into);
            let response = match connection.endpoint.exchange(&Method::GET, fields, &Bytes::new()).await {
                Ok(response) => response,
                Err(error @ CallError::Http { .. }) => return Err(error),
                Err(error) => {
                    reason = error.to_string();
                    continue;
                }
            };
            let status = response.head.status;
            if status.is_success() && Content::of(&response.head) == Content::Events {
                return Ok(self.events(response.body));
            }
            reason = format!("HTTP status {}", status.as_u16());
            connection.endpoint.client.background().drain(response.body);
            if status == StatusCode::NOT_FOUND && frame.has_session() {
                // Not `SessionLost`: the server had taken the request and may have acted on it.
                connection.session_lost();
            }
            if !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS {
                break;
            }
        }
        Err(CallError::Closed(format!("the stream broke and could not be taken up again: {reason}")))
    }

    async fn take_event(&self, event: Event) -> Result<Option<Last>, CallError> {
        // An event without data marks a place in the stream; one of another type is none of MCP's.
        if event.data.is_empty() || event.event.as_deref().is_some_and(|name| name != "message") {
            return Ok(None);
        }
        self.take(event.data).await
    }

    /// Puts the messages of a text into the inbox, up to the answer.
    async fn take(&self, text: Bytes) -> Result<Option<Last>, CallError> {
        let modern = self.connection.frame.load().is_modern();
        for message in messages(text, self.connection.limits.message)? {
            match sort(message, self.id, modern)? {
                item @ Item::Answer(_) => return Ok(Some(Last { item, rest: None })),
                item => {
                    // `false`: the call has been ended through its inbox, and this future with it.
                    self.open.inbox.push(item);
                    // The caller takes it before anything more is read.
                    give_way().await;
                }
            }
        }
        Ok(None)
    }
}

fn no_answer() -> CallError {
    CallError::Malformed("no answer in the body".into())
}

/// Returns to the caller once. No wake-up is due: the caller looks into the inbox and polls again.
fn give_way() -> impl Future<Output = ()> {
    let mut given = false;
    poll_fn(move |_| if mem::replace(&mut given, true) { Poll::Ready(()) } else { Poll::Pending })
}

/// A call that was refused before anything was sent.
pub(super) struct Refused(pub(super) Option<CallError>);

impl PendingCall for Refused {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Item> {
        self.0.take().map_or(Poll::Pending, |error| Poll::Ready(Item::Failed(error)))
    }
}
