//! The open connections: counted, told to stop, and closed when their client says nothing.
//!
//! hyper can watch over slow heads by itself, with a timer that it sets anew for every request. Here one task looks
//! at all connections now and then, and a request costs two counts.

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::reply::ReplyBody;
use crate::proxy::Broken;
use crate::tasks;

/// How many looks there are within the time that a silent client is given, and how far apart they are at least.
const LOOKS: u32 = 8;
const LEAST_PAUSE: Duration = Duration::from_millis(20);
/// A call that is silent for so long is answered with a stream: its keep-alives tell proxies and the client that we
/// are there, and a legacy client can resume it.
pub(super) const STREAM_AFTER: Duration = Duration::from_secs(2);

/// Streams of HTTP/2 that a client may reset between two looks before it is asked to leave; with twice as many it has to.
/// Streams that are reset at once cost it nothing and us a call each ("rapid reset", CVE-2023-44487).
const MAX_RESETS: u32 = 200;

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
    /// Requests that had ended at the last look, and since when none has come.
    ended: u64,
    quiet_since: Instant,
    /// When the request in hand was first seen.
    busy_since: Option<Instant>,
    /// What had been read when the last request was seen to have ended; more is a head that has begun.
    reads: u64,
    /// Since when a head is awaited: from the start for the first one, for others from its first byte on.
    head_since: Option<Instant>,
}

/// How long a client may be silent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// From the connection, or from the first byte of a later request, to a whole head.
    pub(super) head: Duration,
    /// Between two requests; `head` while there is no place for more connections.
    pub(super) idle: Duration,
    /// Places for connections.
    pub(super) places: usize,
}

impl Connections {
    /// Starts the task that closes connections on which no request comes.
    pub(super) fn watch(self: &Arc<Self>, patience: Patience) {
        let this = Arc::downgrade(self);
        tasks::spawn("http connections", async move {
            loop {
                let least = patience.head.min(patience.idle).min(2 * STREAM_AFTER);
                tokio::time::sleep((least / LOOKS).max(LEAST_PAUSE)).await;
                let Some(this) = Weak::upgrade(&this) else { return };
                this.look(patience);
            }
        });
    }

    fn look(&self, patience: Patience) {
        let now = Instant::now();
        let mut open = self.lock();
        let idle = if open.len() < patience.places { patience.idle } else { patience.head };
        for watched in open.values_mut() {
            watched.guest.resets.store(0, Ordering::Relaxed);
            let ended = watched.guest.ended.load(Ordering::Acquire);
            let reads = watched.guest.reads.load(Ordering::Acquire);
            let busy = watched.guest.busy.load(Ordering::Acquire) > 0;
            if ended != watched.ended || busy {
                let begun = watched.busy_since.filter(|_| ended == watched.ended);
                watched.busy_since = busy.then(|| begun.unwrap_or(now));
                if begun.is_some_and(|begun| now.duration_since(begun) >= STREAM_AFTER) {
                    watched.guest.note_slow();
                }
                (watched.ended, watched.quiet_since) = (ended, now);
                (watched.reads, watched.head_since) = (reads, None);
                continue;
            }
            if reads != watched.reads {
                watched.head_since.get_or_insert(now);
            }
            let (since, limit) = match watched.head_since {
                Some(since) => (since, patience.head),
                None => (watched.quiet_since, idle),
            };
            if now.duration_since(since) >= limit {
                watched.guest.tell(Word::Leave);
            }
        }
    }

