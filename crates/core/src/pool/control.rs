//! What an operator or the configuration changes while the pool runs, and ends of sessions.

use std::sync::Arc;
use std::time::Instant;

use super::backoff::Backoff;
use super::config::{PoolConfig, PoolConfigError, ReplicaConfig};
use super::connection::{CloseReason, Counts, Phase};
use super::effect::{AcquireError, DrainTarget};
use super::grow::{Place, is_in};
use super::lane::{LaneId, LaneKey, Scope};
use super::replica::{Replica, ReplicaId};
use super::state::Pool;

impl Pool {
    /// Adds a replica and begins to open its minimum of connections, as many side by side as `max_opening` allows.
    ///
    /// # Errors
    /// If the settings cannot be used.
    pub fn add_replica(&mut self, now: Instant, config: ReplicaConfig) -> Result<ReplicaId, PoolConfigError> {
        config.check()?;
        let id = self.replicas.insert(Replica::new(config, self.drain_by));
        self.settle(now);
        self.debug_check();
        Ok(id)
    }

    /// Changes the limits of a replica. Connections above a lower maximum finish their calls first. What a new
    /// connection would be opened to is the driver's knowledge: if that changed too, see [`Self::recycle`].
    ///
    /// # Errors
    /// If the settings cannot be used, or there is no such replica; nothing is changed then.
    pub fn configure_replica(
        &mut self,
        now: Instant,
        id: ReplicaId,
        config: ReplicaConfig,
    ) -> Result<(), PoolConfigError> {
        config.check()?;
        self.replicas.get_mut(id).ok_or(PoolConfigError::UnknownReplica)?.config = config;
        self.trim();
        self.settle(now);
        self.debug_check();
        Ok(())
    }

    /// Ends the pause after failures to open a connection of this replica: whoever asks has reason to hope. A crash loop
    /// is left alone.
    pub fn try_again(&mut self, now: Instant, id: ReplicaId) {
        let Some(replica) = self.replicas.get_mut(id) else { return };
        replica.backoff.try_now(now);
        self.settle(now);
        self.debug_check();
    }

    /// Replaces all connections of a replica, each with no call lost, because what it is opened to has changed; and
    /// forgives its failures. Those in service stay until their replacement is open, where there is room for both.
    pub fn recycle(&mut self, now: Instant, id: ReplicaId) {
        let Some(replica) = self.replicas.get_mut(id) else { return };
        replica.backoff = Backoff::default();
        for conn in self.conns.keys() {
            if self.conns[conn].replica != id {
                continue;
            }
            match self.conns[conn].phase {
                Phase::Opening => self.close(conn, CloseReason::Recycled),
                Phase::Live { .. } => self.expire(conn, CloseReason::Recycled),
                _ => {}
            }
        }
        self.settle(now);
        self.debug_check();
    }

    /// Drains a replica until `deadline` and then forgets it.
    pub fn remove_replica(&mut self, now: Instant, id: ReplicaId, deadline: Instant) {
        let Some(replica) = self.replicas.get_mut(id) else { return };
        replica.removed = true;
        self.drain_replica(now, id, deadline);
        self.forget_if_removed(id);
        self.settle(now);
        self.debug_check();
    }

    /// Changes the settings of the pool. Connections above a lower maximum finish their calls first.
    ///
    /// # Errors
    /// If the settings cannot be used; nothing is changed then.
    pub fn reconfigure(&mut self, now: Instant, config: PoolConfig) -> Result<(), PoolConfigError> {
        config.check()?;
        self.config = config;
        for (_, conn) in self.conns.iter_mut() {
            let interval = self.config.health_check_interval.mul_f64(conn.stretch);
            conn.probe_at = conn.probe_at.min(now + interval);
        }
        self.trim();
        self.settle(now);
        self.debug_check();
        Ok(())
    }

    /// The settings in force.
    pub fn config(&self) -> &PoolConfig {
        &self.config
    }

