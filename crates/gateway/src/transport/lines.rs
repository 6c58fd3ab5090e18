//! A conversation over a newline-delimited stream: stdio, or a Unix socket.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use aqe_core::batching::{Batching, Due, Holdback, Priority};
use aqe_core::envelope::{Kind, Line, Lines, Message, is_batch, recover_id, split_batch};
use aqe_core::revision::{Era, Revision};
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;

use super::{intake, long_line};
use crate::monitor::Turned;
use crate::proxy::{Answer, Caller, Gateway, Passage};
use crate::refusal::Refusal;
use crate::session::{Outlet, Session};
use crate::telemetry::Via;
use crate::{tasks, wire};

/// A sender that can wait does so while this much is unwritten.
const HIGH_WATER_BYTES: usize = 1024 * 1024;
/// Once the client has stopped sending, open calls get this long to end.
const LAST_CALLS: Duration = Duration::from_secs(5);
/// How much is asked of the stream at a time.
const READ_CHUNK: usize = 64 * 1024;

/// Lines on their way to the client. Many senders add; one writer takes all that is there in one write.
#[derive(Debug)]
pub struct LineWriter {
    state: Mutex<Buffer>,
    added: Notify,
    /// Pieces of long results that the client has taken.
    passed: AtomicU64,
}

#[derive(Debug)]
struct Buffer {
    bytes: Vec<u8>,
    holdback: Holdback,
    /// Results that are passed on while they come, one after the other, when all of `bytes` has been written.
    long: VecDeque<Box<Passage>>,
    closed: bool,
    waiting: Vec<Waker>,
}

impl LineWriter {
    fn new(batching: Option<Batching>) -> Self {
        let holdback = Holdback::new(batching);
        let (bytes, long, waiting) = (Vec::new(), VecDeque::new(), Vec::new());
        let buffer = Buffer { bytes, holdback, long, closed: false, waiting };
        Self { state: Mutex::new(buffer), added: Notify::new(), passed: AtomicU64::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, Buffer> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an answer.
    pub fn answer(&self, answer: &Answer) {
        match &answer.passing {
            None => self.add(&answer.parts, Priority::High),
            Some(passing) => {
                let mut state = self.lock();
                if !state.closed {
                    state.long.extend(passing.take());
                    // It takes along what was held back before it.
                    let _ = state.holdback.add(Priority::High, 0, now);
                    drop(state);
                    self.added.notify_one();
                }
            }
        }
    }

    fn add(&self, parts: &[Bytes], priority: Priority) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        let before = state.bytes.len();
        for part in parts {
            state.bytes.extend_from_slice(part);
        }
        state.bytes.push(b'\n');
        let added = state.bytes.len() - before;
        let wake = state.holdback.add(priority, added, now);
        drop(state);
        if wake {
            self.added.notify_one();
        }
    }

    fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.holdback.release();
        let long = std::mem::take(&mut state.long);
        for waker in state.waiting.drain(..) {
            waker.wake();
        }
        drop(state);
        // Not under the lock: each cancels its call.
        drop(long);
        self.added.notify_one();
    }

    /// Writes until closed and empty, or until the client no longer reads.
    async fn run(self: Arc<Self>, mut stream: impl AsyncWrite + Unpin) {
        let mut taken = Vec::new();
        loop {
            let (due, closed, long) = {
                let mut state = self.lock();
                let due = state.holdback.due(now);
                if due == Due::Now {
                    std::mem::swap(&mut taken, &mut state.bytes);
                    state.holdback.written();
                    for waker in state.waiting.drain(..) {
                        waker.wake();
                    }
                }
                let long = if taken.is_empty() { state.long.pop_front() } else { None };
                (due, state.closed, long)
            };
            if let Some(long) = long {
                // In a box, for it is rare.
                if Box::pin(long_line::write(&mut stream, *long, &self.passed)).await.is_err() {
                    self.close();
                    break;
                }
                continue;
            }
            match due {
                Due::Nothing if closed => break,
                Due::Nothing => {
                    self.added.notified().await;
                    // Whoever is about to add something does so first: it is all one write.
                    tasks::let_ready_run().await;
                    continue;
                }
                Due::At(until) => {
                    // Either way there is something to look at.
                    let _ = tokio::time::timeout_at(until.into(), self.added.notified()).await;
                    continue;
                }
                Due::Now => {}
            }
            if stream.write_all(&taken).await.is_err() || stream.flush().await.is_err() {
                self.close();
                break;
            }
            taken.clear();
            // One large answer must not hold its memory for ever.
            taken.shrink_to(HIGH_WATER_BYTES);
        }
        let _ = stream.shutdown().await;
    }
}

