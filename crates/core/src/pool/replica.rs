//! What the pool knows of one replica.

use std::time::Instant;

use super::arena::arena_key;
use super::backoff::Backoff;
use super::config::{PoolConfig, ReplicaConfig};
use super::connection::Counts;
use super::stats::Counters;

arena_key! {
    /// A replica, from [`Pool::add_replica`](super::Pool::add_replica) until it is removed and its last connection is
    /// closed. Never reused.
    pub struct ReplicaId;
}

/// One replica.
#[derive(Debug)]
pub(super) struct Replica {
    pub(super) config: ReplicaConfig,
    pub(super) counts: Counts,
    pub(super) backoff: Backoff,
    pub(super) counters: Counters,
    /// Whether the first connections are still being opened, side by side.
    pub(super) warming: bool,
    /// Set while the replica is drained: when calls in flight are cut off.
    pub(super) drain_by: Option<Instant>,
    /// Whether it is to be forgotten when it is drained.
    pub(super) removed: bool,
}

impl Replica {
    pub(super) fn new(config: ReplicaConfig, drain_by: Option<Instant>) -> Self {
        Self {
            config,
            counts: Counts::default(),
            backoff: Backoff::default(),
            counters: Counters::default(),
            warming: true,
            drain_by,
            removed: false,
        }
    }

    /// Whether a connection may be opened as far as the replica's state goes; room is another question.
    pub(super) fn may_open(&self, now: Instant, pool: &PoolConfig) -> bool {
        let at_once = if self.backoff.failures() > 0 { 1 } else { pool.max_opening_of_one() };
        self.drain_by.is_none() && self.backoff.may_try(now) && self.counts.opening < at_once
    }

    /// Whether the replica itself has room for another connection.
    pub(super) fn has_room(&self) -> bool {
        self.counts.total() < self.config.max_connections
    }

    /// The same for the replacement of one that expires.
    pub(super) fn has_room_to_replace(&self) -> bool {
        self.counts.total() < self.most()
    }

    /// Most connections at this moment: one more than usual while one expires, so that nobody waits while its
    /// replacement opens; but what holds state is never in two places.
    pub(super) fn most(&self) -> u32 {
        let replacement = !self.config.stateful && self.counts.expiring > 0;
        self.config.max_connections.saturating_add(u32::from(replacement))
    }

    /// Connections missing to keep `min`, and to replace those that expire.
    pub(super) fn missing(&self, min: u32) -> u32 {
        let Counts { opening, live, expiring, .. } = self.counts;
        min.max(live).saturating_sub(live - expiring + opening)
    }
}
