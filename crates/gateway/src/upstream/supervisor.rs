//! One upstream: its connections, opened when needed and opened again when lost, and its manifest.
//!
//! The first connection settles the era and brings the manifest. A server that speaks both eras gets a second
//! connection when a client of the other era calls: then nothing has to be translated.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use aqe_core::revision::Era;
use arc_swap::ArcSwapOption;
use tokio::sync::Notify;

use super::handshake::{self, HandshakeError};
use super::live::{Hooks, Live, LiveEvents};
use super::manifest::{ListKind, Manifest};
use super::{CallError, Connection, HttpClient, HttpConnection, HttpLimits, StdioConnection, StdioLimits};
use crate::settings::{Endpoint, Start, UpstreamSettings};
use crate::tasks;

/// First pause after a failed start; doubles up to [`MAX_BACKOFF`].
const MIN_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// Why a call cannot be sent to an upstream now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}{}", .retry_in.map(|pause| format!("; next attempt in {:.1} s", pause.as_secs_f64())).unwrap_or_default())]
pub struct Unavailable {
    /// What failed.
    pub reason: String,
    /// When it is tried again, if that is not at the next call.
    pub retry_in: Option<Duration>,
}

/// One upstream.
pub struct Upstream {
    /// Position in the configuration.
    pub index: usize,
    /// What the configuration says of it.
    pub settings: UpstreamSettings,
    /// The open connections by era.
    lives: [ArcSwapOption<Live>; 2],
    pub(super) manifest: ArcSwapOption<Manifest>,
    generation: AtomicU64,
    connecting: tokio::sync::Mutex<()>,
    attempts: Mutex<Attempts>,
    pub(super) stale: Mutex<Vec<ListKind>>,
    pub(super) refresh: Notify,
    lost: Notify,
    hooks: Weak<dyn Hooks>,
    http: Arc<HttpClient>,
    message_limits: aqe_core::envelope::Limits,
}

#[derive(Debug, Default)]
struct Attempts {
    failures: u32,
    last_error: Option<String>,
    not_before: Option<Instant>,
    stopped: bool,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("name", &self.settings.name).finish_non_exhaustive()
    }
}

/// The state of an upstream for people.
#[derive(Debug, Clone)]
pub struct Status {
    /// `connected`, `idle` (not started yet), `failing` or `stopped`.
    pub state: &'static str,
    /// The last failure, while there is no connection.
    pub error: Option<String>,
    /// Era and revision once known.
    pub revision: Option<String>,
    /// Calls in flight.
    pub in_flight: usize,
}

impl Upstream {
    /// An upstream that is not connected yet. `manifest` is what an earlier run has kept.
    pub fn new(
        index: usize,
        settings: UpstreamSettings,
        manifest: Option<Manifest>,
        http: Arc<HttpClient>,
        message_limits: aqe_core::envelope::Limits,
        hooks: Weak<dyn Hooks>,
    ) -> Arc<Self> {
        Arc::new(Self {
            index,
            settings,
            lives: [ArcSwapOption::empty(), ArcSwapOption::empty()],
            manifest: ArcSwapOption::from(manifest.map(Arc::new)),
            generation: AtomicU64::new(0),
            connecting: tokio::sync::Mutex::new(()),
            attempts: Mutex::default(),
            stale: Mutex::default(),
            refresh: Notify::new(),
            lost: Notify::new(),
            hooks,
            http,
            message_limits,
        })
    }

    /// The name in the configuration.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// What is known of its lists.
    pub fn manifest(&self) -> Option<Arc<Manifest>> {
        self.manifest.load_full()
    }

    /// The open connection in this era, if there is one.
    pub fn current_in(&self, era: Era) -> Option<Arc<Live>> {
        self.lives[slot(era)].load_full().filter(|live| live.connection.is_open())
    }

    /// Any open connection, the one that settled the era first.
    pub fn current(&self) -> Option<Arc<Live>> {
        let first = self.manifest.load().as_ref().map_or(Era::Modern, |manifest| manifest.peer.era);
        self.current_in(first).or_else(|| self.current_in(other(first)))
    }

