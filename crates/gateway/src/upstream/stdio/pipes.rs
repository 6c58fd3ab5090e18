//! The two loops over a child's pipes.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use aqe_core::envelope::Lines;
use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe;
use tokio::time::timeout;

use super::super::{Item, LongReply};
use super::desk::Desk;
use super::long::{self, LongLine};
use super::route::Router;

/// What one read asks for: what a pipe holds at most by default (pipe(7)).
pub(super) const CHUNK_BYTES: usize = 64 * 1024;
/// Pieces of one gathering write: 32 messages with their line ends.
const MAX_PIECES: usize = 64;
/// Room for so many pieces is kept between bursts.
const KEPT_PIECES: usize = 4 * 1024;

/// Why writing has ended.
#[derive(Debug)]
pub(super) enum WriteEnd {
    /// The child has not read for too long.
    Stuck,
    /// The pipe is broken.
    Failed(io::Error),
}

/// Writes what the desk holds, all that waits in one go, until the child stops taking it.
pub(super) async fn write(mut pipe: pipe::Sender, desk: Arc<Desk>, patience: Duration) -> WriteEnd {
    let mut batch = VecDeque::new();
    loop {
        desk.take(&mut batch).await;
        while !batch.is_empty() {
            let mut pieces = [IoSlice::new(&[]); MAX_PIECES];
            let mut count = 0;
            for (piece, bytes) in pieces.iter_mut().zip(&batch) {
                *piece = IoSlice::new(bytes);
                count += 1;
            }
            match timeout(patience, pipe.write_vectored(&pieces[..count])).await {
                Ok(Ok(taken @ 1..)) => {
                    drop_front(&mut batch, taken);
                    desk.advance(taken);
                }
                Ok(Ok(0)) => return WriteEnd::Failed(io::ErrorKind::WriteZero.into()),
                Ok(Err(error)) => return WriteEnd::Failed(error),
                Err(_) => return WriteEnd::Stuck,
            }
        }
        batch.shrink_to(KEPT_PIECES);
    }
}

fn drop_front(batch: &mut VecDeque<Bytes>, mut count: usize) {
    while count > 0
        && let Some(front) = batch.front_mut()
    {
        if front.len() > count {
            front.advance(count);
            return;
        }
        count -= front.len();
        batch.pop_front();
    }
}

/// Reads lines until the child closes its standard output. After the connection's end it only keeps the pipe empty,
/// so that a child that is writing can still notice that it should stop.
pub(super) async fn read(mut pipe: pipe::Receiver, desk: Arc<Desk>, mut router: Router) -> io::Result<()> {
    let mut lines = Lines::new(router.max_line_bytes);
    // From this length on it is asked whether a line is to be passed on while it comes.
    let mut look = router.pass_from();
    loop {
        lines.buffer().reserve(CHUNK_BYTES);
        if pipe.read_buf(lines.buffer()).await? == 0 {
            break;
        }
        if desk.has_ended() {
            lines = Lines::new(router.max_line_bytes);
            continue;
        }
        loop {
            if let Some(begun) = lines.longer_than(look) {
                match router.long_line(begun) {
                    Ok((id, inbox)) => {
                        let (rest, to) = LongLine::new(&desk, id, router.max_line_bytes);
                        let reply =
                            LongReply { head: lines.take_begun(), length: None, rest: Box::new(rest) };
                        inbox.push(Item::Long(reply));
                        if !long::pass(&mut pipe, &mut lines, to).await? {
                            return Ok(());
                        }
                    }
                    Err(until) => look = until,
                }
            }
            let Some(line) = lines.next_line() else { break };
            router.line(line);
            look = router.pass_from();
        }
    }
    // The last line may lack its end; if it is cut short, its call is failed by its own reason.
    if let Some(line) = lines.finish_stream() {
        router.line(line);
    }
    Ok(())
}
