//! The messages of one SSE stream: ordered, bounded, and for legacy sessions kept so that a client that lost the
//! connection can take it up again (2025-11-25, "Resumability and Redelivery").

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use aqe_core::batching::{Batching, Due, Holdback, Priority};
use bytes::Bytes;

use super::Outlet;

/// A sender that can wait does so while this much is unread.
const HIGH_WATER_BYTES: usize = 256 * 1024;
/// Kept at most for a client that does not read; the oldest go first.
const MAX_KEPT_BYTES: usize = 8 * 1024 * 1024;
/// Already read messages that are kept for replay.
const MAX_REPLAY: usize = 1_024;
/// How long a finished stream can still be taken up.
const KEEP_FINISHED: Duration = Duration::from_secs(60);
/// Streams of one session that are kept.
const MAX_STREAMS: usize = 256;

/// The messages of one stream, numbered from 1.
#[derive(Debug)]
pub struct EventStream {
    /// The number of this stream in its session; `None` for one that cannot be resumed.
    number: Option<u64>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    events: VecDeque<Bytes>,
    /// Number of the first event in `events`.
    first: u64,
    /// Number of the next event that the reader gets.
    next: u64,
    kept_bytes: usize,
    unread_bytes: usize,
    used: bool,
    finished: Option<Instant>,
    /// Distinguishes readers: a newer one ends the older.
    reader: u64,
    attached: bool,
    reader_waker: Option<Waker>,
    sender_waker: Option<Waker>,
    holdback: Holdback,
}

/// What a reader gets.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// An event and its number.
    Event(u64, Bytes),
    /// There are events, and others may come along until then; the reader is woken if they are to leave earlier.
    Held(Instant),
    /// Nothing yet; the reader is woken.
    Nothing,
    /// There will be no more, or another reader has taken over.
    End,
}

/// The clock of the runtime.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl EventStream {
    /// A stream whose messages are dropped once read.
    pub fn ephemeral(batching: Option<Batching>) -> Arc<Self> {
        Arc::new(Self::numbered(None, batching))
    }

    fn numbered(number: Option<u64>, batching: Option<Batching>) -> Self {
        let state = State {
            events: VecDeque::new(),
            first: 1,
            next: 1,
            kept_bytes: 0,
            unread_bytes: 0,
            used: false,
            finished: None,
            reader: 0,
            attached: false,
            reader_waker: None,
            sender_waker: None,
            holdback: Holdback::new(batching),
        };
        Self { number, state: Mutex::new(state) }
    }

    /// The SSE id of the event with this number, unique in its session.
    pub fn event_id(&self, event: u64) -> Option<String> {
        self.number.map(|number| format!("{number}-{event}"))
    }

    /// Whether anything was ever sent.
    pub fn is_used(&self) -> bool {
        self.lock().used
    }

    /// Whether what is unread is to leave now. Nobody is woken when that changes.
    pub fn due(&self) -> Due {
        self.lock().holdback.due(now)
    }

    /// How many messages were ever sent.
    pub fn pushed(&self) -> u64 {
        let state = self.lock();
        state.first + state.events.len() as u64 - 1
    }

    /// No more will come.
    pub fn finish(&self) {
        let mut state = self.lock();
        state.finished = Some(Instant::now());
        state.holdback.release();
        if let Some(waker) = state.reader_waker.take() {
            waker.wake();
        }
    }

    /// Becomes the reader, from the event after `after` on; an older reader gets its end.
    pub fn attach(&self, after: Option<u64>) -> u64 {
        let mut state = self.lock();
        if let Some(after) = after {
            state.next = (after + 1).clamp(state.first, state.first + state.events.len() as u64);
            let skipped = (state.next - state.first) as usize;
            state.unread_bytes = state.events.iter().skip(skipped).map(Bytes::len).sum();
            state.holdback.release();
        }
        state.attached = true;
        state.reader += 1;
        if let Some(waker) = state.reader_waker.take() {
            waker.wake();
        }
        state.reader
    }

    /// The reader has gone.
    pub fn detach(&self, reader: u64) {
        let mut state = self.lock();
        if state.reader == reader {
            state.attached = false;
            // Nobody reads: a sender must not wait for that.
            if let Some(waker) = state.sender_waker.take() {
                waker.wake();
            }
        }
    }

    /// The next event, in order.
    pub fn read(&self, reader: u64, cx: &mut Context<'_>) -> Read {
        let mut state = self.lock();
        if state.reader != reader {
            return Read::End;
        }
        let at = (state.next - state.first) as usize;
        if let Some(event) = state.events.get(at).cloned() {
            if let Due::At(until) = state.holdback.due(now) {
                state.reader_waker = Some(cx.waker().clone());
                return Read::Held(until);
            }
            if at + 1 == state.events.len() {
                state.holdback.written();
            }
            let number = state.next;
            state.next += 1;
            state.unread_bytes -= event.len();
            let replay = if self.number.is_some() { MAX_REPLAY } else { 0 };
            while state.next - state.first > replay as u64 {
                state.drop_first();
            }
            if state.unread_bytes < HIGH_WATER_BYTES
                && let Some(waker) = state.sender_waker.take()
            {
                waker.wake();
            }
            return Read::Event(number, event);
        }
        if state.finished.is_some() {
            return Read::End;
        }
        state.reader_waker = Some(cx.waker().clone());
        Read::Nothing
    }

    fn is_attached(&self) -> bool {
        let state = self.lock();
        state.attached && state.finished.is_none()
    }

    fn finished_before(&self, then: Instant) -> bool {
        self.lock().finished.is_some_and(|at| at < then)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn drop_first(&mut self) {
        if let Some(event) = self.events.pop_front() {
            self.kept_bytes -= event.len();
            if self.next == self.first {
                self.unread_bytes -= event.len();
                self.next += 1;
            }
            self.first += 1;
        }
    }
}

