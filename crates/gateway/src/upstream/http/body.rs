//! Reading response bodies: whole, bounded, or event by event.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use aqe_core::envelope::{Event, SseDecoder};
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use hyper::body::Incoming;

use super::super::CallError;
use super::client::causes;

/// Memory set aside on a length that the server only announced.
const MAX_RESERVED: usize = 1024 * 1024;

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

/// The next piece of data; `None` at the end.
async fn data(body: &mut Incoming) -> Result<Option<Bytes>, BodyError> {
    loop {
        let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
        match frame.transpose().map_err(|error| BodyError::Broken(causes(&error)))?.map(Frame::into_data) {
            None => return Ok(None),
            Some(Ok(bytes)) => return Ok(Some(bytes)),
            Some(Err(_trailers)) => {}
        }
    }
}

/// Reads a body to its end. One that came in one piece is not copied.
pub(super) async fn read(body: &mut Incoming, max: usize) -> Result<Bytes, BodyError> {
    let announced = body.size_hint().lower();
    if announced > max as u64 {
        return Err(BodyError::TooLarge(max));
    }
    let Some(first) = data(body).await? else { return Ok(Bytes::new()) };
    if body.is_end_stream() && first.len() <= max {
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(first.len().max((announced as usize).min(MAX_RESERVED)));
    let mut next = Some(first);
    while let Some(bytes) = next {
        if whole.len() + bytes.len() > max {
            return Err(BodyError::TooLarge(max));
        }
        whole.extend_from_slice(&bytes);
        next = data(body).await?;
    }
    Ok(whole.freeze())
}

/// Whether the body has ended, as far as is known without waiting.
pub(super) fn has_ended(body: &mut Incoming) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    body.is_end_stream() || matches!(Pin::new(body).poll_frame(&mut cx), Poll::Ready(None | Some(Err(_))))
}

/// An event stream. Reads the next piece of the body only when every event before it has been taken, so a slow
/// reader slows the server.
pub(super) struct EventStream {
    body: Incoming,
    decoder: SseDecoder,
    max: usize,
}

impl EventStream {
    /// A reader for events of up to `max` bytes.
    pub(super) fn new(body: Incoming, max: usize) -> Self {
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
            match data(&mut self.body).await? {
                Some(bytes) => self.decoder.buffer().extend_from_slice(&bytes),
                None => return Ok(None),
            }
        }
    }

    /// The body, for reading it to its end.
    pub(super) fn into_body(self) -> Incoming {
        self.body
    }
}
