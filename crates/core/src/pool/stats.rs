//! What the pool counts, and its state as figures for people.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::connection::{CloseReason, Phase};
use super::effect::Occupancy;
use super::replica::{Replica, ReplicaId};
use super::state::Pool;
use crate::monitor::Counts;
use crate::monitor::histogram::bounds_of;

/// What happened to one replica so far.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) hits: u64,
    pub(super) misses: u64,
    pub(super) timeouts: u64,
    pub(super) refused: u64,
    pub(super) cancelled: u64,
    pub(super) opened: u64,
    pub(super) restarts: u64,
    pub(super) open_failures: u64,
    pub(super) retired: [u64; CloseReason::ALL.len()],
    /// Times of calls that waited.
    waits: Counts,
}

impl Counters {
    pub(super) fn waited(&mut self, wait: Duration) {
        self.waits.record(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Adds what another has counted, and its times.
    pub(super) fn add(&mut self, other: &Self) {
        self.add_counts(other);
        self.waits.merge(&other.waits);
    }

    /// The same without the times, which are many.
    fn add_counts(&mut self, other: &Self) {
        self.hits += other.hits;
        self.misses += other.misses;
        self.timeouts += other.timeouts;
        self.refused += other.refused;
        self.cancelled += other.cancelled;
        self.opened += other.opened;
        self.restarts += other.restarts;
        self.open_failures += other.open_failures;
        for (mine, theirs) in self.retired.iter_mut().zip(&other.retired) {
            *mine += theirs;
        }
    }

    /// A connection is open.
    pub(super) fn opened(&mut self) {
        self.opened += 1;
        let ended_unasked: u64 =
            CloseReason::UNASKED.iter().map(|reason| self.retired[*reason as usize]).sum();
        self.restarts += u64::from(self.restarts < ended_unasked);
    }

    /// Times of all calls until they were granted a connection or their time was up. Most wait not at all.
    fn all_waits(&self) -> Counts {
        let asked = self.hits + self.misses + self.timeouts;
        let mut waits = self.waits.clone();
        waits.record_many(0, asked.saturating_sub(waits.count()));
        waits
    }
}

/// How long calls waited for their connection, those included that got it at once or whose time was up.
/// Within [`MAX_ERROR`](crate::monitor::MAX_ERROR).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WaitTimes {
    /// Half of the calls waited no longer.
    pub p50: Duration,
    /// 95 % of the calls waited no longer.
    pub p95: Duration,
    /// 99 % of the calls waited no longer.
    pub p99: Duration,
    /// The longest wait.
    pub max: Duration,
}

impl WaitTimes {
    /// From times of [`PoolWaits`]; `None` before the first call.
    pub fn of(waits: &Counts) -> Option<Self> {
        // Nobody waits for less than the narrowest bucket holds: who is in it got its connection at once.
        let narrowest = Duration::from_nanos(bounds_of(0).1);
        let quantile = |share| {
            let quantile = waits.quantile(share)?;
            Some(if quantile < narrowest { Duration::ZERO } else { quantile })
        };
        Some(Self { p50: quantile(0.5)?, p95: quantile(0.95)?, p99: quantile(0.99)?, max: quantile(1.0)? })
    }
}

/// Connections by what they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ConnectionFigures {
    /// In service with time for another call: idle ones, and others that carry fewer calls than they may.
    pub available: u32,
    /// In service without a call.
    pub idle: u32,
    /// Carrying calls, also while they are drained or closed.
    pub in_use: u32,
    /// Being opened.
    pub opening: u32,
    /// Finishing their calls, after which they close.
    pub draining: u32,
    /// Told to close, and not yet closed.
    pub closing: u32,
    /// All of them; never above the maximum, unless that was lowered a moment ago.
    pub total: u32,
}

/// State and history of one replica, or of all.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PoolFigures {
    /// Connections at this moment.
    pub connections: ConnectionFigures,
    /// Calls that hold a lease at this moment.
    pub calls_in_flight: u64,
    /// Calls that wait at this moment.
    pub waiting: usize,
    /// Leases of connections that were open when the call asked.
    pub hits: u64,
    /// Leases of connections that opened while the call waited.
    pub misses: u64,
    /// Calls whose time was up before they were granted a connection.
    pub timeouts: u64,
    /// Calls refused for other causes: overload, a replica that fails, draining.
    pub refused: u64,
    /// Calls that gave up waiting.
    pub cancelled: u64,
    /// Connections that were opened.
    pub opened: u64,
    /// Those of them that took the place of one that had ended unasked.
    pub restarts: u64,
    /// Attempts to open one that failed.
    pub open_failures: u64,
    retired: [u64; CloseReason::ALL.len()],
}