    /// Takes no new calls, refuses those that wait, closes connections as their calls end, and at `deadline` all that
    /// are left. A replica stays so until it is removed; the pool, for good.
    pub fn drain(&mut self, now: Instant, target: DrainTarget, deadline: Instant) {
        match target {
            DrainTarget::Replica(id) => self.drain_replica(now, id, deadline),
            DrainTarget::All => {
                self.drain_by = Some(deadline);
                for id in self.replicas.keys() {
                    self.drain_replica(now, id, deadline);
                }
            }
        }
        self.settle(now);
        self.debug_check();
    }

    /// Whether no connection is left, not even one that is being closed.
    pub fn is_drained(&self, target: DrainTarget) -> bool {
        match target {
            DrainTarget::All => self.counts.total() == 0,
            DrainTarget::Replica(id) => {
                self.replicas.get(id).is_none_or(|replica| replica.counts.total() == 0)
            }
        }
    }

    fn drain_replica(&mut self, now: Instant, id: ReplicaId, deadline: Instant) {
        let Some(replica) = self.replicas.get_mut(id) else { return };
        replica.drain_by = Some(deadline);
        let error = AcquireError::Draining { replica: Arc::clone(&replica.config.name) };
        for lane in self.lanes_where(|key| key.replica == id) {
            self.refuse_lane(lane, &error);
        }
        for conn in self.conns.keys() {
            if self.conns[conn].replica != id {
                continue;
            }
            match self.conns[conn].phase {
                Phase::Opening => self.close(conn, CloseReason::Drained),
                Phase::Live { .. } if deadline <= now => self.close(conn, CloseReason::Drained),
                Phase::Live { .. } => self.drain_connection(conn, CloseReason::Drained),
                Phase::Draining(reason) if deadline <= now => self.close(conn, reason),
                _ => {}
            }
        }
    }

    /// A principal or session is gone: its connections close with their last calls, and its waiting calls are
    /// refused. [`Scope::Shared`] and [`Scope::Request`] do not end.
    pub fn scope_ended(&mut self, now: Instant, scope: Scope) {
        if matches!(scope, Scope::Shared | Scope::Request) {
            return;
        }
        for lane in self.lanes_where(|key| key.scope == Some(scope)) {
            let state = &self.lanes[lane];
            let conns: Vec<_> = state.idle.iter().chain(&state.busy).copied().collect();
            // Before the connections go, for with the last of them the lane is forgotten.
            self.refuse_lane(lane, &AcquireError::ScopeEnded);
            for conn in conns {
                self.drain_connection(conn, CloseReason::ScopeEnded);
            }
        }
        self.settle(now);
        self.debug_check();
    }

    fn lanes_where(&self, wanted: impl Fn(&LaneKey) -> bool) -> Vec<LaneId> {
        self.lanes.iter().filter(|(_, lane)| wanted(&lane.key)).map(|(id, _)| id).collect()
    }

    /// Takes connections out of service until there are no more than the maxima allow.
    fn trim(&mut self) {
        for id in self.replicas.keys() {
            let variants = self.replicas[id].variants.iter().map(|(variant, _)| *variant);
            for variant in variants.collect::<Vec<_>>() {
                while let Some(replica) = self.replicas.get(id)
                    && let Counts { opening, live, .. } = replica.counts_of(variant)
                    && opening + live > replica.most(variant)
                {
                    self.drop_one(Some((id, variant)));
                }
            }
        }
        while self.counts.opening + self.counts.live > self.config.max_connections {
            self.drop_one(None);
        }
    }

    /// Takes the connection out of service that is missed least: one that is not open yet, else an idle one, else the
    /// one with the fewest calls.
    fn drop_one(&mut self, of: Place) {
        let mine = self.conns.iter().filter(|(_, conn)| is_in(of, conn));
        let ranked = mine.filter(|(_, conn)| conn.phase == Phase::Opening || conn.is_live());
        let least = ranked.min_by_key(|(id, conn)| {
            (conn.is_live(), conn.in_flight > 0, self.holds_state(*id), conn.in_flight, conn.last_used)
        });
        let Some((id, conn)) = least else { return };
        if conn.is_live() {
            self.drain_connection(id, CloseReason::Shrunk);
        } else {
            self.close(id, CloseReason::Shrunk);
        }
    }
}