impl Outlet for LineWriter {
    fn push_with(&self, message: Bytes, priority: Priority) {
        self.add(&[message], priority);
    }

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.bytes.len() < HIGH_WATER_BYTES || state.closed {
            return Poll::Ready(());
        }
        if !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

/// The clock of the runtime.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Serves one client until it stops sending or `stop` resolves; then open calls get a little time to end.
pub async fn serve(
    gateway: Arc<Gateway>,
    reader: impl AsyncRead + Unpin,
    writer: impl AsyncWrite + Unpin + Send + 'static,
    principal: Arc<str>,
    via: Via,
    stop: impl Future<Output = ()>,
) {
    let out = Arc::new(LineWriter::new(gateway.settings.batching));
    let outlet: Arc<dyn Outlet> = Arc::clone(&out) as Arc<dyn Outlet>;
    let session = Session::over(outlet, principal);
    gateway.register(&session);
    let writing = tasks::spawn("line writer", Arc::clone(&out).run(writer));
    let conversation =
        Conversation { gateway: Arc::clone(&gateway), session: Arc::clone(&session), out, via };
    tokio::select! {
        () = conversation.read(reader) => {}
        () = stop => {}
    }
    conversation.last_calls().await;
    gateway.end_session(&session);
    conversation.out.close();
    let _ = tokio::time::timeout(LAST_CALLS, writing).await;
}

struct Conversation {
    gateway: Arc<Gateway>,
    session: Arc<Session>,
    out: Arc<LineWriter>,
    via: Via,
}

impl Conversation {
    async fn read(&self, mut reader: impl AsyncRead + Unpin) {
        let mut lines = Lines::new(self.gateway.settings.max_body_bytes);
        loop {
            lines.buffer().reserve(READ_CHUNK);
            match reader.read_buf(lines.buffer()).await {
                Ok(0) => {
                    if let Some(line) = lines.finish_stream() {
                        self.take(line).await;
                    }
                    return;
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "the client's stream cannot be read");
                    return;
                }
            }
            while let Some(line) = lines.next_line() {
                self.take(line).await;
            }
        }
    }

    /// Gives open calls a little time to end, and as much as it takes to a long result that the client goes on reading.
    async fn last_calls(&self) {
        loop {
            let before = self.out.passed.load(Ordering::Relaxed);
            let ended = tokio::time::timeout(LAST_CALLS, self.idle()).await.is_ok();
            if ended || self.out.passed.load(Ordering::Relaxed) == before {
                return;
            }
        }
    }

