//! A client's conversation: what it has declared, its calls in flight, and the way to it.

mod store;
mod stream;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use aqe_core::batching::Priority;
use aqe_core::envelope::{Field, Message, open_object};
use aqe_core::revision::Revision;
use bytes::Bytes;
use futures_util::task::AtomicWaker;

pub use store::{CreateError, Sessions};
pub use stream::{EventStream, Read};

use crate::upstream::Connection;

/// Where messages to a client go. Adding never blocks; a sender that can wait asks first.
pub trait Outlet: Send + Sync {
    /// Adds a complete message. One of low priority may be held back for a moment, so that others come along.
    fn push_with(&self, message: Bytes, priority: Priority);
    /// Adds a complete message that leaves at once.
    fn push(&self, message: Bytes) {
        self.push_with(message, Priority::High);
    }
    /// Ready while little is waiting to be read by the client.
    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()>;
}

/// Takes what nobody is there to see.
pub(crate) struct Nowhere;

impl Outlet for Nowhere {
    fn push_with(&self, _: Bytes, _: Priority) {}

    fn poll_ready(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

/// Waits until the outlet takes more without piling up, then adds the message.
pub async fn push_when_ready(outlet: &dyn Outlet, message: Bytes, priority: Priority) {
    std::future::poll_fn(|cx| outlet.poll_ready(cx)).await;
    outlet.push_with(message, priority);
}

/// What a legacy client has told in `initialize`.
#[derive(Debug)]
pub struct Handshake {
    /// The revision agreed on.
    pub revision: Revision,
    /// Raw JSON of `clientInfo`.
    pub client_info: Option<Bytes>,
    /// Names of the declared capabilities.
    capabilities: HashSet<String>,
}

impl Handshake {
    /// Reads the params of `initialize`; the revision is the client's if it is a legacy one we know, else our
    /// newest legacy one (2025-11-25, "Version Negotiation").
    pub fn from_initialize(message: &Message) -> Self {
        let asked = message.string(Field::ProtocolVersion).unwrap_or_default();
        let known = Revision::parse(&asked).filter(|revision| *revision <= Revision::NEWEST_LEGACY);
        let capabilities = message.raw(Field::Capabilities).unwrap_or("{}").as_bytes();
        let capabilities = open_object(capabilities).unwrap_or_default();
        Self {
            revision: known.unwrap_or(Revision::NEWEST_LEGACY),
            client_info: message.raw_bytes(Field::ClientInfo),
            capabilities: capabilities.into_iter().map(|(name, _)| name).collect(),
        }
    }

    /// Whether the client can be asked with `method`, a server request.
    pub fn can_answer(&self, method: &str) -> bool {
        let capability = method.split('/').next().unwrap_or_default();
        self.capabilities.contains(capability)
    }
}

/// A request that an upstream has sent to this client and that is not answered yet.
#[derive(Debug)]
pub struct Asked {
    /// Where the answer goes.
    pub connection: Weak<dyn Connection>,
    /// The upstream's id, raw JSON.
    pub id: String,
    /// The upstream's progress token, raw JSON, if it gave one.
    pub progress_token: Option<String>,
}

#[derive(Debug)]
struct InFlight {
    cancellation: Arc<Cancellation>,
    /// It is not expected to end by itself.
    endless: bool,
}

/// Whether a call is to end, for the one who waits for it.
#[derive(Debug, Default)]
struct Cancellation {
    cancelled: AtomicBool,
    waiter: AtomicWaker,
}

impl Cancellation {
    fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.waiter.wake();
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.waiter.register(cx.waker());
        if self.cancelled.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// Requests to one client that may be open at a time.
const MAX_ASKED: usize = 256;
/// Calls of one client that may be open at a time.
const MAX_CALLS: usize = 4_096;

/// One client's conversation. For stdio it is the connection; for legacy HTTP it is the session.
pub struct Session {
    /// Unique in this process; the owner of the client's calls.
    pub owner: u64,
    /// The value of `Mcp-Session-Id`; none for stdio.
    pub key: Option<String>,
    /// Who opened it.
    pub principal: Arc<str>,
    handshake: OnceLock<Handshake>,
    /// Where messages go that belong to no call of the client.
    pub outlet: Arc<dyn Outlet>,
    /// The HTTP streams of this session; unused for stdio.
    pub streams: stream::Streams,
    ready: AtomicBool,
    log_level: AtomicU8,
    calls: Mutex<HashMap<String, InFlight, foldhash::fast::RandomState>>,
    asked: Mutex<HashMap<u64, Asked>>,
    next_ask: AtomicU64,
    subscriptions: Mutex<HashSet<String>>,
    last_used: Mutex<Instant>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("owner", &self.owner).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each critical section leaves the value whole, so a panic elsewhere cannot have torn it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A new owner number. Zero is the gateway itself.
pub fn next_owner() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Session {
    /// A conversation over one stream, such as stdio.
    pub fn over(outlet: Arc<dyn Outlet>, principal: Arc<str>) -> Arc<Self> {
        Arc::new(Self::new(None, principal, outlet, stream::Streams::new(None)))
    }

    fn new(
        key: Option<String>,
        principal: Arc<str>,
        outlet: Arc<dyn Outlet>,
        streams: stream::Streams,
    ) -> Self {
        Self {
            owner: next_owner(),
            key,
            principal,
            handshake: OnceLock::new(),
            outlet,
            streams,
            ready: AtomicBool::new(false),
            log_level: AtomicU8::new(LEVELS.len() as u8),
            calls: Mutex::default(),
            asked: Mutex::default(),
            next_ask: AtomicU64::new(1),
            subscriptions: Mutex::default(),
            last_used: Mutex::new(Instant::now()),
        }
    }

    /// What `initialize` told, once it was received.
    pub fn handshake(&self) -> Option<&Handshake> {
        self.handshake.get()
    }

    /// Takes the handshake; `false` if there was one before.
    pub fn initialize(&self, handshake: Handshake) -> bool {
        self.handshake.set(handshake).is_ok()
    }

    /// Whether streams begin with an event from which a client can resume: from 2025-11-25 on.
    pub fn primes_streams(&self) -> bool {
        self.handshake.get().is_some_and(|handshake| handshake.revision >= Revision::V20251125)
    }

    /// The client has said that it is ready for messages of its own.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// Whether the client may be sent messages that it has not asked for: after `notifications/initialized`.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Opens a call; `None` if this id is in flight already or too many calls are. An `endless` one, such as a
    /// listen stream, is not waited for.
    pub fn begin(self: &Arc<Self>, id: &str, endless: bool) -> Option<OpenCall> {
        let mut calls = lock(&self.calls);
        if calls.len() >= MAX_CALLS || calls.contains_key(id) {
            return None;
        }
        let cancellation = Arc::<Cancellation>::default();
        calls.insert(id.to_owned(), InFlight { cancellation: Arc::clone(&cancellation), endless });
        Some(OpenCall { session: Arc::clone(self), id: id.to_owned(), cancellation })
    }

    /// Cancels the call with this id (raw JSON); an unknown id is ignored, as the specification asks.
    pub fn cancel(&self, id: &str) {
        if let Some(call) = lock(&self.calls).get(id) {
            call.cancellation.cancel();
        }
    }

    /// Calls in flight that will end.
    pub fn open_calls(&self) -> usize {
        lock(&self.calls).values().filter(|call| !call.endless).count()
    }

    /// Registers a request to the client and returns the id to send it under; `None` if too many are open.
    pub fn ask(&self, asked: Asked) -> Option<u64> {
        let mut open = lock(&self.asked);
        if open.len() >= MAX_ASKED {
            return None;
        }
        let id = self.next_ask.fetch_add(1, Ordering::Relaxed);
        open.insert(id, asked);
        Some(id)
    }

    /// Takes the request that the client answers under `id` (raw JSON).
    pub fn answered(&self, id: &str) -> Option<Asked> {
        lock(&self.asked).remove(&id.trim_matches('"').parse().ok()?)
    }

    /// The id under which the client knows the upstream's request `id`; forgets the request.
    pub fn withdraw(&self, connection: &Arc<dyn Connection>, id: &str) -> Option<u64> {
        let mut open = lock(&self.asked);
        let ours = open.iter().find(|(_, asked)| {
            asked.id == id && asked.connection.upgrade().is_some_and(|other| Arc::ptr_eq(&other, connection))
        });
        let ours = *ours?.0;
        open.remove(&ours);
        Some(ours)
    }

    /// The connection and token behind a progress notification of the client for our request `id`.
    pub fn asked_by(&self, id: u64) -> Option<(Arc<dyn Connection>, String)> {
        let open = lock(&self.asked);
        let asked = open.get(&id)?;
        Some((asked.connection.upgrade()?, asked.progress_token.clone()?))
    }

    /// Remembers a subscription; `false` if it was there.
    pub fn subscribe(&self, uri: &str) -> bool {
        lock(&self.subscriptions).insert(uri.to_owned())
    }

    /// Forgets a subscription; `false` if there was none.
    pub fn unsubscribe(&self, uri: &str) -> bool {
        lock(&self.subscriptions).remove(uri)
    }

    /// Whether the client wants `resources/updated` of this URI.
    pub fn is_subscribed(&self, uri: &str) -> bool {
        lock(&self.subscriptions).contains(uri)
    }

    /// Every subscribed URI.
    pub fn subscriptions(&self) -> Vec<String> {
        lock(&self.subscriptions).iter().cloned().collect()
    }

    /// Sets the least log level to send; `false` for an unknown name.
    pub fn set_log_level(&self, name: &str) -> bool {
        let level = severity(name);
        if let Some(level) = level {
            self.log_level.store(level, Ordering::Relaxed);
        }
        level.is_some()
    }

    /// The least log level to send, if the client has set one.
    pub fn log_level(&self) -> Option<&'static str> {
        LEVELS.get(usize::from(self.log_level.load(Ordering::Relaxed))).copied()
    }

    /// Whether the client wants log messages of this level. One that has set none gets all, as with a server of
    /// its own.
    pub fn wants_log(&self, name: &str) -> bool {
        match (self.log_level(), severity(name)) {
            (Some(least), Some(given)) => severity(least).is_some_and(|least| given >= least),
            _ => true,
        }
    }

    /// Notes that the client is there.
    pub fn touch(&self) {
        *lock(&self.last_used) = Instant::now();
    }

    /// Whether nothing happens: no call, no stream, and no message for `idle`.
    pub fn is_idle(&self, now: Instant, idle: Duration) -> bool {
        self.open_calls() == 0
            && !self.streams.is_attached()
            && now.saturating_duration_since(*lock(&self.last_used)) >= idle
    }

    /// Ends every call.
    pub fn close(&self) {
        for call in lock(&self.calls).values() {
            call.cancellation.cancel();
        }
        self.streams.close();
    }
}

/// RFC 5424 severities as MCP names them, least first.
const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// The position of a level name, for comparing; `None` for an unknown name.
pub fn severity(name: &str) -> Option<u8> {
    LEVELS.iter().position(|level| *level == name).map(|at| at as u8)
}

/// A call in flight; dropping it frees its id.
#[derive(Debug)]
pub struct OpenCall {
    session: Arc<Session>,
    id: String,
    cancellation: Arc<Cancellation>,
}

impl OpenCall {
    /// Resolves when the client cancels the call.
    pub async fn cancelled(&self) {
        std::future::poll_fn(|cx| self.cancellation.poll(cx)).await;
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        lock(&self.session.calls).remove(&self.id);
        self.session.touch();
    }
}
