//! The GET stream of a legacy connection: what the server says outside of calls.

use std::sync::{Arc, Weak};

use aqe_core::envelope::{Field, Kind, Message};
use bytes::Bytes;
use http::{Method, StatusCode};

use super::super::{Connection, Events, Item};
use super::answer::{Content, messages};
use super::body::{EventStream, Next};
use super::exchange::Endpoint;
use super::fields::Fields;
use super::resume::{Place, backoff};
use super::{HttpConnection, HttpLimits};

/// What the listener keeps. It holds the connection weakly, so that a forgotten connection ends.
pub(super) struct Listener {
    pub(super) connection: Weak<HttpConnection>,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) events: Arc<dyn Events>,
    pub(super) limits: HttpLimits,
}

/// What came of one attempt to open the stream.
enum Opened {
    Stream(Box<EventStream>),
    /// The server has no GET stream.
    Unsupported,
    /// It has forgotten the session.
    SessionLost,
    Failed(String),
}

impl Listener {
    /// Listens until the connection ends, the server says that it has no such stream, or the session is lost.
    pub(super) async fn run(self) {
        let mut place = Place::default();
        let mut failures = 0;
        let mut was_open = false;
        loop {
            match self.open(&place, was_open).await {
                None | Some(Opened::Unsupported) => return,
                Some(Opened::SessionLost) => {
                    if let Some(connection) = self.connection.upgrade() {
                        connection.session_lost();
                    }
                    return;
                }
                Some(Opened::Stream(stream)) => {
                    was_open = true;
                    if self.listen(*stream, &mut place).await {
                        failures = 0;
                    }
                }
                Some(Opened::Failed(reason)) => {
                    tracing::debug!(%reason, "GET stream not opened");
                    // The place may be what the server did not like.
                    place.forget();
                }
            }
            failures += 1;
            let delay = match place.retry() {
                Some(retry) if failures == 1 => retry,
                _ => backoff(failures, fastrand::f64()),
            };
            tokio::time::sleep(delay).await;
        }
    }

    async fn open(&self, place: &Place, was_open: bool) -> Option<Opened> {
        // Released before the wait below: a server may hold back its response for as long as it has nothing to say.
        let frame = self.connection.upgrade()?.frame.load_full();
        let fields = |into: &mut dyn Fields| frame.get(place.last_event_id(), into);
        let response = match self.endpoint.exchange(&Method::GET, fields, &Bytes::new()).await {
            Ok(response) => response,
            Err(error) => return Some(Opened::Failed(error.to_string())),
        };
        let status = response.head.status;
        if status.is_success() && Content::of(&response.head) == Content::Events {
            let stream = EventStream::new(response.body, self.limits.max_body_bytes);
            return Some(Opened::Stream(Box::new(stream)));
        }
        self.endpoint.client.background().drain(response.body);
        Some(match status {
            // Many servers route POST alone and answer any other method with 404. Where the stream has never been
            // open that is the likelier reading; a lost session shows at the next POST.
            StatusCode::NOT_FOUND if was_open && frame.has_session() => Opened::SessionLost,
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {
                Opened::Unsupported
            }
            status if status.is_success() => Opened::Unsupported,
            status => Opened::Failed(format!("HTTP status {}", status.as_u16())),
        })
    }

    /// Reads a stream to its end. Returns whether it brought anything.
    async fn listen(&self, mut stream: EventStream, place: &mut Place) -> bool {
        let mut brought = false;
        loop {
            let event = match stream.next().await {
                Ok(Next::Event(event)) => event,
                Ok(Next::Long | Next::End) => return brought,
                Err(error) => {
                    tracing::debug!(?error, "GET stream broke");
                    return brought;
                }
            };
            brought = true;
            place.note(&event);
            if event.data.is_empty() || event.event.as_deref().is_some_and(|name| name != "message") {
                continue;
            }
            match messages(event.data, self.limits.message) {
                Ok(messages) => {
                    let Some(connection) = self.connection.upgrade() else { return brought };
                    for message in messages {
                        self.dispatch(&connection, message);
                    }
                }
                Err(error) => tracing::warn!(%error, "message on the GET stream ignored"),
            }
        }
    }

    /// To the call that the message names, else to whoever looks after the connection.
    fn dispatch(&self, connection: &HttpConnection, message: Message) {
        let (call, item) = match message.kind() {
            Kind::Request => return self.events.unsolicited(message),
            Kind::Notification => {
                let progress = (message.method() == "notifications/progress")
                    .then(|| message.integer(Field::ProgressToken))
                    .flatten();
                (progress.or_else(|| message.integer(Field::MetaSubscriptionId)), Item::Notification(message))
            }
            // Some servers answer here when the call's own stream is gone.
            Kind::Response | Kind::Error => {
                (message.id().and_then(|id| id.parse().ok()), Item::Answer(message))
            }
        };
        let undelivered = match call {
            Some(call) => connection.deliver(call, item),
            None => Some(item),
        };
        match undelivered {
            Some(Item::Notification(message)) => self.events.unsolicited(message),
            Some(_) => tracing::debug!("answer to no open call on the GET stream ignored"),
            None => {}
        }
    }
}
