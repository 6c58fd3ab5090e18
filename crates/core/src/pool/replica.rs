//! What the pool knows of one replica.

use std::time::Instant;

use super::arena::arena_key;
use super::backoff::Backoff;
use super::config::{PoolConfig, ReplicaConfig};
use super::connection::{Counts, Phase};
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
    /// The same for each variant that it was ever opened in.
    pub(super) variants: Vec<(u8, Counts)>,
    /// The one variant that it has, if it was found not to have another.
    pub(super) only: Option<u8>,
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
            variants: Vec::new(),
            only: None,
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

    /// A connection that was to be of variant `asked` is open in `variant`.
    pub(super) fn learn(&mut self, asked: u8, variant: u8) {
        if asked != variant {
            self.only = Some(variant);
        } else if self.only.is_some_and(|only| only != variant) {
            self.only = None;
        }
    }

    /// Its connections in one variant.
    pub(super) fn counts_of(&self, variant: u8) -> Counts {
        let known = self.variants.iter().find(|(known, _)| *known == variant);
        known.map_or_else(Counts::default, |(_, counts)| *counts)
    }

    /// Counts a connection in a phase, in all and in its variant.
    pub(super) fn add(&mut self, variant: u8, phase: Phase) {
        self.counts.add(phase);
        let at = self.variants.iter().position(|(known, _)| *known == variant).unwrap_or_else(|| {
            self.variants.push((variant, Counts::default()));
            self.variants.len() - 1
        });
        self.variants[at].1.add(phase);
    }

    /// Takes back [`Self::add`].
    pub(super) fn subtract(&mut self, variant: u8, phase: Phase) {
        self.counts.subtract(phase);
        if let Some((_, counts)) = self.variants.iter_mut().find(|(known, _)| *known == variant) {
            counts.subtract(phase);
        }
    }

    /// Whether the replica itself has room for another connection in a variant.
    pub(super) fn has_room(&self, variant: u8) -> bool {
        self.counts_of(variant).total() < self.config.max_connections
    }

    /// The same for the replacement of one that expires.
    pub(super) fn has_room_to_replace(&self, variant: u8) -> bool {
        self.counts_of(variant).total() < self.most(variant)
    }

    /// Most connections in a variant at this moment: one more than usual while one expires, so that nobody waits while
    /// its replacement opens; but what holds state is never in two places.
    pub(super) fn most(&self, variant: u8) -> u32 {
        let replacement = !self.config.stateful && self.counts_of(variant).expiring > 0;
        self.config.max_connections.saturating_add(u32::from(replacement))
    }

    /// Connections missing to keep `min`, and to replace those that expire.
    pub(super) fn missing(&self, min: u32) -> u32 {
        let Counts { opening, live, expiring, .. } = self.counts;
        min.max(live).saturating_sub(live - expiring + opening)
    }
}