impl PoolFigures {
    /// Share of leases that were hits, 0 to 1; `None` before the first lease.
    pub fn hit_rate(&self) -> Option<f64> {
        let leases = self.hits + self.misses;
        (leases > 0).then(|| self.hits as f64 / leases as f64)
    }

    /// Connections that were taken out of service, each counted once, for the first reason there was.
    pub fn retired(&self, reason: CloseReason) -> u64 {
        self.retired[reason as usize]
    }

    /// [`Self::retired`] for all reasons.
    pub fn retirements(&self) -> impl Iterator<Item = (CloseReason, u64)> + '_ {
        CloseReason::ALL.into_iter().map(|reason| (reason, self.retired(reason)))
    }

    fn new(connections: ConnectionFigures, calls_in_flight: u64, waiting: usize, counted: &Counters) -> Self {
        Self {
            connections,
            calls_in_flight,
            waiting,
            hits: counted.hits,
            misses: counted.misses,
            timeouts: counted.timeouts,
            refused: counted.refused,
            cancelled: counted.cancelled,
            opened: counted.opened,
            restarts: counted.restarts,
            open_failures: counted.open_failures,
            retired: counted.retired,
        }
    }
}

/// Whether a replica can be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplicaHealth {
    /// Nothing speaks against it.
    Ready,
    /// It failed, and is tried again after a while, or has just been reached again and is yet to prove stable.
    BackingOff {
        /// Failures in a row.
        failures: u32,
        /// Time until the next attempt; zero if one may begin or has succeeded.
        retry_in: Duration,
    },
    /// It failed again and again within a short time, and is tried rarely.
    CrashLooping {
        /// Failures in a row.
        failures: u32,
        /// Time until the next attempt; zero if one may begin or has succeeded.
        retry_in: Duration,
    },
    /// It takes no new calls.
    Draining,
}

impl ReplicaHealth {
    /// A word for metrics and replies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::BackingOff { .. } => "backing-off",
            Self::CrashLooping { .. } => "crash-looping",
            Self::Draining => "draining",
        }
    }
}

/// One replica's part of a [`PoolStatus`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ReplicaStatus {
    /// Which replica.
    pub id: ReplicaId,
    /// Its name.
    pub name: Arc<str>,
    /// Whether it can be connected to.
    pub health: ReplicaHealth,
    /// What the last failure said, kept after recovery.
    pub last_error: Option<Arc<str>>,
    /// Connections kept open for it.
    pub min_connections: u32,
    /// Most connections that it may have.
    pub max_connections: u32,
    /// Its figures.
    pub figures: PoolFigures,
}

/// State and history of the pool.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PoolStatus {
    /// Most connections that there may be in all.
    pub max_connections: u32,
    /// Whether the whole pool is being drained.
    pub draining: bool,
    /// All replicas together, with the history of those that were removed.
    pub all: PoolFigures,
    /// Each replica.
    pub replicas: Vec<ReplicaStatus>,
}

/// How long calls waited until they were granted a connection or their time was up: a histogram of each replica, by which
/// it is much more than a [`PoolStatus`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PoolWaits {
    /// All replicas together, also those that were removed.
    pub all: Counts,
    /// Each replica.
    pub replicas: Vec<(ReplicaId, Counts)>,
}

impl PoolWaits {
    /// Those of one replica, if it is there.
    pub fn of(&self, replica: ReplicaId) -> Option<&Counts> {
        self.replicas.iter().find(|(id, _)| *id == replica).map(|(_, waits)| waits)
    }
}

impl Pool {
    /// State and history of the pool. Walks all connections and waiting calls.
    pub fn status(&self, now: Instant) -> PoolStatus {
        let mut counted = Counters::default();
        counted.add_counts(&self.past);
        for (_, replica) in self.replicas.iter() {
            counted.add_counts(&replica.counters);
        }
        let (connections, calls) = self.connections(|_| true);
        PoolStatus {
            max_connections: self.config.max_connections,
            draining: self.drain_by.is_some(),
            all: PoolFigures::new(connections, calls, self.waiting, &counted),
            replicas: self
                .replicas
                .iter()
                .map(|(id, replica)| self.replica_status(now, id, replica))
                .collect(),
        }
    }