    /// The era to talk in to serve a client of era `caller`; `None` until the server was asked.
    fn era_for(&self, caller: Era) -> Option<Era> {
        if self.settings.era.is_some() {
            return self.settings.era;
        }
        let manifest = self.manifest.load();
        let peer = &manifest.as_ref()?.peer;
        Some(if peer.dual { caller } else { peer.era })
    }

    /// The open connection for calls of a client of this era, if there is one.
    pub fn current_for(&self, caller: Era) -> Option<Arc<Live>> {
        match self.era_for(caller) {
            Some(era) => self.current_in(era),
            None => self.current(),
        }
    }

    /// The connection for calls of a client of this era; opens one if there is none. Callers that come meanwhile
    /// wait for the same attempt.
    ///
    /// # Errors
    /// If it cannot be opened, at once while the pause after a failure lasts.
    pub async fn live_for(self: &Arc<Self>, caller: Era) -> Result<Arc<Live>, Unavailable> {
        if let Some(live) = self.current_for(caller) {
            return Ok(live);
        }
        // In a task of its own: a caller that gives up must not take the start of a server with it.
        let (report, outcome) = tokio::sync::oneshot::channel();
        let this = Arc::clone(self);
        tasks::spawn("connect", async move {
            let _ = report.send(this.connect_once(Some(caller)).await);
        });
        let gone = || Unavailable { reason: "the attempt to connect was abandoned".into(), retry_in: None };
        outcome.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Any connection; opens one if there is none.
    ///
    /// # Errors
    /// As [`Upstream::live_for`].
    pub async fn live(self: &Arc<Self>) -> Result<Arc<Live>, Unavailable> {
        match self.current() {
            Some(live) => Ok(live),
            None => self.connect_once(None).await,
        }
    }

    async fn connect_once(self: &Arc<Self>, caller: Option<Era>) -> Result<Arc<Live>, Unavailable> {
        let _one_at_a_time = self.connecting.lock().await;
        let current = match caller {
            Some(caller) => self.current_for(caller),
            None => self.current(),
        };
        if let Some(live) = current {
            return Ok(live);
        }
        self.may_try()?;
        let first = self.current();
        let opened = match (&first, caller.and_then(|caller| self.era_for(caller))) {
            // The second connection of a server that speaks both eras; translating is better than failing.
            (Some(first), Some(era)) => match self.open(&[era]).await {
                Ok(live) => Ok(live),
                Err(error) => {
                    tracing::warn!(upstream = self.name(), %error, ?era, "no second connection");
                    return Ok(Arc::clone(first));
                }
            },
            _ => self.open(self.eras_to_try()).await,
        };
        match opened {
            Ok(live) => {
                *self.attempts() = Attempts::default();
                self.lives[slot(live.peer.era)].store(Some(Arc::clone(&live)));
                live.events.release(self, &live);
                tracing::info!(upstream = self.name(), revision = live.peer.revision, "connected");
                self.adopt(&live, first.is_none());
                Ok(live)
            }
            Err(reason) => Err(self.failed(reason)),
        }
    }

    fn failed(self: &Arc<Self>, reason: String) -> Unavailable {
        tracing::warn!(upstream = self.name(), %reason, "cannot connect");
        let mut attempts = self.attempts();
        attempts.failures += 1;
        let doubled = MIN_BACKOFF.saturating_mul(1 << attempts.failures.min(16));
        let pause = doubled.min(MAX_BACKOFF).mul_f64(0.5 + fastrand::f64() / 2.0);
        attempts.not_before = Some(Instant::now() + pause);
        attempts.last_error = Some(reason.clone());
        drop(attempts);
        if let Some(hooks) = self.hooks() {
            hooks.failed(self);
        }
        Unavailable { reason, retry_in: Some(pause) }
    }

    /// The configured era, or the remembered one first.
    fn eras_to_try(&self) -> &'static [Era] {
        let remembered = self.manifest().map(|manifest| manifest.peer.era);
        match (self.settings.era, remembered) {
            (Some(Era::Modern), _) => &[Era::Modern],
            (Some(Era::Legacy), _) => &[Era::Legacy],
            (None, Some(Era::Legacy)) => &[Era::Legacy, Era::Modern],
            (None, _) => &[Era::Modern, Era::Legacy],
        }
    }

