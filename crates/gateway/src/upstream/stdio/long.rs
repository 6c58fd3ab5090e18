//! A line that is read from a child while it is passed on. Nothing else of the child is read meanwhile, so whoever takes
//! the line must not keep it waiting for long.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use aqe_core::envelope::Lines;
use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::mpsc;

use super::super::{CallError, Rest};
use super::desk::Desk;
use super::pipes::CHUNK_BYTES;

/// Pieces, of what one read gives, that may wait to be taken.
const WAITING_PIECES: usize = 4;

pub(super) enum Part {
    Text(BytesMut),
    /// The line has ended.
    End,
}

/// The rest of a line.
pub(super) struct LongLine {
    desk: Arc<Desk>,
    id: u64,
    parts: mpsc::Receiver<Part>,
    ended: bool,
}

impl LongLine {
    /// The rest of the answer to the call `id`, and where what is read goes.
    pub(super) fn new(desk: &Arc<Desk>, id: u64) -> (Self, mpsc::Sender<Part>) {
        let (sender, parts) = mpsc::channel(WAITING_PIECES);
        (Self { desk: Arc::clone(desk), id, parts, ended: false }, sender)
    }
}

impl Rest for LongLine {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<BytesMut>, CallError>> {
        match ready!(self.parts.poll_recv(cx)) {
            Some(Part::Text(piece)) => Poll::Ready(Ok(Some(piece))),
            Some(Part::End) => {
                self.ended = true;
                Poll::Ready(Ok(None))
            }
            None => {
                self.ended = true;
                Poll::Ready(Err(CallError::Closed("it ended within the answer".into())))
            }
        }
    }

    fn holds_others(&self) -> bool {
        self.desk.has_calls()
    }
}

impl Drop for LongLine {
    fn drop(&mut self) {
        if !self.ended {
            self.desk.cancel(self.id);
        }
    }
}

/// Reads the line at hand on to its end and hands it over; what nobody takes any more is dropped. `false` if the stream
/// has ended before.
pub(super) async fn pass(
    pipe: &mut (impl AsyncRead + Unpin),
    lines: &mut Lines,
    to: mpsc::Sender<Part>,
) -> io::Result<bool> {
    loop {
        while let Some((piece, ends)) = lines.next_piece() {
            if !piece.is_empty() {
                let _ = to.send(Part::Text(piece)).await;
            }
            if ends {
                let _ = to.send(Part::End).await;
                return Ok(true);
            }
        }
        lines.buffer().reserve(CHUNK_BYTES);
        if pipe.read_buf(lines.buffer()).await? == 0 {
            return Ok(false);
        }
    }
}
