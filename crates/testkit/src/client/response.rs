//! A response, read piece by piece.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::{Answer, Event, EventParser, RawSocket, http::IdleConnections, must, within};
use crate::http1::{self, Framing, Headers};

/// An HTTP response whose head has come. Its connection goes back for reuse when the body has been
/// read; dropping it before closes the connection.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: Headers,
    framing: Framing,
    socket: Option<RawSocket>,
    idle: IdleConnections,
    events: EventParser,
    deadline: Duration,
}

impl Response {
    pub(super) fn new(
        status: u16,
        headers: Headers,
        framing: Framing,
        socket: RawSocket,
        idle: IdleConnections,
        deadline: Duration,
    ) -> Self {
        Self {
            status,
            headers,
            framing,
            socket: Some(socket),
            idle,
            events: EventParser::default(),
            deadline,
        }
    }

    /// Whether the body is a stream of events.
    pub fn is_event_stream(&self) -> bool {
        self.headers.begins("content-type", "text/event-stream")
    }

    /// The next piece of the body, `None` at its end.
    pub async fn piece(&mut self) -> Option<Bytes> {
        let socket = self.socket.as_mut()?;
        let read = http1::read_piece(&mut socket.stream, &mut self.framing);
        let piece = within(self.deadline, "a piece of the body", read).await;
        let piece = must(piece, "expected a piece of the body");
        if piece.is_none() {
            self.release();
        }
        piece
    }

    /// What comes of the body until its end, or until it breaks off with this error.
    pub async fn until_broken(&mut self) -> (Vec<u8>, Option<io::Error>) {
        let mut body = Vec::new();
        while let Some(socket) = &mut self.socket {
            let read = http1::read_piece(&mut socket.stream, &mut self.framing);
            match within(self.deadline, "a piece of the body", read).await {
                Ok(Some(piece)) => body.extend_from_slice(&piece),
                Ok(None) => self.release(),
                Err(error) => return (body, Some(error)),
            }
        }
        (body, None)
    }

    fn release(&mut self) {
        let close = self.framing == Framing::Close || self.headers.begins("connection", "close");
        if let Some(socket) = self.socket.take().filter(|_| !close) {
            self.idle.put(socket);
        }
    }

    /// The whole body, or the rest of it.
    pub async fn bytes(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        while let Some(piece) = self.piece().await {
            body.extend_from_slice(&piece);
        }
        body
    }

    /// The whole body as text.
    pub async fn text(&mut self) -> String {
        must(String::from_utf8(self.bytes().await), "expected a body of UTF-8")
    }

    /// The whole body as JSON.
    pub async fn json(&mut self) -> Value {
        let text = self.text().await;
        must(serde_json::from_str(&text), &format!("expected a body of JSON, got {text:?}"))
    }

    /// The next event, `None` at the end of the stream.
    pub async fn event(&mut self) -> Option<Event> {
        assert!(
            self.is_event_stream(),
            "expected an event stream, got status {} and {:?}",
            self.status,
            self.headers
        );
        loop {
            if let Some(event) = self.events.next_event() {
                return Some(event);
            }
            let piece = self.piece().await?;
            self.events.push(&piece);
        }
    }

    /// The next event if one comes within `patience`; `None` also at the end of the stream.
    pub async fn event_within(&mut self, patience: Duration) -> Option<Event> {
        // Nothing is lost when the wait is cut short: see `Buffered` and `read_piece`.
        tokio::time::timeout(patience, self.event()).await.ok().flatten()
    }

    /// The next message: the data of the next `message` event that has some, or the JSON body; `None` at
    /// the end.
    pub async fn message(&mut self) -> Option<String> {
        if !self.is_event_stream() {
            let body = self.text().await;
            return Some(body).filter(|body| !body.is_empty());
        }
        loop {
            let event = self.event().await?;
            // Events of other names are not for us (HTML standard: no listener, no effect).
            if !event.data.is_empty() && matches!(event.name.as_str(), "" | "message") {
                return Some(event.data);
            }
        }
    }

    /// Waits for the answer to the request with this id (JSON text), and in a stream for its end.
    pub async fn answer(&mut self, id: &str) -> Answer {
        let mut before = Vec::new();
        loop {
            match self.message().await {
                Some(text) if Answer::is_for(&text, id) => return Answer { before, text },
                Some(text) => before.push(text),
                None => {
                    let status = self.status;
                    panic!("expected the answer to {id}, got status {status} and only {before:?}")
                }
            }
        }
    }
}
