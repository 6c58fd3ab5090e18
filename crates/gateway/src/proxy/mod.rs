//! What happens to a client's message: it is answered here or sent to the upstream that it is for.

mod alerting;
mod builtin;
mod cached;
mod call;
mod hedge;
mod lists;
mod local;
mod own_tasks;
mod passage;
mod reload;
mod resources;
mod runs;
mod server_requests;
mod start;
mod subscriptions;
mod task_forms;
mod task_owners;
mod task_requests;
mod tools;
mod trail;
mod watching;

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use aqe_core::envelope::{Field, Kind, Message};
use aqe_core::registry::{RegistryConfig, ResolvedNames};
use aqe_core::revision::{Era, Revision};
use arc_swap::ArcSwap;
use bytes::Bytes;
use http::HeaderMap;
use tokio::sync::Notify;

use crate::alerts::Alerting;
use crate::cache::ResultCache;
use crate::catalog::Catalog;
use crate::coding::Listed;
use crate::monitor::{Fate, Flight, Monitor, Turned};
use crate::pool::ConnectionPool;
use crate::refusal::Refusal;
use crate::session::{OpenCall, Outlet, Session, Sessions};
use crate::settings::Settings;
use crate::tasks;
use crate::telemetry::{Observed, TraceHeaders, Via};
use crate::upstream::{Hooks, HttpClient, ListKind, Live, Upstream};
use own_tasks::OwnTasks;
use subscriptions::Subscriptions;
use task_owners::TaskOwners;

pub(crate) use cached::Come;
pub use passage::{Broken, Passage, Passing, Pieces};
pub use reload::Reloaded;
pub use start::{KeptManifests, StartError};

/// How long a stop waits for alerts to be delivered.
const LAST_ALERTS: Duration = Duration::from_secs(2);

/// Keeps manifests across restarts.
pub trait ManifestStore: Send + Sync {
    /// Keeps the manifest of an upstream; failures are the store's to report.
    fn save(&self, upstream: &str, fingerprint: &str, manifest: Vec<u8>);
}

/// Who sent a message, and how.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The revision that the message is in.
    pub revision: Revision,
    /// The authenticated principal.
    pub principal: Arc<str>,
    /// The conversation that it belongs to; none for a modern HTTP request.
    pub session: Option<Arc<Session>>,
    /// Owner of the calls that it leads to.
    pub owner: u64,
    /// The `Mcp-Param-*` headers of a modern HTTP request.
    pub param_headers: Option<HeaderMap>,
    /// It takes long results while they come.
    pub takes_long: bool,
    /// When the message was here in whole.
    pub began: Instant,
    /// How it came.
    pub via: Via,
    /// The trace that the headers of its HTTP request belong to.
    pub trace: Option<Box<TraceHeaders>>,
    /// Who wants to know of it; set by [`Gateway::handle`].
    pub(crate) observed: Option<Arc<Observed>>,
}

impl Caller {
    /// The era of the message.
    pub fn era(&self) -> Era {
        self.revision.era()
    }
}

/// A client's request on its way.
#[derive(Clone, Copy)]
struct Request<'a> {
    caller: &'a Caller,
    message: &'a Message,
    /// Where what comes before the answer goes.
    outlet: &'a Arc<dyn Outlet>,
    /// Its id, raw JSON.
    id: &'a str,
}

/// A complete response, in parts that are written one after the other.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The parts; all but the first may be empty.
    pub parts: [Bytes; 3],
    /// HTTP status for a modern client; others get 200.
    pub status: u16,
    /// Where a list is in it that can be compressed once for all.
    pub(crate) listed: Option<Box<Listed>>,
    /// In place of the parts: a result that is passed on while it comes. Only for callers that take such.
    pub passing: Option<Passing>,
    /// What became of the request.
    pub(crate) fate: Fate,
}

impl Answer {
    /// An answer with HTTP status 200.
    pub fn ok(bytes: impl Into<Bytes>) -> Self {
        Self::of([bytes.into(), Bytes::new(), Bytes::new()])
    }

    /// An answer in parts, with HTTP status 200.
    pub(crate) fn of(parts: [Bytes; 3]) -> Self {
        Self { parts, status: 200, listed: None, passing: None, fate: Fate::default() }
    }

