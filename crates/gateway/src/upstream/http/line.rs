//! Which connection a request goes on, where the server may choose the protocol.
//!
//! HTTP/1.1 gives each request a connection of its own, and connections are opened beside one another. Of HTTP/2 one
//! connection serves many, so whoever needs one while it is being opened waits for it; so does whoever comes before it
//! is known which of both the server speaks.

use std::sync::Arc;

use hyper_util::rt::TokioIo;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::super::CallError;
use super::background::spawn;
use super::client::{causes, chose_http2};
use super::conn::Conn;
use super::http2::{self, Place};
use super::pool::Pool;

/// Why a connection is of no use that was opened well.
const NO_ROOM: &str = "the server takes no requests";

/// Where a request goes.
pub(super) enum Line {
    /// A connection of its own, and whether it was used before.
    Own(Box<Conn>, bool),
    /// A place on one that others use too.
    Shared(Place),
}

/// What came of opening a connection for all who wait for it: `None` while it lasts.
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
    /// A connection is being opened.
    Wait(watch::Receiver<Outcome>),
    /// One is to be opened, which others will wait for too.
    Open(watch::Sender<Outcome>, watch::Receiver<Outcome>),
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
        // Without its sender it is that of a task that has not come to its end.
        if let Some(opening) = self.opening.as_ref().filter(|opening| opening.has_changed().is_ok()) {
            return Way::Wait(opening.clone());
        }
        let (sender, receiver) = watch::channel(None);
        self.opening = Some(receiver.clone());
        Way::Open(sender, receiver)
    }

    /// Lets go of connections that have ended or were not used since the last sweep. One that is still used ends with its
    /// last exchange.
    pub(super) fn sweep(&mut self) {
        self.conns.retain(|conn| !conn.is_retired() && !conn.was_idle());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.conns.is_empty()
    }
}

/// A connection as the server chose it.
enum Connected {
    Own(Box<Conn>),
    Shared(Arc<http2::Conn>),
}

impl Pool {
    /// A line for a request that finds no idle connection.
    pub(super) async fn line(self: &Arc<Self>) -> Result<Line, CallError> {
        while self.connector.offers_http2() {
            let way = self.lock().shared.way();
            let mut opening = match way {
                Way::Place(place) => return Ok(Line::Shared(place)),
                Way::Alone => break,
                Way::Wait(opening) => opening,
                Way::Open(sender, opening) => {
                    // In a task, because all wait for it, also when the one who began is cancelled or does not go on.
                    let pool = Arc::clone(self);
                    if spawn(async move { pool.open(sender).await }).is_none() {
                        return Err(CallError::NotSent("the program is ending".to_owned()));
                    }
                    opening
                }
            };
            // Without a change the task is gone without having come to its end.
            let told = opening.changed().await.ok().and_then(|()| opening.borrow().clone());
            let outcome = told.unwrap_or_else(|| Err("the connection was given up".to_owned()));
            outcome.map_err(CallError::NotSent)?;
            // It may be one of HTTP/1.1.
            if let Some(conn) = self.checkout() {
                return Ok(Line::Own(conn, true));
            }
        }
        match self.connect().await.map_err(CallError::NotSent)? {
            Connected::Own(conn) => Ok(Line::Own(conn, false)),
            Connected::Shared(conn) => {
                let place = conn.place();
                self.share(conn);
                place.map(Line::Shared).ok_or_else(|| CallError::NotSent(NO_ROOM.to_owned()))
            }
        }
    }

    /// Opens a connection and tells those who wait for it.
    async fn open(self: Arc<Self>, waiting: watch::Sender<Outcome>) {
        let outcome = match self.connect().await {
            Err(reason) => Err(reason),
            Ok(Connected::Own(conn)) => {
                self.put(conn);
                Ok(())
            }
            Ok(Connected::Shared(conn)) if conn.place().is_none() => Err(NO_ROOM.to_owned()),
            Ok(Connected::Shared(conn)) => {
                self.share(conn);
                Ok(())
            }
        };
        // In this order: whoever is woken must not find this attempt again.
        self.lock().shared.opening = None;
        waiting.send_replace(Some(outcome));
    }

    /// Lets others find a connection.
    fn share(self: &Arc<Self>, conn: Arc<http2::Conn>) {
        let mut state = self.lock();
        state.shared.is_refused = false;
        state.shared.conns.push(conn);
        self.sweep_later(&mut state);
    }

    /// A new connection, of the protocol that the server chooses.
    ///
    /// # Errors
    /// Why there is none.
    async fn connect(&self) -> Result<Connected, String> {
        let limit = self.connector.limit();
        let deadline = Instant::now() + limit;
        // The library's outermost error says no more than "connect error".
        let connected = self.connector.connect(self.origin.clone()).await;
        let io = connected.map_err(|error| causes(error.source().unwrap_or(error.as_ref())))?;
        if !chose_http2(&io) {
            self.lock().shared.is_refused = true;
            return Ok(Connected::Own(Box::new(Conn::new(io))));
        }
        let opened = timeout_at(deadline, http2::Conn::open(TokioIo::new(io), limit)).await;
        let conn = opened.unwrap_or_else(|_| Err(format!("no HTTP/2 within {} ms", limit.as_millis())))?;
        Ok(Connected::Shared(conn))
    }
}