    /// A connection that was just opened.
    pub(super) fn enter(self: &Arc<Self>) -> Visit {
        let guest = Arc::<Guest>::default();
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        let watched = Watched {
            guest: Arc::clone(&guest),
            ended: 0,
            quiet_since: now,
            busy_since: None,
            reads: 0,
            head_since: Some(now),
        };
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
    /// How often bytes have come.
    reads: AtomicU64,
    /// Streams that were reset since the last look (HTTP/2).
    resets: AtomicU32,
    word: AtomicU8,
    /// The request in hand takes long.
    slow: AtomicBool,
    waker: AtomicWaker,
}

impl Guest {
    fn note_slow(&self) {
        if !self.slow.swap(true, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    fn tell(&self, word: Word) {
        self.word.fetch_max(word as u8, Ordering::AcqRel);
        self.waker.wake();
    }

    /// Counts a stream that its client has reset.
    pub(super) fn count_reset(&self) {
        match self.resets.fetch_add(1, Ordering::Relaxed) {
            MAX_RESETS => self.tell(Word::Finish),
            count if count == 2 * MAX_RESETS => self.tell(Word::Leave),
            _ => {}
        }
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

/// A connection's stream that counts what comes.
#[derive(Debug)]
pub(super) struct Counted<S> {
    stream: S,
    guest: Arc<Guest>,
}

impl<S> Counted<S> {
    pub(super) fn new(stream: S, guest: Arc<Guest>) -> Self {
        Self { stream, guest }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            // Only this task writes it.
            let reads = self.guest.reads.load(Ordering::Relaxed);
            self.guest.reads.store(reads + 1, Ordering::Release);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A request from its head to the end of its response. Made before the response, it wraps its body in the end.
#[derive(Debug)]
pub(super) struct Request {
    guest: Arc<Guest>,
    slow: AtomicBool,
}

impl Request {
    pub(super) fn of(guest: &Arc<Guest>) -> Self {
        guest.slow.store(false, Ordering::Release);
        guest.busy.fetch_add(1, Ordering::AcqRel);
        Self { guest: Arc::clone(guest), slow: AtomicBool::new(false) }
    }

    /// Whether it has been under way for long. The connection's task is woken when that comes to be so.
    pub(super) fn is_slow(&self) -> bool {
        self.guest.slow.load(Ordering::Acquire) || self.slow.load(Ordering::Acquire)
    }

    /// It has been, as its own task found out.
    pub(super) fn note_slow(&self) {
        self.slow.store(true, Ordering::Release);
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.guest.ended.fetch_add(1, Ordering::AcqRel);
        self.guest.busy.fetch_sub(1, Ordering::AcqRel);
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
    type Error = Broken;

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
    use tokio::io::AsyncReadExt as _;

    use super::*;

    const HEAD: Duration = Duration::from_secs(8);
    const IDLE: Duration = Duration::from_secs(80);
    const PATIENCE: Patience = Patience { head: HEAD, idle: IDLE, places: 4 };

    async fn says(visit: &Visit, heard: Option<Word>) -> Option<Word> {
        tokio::time::timeout(Duration::ZERO, visit.word(heard)).await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_is_closed_and_a_busy_or_used_one_is_not() {
        let connections = Arc::new(Connections::default());
        connections.watch(PATIENCE);
        let (silent, busy, used) = (connections.enter(), connections.enter(), connections.enter());
        let request = Request::of(&busy.guest());
        tokio::time::sleep(HEAD / 2).await;
        drop(Request::of(&used.guest()));
        tokio::time::sleep(HEAD * 3 / 4).await;
        assert_eq!(says(&silent, None).await, Some(Word::Leave));
        tokio::time::sleep(IDLE * 3 / 4).await;
        assert_eq!((says(&busy, None).await, says(&used, None).await), (None, None));
        drop(request);
        tokio::time::sleep(IDLE * 5 / 4).await;
        assert_eq!(says(&busy, None).await, Some(Word::Leave));
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_head_that_has_begun_must_come_as_soon_as_the_first() {
        let connections = Arc::new(Connections::default());
        connections.watch(PATIENCE);
        let visit = connections.enter();
        drop(Request::of(&visit.guest()));
        tokio::time::sleep(IDLE / 2).await;
        let mut stream = Counted::new(&b"POST /mcp HT"[..], visit.guest());
        assert!(stream.read_u8().await.is_ok());
        tokio::time::sleep(HEAD * 3 / 4).await;
        assert_eq!(says(&visit, None).await, None);
        // More of it does not help.
        assert!(stream.read_u8().await.is_ok());
        tokio::time::sleep(HEAD / 2).await;
        assert_eq!(says(&visit, None).await, Some(Word::Leave));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_takes_long_is_told_so_and_the_next_one_is_not() {
        let connections = Arc::new(Connections::default());
        connections.watch(PATIENCE);
        let visit = connections.enter();
        for _ in 0..2 {
            let request = Request::of(&visit.guest());
            tokio::time::sleep(STREAM_AFTER * 3 / 4).await;
            assert!(!request.is_slow());
            tokio::time::sleep(STREAM_AFTER).await;
            assert!(request.is_slow());
        }
        // Others that come and go all the time are not.
        for _ in 0..20 {
            let request = Request::of(&visit.guest());
            tokio::time::sleep(STREAM_AFTER / 4).await;
            assert!(!request.is_slow());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_only_waits_gives_way_when_there_is_no_place_left() {
        let connections = Arc::new(Connections::default());
        connections.watch(PATIENCE);
        let visits: Vec<Visit> = (0..PATIENCE.places).map(|_| connections.enter()).collect();
        for visit in &visits {
            drop(Request::of(&visit.guest()));
        }
        tokio::time::sleep(HEAD * 5 / 4).await;
        assert_eq!(says(&visits[0], None).await, Some(Word::Leave));
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
