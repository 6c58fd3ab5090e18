//! A call's turn: the replica that the balancer chooses, and the connection that the pool gives.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aqe_core::balancer::{Affinity, Balancer, PickError, ReplicaId, Request, Ticket};
use aqe_core::health::{FailureKind, Outcome};
use aqe_core::monitor::{ErrorKind, Finished};
use aqe_core::pool::{self, AcquireError, Lane, Scope};
use aqe_core::revision::Era;

use super::live::{Audience, Live, variant_of};
use super::supervisor::Upstream;
use crate::pool::Leased;
use crate::settings::{Endpoint, SessionScope};

/// Whose call it is, and what is to be considered in choosing.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// The era of the client.
    pub era: Era,
    /// The principal.
    pub principal: &'a Arc<str>,
    /// The client session, if there is one.
    pub session: Option<u64>,
    /// The tool's category.
    pub category: Option<&'a str>,
    /// The replica that holds what the call is about, by its position.
    pub replica: Option<usize>,
    /// Sending it twice does no harm.
    pub repeatable: bool,
}

/// Why there is no turn.
#[derive(Debug, thiserror::Error)]
pub enum NoTurn {
    /// No replica may be used, or all are full.
    #[error(transparent)]
    Balancer(#[from] PickError),
    /// The replica that was chosen has no connection.
    #[error("{error}")]
    Pool {
        /// Why.
        error: AcquireError,
        /// Which replica.
        replica: ReplicaId,
    },
}

impl NoTurn {
    /// Whether the gateway, not the upstream, has too much to do.
    pub fn is_overload(&self) -> bool {
        matches!(
            self,
            Self::Balancer(PickError::Full { .. })
                | Self::Pool { error: AcquireError::Timeout { .. } | AcquireError::Overloaded { .. }, .. }
        )
    }
}

/// The right to send one call over one connection. Dropped without a word it counts as given up by the client.
#[derive(Debug)]
#[must_use]
pub struct Turn {
    choice: Choice,
    leased: Leased,
}

impl Turn {
    /// The connection.
    pub fn live(&self) -> &Arc<Live> {
        self.leased.live()
    }

    /// The replica, as the balancer knows it.
    pub fn replica(&self) -> ReplicaId {
        self.choice.replica
    }

    /// The call has ended. Returns how long it took since its replica was chosen.
    pub fn end(self, outcome: Outcome) -> Duration {
        let now = Instant::now();
        let how = match outcome {
            Outcome::Success
            | Outcome::Overloaded { .. }
            | Outcome::Failure(FailureKind::ServerError | FailureKind::Malformed) => pool::Outcome::Ok,
            Outcome::Failure(_) | Outcome::Cancelled => pool::Outcome::Unanswered,
        };
        self.leased.end(how, now);
        let took = now - self.choice.started;
        self.choice.end(outcome, now);
        took
    }
}

/// A call that the balancer counts as in flight. Dropped without a word it counts as given up by the client.
pub(super) struct Choice {
    upstream: Arc<Upstream>,
    ticket: Option<Ticket>,
    replica: ReplicaId,
    started: Instant,
}

impl Choice {
    fn new(upstream: &Arc<Upstream>, ticket: Ticket, now: Instant) -> Self {
        let replica = ticket.replica();
        Self { upstream: Arc::clone(upstream), ticket: Some(ticket), replica, started: now }
    }

    fn end(mut self, outcome: Outcome, now: Instant) {
        self.finish(outcome, now);
    }

    fn finish(&mut self, outcome: Outcome, now: Instant) {
        if let Some(ticket) = self.ticket.take() {
            self.upstream.finish(ticket, outcome, self.started, now);
        }
    }
}

impl Drop for Choice {
    fn drop(&mut self) {
        if self.ticket.is_some() {
            self.finish(Outcome::Cancelled, Instant::now());
        }
    }
}

impl std::fmt::Debug for Choice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Choice").field(&self.ticket).finish()
    }
}

/// A pause before the next attempt to connect that a call waits for, how long it does so in all, and how short a pause
/// is at least.
const SHORT_PAUSE: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_millis(500);
const LEAST_PAUSE: Duration = Duration::from_millis(5);

