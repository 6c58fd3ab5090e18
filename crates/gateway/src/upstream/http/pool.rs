//! The idle TCP connections to one origin.
//!
//! A request takes the connection that was used last, or opens one; reading its response to the end gives it back
//! at that moment, so that a caller who sends one request after another stays on one connection. (The pooled client
//! of hyper-util gives it back from a task of its own, later, and the next request opens another.)

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::client::conn::http1::{SendRequest, handshake};
use tokio::time::timeout;

use super::super::CallError;
use super::background::spawn;
use super::body::Body;
use super::client::{Connector, causes};

/// Idle connections that one origin may keep; each costs two file descriptors, ours and the server's.
const MAX_IDLE: usize = 256;
/// How often the idle ones are looked through. One that was not used between two looks is closed: after 30 to 60 s.
const SWEEP: Duration = Duration::from_secs(30);
/// How long a connection may take to become ready whose response we have read: its task has only to notice it.
const SETTLE: Duration = Duration::from_millis(10);

type Sender = SendRequest<Full<Bytes>>;

/// The connections to one origin.
pub(super) struct Pool {
    connector: Connector,
    origin: Uri,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The last used last, each with the sweep since which it lies idle.
    idle: Vec<(Sender, u64)>,
    sweeps: u64,
    sweeping: bool,
}

impl Pool {
    /// A pool of connections to the origin of `origin`.
    pub(super) fn new(connector: Connector, origin: Uri) -> Self {
        Self { connector, origin, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change below the lock is complete in itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request, in origin form and with a `Host`, and awaits the head of its response.
    ///
    /// A request that a reused connection gives back unwritten, because it had ended, is sent on another one: the
    /// server cannot have seen it. Nothing else is repeated.
    pub(super) async fn request(
        self: &Arc<Self>,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Body>, CallError> {
        loop {
            let (mut sender, reused) = match self.checkout().await {
                Some(sender) => (sender, true),
                None => (self.connect().await?, false),
            };
            match sender.try_send_request(request).await {
                Ok(response) => {
                    let lease = Lease { pool: Arc::clone(self), sender };
                    return Ok(response.map(|incoming| Body::new(incoming, lease)));
                }
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) if reused => request = unsent,
                    Some(_) => return Err(CallError::NotSent(causes(failed.error()))),
                    None if failed.error().is_parse() => {
                        return Err(CallError::Malformed(causes(failed.error())));
                    }
                    None => return Err(CallError::Closed(causes(failed.error()))),
                },
            }
        }
    }

    /// The idle connection that was used last and is still open.
    async fn checkout(&self) -> Option<Sender> {
        loop {
            let (mut sender, _) = self.lock().idle.pop()?;
            if sender.is_ready() || matches!(timeout(SETTLE, sender.ready()).await, Ok(Ok(()))) {
                return Some(sender);
            }
        }
    }

    async fn connect(&self) -> Result<Sender, CallError> {
        let io = self.connector.connect(self.origin.clone()).await.map_err(|error| {
            // The library's outermost error says no more than "connect error".
            CallError::NotSent(causes(error.source().unwrap_or(error.as_ref())))
        })?;
        let (sender, connection) = handshake(io).await.map_err(|error| CallError::NotSent(causes(&error)))?;
        spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "upstream TCP connection ended");
            }
        });
        Ok(sender)
    }

    fn put(self: &Arc<Self>, sender: Sender) {
        let mut state = self.lock();
        if sender.is_closed() || state.idle.len() >= MAX_IDLE {
            return;
        }
        let sweep = state.sweeps;
        state.idle.push((sender, sweep));
        if !state.sweeping {
            state.sweeping = spawn(sweep_until_empty(Arc::downgrade(self))).is_some();
        }
    }

    /// Closes what lies idle since before the last sweep. Returns whether anything is left.
    fn sweep(&self) -> bool {
        let mut state = self.lock();
        let last = state.sweeps;
        state.sweeps += 1;
        state.idle.retain(|(sender, since)| *since == last && !sender.is_closed());
        state.sweeping = !state.idle.is_empty();
        state.sweeping
    }
}

async fn sweep_until_empty(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        if !pool.upgrade().is_some_and(|pool| pool.sweep()) {
            return;
        }
    }
}

/// A connection in use. Dropping it closes it, unless its response has been read to the end.
pub(super) struct Lease {
    pool: Arc<Pool>,
    sender: Sender,
}

impl Lease {
    /// Gives the connection back: its response has been read to the end.
    pub(super) fn release(self) {
        self.pool.put(self.sender);
    }
}
