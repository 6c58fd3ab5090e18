//! The open connections: counted, told to stop, and closed when their client says nothing.
//!
//! hyper can watch over slow heads by itself, with a timer that it sets anew for every request. Here one task looks
//! at all connections now and then, and a request costs two counts.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::reply::ReplyBody;
use crate::tasks;

/// How many looks there are within the time that a silent client is given, and how far apart they are at least.
const LOOKS: u32 = 8;
const LEAST_PAUSE: Duration = Duration::from_millis(20);

/// All open connections.
#[derive(Debug, Default)]
pub(super) struct Connections {
    open: Mutex<HashMap<u64, Watched>>,
    next: AtomicU64,
    stopping: AtomicBool,
    closed: Notify,
}

#[derive(Debug)]
struct Watched {
    guest: Arc<Guest>,
    /// Requests that had ended at the last look, and since when nothing has happened.
    ended: u64,
    quiet_since: Instant,
}

impl Connections {
    /// Starts the task that closes connections on which no request has come for `patience`.
    pub(super) fn watch(self: &Arc<Self>, patience: Duration) {
        let this = Arc::downgrade(self);
        tasks::spawn("http connections", async move {
            loop {
                tokio::time::sleep((patience / LOOKS).max(LEAST_PAUSE)).await;
                let Some(this) = Weak::upgrade(&this) else { return };
                this.look(patience);
            }
        });
    }

    fn look(&self, patience: Duration) {
        let now = Instant::now();
        for watched in self.lock().values_mut() {
            let ended = watched.guest.ended.load(Ordering::Acquire);
            if ended != watched.ended || watched.guest.busy.load(Ordering::Acquire) > 0 {
                (watched.ended, watched.quiet_since) = (ended, now);
            } else if now.duration_since(watched.quiet_since) >= patience {
                watched.guest.tell(Word::Leave);
            }
        }
    }

    /// A connection that was just opened.
    pub(super) fn enter(self: &Arc<Self>) -> Visit {
        let guest = Arc::<Guest>::default();
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let watched = Watched { guest: Arc::clone(&guest), ended: 0, quiet_since: Instant::now() };
        self.lock().insert(id, watched);
        // After it is known, so that a stop at this moment is not missed.
        if self.stopping.load(Ordering::Acquire) {
            guest.tell(Word::Finish);
        }
        Visit { connections: Arc::clone(self), id, guest }
    }

    /// Tells every connection, present and to come, to end after the request in hand.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        for watched in self.lock().values() {
            watched.guest.tell(Word::Finish);
        }
    }

    /// Resolves when no connection is open.
    pub(super) async fn drained(&self) {
        loop {
            let closed = self.closed.notified();
            if self.lock().is_empty() {
                return;
            }
            closed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Watched>> {
        // No change below the lock can be torn.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a connection is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// End after the request in hand.
    Finish = 1,
    /// End now.
    Leave = 2,
}

/// One connection, as others than its own task see it.
#[derive(Debug, Default)]
pub(super) struct Guest {
    busy: AtomicU32,
    ended: AtomicU64,
    word: AtomicU8,
    waker: AtomicWaker,
}

impl Guest {
    fn tell(&self, word: Word) {
        self.word.fetch_max(word as u8, Ordering::AcqRel);
        self.waker.wake();
    }

    fn poll(&self, cx: &mut Context<'_>, heard: u8) -> Poll<Word> {
        self.waker.register(cx.waker());
        match self.word.load(Ordering::Acquire) {
            word if word <= heard => Poll::Pending,
            1 => Poll::Ready(Word::Finish),
            _ => Poll::Ready(Word::Leave),
        }
    }
}

/// An open connection; dropping it says that it is closed.
#[derive(Debug)]
pub(super) struct Visit {
    connections: Arc<Connections>,
    id: u64,
    guest: Arc<Guest>,
}

impl Visit {
    /// What the connection is told beyond what it has heard.
    pub(super) async fn word(&self, heard: Option<Word>) -> Word {
        std::future::poll_fn(|cx| self.guest.poll(cx, heard.map_or(0, |word| word as u8))).await
    }

    pub(super) fn guest(&self) -> Arc<Guest> {
        Arc::clone(&self.guest)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.connections.lock().remove(&self.id);
        self.connections.closed.notify_waiters();
    }
}

/// A request from its head to the end of its response. Made before the response, it wraps its body in the end.
#[derive(Debug)]
pub(super) struct Request(Arc<Guest>);

impl Request {
    pub(super) fn of(guest: &Arc<Guest>) -> Self {
        guest.busy.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(guest))
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::AcqRel);
        self.0.busy.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The body of a response, with its request.
#[derive(Debug)]
pub(super) struct Reply {
    body: ReplyBody,
    /// Ends when this is dropped.
    _request: Request,
}

impl Reply {
    pub(super) fn new(body: ReplyBody, request: Request) -> Self {
        Self { body, _request: request }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(8);

    async fn says(visit: &Visit, heard: Option<Word>) -> Option<Word> {
        tokio::time::timeout(Duration::ZERO, visit.word(heard)).await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_is_closed_and_a_busy_or_used_one_is_not() {
        let connections = Arc::new(Connections::default());
        connections.watch(PATIENCE);
        let (silent, busy, used) = (connections.enter(), connections.enter(), connections.enter());
        let request = Request::of(&busy.guest());
        tokio::time::sleep(PATIENCE / 2).await;
        drop(Request::of(&used.guest()));
        tokio::time::sleep(PATIENCE * 3 / 4).await;
        assert_eq!(says(&silent, None).await, Some(Word::Leave));
        assert_eq!((says(&busy, None).await, says(&used, None).await), (None, None));
        drop(request);
        tokio::time::sleep(PATIENCE * 5 / 4).await;
        assert_eq!(says(&busy, None).await, Some(Word::Leave));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_reaches_present_and_later_connections_and_is_over_when_they_are() {
        let connections = Arc::new(Connections::default());
        let present = connections.enter();
        connections.stop();
        let later = connections.enter();
        for visit in [&present, &later] {
            assert_eq!(says(visit, None).await, Some(Word::Finish));
            assert_eq!(says(visit, Some(Word::Finish)).await, None);
        }
        let drained = tokio::time::timeout(Duration::from_secs(1), connections.drained());
        assert!(drained.await.is_err());
        drop((present, later));
        connections.drained().await;
    }
}
