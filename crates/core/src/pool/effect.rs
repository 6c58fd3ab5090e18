//! What the pool asks of its driver, and what it answers to a call.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::connection::{CloseReason, ConnId};
use super::lane::WaiterId;
use super::replica::ReplicaId;

/// The right to send one call over a connection. It must come back through [`Pool::release`](super::Pool::release)
/// exactly once, also if the connection died meanwhile; there is no second copy of it.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a lease that is not released keeps its connection busy for ever"]
pub struct Lease {
    pub(super) conn: ConnId,
    pub(super) hit: bool,
}

impl Lease {
    /// The connection to use.
    pub fn conn(&self) -> ConnId {
        self.conn
    }

    /// Whether the connection was open when the call asked: no connect, no handshake, no spawn on its way.
    pub fn hit(&self) -> bool {
        self.hit
    }
}

/// How the use of a lease ended, as far as the connection is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The connection answered, whatever the answer was.
    Ok,
    /// No answer came before the call gave up. The connection stays in service, and is probed soon if nothing else
    /// was answered on it either.
    Unanswered,
    /// Nothing was sent: the call had given up. The connection goes to the next, and if it never carried anything it
    /// is anybody's again.
    Unused,
    /// The connection is of no use any more; it is closed at once.
    Broken,
}

/// The answer to [`Pool::acquire`](super::Pool::acquire).
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Acquire {
    /// A connection is there.
    Granted(Lease),
    /// Not yet: an [`Effect::Grant`] or [`Effect::Refuse`] will follow, unless the call is cancelled.
    Waiting(WaiterId),
    /// There will be none.
    Refused(AcquireError),
}

/// Something that the driver has to do. Effects are to be carried out in their order.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// Open a connection; then call [`Pool::opened`](super::Pool::opened) or
    /// [`Pool::open_failed`](super::Pool::open_failed), within a time limit of the driver's.
    Open {
        /// The name of the connection from now on.
        conn: ConnId,
        /// What to connect to.
        replica: ReplicaId,
        /// In which variant.
        variant: u8,
    },
    /// Close a connection, or stop opening it; then call [`Pool::closed`](super::Pool::closed). It may still carry
    /// calls, if it is broken or the time for draining is up.
    Close {
        /// Which.
        conn: ConnId,
        /// Why.
        reason: CloseReason,
    },
    /// Give a connection to a call that waits. If the call is gone, release the lease as [`Outcome::Unused`].
    Grant {
        /// Who waits.
        waiter: WaiterId,
        /// What it gets.
        lease: Lease,
    },
    /// Tell a call that it waits in vain.
    Refuse {
        /// Who waits.
        waiter: WaiterId,
        /// Why.
        error: AcquireError,
    },
    /// Check the health of a connection, by something cheap; then call [`Pool::probed`](super::Pool::probed), within
    /// a time limit of the driver's.
    Probe {
        /// Which.
        conn: ConnId,
    },
}

/// How full the pool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Occupancy {
    /// Connections that carry calls.
    pub in_use: u32,
    /// Connections in service that carry none.
    pub idle: u32,
    /// Connections that are being opened.
    pub opening: u32,
    /// Calls that wait.
    pub waiting: usize,
    /// Most connections that there may be.
    pub max: u32,
}

impl std::fmt::Display for Occupancy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { in_use, idle, opening, waiting, max } = self;
        write!(f, "in use {in_use}, idle {idle}, opening {opening}, waiting {waiting}, max {max}")
    }
}

/// Why a call gets no connection.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AcquireError {
    /// Its time was up before a connection was free.
    #[error("connection pool timeout: {replica} had no free connection for {} ms ({pool})", waited.as_millis())]
    Timeout {
        /// The replica's name.
        replica: Arc<str>,
        /// How long the call had been waiting.
        waited: Duration,
        /// The pool's state at that moment.
        pool: Occupancy,
    },
    /// Too many calls wait already.
    #[error("connection pool overloaded: {waiting} calls are waiting, which is as many as may")]
    Overloaded {
        /// How many wait.
        waiting: usize,
    },
    /// The replica is known to fail, and no connection to it is left that could serve the call.
    #[error(
        "{replica} {}; next attempt in {} ms; last error: {error}",
        if *crash_looping { "is crash-looping" } else { "cannot be reached" },
        retry_in.as_millis()
    )]
    Unavailable {
        /// The replica's name.
        replica: Arc<str>,
        /// What the last failure said.
        error: Arc<str>,
        /// Time until the next attempt.
        retry_in: Duration,
        /// Whether it failed again and again.
        crash_looping: bool,
    },
    /// The replica or the pool is being drained.
    #[error("{replica} is being drained and takes no new calls")]
    Draining {
        /// The replica's name.
        replica: Arc<str>,
    },
    /// The replica does not talk in this variant; it does in another.
    #[error("the replica speaks another era of the protocol")]
    OtherVariant,
    /// The principal or session of the call is gone.
    #[error("the session of the call has ended")]
    ScopeEnded,
    /// There is no such replica (any more).
    #[error("there is no such replica")]
    UnknownReplica,
}

/// What a drain is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrainTarget {
    /// Every replica, and those that are added later.
    All,
    /// One replica.
    Replica(ReplicaId),
}
