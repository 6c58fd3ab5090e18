//! What the tasks of one connection share: the open calls and the bytes that wait to be written.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aqe_core::batching::{Batching, Due, Holdback, Priority};
use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::super::{CallError, CallTag, Inbox, Item};

/// Bytes that may wait for a child that reads slowly. What is more is refused, and can safely be sent elsewhere.
const MAX_WAITING_BYTES: u64 = 64 * 1024 * 1024;

const LINE_END: Bytes = Bytes::from_static(b"\n");

/// The open calls and the outgoing bytes, behind one lock that is never held for longer than a few steps.
///
/// Positions count the bytes of the outgoing stream from its start. They tell whether a request has left.
#[derive(Debug)]
pub(super) struct Desk {
    state: Mutex<State>,
    next_id: AtomicU64,
    speaking: AtomicBool,
    /// Position up to which the pipe has taken the stream.
    written: AtomicU64,
    /// Something is there to be written.
    work: Notify,
    /// `written` has moved, or the end has come.
    progress: Notify,
}

#[derive(Debug)]
struct State {
    calls: HashMap<u64, OpenCall>,
    queue: VecDeque<Bytes>,
    holdback: Holdback,
    /// Position behind the last byte in the queue.
    queued: u64,
    /// When a call was given up last, whose answer may still come.
    given_up: Option<Instant>,
    phase: Phase,
}

/// Where a message starts in the stream, and whether the writer must be told.
struct Queued {
    position: u64,
    wake: bool,
}

#[derive(Debug)]
struct OpenCall {
    inbox: Arc<Inbox>,
    tag: CallTag,
    /// Where the request starts in the stream.
    position: u64,
    length: Length,
    /// It is answered only when the server stops, as a listen stream is.
    endless: bool,
}

/// How long an answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// It is a few words.
    Short,
    /// It is collected.
    Any,
    /// It is collected up to so many bytes, and beyond handed out while it comes.
    PassFrom(usize),
}

impl OpenCall {
    fn may_be_long(&self) -> bool {
        !self.endless && self.length != Length::Short
    }
}

#[derive(Debug)]
enum Phase {
    Open,
    /// No new calls; the open ones may still be answered.
    Ending,
    /// Every call has been failed with this reason.
    Ended(String),
}

/// What [`Desk::claim`] finds under an id that a peer has sent.
#[derive(Debug)]
pub(super) enum Claim {
    /// The inbox of an open call.
    Open(Arc<Inbox>),
    /// A call that was answered, failed or given up before.
    Finished,
    /// Not an id that we have given out.
    Foreign,
}

/// What [`Desk::claim_long`] finds.
#[derive(Debug)]
pub(super) enum LongClaim {
    /// The call and its inbox.
    Open(u64, Arc<Inbox>),
    /// None that takes its answer while it comes, up to so many bytes.
    None { until: usize },
}

/// How long the answer to a call that was given up may still come. A server that is told of it need not answer.
const GIVEN_UP: Duration = Duration::from_secs(60);

impl Desk {
    pub(super) fn new(batching: Option<Batching>) -> Self {
        let state = State {
            calls: HashMap::new(),
            queue: VecDeque::new(),
            holdback: Holdback::new(batching),
            queued: 0,
            given_up: None,
            phase: Phase::Open,
        };
        Self {
            state: Mutex::new(state),
            // Zero is avoided: careless servers take it for no id at all.
            next_id: AtomicU64::new(1),
            speaking: AtomicBool::new(false),
            written: AtomicU64::new(0),
            work: Notify::new(),
            progress: Notify::new(),
        }
    }

    pub(super) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Opens a call and queues its request.
    pub(super) fn open(
        &self,
        id: u64,
        tag: CallTag,
        request: Bytes,
        length: Length,
    ) -> Result<Arc<Inbox>, CallError> {
        is_one_line(&request)?;
        let inbox = Arc::new(Inbox::default());
        let mut state = self.lock();
        let Queued { position, wake } = self.queue(&mut state, request, Priority::High)?;
        let call = OpenCall { inbox: Arc::clone(&inbox), tag, position, length, endless: false };
        state.calls.insert(id, call);
        drop(state);
        if wake {
            self.work.notify_one();
        }
        Ok(inbox)
    }

