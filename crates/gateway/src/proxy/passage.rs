//! A result that is passed on while it comes: from an upstream through [`Transit`] to a client, in constant memory.
//!
//! ```text
//! upstream ─▶ Rest ─▶ Transit (proof, id, era) ─▶ a few pieces ─▶ the client's transport
//! ```
//! A task stands between the two, since each may make the other wait and neither for ever: the upstream must go on
//! within its idle time, the client must take what is there. Whoever takes the pieces reads as fast as the client, and
//! only so fast is the upstream read. The call stays what it is until the end: in flight for its client, who may cancel
//! it, and for the balancer and the pool.

mod flow;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use aqe_core::cache::Namespace;
use aqe_core::envelope::{Change, ResultType, Transit};
use aqe_core::health::Outcome;
use aqe_core::monitor::ErrorKind;
use aqe_core::revision::Era;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::call::{MAX_CALL, refusal_of};
use super::{Gateway, Request, cancelled};
use crate::monitor::{Fate, Flight};
use crate::refusal::{Refusal, UpstreamReason};
use crate::session::OpenCall;
use crate::telemetry::Active;
use crate::upstream::{CallError, LongReply, Turn, Upstream};
use crate::{bridge, tasks};
use flow::{Flow, Stop};

/// Pieces that may wait for the client, each of at most [`flow::PIECE_BYTES`].
const WAITING_PIECES: usize = 4;

/// Why a reply was not passed on to its end. What the client has got of it is no whole message.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The client has cancelled the call and wants no more of it.
    #[error("cancelled")]
    Cancelled,
    /// Anything else, to be told where that is still possible.
    #[error(transparent)]
    Refused(Refusal),
}

/// A result on its way.
pub struct Passage {
    flow: Flow,
    turn: Turn,
    upstream: Arc<Upstream>,
    /// The client's id, raw JSON.
    id: Box<str>,
    /// Keeps the call in flight for its client, who may cancel it.
    open: Option<OpenCall>,
    /// Keeps it in sight of the monitor.
    flight: Option<Flight>,
    /// The attempt that it answers, where the request is recorded.
    span: Option<Active>,
    /// What a call that writes invalidates at its end.
    writes: Option<Writes>,
}

struct Writes {
    gateway: Arc<Gateway>,
    namespace: Arc<Namespace>,
}

impl Drop for Writes {
    fn drop(&mut self) {
        if let Some(cache) = &self.gateway.cache {
            cache.invalidate(&self.namespace);
        }
    }
}

impl Passage {
    /// Passes on the reply to a request that went out under the id `ours` at `started`.
    ///
    /// # Errors
    /// If it is known to be too long.
    pub(super) fn new(
        request: &Request<'_>,
        upstream: &Arc<Upstream>,
        turn: Turn,
        reply: LongReply,
        ours: u64,
        started: Instant,
    ) -> Result<Self, (CallError, Turn)> {
        let settings = upstream.settings();
        let max_bytes = settings.max_result_bytes;
        if reply.length.is_some_and(|length| length > max_bytes) {
            return Err((flow::too_long(max_bytes), turn));
        }
        let method = request.message.method();
        let result_type = match (turn.live().peer.era, request.caller.era()) {
            (Era::Legacy, Era::Modern) => ResultType::Require(bridge::modern_members(&method)),
            (Era::Modern, Era::Legacy) => ResultType::Remove,
            _ => ResultType::Keep,
        };
        let change = Change { from: ours, to: request.id, result_type };
        let flow = Flow {
            transit: Transit::new(change, upstream.message_limits().max_depth),
            head: reply.head,
            rest: reply.rest,
            max_bytes,
            silence: settings.idle_timeout,
            until: started + MAX_CALL,
            passed: 0,
        };
        let upstream = Arc::clone(upstream);
        Ok(Self {
            flow,
            turn,
            upstream,
            id: request.id.into(),
            open: None,
            flight: None,
            span: None,
            writes: None,
        })
    }

    /// It ends the span of the attempt.
    pub(super) fn within(self, span: Option<Active>) -> Self {
        Self { span, ..self }
    }

    /// The error that a client gets in place of a reply that was passed on before and not kept.
    pub fn not_kept(&self) -> Bytes {
        let detail = "its answer was too long to be kept for a client that comes back; call again";
        let refusal = Refusal::upstream(self.upstream.name(), UpstreamReason::NotKept, detail);
        refusal.to_bytes(Some(&self.id)).into()
    }