    fn may_try(&self) -> Result<(), Unavailable> {
        let attempts = self.attempts();
        if attempts.stopped {
            return Err(Unavailable { reason: "the gateway is shutting down".into(), retry_in: None });
        }
        let pause = attempts.not_before.map(|at| at.saturating_duration_since(Instant::now()));
        match pause.filter(|pause| !pause.is_zero()) {
            Some(pause) => {
                let reason = attempts.last_error.clone().unwrap_or_default();
                Err(Unavailable { reason, retry_in: Some(pause) })
            }
            None => Ok(()),
        }
    }

    /// Opens a connection and agrees on one of the eras, in this order.
    async fn open(self: &Arc<Self>, eras: &[Era]) -> Result<Arc<Live>, String> {
        let deadline = Instant::now() + self.settings.connect_timeout;
        let mut open: Option<(Arc<LiveEvents>, Arc<dyn Connection>)> = None;
        let mut last = String::new();
        for &era in eras {
            let (events, connection) = match open.take().filter(|(_, connection)| connection.is_open()) {
                Some(pair) => pair,
                None => self.connect().await.map_err(|error| error.to_string())?,
            };
            let left = deadline.saturating_duration_since(Instant::now());
            match handshake::shake(&connection, era, left).await {
                Ok(peer) => {
                    return Ok(Arc::new(Live { connection, peer, generation: events.generation, events }));
                }
                Err(HandshakeError::OtherEra(_, why)) => {
                    last = why;
                    // A server that kept silent may still be busy with the question: it gets a fresh start.
                    if last.contains("no answer to") {
                        connection.close("no answer to the handshake").await;
                    } else {
                        open = Some((events, connection));
                    }
                }
                Err(HandshakeError::Failed(why)) => {
                    connection.close("handshake failed").await;
                    return Err(why);
                }
            }
        }
        if let Some((_, connection)) = open {
            connection.close("handshake failed").await;
        }
        Err(last)
    }

    async fn connect(self: &Arc<Self>) -> Result<(Arc<LiveEvents>, Arc<dyn Connection>), CallError> {
        let generation = self.generation.fetch_add(1, Ordering::Relaxed) + 1;
        let events = LiveEvents::new(self, generation);
        let sink = Arc::clone(&events);
        let connection: Arc<dyn Connection> = match &self.settings.endpoint {
            Endpoint::Child(spec) => {
                let limits = StdioLimits {
                    max_line_bytes: self.settings.max_message_bytes,
                    message: self.message_limits,
                    ..StdioLimits::default()
                };
                StdioConnection::spawn(self.name(), spec, limits, sink).await?
            }
            Endpoint::Http(spec) => {
                let limits = HttpLimits {
                    max_body_bytes: self.settings.max_message_bytes,
                    message: self.message_limits,
                    ..HttpLimits::default()
                };
                HttpConnection::new(self.name(), &self.http, spec, limits, sink)
                    .map_err(|error| CallError::NotSent(error.to_string()))?
            }
            Endpoint::InProcess(_) => {
                return Err(CallError::NotSent("built-in tools have no connection".into()));
            }
        };
        Ok((events, connection))
    }

    /// Takes a new connection into use; the first one's manifest is fetched in the background.
    fn adopt(self: &Arc<Self>, live: &Arc<Live>, first: bool) {
        if first {
            self.mark_stale(&ListKind::ALL);
        }
        if let Some(hooks) = self.hooks() {
            hooks.connected(self, live, first);
        }
    }