    /// Queues a message that is not a request. Returns the position behind it.
    pub(super) fn post(&self, message: Bytes, priority: Priority) -> Result<u64, CallError> {
        is_one_line(&message)?;
        let mut state = self.lock();
        let Queued { wake, .. } = self.queue(&mut state, message, priority)?;
        let end = state.queued;
        drop(state);
        if wake {
            self.work.notify_one();
        }
        Ok(end)
    }

    fn queue(&self, state: &mut State, message: Bytes, priority: Priority) -> Result<Queued, CallError> {
        match &state.phase {
            Phase::Open => {}
            Phase::Ending => return Err(CallError::NotSent("the connection is ending".into())),
            Phase::Ended(reason) => return Err(CallError::NotSent(reason.clone())),
        }
        let position = state.queued;
        let length = message.len() as u64 + 1;
        let waiting = position - self.written.load(Ordering::Relaxed);
        if waiting + length > MAX_WAITING_BYTES {
            return Err(CallError::NotSent(format!("{waiting} bytes are waiting for the child to read")));
        }
        state.queue.extend([message, LINE_END]);
        state.queued += length;
        let wake = state.holdback.add(priority, length as usize, || Instant::now().into_std());
        Ok(Queued { position, wake })
    }

    /// Waits until the stream has been written up to `end`.
    pub(super) async fn written_to(&self, end: u64) -> Result<(), CallError> {
        loop {
            let progress = self.progress.notified();
            tokio::pin!(progress);
            // From here on no wake-up is lost.
            progress.as_mut().enable();
            if self.written.load(Ordering::Acquire) >= end {
                return Ok(());
            }
            if let Phase::Ended(reason) = &self.lock().phase {
                return Err(CallError::Closed(reason.clone()));
            }
            progress.await;
        }
    }

    /// For the writer: moves all that waits into `batch`; waits until there is something that is to leave.
    pub(super) async fn take(&self, batch: &mut VecDeque<Bytes>) {
        loop {
            let due = {
                let mut state = self.lock();
                let due = state.holdback.due(|| Instant::now().into_std());
                if due == Due::Now {
                    std::mem::swap(&mut state.queue, batch);
                    state.holdback.written();
                }
                due
            };
            match due {
                Due::Now => return,
                Due::Nothing => {
                    self.work.notified().await;
                    // Whoever is about to queue something does so first: it is all one write.
                    crate::tasks::let_ready_run().await;
                }
                Due::At(until) => drop(timeout_at(until.into(), self.work.notified()).await),
            }
        }
    }

    /// For the writer: the pipe has taken `count` bytes more.
    pub(super) fn advance(&self, count: usize) {
        self.written.fetch_add(count as u64, Ordering::Release);
        self.progress.notify_waiters();
    }

    /// Bytes that wait to be written.
    pub(super) fn waiting(&self) -> u64 {
        self.lock().queued - self.written.load(Ordering::Relaxed)
    }

