//! Streamable HTTP upstreams, of both eras (MCP specification, "Streamable HTTP", 2025-03-26 to 2026-07-28).
//!
//! # Layout
//! - [`spec`]: address, headers, limits; [`client`], [`pool`]: the shared TCP and TLS connections
//! - [`conn`]: HTTP/1.1 on one of them; [`head`], [`chunked`]: its syntax
//! - [`http2`]: HTTP/2, where the server offers it; [`line`]: which connection a request goes on
//! - [`frame`]: the headers around a message; [`fields`]: how either protocol has them; [`exchange`]: one request and its response, over redirects
//! - [`call`]: a request and all that comes back; [`long`]: an answer that is passed on while it comes; [`answer`]: what a response means; [`body`]: reading it
//! - [`listener`]: the legacy GET stream; [`resume`]: taking up a broken stream; [`background`]: short errands
//!
//! # What is sent twice
//! A request is repeated here only where a reused TCP connection gave it back unwritten, or the server says that it has not
//! processed it (HTTP/2: GOAWAY, `REFUSED_STREAM`). Nothing else is: [`CallError::NotSent`] and
//! [`CallError::SessionLost`] tell the layer above that repeating is safe.

mod answer;
mod background;
mod body;
mod call;
mod chunked;
mod client;
mod coding;
mod conn;
mod exchange;
mod fields;
mod frame;
mod head;
mod http2;
mod line;
mod listener;
mod long;
mod pool;
mod resume;
mod spec;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderValue, Method};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::{
    BoxFuture, CallError, CallTag, Connection, Events, Inbox, Item, Negotiated, Outgoing, PendingCall,
};
use answer::{Refusal, Verdict};
use call::{HttpCall, Refused};
use exchange::Endpoint;
use fields::Fields;
use frame::Frame;
use listener::Listener;
use pool::Response;

pub use client::HttpClient;
pub(crate) use client::causes;
pub use frame::encode_header_value;
pub use spec::{HttpLimits, HttpSpec, SpecError};

/// How long a server may take to accept a notification or a response.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// How long telling a server of a cancelled call may take.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long ending a session may take.
const DELETE_TIMEOUT: Duration = Duration::from_secs(2);

/// A conversation with a streamable HTTP server: a session in the legacy era, a client in the modern one. It shares
/// the TCP connections of its [`HttpClient`].
pub struct HttpConnection {
    label: String,
    endpoint: Arc<Endpoint>,
    limits: HttpLimits,
    events: Arc<dyn Events>,
    frame: ArcSwap<Frame>,
    next_id: AtomicU64,
    state: Mutex<State>,
}

struct State {
    phase: Phase,
    calls: HashMap<u64, Arc<OpenCall>, foldhash::fast::RandomState>,
    listener: Option<AbortHandle>,
}

enum Phase {
    Open,
    /// The session is lost: no new calls. Those in flight have their own streams and may still end well; the end of
    /// the connection is reported when the last of them has ended.
    Lost {
        reported: bool,
    },
    Closed(String),
}

/// A call in flight, as others than its caller see it.
struct OpenCall {
    tag: CallTag,
    inbox: Inbox,
}

