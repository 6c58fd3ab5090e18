//! A result that is read from a response while it is passed on.

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use aqe_core::envelope::{EventPieces, Piece};
use bytes::BytesMut;

use super::super::{CallError, Rest};
use super::HttpConnection;
use super::body::Body;

/// What one read asks for, and a piece is at most, unless it was compressed.
const PIECE_BYTES: usize = 64 * 1024;

/// The rest of a result.
pub(super) struct LongBody {
    connection: Arc<HttpConnection>,
    id: u64,
    /// `None` once the text has ended.
    body: Option<Body>,
    /// What reads the event that the text is the data of.
    event: Option<EventPieces>,
    /// Room for the next piece.
    room: BytesMut,
}

impl LongBody {
    /// The rest of the answer to the call `id`: of a body, or of an event in it.
    pub(super) fn new(
        connection: &Arc<HttpConnection>,
        id: u64,
        body: Body,
        event: Option<EventPieces>,
    ) -> Self {
        Self { connection: Arc::clone(connection), id, body: Some(body), event, room: BytesMut::new() }
    }

    /// The text is the body's; its end is the body's.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<BytesMut>, CallError>> {
        let Some(body) = &mut self.body else { return Poll::Ready(Ok(None)) };
        while self.room.len() < PIECE_BYTES / 2 {
            if self.room.is_empty() {
                self.room.reserve(PIECE_BYTES);
            }
            match body.poll_data(cx, &mut self.room) {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) if self.room.is_empty() => {
                    self.body = None;
                    return Poll::Ready(Ok(None));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Pending if self.room.is_empty() => return Poll::Pending,
                Poll::Ready(Ok(false)) | Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(Some(self.room.split())))
    }
}

impl Rest for LongBody {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<BytesMut>, CallError>> {
        let Some(event) = &mut self.event else { return self.poll_body(cx) };
        let Some(body) = &mut self.body else { return Poll::Ready(Ok(None)) };
        loop {
            match event.next_piece() {
                Piece::Data(piece) => return Poll::Ready(Ok(Some(piece))),
                Piece::End => {
                    // What the server says after its answer is nobody's.
                    if let Some(body) = mem::take(&mut self.body) {
                        self.connection.endpoint.client.background().drain(body);
                    }
                    return Poll::Ready(Ok(None));
                }
                Piece::Incomplete => {
                    event.buffer().reserve(PIECE_BYTES);
                    if !ready!(body.poll_data(cx, event.buffer()))? {
                        let reason = "the server ended the stream within the answer";
                        return Poll::Ready(Err(CallError::Closed(reason.into())));
                    }
                }
            }
        }
    }

    fn holds_others(&self) -> bool {
        false
    }
}

impl Drop for LongBody {
    fn drop(&mut self) {
        if self.body.is_some() {
            // The connection closes with the body, which a modern server takes as cancellation.
            self.connection.cancel(self.id);
        }
    }
}