    /// Takes no new calls.
    pub(super) fn stop_taking(&self) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Open) {
            state.phase = Phase::Ending;
        }
    }

    /// Fails every open call: with [`CallError::Closed`], or [`CallError::NotSent`] if no byte of the request has
    /// left. The writer must have ended before, or a request that was declared unsent could still leave. Returns
    /// how many calls were failed. Only the first end counts.
    pub(super) fn end(&self, reason: &str) -> usize {
        let calls = {
            let mut state = self.lock();
            if matches!(state.phase, Phase::Ended(_)) {
                return 0;
            }
            state.phase = Phase::Ended(reason.to_owned());
            state.queue = VecDeque::new();
            state.holdback.written();
            std::mem::take(&mut state.calls)
        };
        let written = self.written.load(Ordering::Acquire);
        let count = calls.len();
        for call in calls.into_values() {
            let error = if call.position >= written { CallError::NotSent } else { CallError::Closed };
            call.inbox.push(Item::Failed(error(reason.to_owned())));
        }
        self.progress.notify_waiters();
        count
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.lock().phase, Phase::Open)
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.lock().phase, Phase::Ended(_))
    }

    pub(super) fn in_flight(&self) -> Vec<(u64, CallTag)> {
        self.lock().calls.iter().map(|(id, call)| (*id, call.tag)).collect()
    }

    /// Finds the call of an id. `last`: what comes next is its last item, so the call is closed with this.
    pub(super) fn claim(&self, id: u64, last: bool) -> Claim {
        let mut state = self.lock();
        let inbox = if last {
            state.calls.remove(&id).map(|call| call.inbox)
        } else {
            state.calls.get(&id).map(|call| Arc::clone(&call.inbox))
        };
        match inbox {
            Some(inbox) => Claim::Open(inbox),
            None if (1..self.next_id.load(Ordering::Relaxed)).contains(&id) => Claim::Finished,
            None => Claim::Foreign,
        }
    }

    /// Notes that a call waits for no answer in particular.
    pub(super) fn mark_endless(&self, id: u64) {
        if let Some(call) = self.lock().calls.get_mut(&id) {
            call.endless = true;
        }
    }

    /// Closes the one open call that waits for an answer, if there is exactly one.
    pub(super) fn claim_only(&self) -> Option<Arc<Inbox>> {
        let mut state = self.lock();
        let mut waiting = state.calls.iter().filter(|(_, call)| !call.endless).map(|(id, _)| *id);
        let id = waiting.next().filter(|_| waiting.next().is_none())?;
        state.calls.remove(&id).map(|call| call.inbox)
    }

    /// Forgets a call; whether it was open.
    pub(super) fn forget(&self, id: u64) -> bool {
        let mut state = self.lock();
        let Some(call) = state.calls.remove(&id) else { return false };
        if call.may_be_long() {
            state.given_up = Some(Instant::now());
        }
        true
    }

    /// Tells the child that nobody waits for a call any more.
    pub(super) fn cancel(&self, id: u64) {
        let message = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":"the caller does not wait any more"}}}}"#
        );
        // If the child is not reading, it will not read this either.
        let _ = self.post(Bytes::from(message), Priority::High);
    }

    /// Whether a call waits for an answer that is not one of our own probes.
    pub(super) fn has_calls(&self) -> bool {
        self.lock().calls.values().any(OpenCall::may_be_long)
    }

    /// Whether a long line is being read that somebody takes.
    pub(super) fn is_speaking(&self) -> bool {
        self.speaking.load(Ordering::Relaxed)
    }

    pub(super) fn set_speaking(&self, speaking: bool) {
        self.speaking.store(speaking, Ordering::Relaxed);
    }

    /// Closes the call that a long answer is for, of which so many bytes have come; `None` for the id: it has not come
    /// yet. Then the answer can only be for the one call that waits, if it cannot be for one that was given up.
    pub(super) fn claim_long(&self, id: Option<u64>, length: usize) -> LongClaim {
        let mut state = self.lock();
        let id = id.or_else(|| {
            let mut waiting = state.calls.iter().filter(|(_, call)| call.may_be_long()).map(|(id, _)| *id);
            let only = waiting.next().filter(|_| waiting.next().is_none());
            only.filter(|_| state.given_up.is_none_or(|then| then.elapsed() >= GIVEN_UP))
        });
        let pass_from = id.and_then(|id| match state.calls.get(&id)?.length {
            Length::PassFrom(from) => Some(from),
            Length::Any | Length::Short => None,
        });
        match (id, pass_from) {
            (Some(id), Some(from)) if length > from => match state.calls.remove(&id) {
                Some(call) => LongClaim::Open(id, call.inbox),
                None => LongClaim::None { until: usize::MAX },
            },
            (_, from) => LongClaim::None { until: from.unwrap_or(usize::MAX) },
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every update below the lock is complete in itself, so a panic elsewhere cannot leave it torn.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A line break within a message would make two messages of it, the second one of the caller's making.
fn is_one_line(message: &[u8]) -> Result<(), CallError> {
    match memchr::memchr2(b'\n', b'\r', message) {
        None => Ok(()),
        Some(_) => Err(CallError::NotSent("a message on stdio must not contain a line break".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: CallTag = CallTag { owner: 0, wants_log: false, repeatable: false };

    fn failure(inbox: &Inbox) -> CallError {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        match inbox.poll_next(&mut cx) {
            std::task::Poll::Ready(Item::Failed(error)) => error,
            other => panic!("not failed: {other:?}"),
        }
    }

    #[test]
    fn a_request_of_which_no_byte_left_fails_as_not_sent() {
        let desk = Desk::new(None);
        let sent = desk.open(desk.next_id(), TAG, Bytes::from_static(b"{}"), Length::Any).unwrap();
        let kept = desk.open(desk.next_id(), TAG, Bytes::from_static(b"{}"), Length::Any).unwrap();
        desk.advance(1);
        assert_eq!(desk.end("gone"), 2);
        assert_eq!(failure(&sent), CallError::Closed("gone".into()));
        assert_eq!(failure(&kept), CallError::NotSent("gone".into()));
        let late = desk.open(desk.next_id(), TAG, Bytes::from_static(b"{}"), Length::Any);
        assert_eq!(late.unwrap_err(), CallError::NotSent("gone".into()));
    }

    #[test]
    fn what_waits_is_bounded_and_freed_by_writing() {
        let desk = Desk::new(None);
        let half = Bytes::from(vec![b' '; MAX_WAITING_BYTES as usize / 2 - 1]);
        desk.post(half.clone(), Priority::High).unwrap();
        desk.post(half.clone(), Priority::High).unwrap();
        assert!(matches!(desk.post(Bytes::from_static(b"{}"), Priority::High), Err(CallError::NotSent(_))));
        desk.advance(half.len());
        desk.post(Bytes::from_static(b"{}"), Priority::High).unwrap();
    }

    #[test]
    fn a_message_with_a_line_break_is_refused_before_it_becomes_two() {
        for text in ["{\n}", "{\r}"] {
            let refused = Desk::new(None).post(Bytes::from_static(text.as_bytes()), Priority::High);
            assert!(matches!(refused, Err(CallError::NotSent(_))), "{text:?}");
        }
    }

    #[test]
    fn a_listen_stream_is_not_taken_for_the_call_that_waits() {
        let desk = Desk::new(None);
        let [listen, call] = [desk.next_id(), desk.next_id()];
        let listening = desk.open(listen, TAG, Bytes::from_static(b"{}"), Length::Any).unwrap();
        desk.mark_endless(listen);
        assert!(desk.claim_only().is_none());
        let waiting = desk.open(call, TAG, Bytes::from_static(b"{}"), Length::Any).unwrap();
        assert!(desk.claim_only().is_some_and(|claimed| Arc::ptr_eq(&claimed, &waiting)));
        assert!(matches!(desk.claim(listen, true), Claim::Open(open) if Arc::ptr_eq(&open, &listening)));
    }

    #[test]
    fn ids_are_open_then_finished_and_others_foreign() {
        let desk = Desk::new(None);
        let id = desk.next_id();
        desk.open(id, TAG, Bytes::from_static(b"{}"), Length::Any).unwrap();
        assert!(matches!(desk.claim(id, false), Claim::Open(_)));
        assert!(matches!(desk.claim(id, true), Claim::Open(_)));
        assert!(matches!(desk.claim(id, true), Claim::Finished));
        for foreign in [0, id + 1, u64::MAX] {
            assert!(matches!(desk.claim(foreign, true), Claim::Foreign), "{foreign}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_answer_without_an_id_yet_is_for_the_one_call_that_can_have_it() {
        let desk = Desk::new(None);
        let open = |length| {
            let id = desk.next_id();
            (id, desk.open(id, TAG, Bytes::from_static(b"{}"), length).unwrap())
        };
        let claim = |id| match desk.claim_long(id, 2_000) {
            LongClaim::Open(id, _) => Ok(id),
            LongClaim::None { until } => Err(until),
        };
        let (probe, _inbox) = open(Length::Short);
        assert_eq!((claim(None), claim(Some(probe))), (Err(usize::MAX), Err(usize::MAX)));
        let (call, _inbox) = open(Length::PassFrom(1_000));
        let (later, _other) = open(Length::PassFrom(3_000));
        assert_eq!((claim(None), claim(Some(later))), (Err(usize::MAX), Err(3_000)));
        assert_eq!(claim(Some(call)), Ok(call));
        // It may be for the one that was given up just now.
        assert!(desk.forget(later) && desk.forget(probe));
        let (call, _inbox) = open(Length::PassFrom(1_000));
        assert_eq!(claim(None), Err(usize::MAX));
        tokio::time::advance(GIVEN_UP).await;
        assert_eq!(claim(None), Ok(call));
    }
}