    fn passing(passing: Passing) -> Self {
        Self { passing: Some(passing), ..Self::of([const { Bytes::new() }; 3]) }
    }

    /// An answer of an upstream that took so long for it.
    fn with_fate(self, fate: Fate) -> Self {
        Self { fate, ..self }
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }

    /// Whether there is nothing in it, which is never so for a response.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All parts in one piece.
    pub fn into_bytes(self) -> Bytes {
        let [first, second, third] = self.parts;
        if second.is_empty() && third.is_empty() { first } else { [first, second, third].concat().into() }
    }

    fn refusal(refusal: &Refusal, id: &str) -> Self {
        let fate = Fate { error: Some(refusal.kind), ..Fate::default() };
        Self { status: refusal.status, fate, ..Self::ok(refusal.to_bytes(Some(id))) }
    }
}

/// The gateway: all upstreams under one roof.
pub struct Gateway {
    this: Weak<Self>,
    /// What it was started with.
    pub settings: Settings,
    /// Legacy HTTP sessions.
    pub sessions: Sessions,
    /// Names that were resolved to a near one.
    pub resolved: ResolvedNames,
    catalog: ArcSwap<Catalog>,
    rebuilding: Mutex<()>,
    reloading: tokio::sync::Mutex<reload::Former>,
    next_upstream: AtomicUsize,
    http: Arc<HttpClient>,
    streams: Mutex<Vec<Weak<Session>>>,
    subscriptions: Subscriptions,
    tasks: TaskOwners,
    own_tasks: OwnTasks,
    settle: Notify,
    manifests: Arc<dyn ManifestStore>,
    started: Instant,
    stopping: AtomicBool,
    /// The connections to all replicas.
    pub pool: Arc<ConnectionPool>,
    /// Answers that are given again.
    pub cache: Option<ResultCache>,
    /// Who is told when the figures are bad.
    pub alerts: Alerting,
    /// What is known of the requests; `None`: nothing, it is switched off.
    pub monitor: Option<Monitor>,
}

/// Resolves when the client has cancelled the call.
async fn cancelled(open: Option<&OpenCall>) {
    match open {
        Some(open) => open.cancelled().await,
        None => std::future::pending().await,
    }
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("upstreams", &self.upstreams()).finish_non_exhaustive()
    }
}