/// A connection that has state of somebody serves nobody else from now on (`core::pool`).
fn note_audience(live: &Live, scope: Scope, asking: &Asking<'_>) {
    match scope {
        Scope::Shared | Scope::Request => {}
        Scope::Principal(_) => {
            live.audience.get_or_init(|| Audience::Principal(Arc::clone(asking.principal)));
        }
        Scope::Session(owner) => {
            live.audience.get_or_init(|| Audience::Session(owner));
        }
    }
}

impl Upstream {
    /// A turn for one call, on a replica that is not among `tried`.
    ///
    /// # Errors
    /// If there is none until `deadline`.
    pub async fn turn(
        self: &Arc<Self>,
        asking: Asking<'_>,
        tried: &[ReplicaId],
        deadline: Instant,
    ) -> Result<Turn, NoTurn> {
        let request = self.request(&asking, tried);
        let mut now = Instant::now();
        // Nobody goes before those who wait.
        let chosen = self.queue.is_empty().then(|| self.choose(&request, now));
        let choice = match chosen {
            // In a box, for it is rare and would make the future of every call larger.
            None | Some(Err(PickError::Full { .. })) => {
                let choice = Box::pin(self.wait_for_room(&request, deadline)).await?;
                now = Instant::now();
                choice
            }
            Some(chosen) => chosen?,
        };
        let replica = choice.replica;
        let at = self.replicas.iter().position(|own| own.balancer == replica).unwrap_or_default();
        loop {
            let era = self.era_for(at, asking.era);
            let Some(pool) = self.replicas[at].pool.get() else {
                return Err(NoTurn::Pool { error: AcquireError::UnknownReplica, replica });
            };
            let lane = Lane { replica: *pool, variant: variant_of(era), scope: self.scope(&asking, era) };
            let acquired = self.pool.acquire(lane, now, deadline).await;
            if acquired.is_err() {
                now = Instant::now();
            }
            match acquired {
                Ok(leased) => {
                    note_audience(leased.live(), lane.scope, &asking);
                    return Ok(Turn { choice, leased });
                }
                // A start takes as long as it takes; the pool's own time-out is for those who wait for others.
                Err(AcquireError::Timeout { .. })
                    if now < deadline.min(choice.started + self.settings.load().connect_timeout)
                        && self.pool.open_of(lane.replica).is_empty() => {}
                // The only replica will be tried again in a moment: that is worth more than an error.
                Err(AcquireError::Unavailable { retry_in, crash_looping: false, .. })
                    if self.replicas.len() == 1
                        && retry_in <= SHORT_PAUSE
                        && now + retry_in < deadline.min(choice.started + PATIENCE) =>
                {
                    tokio::time::sleep(retry_in.max(LEAST_PAUSE)).await;
                    now = Instant::now();
                }
                // The server has told what it speaks while we waited.
                Err(AcquireError::OtherVariant) if self.era_for(at, asking.era) != era => {}
                Err(error) => {
                    // Of a lone replica the pool knows best when to try again.
                    let unreachable =
                        self.replicas.len() > 1 && matches!(error, AcquireError::Unavailable { .. });
                    let outcome =
                        if unreachable { Outcome::Failure(FailureKind::Connect) } else { Outcome::Cancelled };
                    choice.end(outcome, now);
                    return Err(NoTurn::Pool { error, replica });
                }
            }
        }
    }

    /// A replica for a call that begins now.
    pub(super) fn choose(self: &Arc<Self>, request: &Request<'_>, now: Instant) -> Result<Choice, PickError> {
        let ticket = self.balancer().pick(request, now)?;
        Ok(Choice::new(self, ticket, now))
    }

    fn affinity(&self, asking: &Asking<'_>) -> Affinity {
        match (asking.replica, self.replicas.len()) {
            (Some(at), _) if at < self.replicas.len() => Affinity::Replica(self.replicas[at].balancer),
            (_, 1) => Affinity::Any,
            _ => match self.scope(asking, self.era_for(0, asking.era)) {
                Scope::Shared | Scope::Request => Affinity::Any,
                Scope::Principal(id) => Affinity::Key(id),
                Scope::Session(id) => Affinity::Key(id.rotate_left(32)),
            },
        }
    }

