//! What the balancer keeps of one replica.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::config::ReplicaConfig;
use super::error::Unavailable;
use super::status::ReplicaStatus;
use super::sticky::name_hash;
use crate::health::{FailureKind, HealthConfig, Outcome, Record, Standing};

/// A replica without an answer for so long, with calls in flight, is stalled: a probe finds out more.
const STALL: Duration = Duration::from_secs(1);

/// Names a replica of one balancer; never used for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReplicaId(pub(super) u64);

#[derive(Debug)]
pub(super) struct Replica {
    pub(super) id: ReplicaId,
    pub(super) name: Arc<str>,
    pub(super) name_hash: u64,
    pub(super) capacity: u32,
    pub(super) weight: f64,
    pub(super) categories: Vec<Box<str>>,
    pub(super) in_flight: u32,
    /// Since when it has had calls in flight and answered none.
    pub(super) silent_since: Instant,
    /// Credit of round-robin.
    pub(super) credit: f64,
    pub(super) health: Record,
    pub(super) picks: u64,
    pub(super) trials: u64,
    pub(super) panic_picks: u64,
    pub(super) failures: u64,
}

impl Replica {
    pub(super) fn new(id: ReplicaId, config: &ReplicaConfig, health: Record, now: Instant) -> Self {
        Self {
            id,
            name: Arc::clone(&config.name),
            name_hash: name_hash(&config.name),
            capacity: config.capacity.get(),
            weight: config.weight,
            categories: config.categories.clone(),
            in_flight: 0,
            silent_since: now,
            credit: 0.0,
            health,
            picks: 0,
            trials: 0,
            panic_picks: 0,
            failures: 0,
        }
    }

    /// Takes other settings; counts and health stay.
    pub(super) fn reconfigure(&mut self, config: &ReplicaConfig) {
        self.capacity = config.capacity.get();
        self.weight = config.weight;
        self.categories.clone_from(&config.categories);
        self.credit = 0.0;
    }

    pub(super) fn has_room(&self) -> bool {
        self.in_flight < self.capacity
    }

    pub(super) fn standing(&self) -> Standing {
        self.health.breaker.standing()
    }

    pub(super) fn count_pick(&mut self, now: Instant) {
        if self.in_flight == 0 {
            self.silent_since = now;
        }
        self.in_flight += 1;
        self.picks += 1;
    }

    pub(super) fn count_finish(&mut self, outcome: Outcome, now: Instant) {
        debug_assert!(self.in_flight > 0, "a ticket is made by a pick and taken once");
        self.in_flight = self.in_flight.saturating_sub(1);
        if matches!(outcome, Outcome::Failure(_)) {
            self.failures += 1;
        }
        if !matches!(outcome, Outcome::Cancelled | Outcome::Failure(FailureKind::Timeout)) {
            self.silent_since = now;
        }
    }

    /// For how long the replica has had calls in flight and answered none: its oldest call is at least as old.
    fn silence(&self, now: Instant) -> Duration {
        if self.in_flight == 0 { Duration::ZERO } else { now.saturating_duration_since(self.silent_since) }
    }

    pub(super) fn is_stalled(&self, now: Instant) -> bool {
        self.silence(now) >= STALL
    }

    /// What a call here must be expected to take, in nanoseconds: the peak average, or the present silence if that is
    /// longer, so that a replica that hangs loses its traffic before the first call times out. `None` if nothing is
    /// known.
    pub(super) fn expected_ns(&self, now: Instant) -> Option<f64> {
        let peak = self.health.latency.peak_ns(now)?;
        Some(if self.in_flight == 0 { peak } else { peak.max(self.silence(now).as_secs_f64() * 1e9) })
    }

    /// Why it may not be used; `None` if it may.
    pub(super) fn unavailable(&self, now: Instant) -> Option<Unavailable> {
        if let Some(opening) = self.health.breaker.opening() {
            let again_in =
                if opening.trial { Duration::ZERO } else { opening.until.saturating_duration_since(now) };
            return Some(Unavailable::Ejected { reason: opening.reason, again_in });
        }
        self.health.rest(now).map(|again_in| Unavailable::Resting { again_in })
    }

    pub(super) fn status(&mut self, config: &HealthConfig, now: Instant) -> ReplicaStatus {
        let success_rate = self.health.success_rate(now).map(|(rate, _)| rate);
        let breaker = &self.health.breaker;
        let opening = breaker.opening();
        ReplicaStatus {
            id: self.id,
            name: Arc::clone(&self.name),
            state: breaker.state(config.slow_start, now),
            reason: opening.map(|opening| opening.reason),
            down: self.standing() == Standing::Down,
            again_in: opening.map(|opening| opening.until.saturating_duration_since(now)),
            resting: self.health.rest(now),
            in_flight: self.in_flight,
            capacity: self.capacity,
            weight: self.weight,
            latency: self.health.latency.peak_ns(now).map(|ns| Duration::from_nanos(ns as u64)),
            success_rate,
            picks: self.picks,
            trials: self.trials,
            panic_picks: self.panic_picks,
            failures: self.failures,
            ejections: breaker.openings(),
            recoveries: breaker.recoveries(),
        }
    }
}
