//! What must always hold of the pool's state, checked after every step in builds with debug assertions only.

use super::connection::{Counts, Phase};
use super::lane::Scope;
use super::state::Pool;

impl Pool {
    /// What does not hold, if anything.
    pub(super) fn check(&self) -> Result<(), String> {
        self.check_counts()?;
        self.check_lanes()?;
        self.check_waiters()
    }

    fn check_counts(&self) -> Result<(), String> {
        let mut all = Counts::default();
        for (id, replica) in self.replicas.iter() {
            let mut counts = Counts::default();
            for (_, conn) in self.conns.iter().filter(|(_, conn)| conn.replica == id) {
                counts.add(conn.phase);
                all.add(conn.phase);
            }
            for (variant, known) in &replica.variants {
                let mut counts = Counts::default();
                let own =
                    self.conns.iter().filter(|(_, conn)| (conn.replica, conn.variant) == (id, *variant));
                own.for_each(|(_, conn)| counts.add(conn.phase));
                if counts != *known {
                    return Err(format!("{counts:?} of variant {variant} are counted as {known:?}"));
                }
            }
            if counts != replica.counts {
                return Err(format!("{counts:?} are counted as {:?}", replica.counts));
            }
            let retired: u64 = replica.counters.retired.iter().sum();
            if replica.counters.opened != u64::from(counts.live) + retired {
                return Err(format!("{} opened, but {counts:?}, {retired} retired", replica.counters.opened));
            }
            if replica.drain_by.is_some() && counts.opening + counts.live > 0 {
                return Err(format!("a replica is drained with {counts:?}"));
            }
        }
        if all != self.counts || all.total() as usize != self.conns.iter().count() {
            return Err(format!("{all:?} are counted as {:?} of {}", self.counts, self.conns.iter().count()));
        }
        Ok(())
    }

    fn check_lanes(&self) -> Result<(), String> {
        let mut members = 0;
        for (id, lane) in self.lanes.iter() {
            if lane.live() == 0 && lane.queue.is_empty() {
                return Err(format!("{:?} is kept for nothing", lane.key));
            }
            let busy = lane.busy.iter().enumerate().map(|(at, conn)| (*conn, Some(at)));
            for (conn_id, at) in busy.chain(lane.idle.iter().map(|conn| (*conn, None))) {
                let conn = &self.conns[conn_id];
                let fits = (conn.replica, conn.variant) == (lane.key.replica, lane.key.variant);
                let placed = conn.lane == Some(id) && at.is_none_or(|at| at == conn.busy_at);
                if !fits || !placed || !conn.is_live() || at.is_some() != (conn.in_flight > 0) {
                    return Err(format!("{conn:?} lies wrong in {:?}", lane.key));
                }
                if lane.key.scope.is_none() != (conn.uses == 0) {
                    return Err(format!("{conn:?} carried a call, or none, in {:?}", lane.key));
                }
                members += 1;
            }
            if matches!(lane.key.scope, Some(Scope::Session(_))) && lane.live() > 1 {
                return Err(format!("{:?} is spread over {} connections", lane.key, lane.live()));
            }
        }
        if members != self.counts.live {
            return Err(format!("{members} of {} live connections are in lanes", self.counts.live));
        }
        let misplaced = |phase: Phase| !matches!(phase, Phase::Live { .. });
        match self.conns.iter().find(|(_, conn)| misplaced(conn.phase) && conn.lane.is_some()) {
            Some((_, conn)) => Err(format!("{conn:?} is in a lane")),
            None => Ok(()),
        }
    }

    /// Nobody waits for what is there: no wake-up was lost.
    fn check_waiters(&self) -> Result<(), String> {
        let queued: usize = self.lanes.iter().map(|(_, lane)| lane.queue.len()).sum();
        if queued != self.waiting {
            return Err(format!("{queued} waiters are counted as {}", self.waiting));
        }
        for (_, lane) in self.lanes.iter().filter(|(_, lane)| !lane.queue.is_empty()) {
            let Some(wanted) = lane.key.lane() else {
                return Err("waiters for nothing in particular".into());
            };
            if let Some(conn) = self.fitting(wanted) {
                return Err(format!("{wanted:?} waits beside {conn:?}"));
            }
            let replica = &self.replicas[wanted.replica];
            let room = replica.has_room(wanted.variant) && self.counts.total() < self.config.max_connections;
            let healthy = replica.backoff.retry_at().is_none();
            let idle = self.counts.opening < self.config.max_opening && replica.counts.opening == 0;
            if lane.live() == 0 && room && healthy && idle {
                return Err(format!("{wanted:?} waits beside room for another connection"));
            }
        }
        Ok(())
    }
}