    /// Keeps the manifest fresh, and the connection open where `start` says so. Runs until [`Upstream::stop`].
    pub async fn supervise(self: Arc<Self>, start: Start) {
        let eager = start == Start::Eager;
        if eager || self.manifest().is_none() {
            let _ = self.live().await;
        }
        loop {
            if self.attempts().stopped {
                return;
            }
            let pause = self.attempts().not_before.map(|at| at.saturating_duration_since(Instant::now()));
            let reconnect = async {
                match pause {
                    // Without a manifest nobody can call the upstream, so nobody else would bring it up.
                    Some(pause) if eager || self.manifest().is_none() => tokio::time::sleep(pause).await,
                    _ => {
                        self.lost.notified().await;
                        if !eager && self.manifest().is_some() {
                            std::future::pending::<()>().await;
                        }
                    }
                }
            };
            tokio::select! {
                () = self.refresh.notified() => self.refresh_lists().await,
                () = reconnect => { let _ = self.live().await; }
            }
        }
    }

    /// The connection `live` has lost its session at the server: the next call opens a new one. Calls that the server
    /// has taken before may still be answered, and end the connection with the last of them.
    pub fn forget(&self, live: &Arc<Live>) {
        self.clear(live.generation);
    }

    pub(super) fn hooks(&self) -> Option<Arc<dyn Hooks>> {
        self.hooks.upgrade()
    }

    /// A connection has ended without our doing.
    pub(super) fn lost(&self, generation: u64, reason: &str) {
        tracing::warn!(upstream = self.name(), reason, "connection lost");
        self.attempts().last_error = Some(reason.to_owned());
        self.clear(generation);
        self.lost.notify_one();
    }

    fn clear(&self, generation: u64) {
        for slot in &self.lives {
            let current = slot.load();
            if current.as_ref().is_some_and(|live| live.generation == generation) {
                slot.compare_and_swap(&current, None);
            }
        }
    }

    pub(super) fn of_generation(&self, generation: u64) -> Option<Arc<Live>> {
        self.lives.iter().filter_map(ArcSwapOption::load_full).find(|live| live.generation == generation)
    }

    /// Ends the connection and opens no more.
    pub async fn stop(&self) {
        self.attempts().stopped = true;
        self.refresh.notify_one();
        self.lost.notify_one();
        for slot in &self.lives {
            if let Some(live) = slot.swap(None) {
                live.connection.close("the gateway is shutting down").await;
            }
        }
    }

    /// The state for people.
    pub fn status(&self) -> Status {
        let attempts = self.attempts();
        let live = self.current();
        let state = match (&live, attempts.stopped, attempts.failures) {
            _ if matches!(self.settings.endpoint, Endpoint::InProcess(_)) => "built-in",
            (Some(_), _, _) => "connected",
            (None, true, _) => "stopped",
            (None, false, 0) => "idle",
            (None, false, _) => "failing",
        };
        let revision = live.as_ref().map(|live| live.peer.revision.clone());
        let revision = revision.or_else(|| self.manifest().map(|manifest| manifest.peer.revision.clone()));
        Status {
            state,
            error: attempts.last_error.clone(),
            revision,
            in_flight: self
                .lives
                .iter()
                .filter_map(ArcSwapOption::load_full)
                .map(|live| live.connection.in_flight().len())
                .sum(),
        }
    }

    fn attempts(&self) -> std::sync::MutexGuard<'_, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn slot(era: Era) -> usize {
    usize::from(era == Era::Modern)
}

fn other(era: Era) -> Era {
    match era {
        Era::Legacy => Era::Modern,
        Era::Modern => Era::Legacy,
    }
}

/// Starts the supervision of an upstream in the background.
pub fn supervise(upstream: &Arc<Upstream>, start: Start) {
    if !matches!(upstream.settings.endpoint, Endpoint::InProcess(_)) {
        tasks::spawn("upstream", Arc::clone(upstream).supervise(start));
    }
}
