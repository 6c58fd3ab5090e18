//! Reading response bodies: whole, bounded, or event by event.

use std::future::poll_fn;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use aqe_core::envelope::{Event, EventPieces, SseDecoder};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::time::timeout;

use super::super::CallError;
use super::chunked::{Chunked, Step};
use super::client::causes;
use super::coding::Decoder;
use super::head::Framing;
use super::http2::Incoming;
use super::pool::Lease;
use crate::coding::Coding;

/// What a read asks for when the length of what comes is not known.
const READ_BYTES: usize = 8 * 1024;

/// Memory set aside on a length that the server only announced.
const MAX_RESERVED: usize = 1024 * 1024;

/// Compressed bytes that are expanded at a time: with zstd, whose blocks of one byte repeated are the densest of the honest, to
/// 8 MiB.
const EXPANDED_AT_ONCE: usize = 256;

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

fn ended(within: &str) -> BodyError {
    BodyError::Broken(format!("the connection ended within {within}"))
}

/// The body of a response, with the connection that brings it. Dropped before its end, it closes the connection, or resets
/// its stream (HTTP/2).
pub(super) struct Body {
    /// `None` once the end has been reached, and over HTTP/2.
    lease: Option<Lease>,
    /// What brings it over HTTP/2, until the end has been reached.
    incoming: Option<Box<Incoming>>,
    /// Bytes of data that come next.
    left: u64,
    behind: Behind,
    /// What expands it, if the server has compressed it.
    decoder: Option<Decoder>,
    /// What has come and is to be expanded.
    packed: BytesMut,
}

/// What comes behind the data at hand.
enum Behind {
    /// The end of the body.
    End,
    Chunk(Chunked),
}

impl Body {
    pub(super) fn new(framing: Framing, coding: Option<Coding>, lease: Lease) -> Self {
        let (left, behind) = match framing {
            Framing::Length(length) => (length, Behind::End),
            Framing::Chunked => (0, Behind::Chunk(Chunked::default())),
            Framing::UntilClose => (u64::MAX, Behind::End),
        };
        // A decoder that cannot be had leaves what no message can be read from.
        let decoder = coding.and_then(|coding| Decoder::new(coding).ok());
        let mut body =
            Self { lease: Some(lease), incoming: None, left, behind, decoder, packed: BytesMut::new() };
        // Without a wait, so that an empty body gives the connection back at once. What is wrong is told when read.
        if framing == Framing::Length(0) {
            body.release();
        }
        body
    }

    /// A body that comes over HTTP/2, of `length` bytes if the server has said so.
    pub(super) fn of_http2(length: Option<u64>, coding: Option<Coding>, incoming: Incoming) -> Self {
        let decoder = coding.and_then(|coding| Decoder::new(coding).ok());
        let incoming = (!incoming.has_ended()).then(|| Box::new(incoming));
        let left = length.unwrap_or(u64::MAX);
        Self { lease: None, incoming, left, behind: Behind::End, decoder, packed: BytesMut::new() }
    }