    /// The client's id, raw JSON.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Begins to read on. Dropping what is returned gives the reply up, which cancels the call at the upstream.
    pub fn start(self) -> Pieces {
        let (sender, pieces) = mpsc::channel(WAITING_PIECES);
        let (told, end) = oneshot::channel();
        tasks::spawn("passage", async move {
            let broken = self.run(&sender).await;
            // If nobody is there any more, nobody has to be told.
            let _ = told.send(broken);
        });
        Pieces { pieces, end: Some(end) }
    }

    async fn run(self, to: &mpsc::Sender<Bytes>) -> Option<Broken> {
        let Self { mut flow, turn, upstream, id, open, flight, mut span, writes } = self;
        let by_operator = async {
            match &flight {
                Some(flight) => flight.cancelled().await,
                None => std::future::pending().await,
            }
        };
        let end = tokio::select! {
            biased;
            () = cancelled(open.as_ref()) => Err(Stop::Cancelled),
            end = flow.run(to) => end,
            () = by_operator => Err(Stop::ByOperator),
        };
        let (mut fate, passed) = (Fate::default(), flow.passed as usize);
        let stop = match end {
            Ok(last) => {
                fate.upstream = Some(turn.end(Outcome::Success));
                fate.error = flow.transit.is_error().then_some(ErrorKind::Tool);
                if let Some(mut span) = span.take() {
                    if let Some(error) = fate.error {
                        span.fail(error.as_str(), "");
                    }
                    span.end();
                }
                drop(writes);
                // Before the client has the whole reply: it may then use the id again.
                drop(open);
                match flow.send(to, last).await {
                    Ok(_) => {
                        if let Some(flight) = flight {
                            flight.end(&fate, passed, &id);
                        }
                        return None;
                    }
                    Err(stop) => stop,
                }
            }
            Err(stop) => {
                fate.upstream = Some(turn.end(stop.outcome(upstream.replica_count())));
                stop
            }
        };
        let name = upstream.name();
        let refusal = match &stop {
            Stop::Cancelled | Stop::ClientLeft => return Some(Broken::Cancelled),
            Stop::Upstream(error) => refusal_of(name, error),
            Stop::AsksForInput => super::call::asks_for_input(name),
            Stop::Silent | Stop::TooLate => {
                Refusal::upstream(name, UpstreamReason::Timeout, &stop.to_string())
            }
            Stop::ClientTooSlow => Refusal::upstream(name, UpstreamReason::ClientTooSlow, &stop.to_string()),
            Stop::ByOperator => Refusal::by_operator(),
        };
        fate.error = Some(refusal.kind);
        if let Some(mut span) = span {
            span.fail(refusal.kind.as_str(), &refusal.message);
            span.end();
        }
        if let Some(flight) = flight {
            flight.end(&fate, passed, &id);
        }
        tracing::warn!(upstream = name, reason = %stop, "a long answer has broken off");
        Some(Broken::Refused(refusal))
    }
}

impl fmt::Debug for Passage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passage").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The text of a reply, piece by piece.
#[derive(Debug)]
pub struct Pieces {
    pieces: mpsc::Receiver<Bytes>,
    /// `None` once the end was told.
    end: Option<oneshot::Receiver<Option<Broken>>>,
}

impl Pieces {
    /// The next piece; `None` at the end of a whole reply. Nothing comes after an error.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        if let Some(piece) = ready!(self.pieces.poll_recv(cx)) {
            return Poll::Ready(Some(Ok(piece)));
        }
        let Some(end) = &mut self.end else { return Poll::Ready(None) };
        let told = ready!(std::pin::Pin::new(end).poll(cx));
        self.end = None;
        // A task that told nothing has been ended with the runtime.
        Poll::Ready(told.unwrap_or(Some(Broken::Cancelled)).map(Err))
    }

    /// As [`Pieces::poll_next`].
    pub async fn next(&mut self) -> Option<Result<Bytes, Broken>> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }
}

/// A passage on its way to the one who begins it. Answers are copied in places; the first that takes the passage has it.
#[derive(Debug, Clone)]
pub struct Passing(Arc<Mutex<Option<Box<Passage>>>>);

impl Passing {
    pub(super) fn new(passage: Passage) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::new(passage)))))
    }

    /// The passage, unless somebody has taken it.
    pub fn take(&self) -> Option<Box<Passage>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Keeps the call in flight for its client, and in sight of the monitor.
    pub(super) fn hold(&self, open: Option<OpenCall>, flight: Flight) {
        if let Some(passage) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            passage.open = open;
            passage.flight = Some(flight);
        }
    }

    /// Invalidates what is kept of the upstream when the call ends.
    pub(super) fn invalidate_at_end(&self, gateway: &Arc<Gateway>, namespace: &Arc<Namespace>) {
        if let Some(passage) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            passage.writes = Some(Writes { gateway: Arc::clone(gateway), namespace: Arc::clone(namespace) });
        }
    }
}
