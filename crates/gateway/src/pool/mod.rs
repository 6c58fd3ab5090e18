//! The connections to all replicas: what core's pool decides, carried out.
//!
//! The decisions are in [`aqe_core::pool`], behind one lock that no await crosses. Whoever changes something takes
//! what is to be done out of it, gives up the lock and does it: here connections are opened, probed and closed, and
//! waiting calls are told.
//!
//! # Layout
//! - this file: calls come and go. `drive`: effects, and what comes of them. `lease`: a call's hold on a connection.

mod drive;
mod lease;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use aqe_core::pool::{
    Acquire, AcquireError, ConnId, DrainTarget, Effect, Lane, Pool, PoolConfig, PoolConfigError, PoolStatus,
    PoolWaits, ReplicaConfig, ReplicaId, Scope, WaiterId,
};
use foldhash::fast::RandomState;
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;

pub use lease::Leased;

use crate::upstream::{Live, Upstream};

type Map<K, V> = HashMap<K, V, RandomState>;
type Answer = Result<Leased, AcquireError>;

/// The pool of all connections.
pub struct ConnectionPool {
    state: Mutex<State>,
    /// Something is due earlier than the timer knows.
    sooner: Notify,
    /// A connection has gone.
    gone: Notify,
}

struct State {
    pool: Pool,
    members: Map<ReplicaId, Member>,
    open: Map<ConnId, Arc<Live>>,
    opening: Map<ConnId, Option<AbortHandle>>,
    waiting: Map<WaiterId, oneshot::Sender<Answer>>,
    /// Principals by name, numbered for [`Scope::Principal`].
    principals: HashMap<Arc<str>, u64, RandomState>,
    /// When the timer runs.
    timer: Option<Instant>,
}

enum Asked {
    Answered(Answer),
    Waiting(WaiterId, oneshot::Receiver<Answer>),
}

/// What a replica's connections are opened by.
#[derive(Clone)]
struct Member {
    upstream: Weak<Upstream>,
    replica: usize,
}

impl std::fmt::Debug for ConnectionPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectionPool").field("open", &self.lock().open.len()).finish_non_exhaustive()
    }
}

impl ConnectionPool {
    /// A pool without replicas, with its timer.
    ///
    /// # Errors
    /// If the settings cannot be used.
    pub fn start(config: PoolConfig) -> Result<Arc<Self>, PoolConfigError> {
        let state = State {
            pool: Pool::new(config, fastrand::u64(..))?,
            members: Map::default(),
            open: Map::default(),
            opening: Map::default(),
            waiting: Map::default(),
            principals: HashMap::default(),
            timer: None,
        };
        let pool = Arc::new(Self { state: Mutex::new(state), sooner: Notify::new(), gone: Notify::new() });
        drive::start_timer(&pool);
        Ok(pool)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What happens below the lock calls nothing that panics halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and carries out what follows from it.
    fn with<T>(self: &Arc<Self>, change: impl FnOnce(&mut State, Instant) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state, Instant::now());
        self.settle(state);
        result
    }

    fn settle(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let mut effects: Vec<Effect> = Vec::new();
        state.pool.take_effects(&mut effects);
        let due = state.pool.next_deadline();
        let sooner = due.is_some_and(|due| state.timer.is_none_or(|timer| due < timer));
        if sooner {
            state.timer = due;
        }
        drop(state);
        if sooner {
            self.sooner.notify_one();
        }
        if !effects.is_empty() {
            self.carry_out(effects);
        }
    }

    /// Adds a replica of `upstream`; its connections are opened as the settings want them.
    ///
    /// # Errors
    /// If the settings cannot be used.
    pub fn add(
        self: &Arc<Self>,
        upstream: Weak<Upstream>,
        replica: usize,
        config: ReplicaConfig,
    ) -> Result<ReplicaId, PoolConfigError> {
        self.with(|state, now| {
            let id = state.pool.add_replica(now, config)?;
            state.members.insert(id, Member { upstream, replica });
            Ok(id)
        })
    }

    /// Changes the limits of a replica.
    ///
    /// # Errors
    /// If they cannot be used.
    pub fn configure_replica(
        self: &Arc<Self>,
        replica: ReplicaId,
        config: ReplicaConfig,
    ) -> Result<(), PoolConfigError> {
        self.with(|state, now| state.pool.configure_replica(now, replica, config))
    }

