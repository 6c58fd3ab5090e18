//! A line that is read from a child while it is passed on. Nothing else of the child can be read meanwhile. So of a line
//! that its client takes slowly as much is kept as of any other line; only then the child must wait, and with it the
//! answers of other calls.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use aqe_core::envelope::Lines;
use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::{Semaphore, mpsc};

use super::super::{CallError, Rest};
use super::desk::Desk;
use super::pipes::CHUNK_BYTES;

/// Pieces that may wait to be taken. A bound on their bytes comes before this one, unless the child writes few at a time.
const WAITING_PIECES: usize = 16 * 1024;

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
    room: Arc<Room>,
    ended: bool,
}

/// Bytes that may still wait.
struct Room {
    left: Semaphore,
    all: u32,
    /// The child waits for some.
    wanted: AtomicBool,
}

impl Room {
    fn of(&self, piece: &BytesMut) -> u32 {
        u32::try_from(piece.len()).unwrap_or(u32::MAX).min(self.all)
    }
}

/// Where what is read of a line goes.
pub(super) struct LongLineWriter {
    parts: mpsc::Sender<Part>,
    room: Arc<Room>,
}

impl LongLineWriter {
    /// Hands over a piece once there is room; what nobody takes any more is dropped.
    async fn text(&self, piece: BytesMut) {
        let wanted = self.room.of(&piece);
        let room = if let Ok(room) = self.room.left.try_acquire_many(wanted) {
            Ok(room)
        } else {
            self.room.wanted.store(true, Ordering::Relaxed);
            let room = self.room.left.acquire_many(wanted).await;
            self.room.wanted.store(false, Ordering::Relaxed);
            room
        };
        // Given back by whoever takes the piece.
        let Ok(room) = room else { return };
        room.forget();
        let _ = self.parts.send(Part::Text(piece)).await;
    }
}

impl LongLine {
    /// The rest of the answer to the call `id`, of which up to `max` bytes wait to be taken, and where what is read goes.
    pub(super) fn new(desk: &Arc<Desk>, id: u64, max: usize) -> (Self, LongLineWriter) {
        let (sender, parts) = mpsc::channel(WAITING_PIECES);
        let all = u32::try_from(max.min(Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        let room = Arc::new(Room { left: Semaphore::new(all as usize), all, wanted: AtomicBool::new(false) });
        desk.set_speaking(true);
        let writer = LongLineWriter { parts: sender, room: Arc::clone(&room) };
        (Self { desk: Arc::clone(desk), id, parts, room, ended: false }, writer)
    }
}

impl Rest for LongLine {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<BytesMut>, CallError>> {
        match ready!(self.parts.poll_recv(cx)) {
            Some(Part::Text(piece)) => {
                self.room.left.add_permits(self.room.of(&piece) as usize);
                Poll::Ready(Ok(Some(piece)))
            }
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
        self.room.wanted.load(Ordering::Relaxed) && self.desk.has_calls()
    }
}

impl Drop for LongLine {
    fn drop(&mut self) {
        // A child that waits for room is let go on: the rest of the line is read and dropped.
        self.room.left.close();
        self.desk.set_speaking(false);
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
    to: LongLineWriter,
) -> io::Result<bool> {
    loop {
        while let Some((piece, ends)) = lines.next_piece() {
            if !piece.is_empty() {
                to.text(piece).await;
            }
            if ends {
                let _ = to.parts.send(Part::End).await;
                return Ok(true);
            }
        }
        lines.buffer().reserve(CHUNK_BYTES);
        if pipe.read_buf(lines.buffer()).await? == 0 {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_line_is_read_ahead_of_its_reader_up_to_its_bound_and_dropped_without_one() {
        let desk = Arc::new(Desk::new(None));
        let (mut rest, to) = LongLine::new(&desk, 1, 100_000);
        let text = format!("{}\nnext\n", "x".repeat(1_000_000));
        let reading = tokio::spawn(async move {
            let (mut pipe, mut lines) = (text.as_bytes(), Lines::new(1_000));
            assert!(pass(&mut pipe, &mut lines, to).await.unwrap());
            lines.next_line()
        });
        let mut taken = 0;
        while taken < 400_000 {
            taken += poll_fn(|cx| rest.poll_piece(cx)).await.unwrap().unwrap().len();
            tokio::time::sleep(Duration::from_millis(1)).await;
            let ahead = 100_000 - rest.room.left.available_permits();
            assert!(ahead <= 100_000 && rest.room.wanted.load(Ordering::Relaxed) && desk.is_speaking());
        }
        drop(rest);
        assert!(reading.await.unwrap().is_some() && !desk.is_speaking());
    }
}