    fn request<'a>(&self, asking: &Asking<'a>, tried: &'a [ReplicaId]) -> Request<'a> {
        Request {
            affinity: self.affinity(asking),
            exclude: tried,
            category: asking.category,
            repeatable: asking.repeatable,
        }
    }

    fn finish(self: &Arc<Self>, ticket: Ticket, outcome: Outcome, started: Instant, now: Instant) {
        let took = now - started;
        if self.recorded {
            self.record(ticket.replica(), outcome, took);
        }
        self.balancer().finished(ticket, outcome, took, now);
        if !self.queue.is_empty() {
            self.queue.observe(took);
            self.hand_out();
        }
    }

    fn record(&self, replica: ReplicaId, outcome: Outcome, took: Duration) {
        let Some(replica) = self.replicas.iter().find(|own| own.balancer == replica) else { return };
        let error = match outcome {
            Outcome::Success => None,
            Outcome::Cancelled => return replica.series.cancelled(),
            Outcome::Overloaded { .. } => Some(ErrorKind::Overloaded),
            Outcome::Failure(kind) => Some(match kind {
                FailureKind::Timeout => ErrorKind::Timeout,
                FailureKind::Connect => ErrorKind::Unavailable,
                FailureKind::Malformed => ErrorKind::Malformed,
                FailureKind::ServerError => ErrorKind::Upstream,
                FailureKind::Closed => ErrorKind::Closed,
            }),
        };
        replica.series.finished(&Finished { latency: took, error, ..Finished::default() });
    }

    /// Whether a call may be sent once more, within the budget of the upstream.
    pub fn may_retry(&self) -> bool {
        self.balance(Balancer::may_retry)
    }

    /// Whether a read-only call may go to two replicas: that is wanted, there are several, and none holds state for it.
    pub fn hedges(&self, asking: &Asking<'_>) -> bool {
        self.hedging.load(Ordering::Relaxed)
            && self.replicas.len() > 1
            && matches!(self.affinity(asking), Affinity::Any)
    }

    /// Whether a call may be sent to a second replica now, within the budget of the upstream.
    pub fn may_hedge(&self) -> bool {
        self.balance(Balancer::may_hedge)
    }

    fn scope(&self, asking: &Asking<'_>, era: Era) -> Scope {
        if !self.optimized {
            return Scope::Request;
        }
        match (self.shared_by(era), asking.session) {
            (SessionScope::Shared, _) => Scope::Shared,
            (SessionScope::PerRequest, _) => Scope::Request,
            (SessionScope::PerClientSession, Some(session)) => Scope::Session(session),
            (SessionScope::PerClientSession | SessionScope::PerPrincipal, _) => {
                Scope::Principal(self.pool.principal(asking.principal))
            }
        }
    }

    fn shared_by(&self, era: Era) -> SessionScope {
        self.session_scope.unwrap_or(match era {
            // Stateless by definition (2026-07-28, "Lifecycle").
            Era::Modern => SessionScope::Shared,
            Era::Legacy => SessionScope::PerPrincipal,
        })
    }

    /// Whether what the server keeps may be of any principal: they share connections, or it is reached over HTTP, where it
    /// may know all of them by our credentials alone.
    pub fn mixes_principals(&self, era: Era) -> bool {
        let settings = self.settings();
        let all_children =
            settings.replicas.iter().all(|replica| matches!(replica.endpoint, Endpoint::Child(_)));
        !all_children || self.shared_by(era) == SessionScope::Shared
    }

    pub(super) fn balance<T>(&self, ask: impl FnOnce(&mut Balancer, Instant) -> T) -> T {
        let mut balancer = self.balancer();
        ask(&mut balancer, Instant::now())
    }

    fn balancer(&self) -> MutexGuard<'_, Balancer> {
        // No change below the lock can be torn.
        self.balancer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
