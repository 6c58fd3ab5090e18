//! A connection, and the places for exchanges on it.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use tokio::io::{AsyncRead, AsyncWrite};

use super::super::background::spawn;
use super::super::conn::MAX_HEAD;
use super::described;
use super::driver::drive;
use super::health::{Health, Metered};

/// Exchanges on one connection, where the server allows more: beyond it another connection uses another core.
const MAX_STREAMS: usize = 128;
/// Bytes of a body that a server may send before its reader has taken any: what one slow reader costs at most, and what
/// comes in one round trip at most.
const STREAM_WINDOW: u32 = 1024 * 1024;
/// The same for all bodies of a connection: as much as they may have together, so that no reader waits for another.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MAX_STREAMS as u32;
/// What the frames of unread bodies may cost beyond their bytes, in the count of `h2`: up to 256 for each small frame.
/// An event is seldom shorter than 100 bytes, so this is more than full windows of events in a frame each.
const FRAME_BUDGET: usize = 2 * CONNECTION_WINDOW as usize;
/// Exchanges that were given up and may still be answered: how many are remembered, and how long, so that their late
/// frames can be told from wrong ones.
const MAX_GIVEN_UP: usize = 1024;
const GIVEN_UP_TIME: Duration = Duration::from_secs(30);
/// The limit that holds until the server has told its own: no server can tell this one.
const UNTOLD: usize = usize::MAX - 1;

/// An open connection.
pub(in super::super) struct Conn {
    pub(super) sender: SendRequest<Bytes>,
    pub(super) health: Arc<Health>,
}

impl Conn {
    /// Speaks HTTP/2 on a stream, and awaits what the server says of itself. A server that has not answered a PING after
    /// `patience` gets no more requests on this connection.
    ///
    /// # Errors
    /// Why it came to nothing. No request has been sent then.
    pub(in super::super) async fn open(
        io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        patience: Duration,
    ) -> Result<Arc<Self>, String> {
        let health = Arc::new(Health::default());
        let io = Metered::new(io, Arc::clone(&health));
        let (sender, mut connection) = Builder::new()
            .enable_push(false)
            .initial_max_send_streams(UNTOLD)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .data_frame_budget(FRAME_BUDGET)
            .max_header_list_size(MAX_HEAD as u32)
            .max_concurrent_reset_streams(MAX_GIVEN_UP)
            .reset_stream_duration(GIVEN_UP_TIME)
            // A count over the whole life of a connection. It is meant for servers, whose clients open the streams.
            .max_local_error_reset_streams(None)
            .handshake::<_, Bytes>(io)
            .await
            .map_err(|error| described(&error))?;
        // So that the server's limit on exchanges is known before the first.
        poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
            Poll::Ready(Ok(())) => {
                Poll::Ready(Err("closed by the server before it said anything".to_owned()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(described(&error))),
            Poll::Pending if sender.current_max_send_streams() == UNTOLD => Poll::Pending,
            Poll::Pending => Poll::Ready(Ok(())),
        })
        .await?;
        spawn(drive(connection, Arc::clone(&health), patience)).ok_or("the program is ending")?;
        Ok(Arc::new(Self { sender, health }))
    }

    /// A place for one more exchange, if there is one.
    pub(in super::super) fn place(self: &Arc<Self>) -> Option<Place> {
        let room = MAX_STREAMS.min(self.sender.current_max_send_streams());
        let entered = !self.is_retired() && self.health.enter(room);
        entered.then(|| Place { conn: Arc::clone(self) })
    }

    /// Whether no exchange can begin on it any more.
    pub(in super::super) fn is_retired(&self) -> bool {
        self.health.is_retired()
    }

    /// Whether there was no exchange since the last question.
    pub(in super::super) fn was_idle(&self) -> bool {
        let used = self.health.was_used();
        !used && self.health.active() == 0
    }
}

/// A place for one exchange; dropping it gives it back.
pub(in super::super) struct Place {
    pub(super) conn: Arc<Conn>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.conn.health.leave();
    }
}
