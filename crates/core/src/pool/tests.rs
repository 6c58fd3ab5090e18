//! Tests that drive the whole pool. What belongs to one file is tested there.

use std::time::{Duration, Instant};

use super::*;

mod control;
mod failing;
mod lifetime;
mod model;
mod sharing;
mod waiting;

/// A pool with a driver that does what it is told, when the test lets it.
struct Rig {
    pool: Pool,
    now: Instant,
    /// What the pool asked for and nobody has looked at yet, but for what [`Self::carry_out`] did.
    effects: Vec<Effect>,
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A pool that opens connections only for calls that want them.
fn on_demand(max_connections: u32) -> PoolConfig {
    PoolConfig { max_connections, min_connections: 0, ..PoolConfig::default() }
}

/// A replica with up to `max_connections` connections of `max_calls` calls each.
fn replica(max_connections: u32, max_calls: u32) -> ReplicaConfig {
    ReplicaConfig { max_connections, ..ReplicaConfig::new("files#1", max_calls) }
}

impl Rig {
    fn new(config: PoolConfig) -> Self {
        Self { pool: Pool::new(config, 1).unwrap(), now: Instant::now(), effects: Vec::new() }
    }

    fn with(config: PoolConfig, replica: ReplicaConfig) -> (Self, ReplicaId) {
        let mut rig = Self::new(config);
        let id = rig.pool.add_replica(rig.now, replica).unwrap();
        rig.carry_out();
        (rig, id)
    }

    /// What the pool has asked for since the last look.
    fn asked(&mut self) -> Vec<Effect> {
        let mut effects = std::mem::take(&mut self.effects);
        self.pool.take_effects(&mut effects);
        effects
    }

    /// The connections that the pool has asked to open since the last look; everything else is dropped.
    fn asked_to_open(&mut self) -> Vec<ConnId> {
        let asked = self.asked().into_iter();
        asked.filter_map(|e| if let Effect::Open { conn, .. } = e { Some(conn) } else { None }).collect()
    }

    /// Opens, closes and probes successfully what the pool asks for, until it asks no more, and keeps the rest.
    fn carry_out(&mut self) {
        let mut rest = Vec::new();
        loop {
            let asked = self.asked();
            if asked.is_empty() {
                break;
            }
            for effect in asked {
                match effect {
                    Effect::Open { conn, .. } => self.pool.opened(self.now, conn),
                    Effect::Close { conn, .. } => self.pool.closed(self.now, conn, "closed".into()),
                    Effect::Probe { conn } => self.pool.probed(self.now, conn, true),
                    other => rest.push(other),
                }
            }
        }
        self.effects = rest;
    }

    /// Lets time pass, ticking when it is due.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(due) = self.pool.next_deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.pool.tick(self.now);
        }
        self.now = until;
    }

    /// As [`Self::pass`], with a driver that carries out what the pool asks for on the way.
    fn pass_carrying_out(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(due) = self.pool.next_deadline().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.pool.tick(self.now);
            self.carry_out();
        }
        self.now = until;
    }

    fn acquire(&mut self, lane: Lane) -> Acquire {
        self.pool.acquire(self.now, lane, self.now + secs(60))
    }

    /// A lease that must be there at once.
    fn granted(&mut self, lane: Lane) -> Lease {
        match self.acquire(lane) {
            Acquire::Granted(lease) => lease,
            other => panic!("{other:?}"),
        }
    }

    /// A call that must wait.
    fn waiting(&mut self, lane: Lane) -> WaiterId {
        match self.acquire(lane) {
            Acquire::Waiting(waiter) => waiter,
            other => panic!("{other:?}"),
        }
    }

    fn refused(&mut self, lane: Lane) -> AcquireError {
        match self.acquire(lane) {
            Acquire::Refused(error) => error,
            other => panic!("{other:?}"),
        }
    }

    /// The leases given to waiting calls since the last look; the rest is kept.
    fn grants(&mut self) -> Vec<(WaiterId, Lease)> {
        let (mut grants, mut rest) = (Vec::new(), Vec::new());
        for effect in self.asked() {
            match effect {
                Effect::Grant { waiter, lease } => grants.push((waiter, lease)),
                other => rest.push(other),
            }
        }
        self.effects = rest;
        grants
    }

    fn release(&mut self, lease: Lease) {
        self.pool.release(self.now, lease, Outcome::Ok);
    }

    fn release_all(&mut self, leases: Vec<Lease>) {
        for lease in leases {
            self.release(lease);
        }
    }

    fn figures(&self) -> PoolFigures {
        self.pool.status(self.now).all
    }

    fn waits(&self) -> Option<WaitTimes> {
        WaitTimes::of(&self.pool.waits().all)
    }

    fn total(&self) -> u32 {
        self.figures().connections.total
    }
}

fn lane(replica: ReplicaId, scope: Scope) -> Lane {
    Lane { replica, variant: 0, scope }
}

fn shared(replica: ReplicaId) -> Lane {
    lane(replica, Scope::Shared)
}

fn closes(effects: &[Effect]) -> Vec<(ConnId, CloseReason)> {
    let closes =
        |e: &Effect| if let Effect::Close { conn, reason } = e { Some((*conn, *reason)) } else { None };
    effects.iter().filter_map(closes).collect()
}