impl Gateway {
    /// The offer at this moment.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.load_full()
    }

    /// The upstreams at this moment, in the order of the configuration.
    pub fn upstreams(&self) -> Arc<[Arc<Upstream>]> {
        Arc::clone(&self.catalog.load().upstreams)
    }

    /// Conversations with legacy clients, over HTTP and over one stream.
    pub fn session_count(&self) -> usize {
        self.legacy_sessions().len()
    }

    /// Something was turned away before it became a request.
    pub(crate) fn turned(&self, why: Turned) {
        if let Some(monitor) = &self.monitor {
            monitor.turned(why);
        }
    }

    /// Whether every upstream has told its offer, or could not at the first attempt.
    pub fn is_settled(&self) -> bool {
        self.catalog.load().upstreams.iter().all(|upstream| upstream.is_settled())
    }

    /// Time since the start.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Makes a conversation over one stream known, so that it gets notifications.
    pub fn register(&self, session: &Arc<Session>) {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.retain(|session| session.strong_count() > 0);
        streams.push(Arc::downgrade(session));
    }

    /// Ends a conversation: its calls are cancelled and its subscriptions given up.
    pub fn end_session(self: &Arc<Self>, session: &Arc<Session>) {
        session.close();
        self.pool.session_ended(session.owner);
        for uri in session.subscriptions() {
            if session.unsubscribe(&uri) {
                self.release_uri(&uri);
            }
        }
    }

    /// Every conversation of a legacy client that has finished its handshake.
    fn legacy_sessions(&self) -> Vec<Arc<Session>> {
        let streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<Arc<Session>> = streams.iter().filter_map(Weak::upgrade).collect();
        drop(streams);
        all.extend(self.sessions.all());
        all.retain(|session| session.is_ready());
        all
    }

    /// Answers a request. Notifications and requests that come before the answer go to `outlet`, in order. `None`
    /// means that the client has cancelled the request and gets no answer.
    #[expect(
        clippy::manual_async_fn,
        reason = "an `async fn` keeps every argument twice, and this future is moved into a box"
    )]
    pub fn handle(
        self: Arc<Self>,
        mut caller: Caller,
        message: Message,
        outlet: Arc<dyn Outlet>,
    ) -> impl Future<Output = Option<Answer>> + Send {
        async move {
            caller.observed = Observed::begin(&self.settings.telemetry, &caller, &message);
            let id = message.id().unwrap_or("null");
            let request = Request { caller: &caller, message: &message, outlet: &outlet, id };
            let flight = Flight::begin(self, &caller, &message);
            let mut open = None;
            if let Some(session) = &caller.session {
                open = session.begin(id, message.method() == "subscriptions/listen");
                if open.is_none() {
                    let refusal =
                        Refusal::invalid_request("a request with this id is in flight, or too many are");
                    let answer = Answer::refusal(&refusal, id);
                    flight.answered(&answer, id);
                    return Some(answer);
                }
            }
            let answer = tokio::select! {
                biased;
                answer = flight.gateway().answer(&request, &flight) => answer,
                () = cancelled(open.as_ref()) => return None,
                () = flight.cancelled() => Answer::refusal(&Refusal::by_operator(), id),
            };
            match &answer.passing {
                Some(passing) => passing.hold(open, flight),
                None => flight.answered(&answer, id),
            }
            Some(answer)
        }
    }

    async fn answer(self: &Arc<Self>, request: &Request<'_>, flight: &Flight) -> Answer {
        let method = request.message.method();
        let answered = if &*method == "tools/call" {
            self.call_tool(request, flight).await
        } else {
            Box::pin(self.answer_other(request, &method)).await
        };
        answered.unwrap_or_else(|refusal| Answer::refusal(&refusal, request.id))
    }

    async fn answer_other(self: &Arc<Self>, request: &Request<'_>, method: &str) -> Result<Answer, Refusal> {
        let legacy = request.caller.era() == Era::Legacy;
        match method {
            "tools/list" => self.list(request, ListKind::Tools).await,
            "prompts/list" => self.list(request, ListKind::Prompts).await,
            "resources/list" => self.list(request, ListKind::Resources).await,
            "resources/templates/list" => self.list(request, ListKind::Templates).await,
            "prompts/get" => self.get_prompt(request).await,
            "resources/read" => self.read_resource(request).await,
            "completion/complete" => self.complete(request).await,
            "server/discover" => Ok(self.discover(request.id).await),
            "subscriptions/listen" if !legacy => self.listen(request).await,
            "ping" if legacy => Ok(Answer::ok(crate::wire::result(request.id, b"{}"))),
            "logging/setLevel" if legacy => self.set_level(request).await,
            "resources/subscribe" if legacy => self.subscribe(request).await,
            "resources/unsubscribe" if legacy => Ok(self.unsubscribe(request)),
            "tasks/get" | "tasks/cancel" => self.task(request).await,
            "tasks/result" | "tasks/list" if legacy => self.task(request).await,
            "tasks/update" if !legacy => self.task(request).await,
            other => Err(Refusal::method_not_found(other)),
        }
    }

    /// Takes a notification of a client.
    pub fn notified(self: &Arc<Self>, caller: &Caller, message: &Message) {
        let Some(session) = &caller.session else { return };
        match &*message.method() {
            "notifications/cancelled" => {
                if let Some(id) = message.raw(Field::RequestId) {
                    session.cancel(id);
                }
            }
            "notifications/initialized" => {
                session.set_ready();
                self.client_is_ready(session);
            }
            "notifications/roots/list_changed" => self.roots_changed(session),
            "notifications/progress" => Self::client_progress(session, message),
            method => tracing::debug!(method, "notification without effect"),
        }
    }

    /// Takes a client's response to a request of an upstream.
    pub fn answered(session: &Arc<Session>, message: &Message) {
        debug_assert!(matches!(message.kind(), Kind::Response | Kind::Error));
        Self::client_answer(session, message);
    }

    /// Waits until every upstream whose offer is not known yet has told it or failed, up to the configured time.
    async fn first_lists(&self) {
        self.first_lists_or(|_| false).await;
    }

    /// The same, but no longer than until the catalog is `enough`: who needs one upstream does not wait for others.
    async fn first_lists_or(&self, enough: impl Fn(&Catalog) -> bool) {
        if self.is_settled() {
            return;
        }
        let wait = async {
            loop {
                let settle = self.settle.notified();
                if self.is_settled() || enough(&self.catalog.load()) {
                    return;
                }
                settle.await;
            }
        };
        if tokio::time::timeout(self.settings.first_list_wait, wait).await.is_err() {
            for upstream in self.upstreams().iter() {
                upstream.settle();
            }
        }
    }

    fn settle(&self, upstream: &Upstream) {
        upstream.settle();
        self.settle.notify_waiters();
    }

    /// Puts a new catalog in the place of the present one, of the same settings and upstreams unless others are given;
    /// returns both.
    fn rebuild(
        &self,
        registry: Option<&Arc<RegistryConfig>>,
        upstreams: Option<&Arc<[Arc<Upstream>]>>,
    ) -> (Arc<Catalog>, Arc<Catalog>) {
        let _one_at_a_time = self.rebuilding.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.catalog.load_full();
        let registry = registry.unwrap_or(&before.registry);
        let upstreams = upstreams.unwrap_or(&before.upstreams);
        let after = Arc::new(Catalog::build(registry, upstreams, Some(&before), self.cache.as_ref()));
        self.catalog.store(Arc::clone(&after));
        (before, after)
    }

    /// Tells clients which lists differ, and those that were announced to have changed.
    fn announce_changes(&self, before: &Catalog, after: &Catalog, announced: &[ListKind]) {
        let told = |kind| announced.contains(&kind);
        if told(ListKind::Tools) || before.tools.etag() != after.tools.etag() {
            self.announce(ListKind::Tools);
        }
        if told(ListKind::Prompts) || before.prompts.etag() != after.prompts.etag() {
            self.announce(ListKind::Prompts);
        }
        let changed = before.resources.list != after.resources.list
            || before.resources.template_list != after.resources.template_list;
        if told(ListKind::Resources) || changed {
            self.announce(ListKind::Resources);
        }
    }

    /// Ends what would go on for ever: listen streams and the stand-alone streams of sessions. New calls are still
    /// answered.
    pub fn close_idle(&self) {
        self.subscriptions.close();
        for session in self.sessions.all() {
            session.streams.standalone().finish();
        }
    }

    /// Stops every upstream; calls in flight get an error. Call it after the clients were given time to finish.
    pub async fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.close_idle();
        self.own_tasks.stop().await;
        for upstream in self.upstreams().iter() {
            upstream.stop();
        }
        self.pool.drain(Instant::now()).await;
        self.alerts.stop(LAST_ALERTS).await;
    }
}

