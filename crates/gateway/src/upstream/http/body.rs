//! Reading response bodies: whole, bounded, or event by event.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use aqe_core::envelope::{Event, SseDecoder};
use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame};
use hyper::body::Incoming;
use tokio::time::timeout;

use super::super::CallError;
use super::client::causes;
use super::pool::Lease;

/// Memory set aside on a length that the server only announced.
const MAX_RESERVED: usize = 1024 * 1024;

/// How much of a body that says nothing is worth reading, and how long: beyond it a new connection is cheaper.
const FINISH_BYTES: usize = 64 * 1024;
const FINISH_TIMEOUT: Duration = Duration::from_millis(250);

/// Why a body could not be read.
#[derive(Debug)]
pub(super) enum BodyError {
    /// It is longer than its bound.
    TooLarge(usize),
    /// The connection ended within it, or its framing is broken.
    Broken(String),
}

impl From<BodyError> for CallError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge(max) => Self::Malformed(format!("answer of more than {max} bytes")),
            BodyError::Broken(reason) => Self::Closed(format!("within the answer: {reason}")),
        }
    }
}

/// The body of a response, with the connection that brings it. Dropped before its end, it closes the connection.
pub(super) struct Body {
    incoming: Incoming,
    /// `None` once the end has been reached.
    lease: Option<Lease>,
}

impl Body {
    pub(super) fn new(incoming: Incoming, lease: Lease) -> Self {
        let mut body = Self { incoming, lease: Some(lease) };
        body.release_at_end();
        body
    }

    fn release_at_end(&mut self) {
        if self.incoming.is_end_stream() {
            self.release();
        }
    }

    fn release(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.release();
        }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        loop {
            let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
            match frame.transpose().map_err(|error| BodyError::Broken(causes(&error)))?.map(Frame::into_data)
            {
                Some(Ok(bytes)) => {
                    self.release_at_end();
                    return Poll::Ready(Ok(Some(bytes)));
                }
                Some(Err(_trailers)) => {}
                None => {
                    self.release();
                    return Poll::Ready(Ok(None));
                }
            }
        }
    }

    /// The next piece; `None` at the end.
    async fn data(&mut self) -> Result<Option<Bytes>, BodyError> {
        poll_fn(|cx| self.poll_data(cx)).await
    }

    /// Reads to the end. What came in one piece is not copied.
    pub(super) async fn read(&mut self, max: usize) -> Result<Bytes, BodyError> {
        let announced = self.incoming.size_hint().lower();
        if announced > max as u64 {
            return Err(BodyError::TooLarge(max));
        }
        let Some(first) = self.data().await? else { return Ok(Bytes::new()) };
        let mut next = if self.lease.is_none() { None } else { self.data().await? };
        if next.is_none() && first.len() <= max {
            return Ok(first);
        }
        let mut whole = BytesMut::with_capacity(first.len().max((announced as usize).min(MAX_RESERVED)));
        whole.extend_from_slice(&first);
        while let Some(bytes) = next {
            whole.extend_from_slice(&bytes);
            if whole.len() > max {
                break;
            }
            next = self.data().await?;
        }
        if whole.len() > max { Err(BodyError::TooLarge(max)) } else { Ok(whole.freeze()) }
    }

    /// Reads on to the end, if that is near, so that the connection can be used again.
    pub(super) async fn finish(mut self) {
        if self.lease.is_some() {
            // Whatever goes wrong closes the connection, which is the other way to end it.
            let _ = timeout(FINISH_TIMEOUT, self.read(FINISH_BYTES)).await;
        }
    }

    /// Whether the body has ended, as far as is known without waiting.
    pub(super) fn has_ended(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.lease.is_none() || matches!(self.poll_data(&mut cx), Poll::Ready(Ok(None) | Err(_)))
    }
}

/// An event stream. Reads the next piece of the body only when every event before it has been taken, so a slow
/// reader slows the server.
pub(super) struct EventStream {
    body: Body,
    decoder: SseDecoder,
    max: usize,
}

impl EventStream {
    /// A reader for events of up to `max` bytes.
    pub(super) fn new(body: Body, max: usize) -> Self {
        Self { body, decoder: SseDecoder::new(max), max }
    }

    /// The next event; `None` at the end of the stream.
    pub(super) async fn next(&mut self) -> Result<Option<Event>, BodyError> {
        loop {
            match self.decoder.next_event() {
                Ok(Some(event)) => return Ok(Some(event)),
                Ok(None) => {}
                Err(_) => return Err(BodyError::TooLarge(self.max)),
            }
            match self.body.data().await? {
                Some(bytes) => self.decoder.buffer().extend_from_slice(&bytes),
                None => return Ok(None),
            }
        }
    }

    /// The body, for reading it to its end.
    pub(super) fn into_body(self) -> Body {
        self.body
    }
}