    fn release(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.release();
        }
    }

    /// The length of what is left, where it is known.
    pub(super) fn length(&self) -> Option<u64> {
        let is_known = matches!(self.behind, Behind::End) && self.decoder.is_none();
        is_known.then_some(self.left).filter(|left| *left < u64::MAX)
    }

    /// Adds what comes next to `into`; `false` at the end.
    pub(super) fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut BytesMut,
    ) -> Poll<Result<bool, BodyError>> {
        if self.decoder.is_none() {
            return self.poll_raw(cx, into);
        }
        let mut piece = std::mem::take(&mut self.packed);
        let more = if piece.is_empty() { ready!(self.poll_raw(cx, &mut piece))? } else { true };
        if let Some(decoder) = &mut self.decoder {
            // What expands to much is not expanded at once, for it is not all taken at once.
            self.packed = piece.split_off(piece.len().min(EXPANDED_AT_ONCE));
            let expanded = decoder.expand(&piece, into);
            expanded.map_err(|error| BodyError::Broken(format!("its compression: {error}")))?;
        }
        Poll::Ready(Ok(more))
    }

    /// As [`Body::poll_data`], before it is expanded.
    fn poll_raw(&mut self, cx: &mut Context<'_>, into: &mut BytesMut) -> Poll<Result<bool, BodyError>> {
        loop {
            let Some(lease) = &mut self.lease else { return self.poll_incoming(cx, into) };
            let conn = &mut lease.conn;
            if self.left == 0 {
                let Behind::Chunk(chunked) = &mut self.behind else {
                    self.release();
                    continue;
                };
                match chunked.step(&mut conn.received).map_err(|why| BodyError::Broken(why.to_owned()))? {
                    Step::Data(length) => self.left = length,
                    Step::End => self.behind = Behind::End,
                    Step::Incomplete => match ready!(conn.poll_receive(cx)) {
                        Ok(0) => return Poll::Ready(Err(ended("a chunk"))),
                        Ok(_) => {}
                        Err(error) => return Poll::Ready(Err(BodyError::Broken(causes(&error)))),
                    },
                }
                continue;
            }
            let most = usize::try_from(self.left).unwrap_or(usize::MAX);
            let taken = if conn.received.is_empty() {
                if into.capacity() == into.len() {
                    into.reserve(READ_BYTES.min(most));
                }
                match ready!(conn.poll_read(cx, &mut into.limit(most))) {
                    Ok(0) if self.left > u64::MAX / 2 => {
                        // Without a length the body is what came until the server closed the connection.
                        self.lease = None;
                        return Poll::Ready(Ok(false));
                    }
                    Ok(0) => return Poll::Ready(Err(ended("the body"))),
                    Ok(taken) => taken,
                    Err(error) => return Poll::Ready(Err(BodyError::Broken(causes(&error)))),
                }
            } else {
                let taken = conn.received.len().min(most);
                into.extend_from_slice(&conn.received[..taken]);
                conn.received.advance(taken);
                taken
            };
            self.left -= taken as u64;
            // At once, so that a caller who sends one request after another stays on one connection.
            if self.left == 0 && matches!(self.behind, Behind::End) {
                self.release();
            }
            return Poll::Ready(Ok(true));
        }
    }

    /// As [`Body::poll_raw`], over HTTP/2.
    fn poll_incoming(&mut self, cx: &mut Context<'_>, into: &mut BytesMut) -> Poll<Result<bool, BodyError>> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(Ok(false)) };
        let before = into.len();
        let more = ready!(incoming.poll_data(cx, into)).map_err(BodyError::Broken)?;
        if self.left < u64::MAX {
            self.left = self.left.saturating_sub((into.len() - before) as u64);
        }
        if !more {
            self.incoming = None;
        }
        Poll::Ready(Ok(more))
    }

    /// Reads to the end.
    pub(super) async fn read(&mut self, max: usize) -> Result<Bytes, BodyError> {
        let announced = self.length().map_or(0, |length| usize::try_from(length).unwrap_or(usize::MAX));
        if announced > max {
            return Err(BodyError::TooLarge(max));
        }
        let mut whole = BytesMut::with_capacity(announced.min(MAX_RESERVED));
        while poll_fn(|cx| self.poll_data(cx, &mut whole)).await? {
            if whole.len() > max {
                return Err(BodyError::TooLarge(max));
            }
        }
        Ok(whole.freeze())
    }

    /// Adds what comes to `whole`: to the end (`true`), or until it is longer than `max`.
    pub(super) async fn read_into(&mut self, whole: &mut BytesMut, max: usize) -> Result<bool, BodyError> {
        while whole.len() <= max {
            if !poll_fn(|cx| self.poll_data(cx, whole)).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads on to the end, if that is near, so that the connection can be used again.
    pub(super) async fn finish(mut self) {
        self.decoder = None;
        if self.lease.is_some() || self.incoming.is_some() {
            // Whatever goes wrong closes the connection, or resets the stream, which is the other way to end it.
            let _ = timeout(FINISH_TIMEOUT, self.read(FINISH_BYTES)).await;
        }
    }

    /// Whether the body has ended, as far as is known without waiting.
    pub(super) fn has_ended(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        let mut rest = BytesMut::new();
        loop {
            match self.poll_raw(&mut cx, &mut rest) {
                Poll::Ready(Ok(true)) if rest.len() <= FINISH_BYTES => {}
                Poll::Ready(Ok(false) | Err(_)) => return true,
                Poll::Ready(Ok(true)) | Poll::Pending => return false,
            }
        }
    }
}

/// An event stream. Reads the next piece of the body only when every event before it has been taken, so a slow
/// reader slows the server.
pub(super) struct EventStream {
    body: Body,
    decoder: SseDecoder,
    max: usize,
    /// An event with more data than this is told before it has come whole.
    pass_from: usize,
}

/// What comes next of an event stream.
pub(super) enum Next {
    Event(Event),
    /// The beginning of an event has come that is longer than was asked for; see [`EventStream::begun`].
    Long,
    End,
}

impl EventStream {
    /// A reader for events of up to `max` bytes.
    pub(super) fn new(body: Body, max: usize) -> Self {
        Self { body, decoder: SseDecoder::new(max), max, pass_from: usize::MAX }
    }

    /// Tells of events whose data is longer than `length` before they have come whole.
    pub(super) fn pass_from(mut self, length: Option<usize>) -> Self {
        self.pass_from = length.unwrap_or(usize::MAX);
        self
    }

    /// What comes next.
    pub(super) async fn next(&mut self) -> Result<Next, BodyError> {
        loop {
            match self.decoder.next_event() {
                Ok(Some(event)) => return Ok(Next::Event(event)),
                Ok(None) if self.decoder.is_longer_than(self.pass_from) => return Ok(Next::Long),
                Ok(None) => {}
                Err(_) => return Err(BodyError::TooLarge(self.max)),
            }
            let Self { body, decoder, .. } = self;
            if !poll_fn(|cx| body.poll_data(cx, decoder.buffer())).await? {
                return Ok(Next::End);
            }
        }
    }

    /// The beginning of the data of the event at hand, behind [`Next::Long`].
    pub(super) fn begun(&self) -> Vec<u8> {
        self.decoder.begun()
    }

    /// Takes the event at hand: the data of its complete lines, what reads its rest, and the body that brings it.
    pub(super) fn into_long(self) -> (BytesMut, EventPieces, Body) {
        let (begun, pieces) = self.decoder.into_pieces();
        (begun, pieces, self.body)
    }

    /// The body, for reading it to its end.
    pub(super) fn into_body(self) -> Body {
        self.body
    }
}
