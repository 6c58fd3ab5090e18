//! A result that is passed on while it comes, as the last event of a stream.

use std::task::{Context, Poll, ready};

use bytes::Bytes;

use crate::proxy::{Answer, Broken, Passage, Pieces};
use crate::session::{EventStream, Outlet as _};

/// A result that takes the place of an event.
///
/// It cannot be sent twice. So the stream, which a legacy client may take up again, holds an error in its place: whoever
/// reads on from the event before it is told to call again.
#[derive(Debug)]
pub(super) struct LongEvent {
    /// Number of the event whose place it takes.
    pub(super) number: u64,
    passage: Box<Passage>,
}

/// Makes an answer the last event of a stream.
pub(super) fn settle(stream: &EventStream, answer: Answer) -> Option<LongEvent> {
    let Some(passing) = &answer.passing else {
        stream.push(answer.into_bytes());
        stream.finish();
        return None;
    };
    let passage = passing.take()?;
    stream.push(passage.not_kept());
    let number = stream.pushed();
    stream.finish();
    Some(LongEvent { number, passage })
}

impl LongEvent {
    /// Begins to write the event with this id.
    pub(super) fn start(self, id: Option<&str>) -> Writing {
        let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
        Writing { begin: Some(format!("{id}data: ").into()), pieces: Some(self.passage.start()) }
    }
}

/// An event that is being written. Dropped before its end, it gives the result up.
#[derive(Debug)]
pub(super) struct Writing {
    begin: Option<Bytes>,
    /// `None` once the event has ended.
    pieces: Option<Pieces>,
}

impl Writing {
    /// The next bytes; `None` at the end. Behind an error the event must not be ended, which would make a message of it.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        if let Some(begin) = self.begin.take() {
            return Poll::Ready(Some(Ok(begin)));
        }
        let Some(pieces) = &mut self.pieces else { return Poll::Ready(None) };
        let piece = ready!(pieces.poll_next(cx));
        if !matches!(piece, Some(Ok(_))) {
            self.pieces = None;
        }
        Poll::Ready(Some(piece.unwrap_or(Ok(Bytes::from_static(b"\n\n")))))
    }
}
