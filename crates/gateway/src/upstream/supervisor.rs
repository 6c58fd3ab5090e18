//! One upstream: its replicas, the connections to them that the pool opens, and its manifest.
//!
//! One connection of each era is the *primary* one: lists are fetched over it, and clients' subscriptions held. Where
//! a server speaks both eras, clients of each are served in their own: then nothing has to be translated.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use aqe_core::balancer::{self, Balancer, BalancerConfigError};
use aqe_core::batching::Batching;
use aqe_core::inprocess::InProcess;
use aqe_core::pool;
use aqe_core::revision::Era;
use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::Notify;

use super::HttpClient;
use super::live::{Hooks, Live};
use super::manifest::{ListKind, Manifest};
use super::membership::{check_settings, pool_config};
use super::opening::other;
use super::queue::Queue;
use super::replica::{Replica, ReplicaName};
use crate::pool::ConnectionPool;
use crate::settings::{Balancing, ReplicaSettings, SessionScope, Start, UpstreamSettings};
use crate::tasks;

/// Why a call cannot be sent to an upstream now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}{}", .retry_in.map(|pause| format!("; next attempt in {:.1} s", pause.as_secs_f64())).unwrap_or_default())]
pub struct Unavailable {
    /// What failed.
    pub reason: String,
    /// When it is tried again, if that is not at the next call.
    pub retry_in: Option<Duration>,
}

/// An upstream whose settings cannot be used together.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum UpstreamError {
    /// Its replicas or strategy.
    #[error("upstream {name}: {fault}")]
    Balancer {
        /// The upstream.
        name: String,
        /// What is wrong.
        fault: BalancerConfigError,
    },
    /// Its limits on connections.
    #[error("upstream {name}: {fault}")]
    Pool {
        /// The upstream.
        name: String,
        /// What is wrong.
        fault: pool::PoolConfigError,
    },
}

/// What all upstreams share.
#[allow(missing_debug_implementations, reason = "handed over once, at the start")]
pub struct Common {
    /// TCP and TLS connections.
    pub http: Arc<HttpClient>,
    /// Conversations.
    pub pool: Arc<ConnectionPool>,
    /// How calls are spread.
    pub balancing: Balancing,
    /// Whether connections are kept for the next call.
    pub optimized: bool,
    /// Whether calls are recorded by replica.
    pub recorded: bool,
    /// Bounds on one message.
    pub message: aqe_core::envelope::Limits,
    /// How long notifications to a child may wait for others.
    pub batching: Option<Batching>,
    /// What is told of what happens.
    pub hooks: Weak<dyn Hooks>,
}

/// One upstream.
pub struct Upstream {
    /// Distinguishes it from all others of this process, also from those of its name that came before it.
    pub id: usize,
    name: String,
    /// What the configuration says of it now.
    pub(super) settings: ArcSwap<UpstreamSettings>,
    /// What its connections depend on is the same for all its life.
    in_process: Option<Arc<dyn InProcess>>,
    pub(super) era: Option<Era>,
    pub(super) session_scope: Option<SessionScope>,
    pub(super) replicas: Vec<Replica>,
    pub(super) recorded: bool,
    pub(super) balancer: Mutex<Balancer>,
    pub(super) queue: Queue,
    pub(super) lazy: AtomicBool,
    pub(super) hedging: AtomicBool,
    pub(super) optimized: bool,
    pub(super) pool: Arc<ConnectionPool>,
    /// Every open connection by its generation.
    open: Mutex<HashMap<u64, Arc<Live>>>,
    /// The primary connections by era.
    primary: [ArcSwapOption<Live>; 2],
    pub(super) manifest: ArcSwapOption<Manifest>,
    /// Its offer is known, or could not be had at the first attempt.
    settled: AtomicBool,
    pub(super) generation: AtomicU64,
    attempts: Mutex<Attempts>,
    /// A connection was opened, lost, or could not be opened.
    changed: Notify,
    pub(super) stale: Mutex<Vec<ListKind>>,
    pub(super) refresh: Notify,
    /// Lists that are being fetched because their time was over.
    pub(super) refreshing: [AtomicBool; 4],
    hooks: Weak<dyn Hooks>,
    pub(super) http: Arc<HttpClient>,
    pub(super) message_limits: aqe_core::envelope::Limits,
    pub(super) batching: Option<Batching>,
}