impl Outlet for EventStream {
    fn push_with(&self, message: Bytes, priority: Priority) {
        let mut state = self.lock();
        if state.finished.is_some() {
            return;
        }
        state.used = true;
        state.kept_bytes += message.len();
        state.unread_bytes += message.len();
        let wake = state.holdback.add(priority, message.len(), now);
        state.events.push_back(message);
        while state.kept_bytes > MAX_KEPT_BYTES && state.events.len() > 1 {
            state.drop_first();
        }
        if wake && let Some(waker) = state.reader_waker.take() {
            waker.wake();
        }
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        let detached = self.number.is_some() && !state.attached;
        if state.unread_bytes < HIGH_WATER_BYTES || detached || state.finished.is_some() {
            return Poll::Ready(());
        }
        state.sender_waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// The streams of one session. Number 0 is the stand-alone one that GET opens.
#[derive(Debug)]
pub struct Streams {
    next: AtomicU64,
    open: Mutex<BTreeMap<u64, Arc<EventStream>>>,
    standalone: Arc<EventStream>,
    batching: Option<Batching>,
}

impl Streams {
    /// The streams of a new session.
    pub fn new(batching: Option<Batching>) -> Self {
        let standalone = Arc::new(EventStream::numbered(Some(0), batching));
        let open = Mutex::new(BTreeMap::from([(0, Arc::clone(&standalone))]));
        Self { next: AtomicU64::new(1), open, standalone, batching }
    }

    /// The stream of messages that belong to no call.
    pub fn standalone(&self) -> &Arc<EventStream> {
        &self.standalone
    }

    /// A stream for one POST. It can be resumed once [`Streams::keep`] was called for it.
    pub fn open(&self) -> Arc<EventStream> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Arc::new(EventStream::numbered(Some(number), self.batching))
    }

    /// Keeps a stream so that a client can come back to it. Finished ones go after a while, and the oldest go
    /// when there are too many.
    pub fn keep(&self, stream: &Arc<EventStream>) {
        let Some(number) = stream.number else { return };
        let mut open = self.lock();
        if let Some(then) = Instant::now().checked_sub(KEEP_FINISHED) {
            open.retain(|number, stream| *number == 0 || !stream.finished_before(then));
        }
        while open.len() >= MAX_STREAMS {
            let Some(oldest) = open.keys().copied().find(|number| *number != 0) else { break };
            open.remove(&oldest);
        }
        open.insert(number, Arc::clone(stream));
    }

    /// The stream and event that a `Last-Event-ID` names.
    pub fn find(&self, event_id: &str) -> Option<(Arc<EventStream>, u64)> {
        let (stream, event) = event_id.split_once('-')?;
        let stream = self.lock().get(&stream.parse().ok()?).cloned()?;
        Some((stream, event.parse().ok()?))
    }

    /// Whether a client reads any stream.
    pub fn is_attached(&self) -> bool {
        self.lock().values().any(|stream| stream.is_attached())
    }

    /// Ends every stream.
    pub fn close(&self) {
        for stream in self.lock().values() {
            stream.finish();
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<EventStream>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(stream: &EventStream, reader: u64) -> Option<(u64, Bytes)> {
        match stream.read(reader, &mut Context::from_waker(Waker::noop())) {
            Read::Event(number, event) => Some((number, event)),
            Read::Held(_) | Read::Nothing | Read::End => None,
        }
    }

    #[test]
    fn a_client_that_comes_back_gets_what_it_missed_and_no_more() {
        let stream = Streams::new(None).open();
        let reader = stream.attach(None);
        for text in ["a", "b", "c"] {
            stream.push(Bytes::from(text));
        }
        assert_eq!(read(&stream, reader), Some((1, "a".into())));
        assert_eq!(read(&stream, reader), Some((2, "b".into())));
        stream.detach(reader);
        let again = stream.attach(Some(1));
        assert_eq!(read(&stream, again), Some((2, "b".into())));
        assert_eq!(read(&stream, again), Some((3, "c".into())));
        assert_eq!(read(&stream, again), None);
        assert_eq!(read(&stream, reader), None, "the older reader must get nothing");
    }

    #[test]
    fn memory_is_bounded_when_nobody_reads() {
        let stream = Streams::new(None).open();
        for _ in 0..100 {
            stream.push(vec![b'x'; 1024 * 1024].into());
        }
        assert!(stream.lock().kept_bytes <= MAX_KEPT_BYTES);
        let reader = stream.attach(None);
        assert_eq!(read(&stream, reader).unwrap().0, 93, "the newest are kept");
    }

    #[test]
    fn a_sender_waits_for_a_slow_reader_but_not_for_none() {
        let stream = Streams::new(None).open();
        let cx = &mut Context::from_waker(Waker::noop());
        let reader = stream.attach(None);
        stream.push(vec![b'x'; HIGH_WATER_BYTES].into());
        assert!(stream.poll_ready(cx).is_pending());
        stream.detach(reader);
        assert!(stream.poll_ready(cx).is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn events_that_wait_leave_together_at_their_time_with_an_answer_or_at_the_end() {
        let limits = Batching { timeout: Duration::from_millis(10), max_bytes: 1_000 };
        for release in ["time", "answer", "end"] {
            let stream = EventStream::ephemeral(Some(limits));
            let reader = stream.attach(None);
            let cx = &mut Context::from_waker(Waker::noop());
            stream.push_with("a".into(), Priority::Low);
            stream.push_with("b".into(), Priority::Low);
            assert_eq!(stream.read(reader, cx), Read::Held(now() + limits.timeout));
            match release {
                "time" => tokio::time::advance(limits.timeout).await,
                "answer" => stream.push("c".into()),
                _ => stream.finish(),
            }
            assert_eq!(read(&stream, reader), Some((1, "a".into())), "{release}");
            assert_eq!(read(&stream, reader), Some((2, "b".into())), "{release}");
        }
    }

    #[test]
    fn an_event_id_names_its_stream_and_place() {
        let streams = Streams::new(None);
        let stream = streams.open();
        streams.keep(&stream);
        stream.push("a".into());
        let id = stream.event_id(1).unwrap();
        let (found, event) = streams.find(&id).unwrap();
        assert!(Arc::ptr_eq(&found, &stream) && event == 1);
        for unknown in ["", "x", "9-1", "1-x", "1"] {
            assert!(streams.find(unknown).is_none(), "{unknown}");
        }
    }
}