    /// Resolves when no call is open.
    async fn idle(&self) {
        while self.session.open_calls() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn take(&self, line: Line) {
        match line {
            Line::Whole(bytes) if is_batch(&bytes) => self.take_batch(&bytes).await,
            Line::Whole(bytes) => match Message::parse(bytes, self.gateway.settings.message) {
                Ok(message) => self.take_message(message).await,
                Err(fault) => {
                    self.gateway.turned(Turned::Parse);
                    self.out.push(Refusal::from(&fault).to_bytes(fault.id.as_deref()).into());
                }
            },
            Line::TooLong { head, tail, length } => {
                self.gateway.turned(Turned::TooLarge);
                let max = self.gateway.settings.max_body_bytes;
                let refusal =
                    Refusal::invalid_request(format!("message of {length} bytes; the limit is {max}"));
                self.out.push(refusal.to_bytes(recover_id(&head, &tail).as_deref()).into());
            }
        }
    }

    async fn take_message(&self, message: Message) {
        match message.kind() {
            Kind::Request => {
                let out = Arc::clone(&self.out);
                self.start(message, true, move |answer| {
                    if let Some(answer) = answer {
                        out.answer(&answer);
                    }
                })
                .await;
            }
            Kind::Notification => {
                self.gateway.notified(&self.caller(Revision::NEWEST_LEGACY, false), &message);
            }
            Kind::Response | Kind::Error => Gateway::answered(&self.session, &message),
        }
    }

    fn caller(&self, revision: Revision, takes_long: bool) -> Caller {
        Caller {
            revision,
            principal: Arc::clone(&self.session.principal),
            session: Some(Arc::clone(&self.session)),
            owner: self.session.owner,
            param_headers: None,
            takes_long,
            began: Instant::now(),
            via: self.via,
            trace: None,
            observed: None,
        }
    }

    /// Answers a request: at once if that needs no waiting, else in the background.
    async fn start(
        &self,
        message: Message,
        takes_long: bool,
        deliver: impl FnOnce(Option<Answer>) + Send + 'static,
    ) {
        let id = message.id().unwrap_or("null").to_owned();
        let refused = |refusal: &Refusal| Some(Answer::ok(refusal.to_bytes(Some(&id))));
        let revision = match intake::revision_of(&message, &self.session) {
            Ok(revision) => revision,
            Err(refusal) => return deliver(refused(&refusal)),
        };
        if message.method() == "initialize" && revision.era() == Era::Legacy {
            let caller = self.caller(revision, false);
            let answer = self.gateway.initialize(caller, &self.session, &message).await;
            return deliver(answer.map_or_else(|refusal| refused(&refusal), Some));
        }
        let outlet: Arc<dyn Outlet> = Arc::clone(&self.out) as Arc<dyn Outlet>;
        let call = Arc::clone(&self.gateway).handle(self.caller(revision, takes_long), message, outlet);
        let mut call: Pin<Box<dyn Future<Output = Option<Answer>> + Send>> = Box::pin(call);
        // What can be answered without waiting needs no task.
        match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => deliver(answer),
            Poll::Pending => {
                tasks::spawn("call", async move { deliver(call.await) });
            }
        }
    }

    /// A batch (2025-03-26 only): run at the same time, answered with one array.
    async fn take_batch(&self, bytes: &Bytes) {
        let allowed =
            self.session.handshake().is_some_and(|handshake| handshake.revision == Revision::V20250326);
        let items = if allowed {
            split_batch(bytes, self.gateway.settings.message).map_err(|fault| Refusal::from(&fault))
        } else {
            Err(Refusal::invalid_request("batches exist in revision 2025-03-26 only"))
        };
        let items = match items {
            Ok(items) => items,
            Err(refusal) => return self.out.push(refusal.to_bytes(None).into()),
        };
        let batch = Arc::new(Batch { out: Arc::clone(&self.out), answers: Mutex::default() });
        for item in items {
            match Message::parse(item, self.gateway.settings.message) {
                Ok(message) if message.kind() == Kind::Request && message.method() == "initialize" => {
                    let refusal = Refusal::invalid_request("initialize must not be part of a batch");
                    batch.add(refusal.to_bytes(message.id()).into());
                }
                Ok(message) if message.kind() == Kind::Request => {
                    let batch = Arc::clone(&batch);
                    self.start(message, false, move |answer| {
                        if let Some(answer) = answer {
                            batch.add(answer.into_bytes());
                        }
                    })
                    .await;
                }
                Ok(message) => self.take_message(message).await,
                Err(fault) => batch.add(Refusal::from(&fault).to_bytes(fault.id.as_deref()).into()),
            }
        }
    }
}

/// The answers of one batch; written when the last part of it is dropped.
struct Batch {
    out: Arc<LineWriter>,
    answers: Mutex<Vec<Bytes>>,
}

impl Batch {
    fn add(&self, answer: Bytes) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).push(answer);
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        let answers = std::mem::take(&mut *self.answers.lock().unwrap_or_else(PoisonError::into_inner));
        if !answers.is_empty() {
            self.out.push(wire::batch(&answers));
        }
    }
}

#[cfg(test)]
mod tests;