    /// Closes the connections of a replica and forgets it.
    pub fn remove(self: &Arc<Self>, replica: ReplicaId) {
        self.with(|state, now| {
            state.members.remove(&replica);
            state.pool.remove_replica(now, replica, now);
        });
    }

    /// Tries again now to open a connection of a replica that could not be reached, unless its process crashes again and
    /// again.
    pub(crate) fn try_again(self: &Arc<Self>, replica: ReplicaId) {
        self.with(|state, now| state.pool.try_again(now, replica));
    }

    /// A connection for one call of `lane`, at once if there is one.
    ///
    /// # Errors
    /// If there is none until `deadline` or the pool's own time-out, or there will be none.
    pub async fn acquire(self: &Arc<Self>, lane: Lane, now: Instant, deadline: Instant) -> Answer {
        let (waiter, answer) = match self.ask(lane, now, deadline) {
            Asked::Answered(answer) => return answer,
            Asked::Waiting(waiter, answer) => (waiter, answer),
        };
        let waits = lease::Waits::new(self, waiter);
        let answer = answer.await;
        waits.over();
        answer.unwrap_or(Err(AcquireError::ScopeEnded))
    }

    fn ask(self: &Arc<Self>, lane: Lane, now: Instant, deadline: Instant) -> Asked {
        let mut state = self.lock();
        match state.pool.acquire(now, lane, deadline) {
            Acquire::Granted(lease) => {
                let live = state.open.get(&lease.conn()).map(Arc::clone);
                self.settle(state);
                Asked::Answered(if let Some(live) = live {
                    Ok(Leased::new(self, lease, live))
                } else {
                    // The connection has ended at this moment, and its end is about to be reported.
                    self.release(lease, aqe_core::pool::Outcome::Broken, now);
                    Err(AcquireError::UnknownReplica)
                })
            }
            Acquire::Refused(error) => {
                self.settle(state);
                Asked::Answered(Err(error))
            }
            Acquire::Waiting(waiter) => {
                let (tell, answer) = oneshot::channel();
                state.waiting.insert(waiter, tell);
                self.settle(state);
                Asked::Waiting(waiter, answer)
            }
        }
    }

    fn release(
        self: &Arc<Self>,
        lease: aqe_core::pool::Lease,
        outcome: aqe_core::pool::Outcome,
        now: Instant,
    ) {
        let mut state = self.lock();
        state.pool.release(now, lease, outcome);
        self.settle(state);
    }

    /// The number of a principal.
    pub fn principal(&self, name: &Arc<str>) -> u64 {
        let mut state = self.lock();
        if let Some(id) = state.principals.get(name) {
            return *id;
        }
        let id = state.principals.len() as u64;
        state.principals.insert(Arc::clone(name), id);
        id
    }

    /// A session has ended: nobody comes back to what its connections hold.
    pub fn session_ended(self: &Arc<Self>, owner: u64) {
        self.with(|state, now| state.pool.scope_ended(now, Scope::Session(owner)));
    }

    /// The settings of the pool.
    pub fn config(&self) -> PoolConfig {
        self.lock().pool.config().clone()
    }

    /// Changes the settings of the pool.
    ///
    /// # Errors
    /// If they cannot be used; nothing is changed then.
    pub fn reconfigure(self: &Arc<Self>, config: PoolConfig) -> Result<(), PoolConfigError> {
        self.with(|state, now| state.pool.reconfigure(now, config))
    }

    /// State and history.
    pub fn status(&self) -> PoolStatus {
        self.lock().pool.status(Instant::now())
    }

    /// The same with how long calls waited, of one moment.
    pub fn status_and_waits(&self) -> (PoolStatus, PoolWaits) {
        let pool = &self.lock().pool;
        (pool.status(Instant::now()), pool.waits())
    }

    /// The open connections of a replica, in no order.
    pub(crate) fn open_of(&self, replica: ReplicaId) -> Vec<Arc<Live>> {
        let state = self.lock();
        let of = |live: &&Arc<Live>| live.pool_replica == replica;
        state.open.values().filter(of).map(Arc::clone).collect()
    }

    /// Takes no more calls, waits for those under way until `deadline`, and closes every connection.
    pub async fn drain(self: &Arc<Self>, deadline: Instant) {
        self.with(|state, now| state.pool.drain(now, DrainTarget::All, deadline));
        loop {
            let gone = self.gone.notified();
            if self.lock().pool.is_drained(DrainTarget::All) {
                return;
            }
            gone.await;
        }
    }
}