#[derive(Debug, Default)]
pub(super) struct Attempts {
    /// Failures to open a connection, ever.
    failures: u64,
    pub(super) last_error: Option<String>,
    pub(super) stopped: bool,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("name", &self.name).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change below these locks is complete in itself.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Upstream {
    /// Bounds on one message.
    pub(crate) fn message_limits(&self) -> aqe_core::envelope::Limits {
        self.message_limits
    }

    /// An upstream that is not connected yet. `manifest` is what an earlier run has kept.
    ///
    /// # Errors
    /// If its settings cannot be used together.
    pub fn new(
        id: usize,
        settings: UpstreamSettings,
        manifest: Option<Manifest>,
        common: &Common,
    ) -> Result<Arc<Self>, UpstreamError> {
        let config = check_settings(&settings, &common.balancing)?;
        let balancer = Balancer::new(config, fastrand::u64(..), Instant::now())
            .map_err(|fault| UpstreamError::Balancer { name: settings.name.clone(), fault })?;
        let ids: Vec<balancer::ReplicaId> = balancer.replicas().map(|(id, _)| id).collect();
        let peer = manifest.as_ref().map(|manifest| Arc::new(manifest.peer.clone()));
        let replica = |(balancer, own): (_, &ReplicaSettings)| Replica {
            pool: OnceLock::new(),
            balancer,
            peer: ArcSwapOption::from(peer.clone()),
            name: Arc::new(ReplicaName {
                upstream: settings.name.as_str().into(),
                replica: own.name.clone(),
            }),
            series: Arc::default(),
        };
        let replicas = ids.into_iter().zip(&settings.replicas).map(replica).collect();
        Ok(Arc::new(Self {
            id,
            name: settings.name.clone(),
            settled: AtomicBool::new(settings.in_process().is_some() || manifest.is_some()),
            in_process: settings.in_process().cloned(),
            era: settings.era,
            session_scope: settings.session_scope,
            settings: ArcSwap::from_pointee(settings),
            replicas,
            recorded: common.recorded,
            balancer: Mutex::new(balancer),
            queue: Queue::default(),
            lazy: AtomicBool::new(false),
            hedging: AtomicBool::new(!common.balancing.hedges.is_off()),
            optimized: common.optimized,
            pool: Arc::clone(&common.pool),
            open: Mutex::default(),
            primary: [ArcSwapOption::empty(), ArcSwapOption::empty()],
            manifest: ArcSwapOption::from(manifest.map(Arc::new)),
            generation: AtomicU64::new(0),
            attempts: Mutex::default(),
            changed: Notify::new(),
            stale: Mutex::default(),
            refresh: Notify::new(),
            refreshing: Default::default(),
            hooks: common.hooks.clone(),
            http: Arc::clone(&common.http),
            message_limits: common.message,
            batching: common.batching,
        }))
    }

    /// Makes the replicas known to the pool, which opens connections from here on as `start` wants it; and keeps the
    /// manifest fresh. To be called once, when everything that hears of it is there.
    ///
    /// # Errors
    /// If the limits on its connections cannot be used.
    pub fn start(self: &Arc<Self>, start: Start) -> Result<(), UpstreamError> {
        if self.in_process.is_some() {
            return Ok(());
        }
        self.lazy.store(start == Start::Lazy, Ordering::Relaxed);
        for (at, replica) in self.replicas.iter().enumerate() {
            let config =
                pool_config(&self.settings(), at, replica.peer.load().as_deref(), start, self.optimized);
            let id = self
                .pool
                .add(Arc::downgrade(self), at, config)
                .map_err(|fault| UpstreamError::Pool { name: self.name.clone(), fault })?;
            let _ = replica.pool.set(id);
        }
        tasks::spawn("upstream", Arc::clone(self).supervise());
        Ok(())
    }

    /// The name in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the configuration says of it now.
    pub fn settings(&self) -> Arc<UpstreamSettings> {
        self.settings.load_full()
    }

    /// The tools in this process, if that is what it is.
    pub fn in_process(&self) -> Option<&Arc<dyn InProcess>> {
        self.in_process.as_ref()
    }

    /// The number of its replicas.
    pub fn replica_count(&self) -> usize {
        self.replicas.len()
    }

    /// Whether its offer is known, or could not be had at the first attempt.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }

    /// Nobody waits for its first lists any more.
    pub(crate) fn settle(&self) {
        self.settled.store(true, Ordering::Release);
    }

    /// What is known of its lists.
    pub fn manifest(&self) -> Option<Arc<Manifest>> {
        self.manifest.load_full()
    }

    /// The primary connection of this era, if there is one.
    pub fn current_in(&self, era: Era) -> Option<Arc<Live>> {
        self.primary[slot(era)].load_full().filter(|live| live.connection.is_open())
    }

    /// A primary connection, that of the era of the manifest first.
    pub fn current(&self) -> Option<Arc<Live>> {
        let first = self.manifest.load().as_ref().map_or(Era::Modern, |manifest| manifest.peer.era);
        self.current_in(first).or_else(|| self.current_in(other(first)))
    }

    /// Every open connection.
    pub fn connections(&self) -> Vec<Arc<Live>> {
        lock(&self.open).values().map(Arc::clone).collect()
    }

    /// The era to talk in with a replica to serve a client of era `caller`.
    pub(super) fn era_for(&self, replica: usize, caller: Era) -> Era {
        if let Some(era) = self.era {
            return era;
        }
        match self.replicas[replica].peer.load().as_deref() {
            Some(peer) if peer.dual => caller,
            Some(peer) => peer.era,
            // It is asked for the modern one first (2026-07-28, "Versioning").
            None => Era::Modern,
        }
    }

    /// A primary connection; has one opened if there is none.
    ///
    /// # Errors
    /// If none can be opened, at once while the pause after a failure lasts.
    pub async fn live(self: &Arc<Self>) -> Result<Arc<Live>, Unavailable> {
        if let Some(live) = self.current() {
            return Ok(live);
        }
        let failures = self.attempts().failures;
        self.keep_one();
        let opened = async {
            loop {
                let changed = self.changed.notified();
                if let Some(live) = self.current() {
                    return Ok(live);
                }
                if self.attempts().stopped {
                    let reason = "the gateway is shutting down".into();
                    return Err(Unavailable { reason, retry_in: None });
                }
                if self.attempts().failures > failures {
                    return Err(self.unavailable());
                }
                if let Some(unavailable) = self.is_backing_off() {
                    return Err(unavailable);
                }
                changed.await;
            }
        };
        match tokio::time::timeout(self.settings().connect_timeout, opened).await {
            Ok(opened) => opened,
            Err(_) => Err(self.unavailable()),
        }
    }

    fn unavailable(&self) -> Unavailable {
        let reason = self.attempts().last_error.clone();
        let reason = reason.unwrap_or_else(|| "no connection came about in time".into());
        Unavailable { reason, retry_in: None }
    }

    /// The pause that every replica is in after a failure, if so.
    fn is_backing_off(&self) -> Option<Unavailable> {
        let status = self.pool.status();
        let mut soonest: Option<Unavailable> = None;
        for replica in
            status.replicas.iter().filter(|it| self.replicas.iter().any(|own| own.pool.get() == Some(&it.id)))
        {
            let (pool::ReplicaHealth::BackingOff { retry_in, .. }
            | pool::ReplicaHealth::CrashLooping { retry_in, .. }) = replica.health
            else {
                return None;
            };
            if retry_in.is_zero() {
                return None;
            }
            if soonest.as_ref().is_none_or(|least| least.retry_in > Some(retry_in)) {
                let reason = replica.last_error.as_deref().unwrap_or_default().to_owned();
                soonest = Some(Unavailable { reason, retry_in: Some(retry_in) });
            }
        }
        soonest
    }

    /// A connection that the pool has opened is taken into use.
    pub(crate) fn adopt(self: &Arc<Self>, live: &Arc<Live>) {
        let alone = {
            let mut open = lock(&self.open);
            open.insert(live.generation, Arc::clone(live));
            open.values().filter(|other| other.replica == live.replica).count() == 1
        };
        self.attempts().last_error = None;
        if alone {
            let replica = self.replicas[live.replica].balancer;
            self.balance(|balancer, now| balancer.renewed(replica, now));
        }
        tracing::info!(upstream = self.name(), revision = live.peer.revision, "connected");
        // What a server says outside of calls, and some also during calls, comes over a stream of its own.
        Arc::clone(&live.connection).listen();
        let first = self.current().is_none();
        let leads = self.current_in(live.peer.era).is_none();
        if leads {
            self.lead(live);
        }
        live.events.release(self, live);
        if first {
            self.mark_stale(&ListKind::ALL);
        }
        if let Some(hooks) = self.hooks() {
            hooks.connected(self, live, leads && first);
        }
        self.changed.notify_waiters();
    }

    /// Whether this is the connection whose word counts for the whole upstream.
    pub(super) fn is_primary(&self, live: &Live) -> bool {
        let primary = self.primary[slot(live.peer.era)].load();
        primary.as_ref().is_some_and(|primary| primary.generation == live.generation)
    }

    fn lead(&self, live: &Arc<Live>) {
        self.primary[slot(live.peer.era)].store(Some(Arc::clone(live)));
    }

    /// A connection is gone, or takes no more calls. Another one takes over what it did for all.
    pub(crate) fn parted(self: &Arc<Self>, live: &Arc<Live>) {
        lock(&self.open).remove(&live.generation);
        let slot = &self.primary[slot(live.peer.era)];
        let current = slot.load();
        if current.as_ref().is_some_and(|current| current.generation == live.generation) {
            let heir = self
                .connections()
                .into_iter()
                .find(|other| other.peer.era == live.peer.era && other.connection.is_open());
            slot.compare_and_swap(&current, None);
            if let Some(heir) = heir {
                self.lead(&heir);
                // What changed in between was told to nobody.
                self.mark_stale(&ListKind::ALL);
                if let Some(hooks) = self.hooks() {
                    hooks.connected(self, &heir, true);
                }
            }
        }
        self.changed.notify_waiters();
    }

    /// The pool could not open a connection.
    pub(crate) fn open_failed(self: &Arc<Self>, replica: usize, reason: &str) {
        let settings = self.settings();
        let replica = &settings.replicas[replica].name;
        tracing::warn!(upstream = self.name(), %replica, %reason, "cannot connect");
        {
            let mut attempts = self.attempts();
            attempts.failures += 1;
            attempts.last_error = Some(reason.to_owned());
        }
        self.changed.notify_waiters();
        if let Some(hooks) = self.hooks() {
            hooks.failed(self);
        }
    }

    /// Keeps the manifest fresh. Runs until [`Upstream::stop`].
    async fn supervise(self: Arc<Self>) {
        loop {
            self.refresh.notified().await;
            if self.attempts().stopped {
                return;
            }
            self.refresh_lists().await;
        }
    }

    pub(super) fn hooks(&self) -> Option<Arc<dyn Hooks>> {
        self.hooks.upgrade()
    }

    /// A connection has ended without our doing.
    pub(super) fn lost(self: &Arc<Self>, generation: u64, reason: &str) {
        let Some(live) = self.of_generation(generation) else { return };
        tracing::warn!(upstream = self.name(), reason, "connection lost");
        self.attempts().last_error = Some(reason.to_owned());
        self.pool.lost(&live, reason);
    }

    /// The server of a connection has forgotten its session, and the calls on it have ended.
    pub(super) fn session_lost(&self, generation: u64) {
        if let Some(live) = self.of_generation(generation) {
            self.pool.retire(&live);
        }
    }

    pub(super) fn of_generation(&self, generation: u64) -> Option<Arc<Live>> {
        lock(&self.open).get(&generation).map(Arc::clone)
    }

    /// The server of this connection has forgotten the session: it takes no new calls. Those that the server has taken
    /// before may still be answered.
    pub fn retire(&self, live: &Live) {
        self.pool.retire(live);
    }

    /// Opens no more connections; the pool closes those that there are.
    pub fn stop(&self) {
        self.attempts().stopped = true;
        self.refresh.notify_one();
        self.changed.notify_waiters();
    }

    pub(super) fn attempts(&self) -> MutexGuard<'_, Attempts> {
        lock(&self.attempts)
    }
}

fn slot(era: Era) -> usize {
    usize::from(era == Era::Modern)
}
