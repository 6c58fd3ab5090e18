//! An open connection of an upstream, and what comes over it outside of calls.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use aqe_core::envelope::Message;

use super::handshake::Peer;
use super::manifest::ListKind;
use super::supervisor::Upstream;
use super::{Connection, Events};

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
}
