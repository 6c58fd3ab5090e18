//! Which connection a request goes on, where the server may choose the protocol.
//!
//! HTTP/1.1 gives each request a connection of its own, and connections are opened beside one another. Of HTTP/2 one
//! connection serves many, so whoever needs one while it is being opened waits for it; so does whoever comes before it
//! is known which of both the server speaks.

use std::mem;
use std::sync::Arc;
use std::time::Instant;

use hyper_util::rt::TokioIo;
use tokio::sync::watch;
use tokio::time::timeout_at;

use super::super::CallError;
use super::client::{causes, chose_http2};
use super::conn::Conn;
use super::http2::{self, Place};
use super::pool::Pool;

/// Where a request goes.
pub(super) enum Line {
    /// A connection of its own, and whether it was used before.
    Own(Box<Conn>, bool),
    /// A place on one that others use too.
    Shared(Place),
}

/// What came of opening a connection for several: `None` while it lasts.
type Outcome = Option<Result<(), String>>;

/// The connections that carry many exchanges.
#[derive(Default)]
pub(super) struct Shared {
    conns: Vec<Arc<http2::Conn>>,
    /// The server chose HTTP/1.1 the last time that it was asked.
    is_refused: bool,
    opening: Option<watch::Receiver<Outcome>>,
}

/// How to come to a line.
enum Way {
    Place(Place),
    /// Nobody waits for anybody.
    Alone,
    /// Somebody is opening a connection.
    Wait(watch::Receiver<Outcome>),
    /// Others wait for the one that you open.
    Lead(watch::Sender<Outcome>),
}

impl Shared {
    fn way(&mut self) -> Way {
        self.conns.retain(|conn| !conn.is_retired());
        // The oldest first, so that those beyond need fall idle.
        if let Some(place) = self.conns.iter().find_map(http2::Conn::place) {
            return Way::Place(place);
        }
        if self.is_refused {
            return Way::Alone;
        }
        if let Some(opening) = &self.opening {
            return Way::Wait(opening.clone());
        }
        let (sender, receiver) = watch::channel(None);
        self.opening = Some(receiver);
        Way::Lead(sender)
    }

    /// Lets go of connections that have ended or were not used since the last sweep. Those closes are the servers'
    /// business no more: a connection ends with its last exchange.
    pub(super) fn sweep(&mut self) {
        self.conns.retain(|conn| !conn.is_retired() && !conn.was_idle());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.conns.is_empty()
    }
}

/// Others wait for this connection. However it goes, also if its caller leaves, they go on.
struct Leading<'a> {
    pool: &'a Pool,
    sender: watch::Sender<Outcome>,
    outcome: Outcome,
}

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        // In this order: whoever is woken must not find the old attempt.
        self.pool.lock().shared.opening = None;
        self.sender.send_replace(mem::take(&mut self.outcome));
    }
}

impl Pool {
    /// A line for a request that finds no idle connection.
    pub(super) async fn line(self: &Arc<Self>) -> Result<Line, CallError> {
        if !self.connector.offers_http2() {
            return self.connect().await;
        }
        loop {
            let way = self.lock().shared.way();
            match way {
                Way::Place(place) => return Ok(Line::Shared(place)),
                Way::Alone => return self.connect().await,
                Way::Wait(mut opening) => {
                    // Without a change the leader has left, and another one leads.
                    let _ = opening.changed().await;
                    let outcome = opening.borrow().clone();
                    if let Some(Err(reason)) = outcome {
                        return Err(CallError::NotSent(reason));
                    }
                }
                Way::Lead(sender) => {
                    let mut leading = Leading { pool: self, sender, outcome: None };
                    let line = self.connect().await;
                    leading.outcome = match &line {
                        Err(CallError::NotSent(reason)) => Some(Err(reason.clone())),
                        _ => Some(Ok(())),
                    };
                    return line;
                }
            }
        }
    }

    /// A new connection, of the protocol that the server chooses.
    async fn connect(self: &Arc<Self>) -> Result<Line, CallError> {
        let limit = self.connector.limit();
        let deadline = Instant::now() + limit;
        let io = self.connector.connect(self.origin.clone()).await.map_err(|error| {
            // The library's outermost error says no more than "connect error".
            CallError::NotSent(causes(error.source().unwrap_or(error.as_ref())))
        })?;
        let offered = self.connector.offers_http2();
        if !(offered && chose_http2(&io)) {
            if offered {
                self.lock().shared.is_refused = true;
            }
            return Ok(Line::Own(Box::new(Conn::new(io)), false));
        }
        let opened = timeout_at(deadline.into(), http2::Conn::open(TokioIo::new(io), limit)).await;
        let conn = opened
            .unwrap_or_else(|_| Err(format!("no HTTP/2 within {} ms", limit.as_millis())))
            .map_err(CallError::NotSent)?;
        let Some(place) = conn.place() else {
            return Err(CallError::NotSent("the server takes no requests".to_owned()));
        };
        let mut state = self.lock();
        state.shared.is_refused = false;
        state.shared.conns.push(conn);
        self.sweep_later(&mut state);
        Ok(Line::Shared(place))
    }
}