impl Hooks for Gateway {
    fn manifest(&self, upstream: &Arc<Upstream>, lists: &[ListKind], announced: bool) {
        let (before, after) = self.rebuild(None, None);
        // First, so that what a client has been told is there after a restart, however soon that comes.
        if let Some(manifest) = upstream.manifest() {
            let fingerprint = upstream.settings().fingerprint();
            self.manifests.save(upstream.name(), &fingerprint, manifest.to_json());
        }
        self.settle(upstream);
        self.announce_changes(&before, &after, if announced { lists } else { &[] });
    }

    fn failed(&self, upstream: &Arc<Upstream>) {
        self.settle(upstream);
    }

    fn unsolicited(&self, upstream: &Arc<Upstream>, live: &Arc<Live>, message: Message) {
        self.upstream_says(upstream, live, message);
    }

    fn connected(&self, upstream: &Arc<Upstream>, live: &Arc<Live>, first: bool) {
        if first {
            self.resume_subscriptions(upstream, live);
        }
        let level = self.least_log_level().filter(|_| live.peer.era == Era::Legacy);
        if let Some(level) =
            level.filter(|_| memchr::memmem::find(&live.peer.capabilities, b"\"logging\"").is_some())
        {
            let (live, timeout) = (Arc::clone(live), upstream.settings().request_timeout);
            tasks::spawn("log level", local::ask_log_level(live, level, timeout));
        }
    }
}