    /// How long calls have waited so far. Copies a histogram of each replica.
    pub fn waits(&self) -> PoolWaits {
        let mut counted = Counters::default();
        counted.add(&self.past);
        for (_, replica) in self.replicas.iter() {
            counted.add(&replica.counters);
        }
        let each = self.replicas.iter().map(|(id, replica)| (id, replica.counters.all_waits()));
        PoolWaits { all: counted.all_waits(), replicas: each.collect() }
    }

    fn replica_status(&self, now: Instant, id: ReplicaId, replica: &Replica) -> ReplicaStatus {
        let (connections, calls) = self.connections(|of| of == id);
        let lanes = self.lanes.iter().filter(|(_, lane)| lane.key.replica == id);
        let waiting = lanes.map(|(_, lane)| lane.queue.len()).sum();
        let backoff = &replica.backoff;
        let retry_in = backoff.retry_at().map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        let failures = backoff.failures();
        let health = if replica.drain_by.is_some() {
            ReplicaHealth::Draining
        } else if backoff.crash_looping() {
            ReplicaHealth::CrashLooping { failures, retry_in }
        } else if failures > 0 {
            ReplicaHealth::BackingOff { failures, retry_in }
        } else {
            ReplicaHealth::Ready
        };
        ReplicaStatus {
            id,
            name: Arc::clone(&replica.config.name),
            health,
            last_error: backoff.last_error().cloned(),
            min_connections: replica.config.min(&self.config),
            max_connections: replica.config.max_connections,
            figures: PoolFigures::new(connections, calls, waiting, &replica.counters),
        }
    }

    /// Connections of the replicas for which `of` holds, and the calls on them.
    fn connections(&self, of: impl Fn(ReplicaId) -> bool) -> (ConnectionFigures, u64) {
        let (mut figures, mut calls) = (ConnectionFigures::default(), 0);
        for (_, conn) in self.conns.iter().filter(|(_, conn)| of(conn.replica)) {
            let max_calls = self.replicas[conn.replica].config.max_calls;
            figures.total += 1;
            figures.available += u32::from(conn.is_live() && conn.in_flight < max_calls);
            figures.idle += u32::from(conn.is_idle());
            figures.in_use += u32::from(conn.in_flight > 0);
            match conn.phase {
                Phase::Opening => figures.opening += 1,
                Phase::Live { .. } => {}
                Phase::Draining(_) => figures.draining += 1,
                Phase::Closing => figures.closing += 1,
            }
            calls += u64::from(conn.in_flight);
        }
        (figures, calls)
    }

    /// How full the pool is, for the text of an error.
    pub(super) fn occupancy(&self) -> Occupancy {
        let (figures, _) = self.connections(|_| true);
        Occupancy {
            in_use: figures.in_use,
            idle: figures.idle,
            opening: figures.opening,
            waiting: self.waiting,
            max: self.config.max_connections,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_got_their_connection_at_once_count_in_the_percentiles() {
        let wait_times = |counters: &Counters| WaitTimes::of(&counters.all_waits());
        let mut counters = Counters { hits: 98, ..Counters::default() };
        assert_eq!(wait_times(&Counters::default()), None);
        assert_eq!(wait_times(&counters).unwrap().max, Duration::ZERO);
        counters.hits += 2;
        counters.waited(Duration::from_millis(1));
        counters.waited(Duration::from_millis(300));
        let waits = wait_times(&counters).unwrap();
        assert_eq!(counters.all_waits().count(), 100);
        assert_eq!(counters.all_waits().sum(), Duration::from_millis(301));
        assert_eq!((waits.p50, waits.p95), (Duration::ZERO, Duration::ZERO));
        assert!(waits.p99.abs_diff(Duration::from_millis(1)) < Duration::from_micros(10), "{:?}", waits.p99);
        assert!(waits.max.abs_diff(Duration::from_millis(300)) < Duration::from_millis(3), "{:?}", waits.max);
    }

    #[test]
    fn every_reason_has_its_own_place() {
        for (place, reason) in CloseReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place, "{}", reason.as_str());
        }
    }
}
