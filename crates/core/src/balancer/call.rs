//! A call and a probe on their way through the balancer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::replica::{Replica, ReplicaId};
use crate::health::{Call, Reason};

/// What is known of a call when its replica is chosen.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request<'a> {
    /// Whether the call is bound to a replica.
    pub affinity: Affinity,
    /// Replicas that this call was sent to before: empty at the first try, which is what the budgets count.
    pub exclude: &'a [ReplicaId],
    /// The tool's category, for [`Strategy::Weighted`](super::Strategy::Weighted).
    pub category: Option<&'a str>,
    /// Whether the call could be repeated elsewhere if it fails, so that it may be the trial of a replica that was out.
    pub repeatable: bool,
}

/// Whether a call is bound to a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Affinity {
    /// Any will do: the strategy chooses.
    #[default]
    Any,
    /// Calls with one key go to one replica, as long as that is healthy; a full one is waited for.
    Key(u64),
    /// This replica and no other: it holds the state that the call needs.
    Replica(ReplicaId),
}

/// One call in flight, from [`Balancer::pick`](super::Balancer::pick) to [`Balancer::finished`](super::Balancer::finished).
#[derive(Debug)]
#[must_use = "a ticket that does not come back through `finished` counts as in flight for ever"]
pub struct Ticket {
    pub(super) replica: ReplicaId,
    pub(super) started: Instant,
    pub(super) call: Call,
}

impl Ticket {
    /// Where the call goes.
    pub fn replica(&self) -> ReplicaId {
        self.replica
    }

    /// Whether this is the one call that tries a replica that was out.
    pub fn is_trial(&self) -> bool {
        matches!(self.call, Call::Trial(_))
    }

    /// Whether the replica is out, and was chosen because too few others are left.
    pub fn is_panic(&self) -> bool {
        matches!(self.call, Call::Panic(_))
    }
}

/// A health probe to send now.
#[derive(Debug)]
pub struct Probe {
    pub(super) replica: ReplicaId,
    pub(super) started: Instant,
}

impl Probe {
    /// Where it goes.
    pub fn replica(&self) -> ReplicaId {
        self.replica
    }
}

/// What [`Balancer::tick`](super::Balancer::tick) found.
#[derive(Debug, Default)]
pub struct Tick {
    /// Probes to send now, each with a time-out of a few seconds.
    pub probes: Vec<Probe>,
    /// What changed since the last tick, oldest first.
    pub changes: Vec<Change>,
}

/// A replica was taken out or came back.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Taken out, or out for longer.
    Ejected {
        /// Which replica.
        id: ReplicaId,
        /// Its configured name.
        name: Arc<str>,
        /// Why.
        reason: Reason,
        /// When it is tried again, from the moment it was taken out.
        again_in: Duration,
    },
    /// Back in use, in slow start.
    Recovered {
        /// Which replica.
        id: ReplicaId,
        /// Its configured name.
        name: Arc<str>,
    },
}

impl Request<'_> {
    /// Whether the call may go there.
    pub(super) fn allows(&self, replica: &Replica) -> bool {
        let bound = match self.affinity {
            Affinity::Replica(id) => replica.id == id,
            Affinity::Any | Affinity::Key(_) => true,
        };
        bound && !self.exclude.contains(&replica.id)
    }
}
