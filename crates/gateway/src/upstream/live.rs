//! An open connection of an upstream, and what comes over it outside of calls.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use aqe_core::envelope::Message;
use aqe_core::pool::{ConnId, ReplicaId};
use aqe_core::revision::Era;

use super::handshake::{self, OWN, Peer};
use super::manifest::ListKind;
use super::supervisor::Upstream;
use super::{CallError, CallTag, Connection, Events, Item};

/// What the gateway above is told.
pub trait Hooks: Send + Sync {
    /// The manifest was fetched, in whole or these lists of it; the server announced a change if `announced`.
    fn manifest(&self, upstream: &Arc<Upstream>, lists: &[ListKind], announced: bool);
    /// A connection could not be opened.
    fn failed(&self, upstream: &Arc<Upstream>);
    /// A message that belongs to no call.
    fn unsolicited(&self, upstream: &Arc<Upstream>, live: &Arc<Live>, message: Message);
    /// A new connection is open. On the first one of an upstream subscriptions must be made again.
    fn connected(&self, upstream: &Arc<Upstream>, live: &Arc<Live>, first: bool);
}

/// An open connection and what was agreed on it.
#[derive(Debug)]
pub struct Live {
    /// The connection.
    pub connection: Arc<dyn Connection>,
    /// The other end.
    pub peer: Peer,
    /// Distinguishes this connection from earlier and later ones of the same upstream.
    pub generation: u64,
    pub(super) events: Arc<LiveEvents>,
    /// The replica, by its position in the configuration.
    pub replica: usize,
    pub(crate) pool_replica: ReplicaId,
    pub(crate) conn: ConnId,
    /// Whom it serves, once it is known.
    pub(super) audience: OnceLock<Audience>,
}

/// Whose calls a connection carries, where they are not everybody's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// Those of one principal.
    Principal(Arc<str>),
    /// Those of one client session, by its owner number.
    Session(u64),
}

/// How the pool knows an era.
pub(super) fn variant_of(era: Era) -> u8 {
    u8::from(era == Era::Modern)
}

pub(super) fn era_of(variant: u8) -> Era {
    if variant == 0 { Era::Legacy } else { Era::Modern }
}

impl Live {
    pub(crate) fn variant(&self) -> u8 {
        variant_of(self.peer.era)
    }

    /// The clients' calls in flight, without our own questions: id and tag.
    pub(crate) fn calls(&self) -> Vec<(u64, CallTag)> {
        let mut calls = self.connection.in_flight();
        calls.retain(|(_, tag)| tag.owner != OWN.owner);
        calls
    }

    /// Whose calls it carries; `None` if anybody's, or none were sent yet.
    pub fn audience(&self) -> Option<&Audience> {
        self.audience.get()
    }

    /// Whether what comes over this connection and belongs to no call is not heard over another one, too.
    pub(crate) fn speaks_for_its_audience(&self) -> bool {
        let Some(upstream) = self.upstream() else { return false };
        match self.audience() {
            None => upstream.is_primary(self),
            Some(Audience::Session(_)) => true,
            // A principal may have several; the oldest speaks.
            audience => {
                let mut open = upstream.connections();
                open.retain(|other| other.audience() == audience && other.peer.era == self.peer.era);
                open.iter().all(|other| other.generation >= self.generation)
            }
        }
    }

    /// The upstream that it belongs to; `None` when that is gone.
    pub(crate) fn upstream(&self) -> Option<Arc<Upstream>> {
        self.events.upstream.upgrade()
    }

    /// Asks for a sign of life. An error response is one.
    ///
    /// # Errors
    /// If there is none within `timeout`.
    pub(crate) async fn probe(&self, timeout: Duration) -> Result<(), CallError> {
        // It has a long answer in its mouth, behind which it cannot say anything else.
        if self.connection.is_speaking() {
            return Ok(());
        }
        let asked = match self.peer.era {
            Era::Legacy => handshake::ask(&self.connection, "ping", "{}", Vec::new(), timeout).await,
            Era::Modern => {
                let params = format!(r#"{{"_meta":{{{}}}}}"#, handshake::own_meta());
                handshake::ask(&self.connection, "server/discover", &params, Vec::new(), timeout).await
            }
        };
        match asked {
            Err(error) if !self.connection.is_speaking() => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// The connection does not answer: calls that may be sent twice fail at once, and are sent somewhere else.
    pub(crate) fn move_repeatable(&self) {
        for (id, tag) in self.connection.in_flight() {
            if tag.repeatable {
                let error = CallError::Closed("the connection does not answer".into());
                self.connection.deliver(id, Item::Failed(error));
            }
        }
    }
}

/// Brings a connection's events to its upstream, and nothing of an earlier connection after it was replaced.
pub(super) struct LiveEvents {
    upstream: Weak<Upstream>,
    pub(super) generation: u64,
    /// What came before the handshake was over; `None` from then on.
    early: Mutex<Option<Vec<Message>>>,
}

/// Messages kept during the handshake. A server has little to say then.
const MAX_EARLY: usize = 64;

impl fmt::Debug for LiveEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveEvents").field("generation", &self.generation).finish_non_exhaustive()
    }
}

impl LiveEvents {
    pub(super) fn new(upstream: &Arc<Upstream>, generation: u64) -> Arc<Self> {
        let early = Mutex::new(Some(Vec::new()));
        Arc::new(Self { upstream: Arc::downgrade(upstream), generation, early })
    }

    /// The handshake is over: passes on what came during it, in order.
    pub(super) fn release(&self, upstream: &Arc<Upstream>, live: &Arc<Live>) {
        let mut early = self.early.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(hooks) = upstream.hooks() else { return };
        for message in early.take().into_iter().flatten() {
            hooks.unsolicited(upstream, live, message);
        }
    }
}

impl Events for LiveEvents {
    fn unsolicited(&self, message: Message) {
        let mut early = self.early.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(early) = early.as_mut() {
            if early.len() < MAX_EARLY {
                early.push(message);
            }
            return;
        }
        drop(early);
        let Some(upstream) = self.upstream.upgrade() else { return };
        let Some(live) = upstream.of_generation(self.generation) else { return };
        let Some(hooks) = upstream.hooks() else { return };
        hooks.unsolicited(&upstream, &live, message);
    }

    fn closed(&self, reason: &str) {
        let Some(upstream) = self.upstream.upgrade() else { return };
        upstream.lost(self.generation, reason);
    }

    fn session_lost(&self) {
        let Some(upstream) = self.upstream.upgrade() else { return };
        upstream.session_lost(self.generation);
    }
}
