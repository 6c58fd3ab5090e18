//! The TCP and TLS connections to one origin, the idle ones of HTTP/1.1 and those of HTTP/2.
//!
//! A request of HTTP/1.1 takes the connection that was used last, or opens one; reading its response to the end gives it back
//! at that moment, so that a caller who sends one request after another stays on one connection. (The pooled client
//! of hyper-util gives it back from a task of its own, later, and the next request opens another.)

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use http::Uri;

use super::super::CallError;
use super::background::spawn;
use super::body::Body;
use super::client::{Connector, causes};
use super::conn::{Conn, Failure, FailureKind};
use super::exchange::Request;
use super::head::Head;
use super::http2::{self, Unprocessed};
use super::line::{Line, Shared};

/// Idle connections that one origin may keep; each costs two file descriptors, ours and the server's.
const MAX_IDLE: usize = 256;
/// How often the idle ones are looked through. One that was not used between two looks is closed: after 30 to 60 s.
const SWEEP: Duration = Duration::from_secs(30);
/// How often a request is repeated at once that the server says it has not processed. Beyond it the layer above decides,
/// which knows of other replicas.
const MAX_REPEATS: u32 = 2;

/// The connections to one origin.
pub(super) struct Pool {
    pub(super) connector: Connector,
    pub(super) origin: Uri,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    /// The last used last.
    idle: Vec<Idle>,
    pub(super) shared: Shared,
    sweeps: u64,
    sweeping: bool,
}

struct Idle {
    // In a box, because a TLS connection is large and is moved from hand to hand.
    conn: Box<Conn>,
    /// The sweep since which it lies here.
    since: u64,
    until: Option<Instant>,
}

/// A response whose body is still to be read.
pub(super) struct Response {
    pub(super) head: Head,
    pub(super) body: Body,
}

/// What a request comes to that finds no idle connection.
enum Begun {
    /// A connection of its own (HTTP/1.1), and whether it was used before.
    Conn(Box<Conn>, bool),
    /// The head of its response has come (HTTP/2).
    Answered(Box<Response>),
}

impl Response {
    fn of_http2(head: Head, incoming: http2::Incoming) -> Self {
        let length = head.get("content-length").and_then(|length| length.parse().ok());
        let body = Body::of_http2(length, head.coding(), incoming);
        Self { head, body }
    }
}

impl Pool {
    /// A pool of connections to the origin of `origin`.
    pub(super) fn new(connector: Connector, origin: Uri) -> Self {
        Self { connector, origin, state: Mutex::default() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Every change below the lock is complete in itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request and awaits the head of its response.
    ///
    /// A request of which a reused connection has taken nothing, because it had ended, is sent on another one: the
    /// server cannot have seen it. So is one that the server says it has not processed. Nothing else is repeated.
    pub(super) async fn request(self: &Arc<Self>, request: &Request<'_>) -> Result<Response, CallError> {
        loop {
            let (mut conn, reused) = match self.checkout() {
                Some(conn) => (conn, true),
                // In a box, so that calls that find an idle connection stay small.
                None => match Box::pin(self.begin(request)).await? {
                    Begun::Conn(conn, reused) => (conn, reused),
                    Begun::Answered(response) => return Ok(*response),
                },
            };
            match conn.exchange(&request.head(), request.body).await {
                Ok(parsed) => {
                    let lease = Lease { pool: Arc::clone(self), conn };
                    let body = Body::new(parsed.framing, parsed.head.coding(), lease);
                    return Ok(Response { head: parsed.head, body });
                }
                Err(Failure { unsent: true, kind: FailureKind::Io(_) }) if reused => {}
                Err(Failure { unsent, kind: FailureKind::Io(error) }) => {
                    let reason = causes(&error);
                    return Err(if unsent { CallError::NotSent(reason) } else { CallError::Closed(reason) });
                }
                Err(Failure { kind: FailureKind::Malformed(reason), .. }) => {
                    return Err(CallError::Malformed(reason));
                }
            }
        }
    }

    /// A connection for the request; or its response, if the server speaks HTTP/2.
    async fn begin(self: &Arc<Self>, request: &Request<'_>) -> Result<Begun, CallError> {
        let mut repeats = 0;
        loop {
            let place = match self.line().await? {
                Line::Own(conn, reused) => return Ok(Begun::Conn(conn, reused)),
                Line::Shared(place) => place,
            };
            match place.exchange(request.head_http2()?, request.body).await {
                Ok((head, incoming)) => {
                    return Ok(Begun::Answered(Box::new(Response::of_http2(head, incoming))));
                }
                Err(http2::Failure::Call(error)) => return Err(error),
                Err(http2::Failure::Unprocessed(Unprocessed(reason))) if repeats == MAX_REPEATS => {
                    return Err(CallError::NotSent(reason));
                }
                Err(http2::Failure::Unprocessed(Unprocessed(reason))) => {
                    repeats += 1;
                    tracing::debug!(reason, "request not processed and sent again");
                }
            }
        }
    }

    /// The idle connection that was used last and is still open.
    pub(super) fn checkout(&self) -> Option<Box<Conn>> {
        loop {
            let Idle { mut conn, until, .. } = self.lock().idle.pop()?;
            if until.is_none_or(|until| Instant::now() < until) && conn.is_idle() {
                return Some(conn);
            }
        }
    }

    pub(super) fn put(self: &Arc<Self>, conn: Box<Conn>) {
        let until = conn.idle_until();
        let mut state = self.lock();
        if !conn.keeps_alive() || state.idle.len() >= MAX_IDLE {
            return;
        }
        let since = state.sweeps;
        state.idle.push(Idle { conn, since, until });
        self.sweep_later(&mut state);
    }

    /// Sees to it that what lies idle is closed.
    pub(super) fn sweep_later(self: &Arc<Self>, state: &mut State) {
        if !state.sweeping {
            state.sweeping = spawn(sweep_until_empty(Arc::downgrade(self))).is_some();
        }
    }

    /// Closes what has ended or lies idle since before the last sweep. Returns whether anything is left.
    fn sweep(&self) -> bool {
        let mut state = self.lock();
        let last = state.sweeps;
        state.sweeps += 1;
        state.idle.retain_mut(|idle| idle.since == last && idle.conn.is_idle());
        state.shared.sweep();
        state.sweeping = !(state.idle.is_empty() && state.shared.is_empty());
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
    pub(super) conn: Box<Conn>,
}

impl Lease {
    /// Gives the connection back: its response has been read to the end.
    pub(super) fn release(self) {
        self.pool.put(self.conn);
    }
}