impl HttpConnection {
    /// A connection to the server of `spec`. Nothing is sent yet. `label` names the replica in logs.
    ///
    /// # Errors
    /// If the specification cannot be used; see [`SpecError`]. Reads `spec.ca_file`.
    pub fn new(
        label: impl Into<String>,
        client: &Arc<HttpClient>,
        spec: &HttpSpec,
        limits: HttpLimits,
        events: Arc<dyn Events>,
    ) -> Result<Arc<Self>, SpecError> {
        let origin = spec.origin()?;
        let frame = Frame::new(spec, &origin);
        let endpoint = Endpoint {
            url: spec.url.clone(),
            origin,
            pool: client.pool(spec, limits.connect_timeout)?,
            client: Arc::clone(client),
            secrets: spec.secrets(),
        };
        Ok(Arc::new(Self {
            label: label.into(),
            endpoint: Arc::new(endpoint),
            limits,
            events,
            frame: ArcSwap::from_pointee(frame),
            next_id: AtomicU64::new(1),
            state: Mutex::new(State { phase: Phase::Open, calls: HashMap::default(), listener: None }),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change below the lock is complete in itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why nothing can be sent any more, if so.
    fn refusal(state: &State) -> Option<CallError> {
        match &state.phase {
            Phase::Open => None,
            Phase::Lost { .. } => Some(CallError::SessionLost),
            Phase::Closed(reason) => Some(CallError::NotSent(format!("connection closed: {reason}"))),
        }
    }

    fn register(&self, id: u64, tag: CallTag) -> Result<Arc<OpenCall>, CallError> {
        let mut state = self.lock();
        if let Some(error) = Self::refusal(&state) {
            return Err(error);
        }
        let open = Arc::new(OpenCall { tag, inbox: Inbox::default() });
        state.calls.insert(id, Arc::clone(&open));
        Ok(open)
    }

    fn deregister(&self, id: u64) {
        let mut state = self.lock();
        state.calls.remove(&id);
        self.report_lost(state);
    }

    /// Takes no more calls: the server does not know the session.
    fn session_lost(&self) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Open) {
            tracing::debug!(upstream = self.label, "the server has lost the session");
            state.phase = Phase::Lost { reported: false };
            if let Some(listener) = state.listener.take() {
                listener.abort();
            }
            self.report_lost(state);
        }
    }

    fn report_lost(&self, mut state: MutexGuard<'_, State>) {
        if matches!(state.phase, Phase::Lost { reported: false }) && state.calls.is_empty() {
            state.phase = Phase::Lost { reported: true };
            drop(state);
            self.events.session_lost();
        }
    }

    fn session_opened(&self, session: &HeaderValue) {
        self.frame.rcu(|frame| frame.with_session(session.clone()));
    }

    /// Tells a legacy server that nobody waits for the call any more.
    fn cancel(self: &Arc<Self>, id: u64) {
        if !self.frame.load().is_legacy() || !self.is_open() {
            return;
        }
        let bytes = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":"the caller no longer waits"}}}}"#
        );
        let method = "notifications/cancelled";
        let out = Outgoing {
            bytes: bytes.into(),
            method: method.into(),
            name: None,
            headers: Vec::new(),
            pass_from: None,
        };
        let connection = Arc::clone(self);
        self.endpoint.client.background().run("upstream/cancel", CANCEL_TIMEOUT, async move {
            if let Err(error) = connection.send(out).await {
                tracing::debug!(upstream = connection.label, %error, "cancellation not delivered");
            }
        });
    }

    /// Posts what has no answer.
    async fn post(&self, out: Outgoing) -> Result<(), CallError> {
        let frame = self.frame.load_full();
        let fields = |into: &mut dyn Fields| frame.post(&out, into);
        let Response { head, body } = self.endpoint.exchange(&Method::POST, fields, &out.bytes).await?;
        if head.status.is_success() {
            body.finish().await;
            return Ok(());
        }
        let refusal = Refusal::read(head, body, &self.limits).await;
        match refusal.judge(None, frame.has_session(), &self.endpoint.secrets) {
            Verdict::SessionLost => {
                self.session_lost();
                Err(CallError::SessionLost)
            }
            Verdict::Failed(error) => Err(error),
            Verdict::Answer(_) => Err(CallError::Malformed("an answer to what has none".into())),
        }
    }

    /// Ends the session at the server. Whatever it says, the session is over for us.
    async fn delete_session(&self) {
        let frame = self.frame.load_full();
        if frame.has_session() {
            let nothing = Bytes::new();
            let deleting = self.endpoint.exchange(&Method::DELETE, |into| frame.delete(into), &nothing);
            match timeout(DELETE_TIMEOUT, deleting).await {
                Ok(Ok(response)) => self.endpoint.client.background().drain(response.body),
                Ok(Err(error)) => tracing::debug!(upstream = self.label, %error, "session not ended"),
                Err(_) => tracing::debug!(upstream = self.label, "session not ended in time"),
            }
        }
    }
}

impl Connection for HttpConnection {
    fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// The request is sent when the call is first polled.
    fn call(self: Arc<Self>, id: u64, out: Outgoing, tag: CallTag) -> Box<dyn PendingCall> {
        match self.register(id, tag) {
            Ok(open) => Box::new(HttpCall::new(self, open, id, out)),
            Err(error) => Box::new(Refused(Some(error))),
        }
    }

    fn send(&self, out: Outgoing) -> BoxFuture<'_, Result<(), CallError>> {
        Box::pin(async move {
            if let Some(error) = Self::refusal(&self.lock()) {
                return Err(error);
            }
            timeout(SEND_TIMEOUT, self.post(out)).await.unwrap_or_else(|_| {
                Err(CallError::Closed(format!("not accepted within {} s", SEND_TIMEOUT.as_secs())))
            })
        })
    }

    fn negotiated(self: Arc<Self>, negotiated: Negotiated) {
        self.frame.rcu(|frame| frame.with_negotiated(negotiated.clone()));
    }

    fn listen(self: Arc<Self>) {
        if !self.frame.load().has_get_stream() {
            return;
        }
        let mut state = self.lock();
        if matches!(state.phase, Phase::Open) && state.listener.is_none() {
            let listener = Listener {
                connection: Arc::downgrade(&self),
                endpoint: Arc::clone(&self.endpoint),
                events: Arc::clone(&self.events),
                limits: self.limits,
            };
            state.listener = background::spawn(listener.run());
        }
    }

    fn in_flight(&self) -> Vec<(u64, CallTag)> {
        self.lock().calls.iter().map(|(id, call)| (*id, call.tag)).collect()
    }

    fn deliver(&self, id: u64, item: Item) -> Option<Item> {
        let call = self.lock().calls.get(&id).map(Arc::clone);
        match call {
            Some(call) if !call.inbox.has_ended() => {
                call.inbox.push(item);
                None
            }
            _ => Some(item),
        }
    }

    fn is_open(&self) -> bool {
        matches!(self.lock().phase, Phase::Open)
    }

    fn close(&self, reason: &str) -> BoxFuture<'_, ()> {
        let (before, calls, listener) = {
            let mut state = self.lock();
            if matches!(state.phase, Phase::Closed(_)) {
                return Box::pin(async {});
            }
            let before = mem::replace(&mut state.phase, Phase::Closed(reason.to_owned()));
            (before, mem::take(&mut state.calls), state.listener.take())
        };
        if let Some(listener) = listener {
            listener.abort();
        }
        for call in calls.values() {
            call.inbox.push(Item::Failed(CallError::Closed(reason.to_owned())));
        }
        Box::pin(async move {
            if matches!(before, Phase::Open) {
                self.delete_session().await;
            }
        })
    }
}

impl Drop for HttpConnection {
    fn drop(&mut self) {
        if let Some(listener) = self.lock().listener.take() {
            listener.abort();
        }
    }
}

impl fmt::Debug for HttpConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConnection")
            .field("label", &self.label)
            .field("origin", &self.endpoint.origin.to_string())
            .field("open", &self.is_open())
            .finish_non_exhaustive()
    }
}
