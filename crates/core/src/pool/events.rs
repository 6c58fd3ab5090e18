//! What the driver reports of connections, and how they change their phase.

use std::sync::Arc;
use std::time::Instant;

use super::backoff::{STABLE_AFTER, unit};
use super::connection::{CloseReason, ConnId, Phase};
use super::effect::{AcquireError, Effect};
use super::lane::{LaneId, LaneKey, Scope};
use super::replica::ReplicaId;
use super::state::Pool;

/// Lifetimes and times between probes vary by this share either way.
const JITTER: f64 = 0.1;

impl Pool {
    /// A connection that was to be opened is open.
    pub fn opened(&mut self, now: Instant, id: ConnId) {
        if let Some(conn) = self.conns.get(id) {
            self.opened_as(now, id, conn.variant);
        }
    }

    /// A connection that was to be opened is open in `variant`, which may not be the one that was asked for: the
    /// replica has only this one. The calls that waited for the other, and those that ask for it from now on, are refused
    /// with [`AcquireError::OtherVariant`], to ask again for this one.
    pub fn opened_as(&mut self, now: Instant, id: ConnId, variant: u8) {
        let Some(conn) = self.conns.get_mut(id).filter(|conn| conn.phase == Phase::Opening) else { return };
        let (replica_id, asked) = (conn.replica, std::mem::replace(&mut conn.variant, variant));
        self.replicas[replica_id].subtract(asked, Phase::Opening);
        self.replicas[replica_id].add(variant, Phase::Opening);
        self.replicas[replica_id].learn(asked, variant);
        if asked != variant {
            self.turn_away(replica_id, asked);
        }
        self.sequence += 1;
        let stretch = self.stretch();
        let conn = &mut self.conns[id];
        conn.opened_at = now;
        conn.opened_sequence = self.sequence;
        conn.last_used = now;
        conn.answered_at = now;
        conn.stretch = stretch;
        conn.probe_at = conn.proved_until(self.config.health_check_interval);
        self.set_phase(id, Phase::Live { expiring: None });
        self.join_lane(id, None);
        let min = self.replicas[replica_id].config.min(&self.config);
        let replica = &mut self.replicas[replica_id];
        replica.counters.opened();
        replica.backoff.opened(now);
        replica.warming &= replica.counts.live < min;
        if let Some(replaced) = self.oldest_expiring(replica_id, Some(variant))
            && let Phase::Live { expiring: Some(reason) } = self.conns[replaced].phase
        {
            self.drain_connection(replaced, reason);
        }
        self.settle(now);
        self.debug_check();
    }

    /// Refuses the calls that wait for a variant which the replica does not have.
    fn turn_away(&mut self, replica: ReplicaId, variant: u8) {
        let lanes: Vec<LaneId> = self
            .lanes
            .iter()
            .filter(|(_, lane)| lane.key.replica == replica && lane.key.variant == variant)
            .map(|(id, _)| id)
            .collect();
        for id in lanes {
            self.refuse_lane(id, &AcquireError::OtherVariant);
        }
    }

    /// A connection could not be opened. `error` says why, with the last lines that a child wrote about it.
    pub fn open_failed(&mut self, now: Instant, id: ConnId, error: Arc<str>) {
        self.ended(now, id, error);
    }

    /// A connection is gone, whether it was to be closed or ended without our doing; with it, the calls on it.
    /// `error` says why, as far as that is known, with the last lines that a child wrote.
    pub fn closed(&mut self, now: Instant, id: ConnId, error: Arc<str>) {
        self.ended(now, id, error);
    }

    fn ended(&mut self, now: Instant, id: ConnId, error: Arc<str>) {
        let Some(phase) = self.conns.get(id).map(|conn| conn.phase) else { return };
        match phase {
            Phase::Opening => {
                let begun = self.conns[id].begun_at;
                let dice = self.roll();
                let replica = &mut self.replicas[self.conns[id].replica];
                replica.counters.open_failures += 1;
                replica.warming = false;
                replica.backoff.failed(now, begun, error, replica.config.process, dice);
            }
            Phase::Live { .. } => {
                self.blame(now, id, error);
                self.leave_lane(id);
                self.replicas[self.conns[id].replica].counters.retired[CloseReason::Lost as usize] += 1;
            }
            Phase::Draining(_) => self.blame(now, id, error),
            Phase::Closing => {}
        }
        if let Some(conn) = self.conns.remove(id) {
            self.counts.subtract(conn.phase);
            self.replicas[conn.replica].subtract(conn.variant, conn.phase);
            self.forget_if_removed(conn.replica);
        }
        self.settle(now);
        self.debug_check();
    }

    /// A probe came to its end.
    pub fn probed(&mut self, now: Instant, id: ConnId, healthy: bool) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.probing = false;
        if healthy {
            conn.answered_at = now;
            conn.suspect = false;
            conn.probe_at = conn.proved_until(self.config.health_check_interval);
            let at = conn.probe_at;
            self.due_by(at);
        } else if conn.is_live() {
            self.drain_connection(id, CloseReason::Unhealthy);
            self.settle(now);
        }
        self.debug_check();
    }

    /// A call found its connection broken.
    pub(super) fn broken(&mut self, now: Instant, id: ConnId) {
        if self.conns[id].phase != Phase::Closing {
            self.blame(now, id, "a call found the connection broken".into());
            self.close(id, CloseReason::Broken);
            self.settle(now);
        }
        self.debug_check();
    }

    /// Counts the end of a connection that had only just opened as a failure of its replica.
    fn blame(&mut self, now: Instant, id: ConnId, error: Arc<str>) {
        let conn = &self.conns[id];
        if now - conn.opened_at < STABLE_AFTER {
            let (replica, begun) = (conn.replica, conn.begun_at);
            let dice = self.roll();
            let replica = &mut self.replicas[replica];
            replica.warming = false;
            replica.backoff.failed(now, begun, error, replica.config.process, dice);
        }
    }

    /// Takes a live connection out of service; it closes with the last of its calls, or now if it has none.
    pub(super) fn drain_connection(&mut self, id: ConnId, reason: CloseReason) {
        let conn = &self.conns[id];
        if !conn.is_live() {
            return;
        }
        if conn.in_flight == 0 {
            self.close(id, reason);
        } else {
            self.leave_lane(id);
            self.retire(id, reason);
        }
    }

    /// Counts a live connection, which is no longer in any lane, as draining.
    pub(super) fn retire(&mut self, id: ConnId, reason: CloseReason) {
        self.set_phase(id, Phase::Draining(reason));
        self.replicas[self.conns[id].replica].counters.retired[reason as usize] += 1;
    }

    /// Has a connection closed now, whatever it carries.
    pub(super) fn close(&mut self, id: ConnId, reason: CloseReason) {
        match self.conns[id].phase {
            Phase::Closing => return,
            Phase::Live { .. } => {
                self.leave_lane(id);
                self.retire(id, reason);
            }
            Phase::Opening | Phase::Draining(_) => {}
        }
        self.set_phase(id, Phase::Closing);
        self.effects.push(Effect::Close { conn: id, reason });
    }

    /// Marks a live connection for replacement: where it would be missed, it stays until the replacement is open.
    pub(super) fn expire(&mut self, id: ConnId, reason: CloseReason) {
        let conn = &self.conns[id];
        let replica = &self.replicas[conn.replica];
        let missed = conn.in_flight > 0 || replica.counts.live <= replica.config.min(&self.config);
        match conn.phase {
            Phase::Live { expiring: None } if missed => {
                self.set_phase(id, Phase::Live { expiring: Some(reason) });
            }
            Phase::Live { expiring: None } => self.drain_connection(id, reason),
            _ => {}
        }
    }

    pub(super) fn set_phase(&mut self, id: ConnId, phase: Phase) {
        let conn = &mut self.conns[id];
        let before = std::mem::replace(&mut conn.phase, phase);
        self.counts.subtract(before);
        self.counts.add(phase);
        let (replica, variant) = (&mut self.replicas[conn.replica], conn.variant);
        replica.subtract(variant, before);
        replica.add(variant, phase);
    }

    /// Makes a live connection serve the lane of `scope`, or, with `None`, whoever comes first.
    pub(super) fn join_lane(&mut self, id: ConnId, scope: Option<Scope>) {
        let conn = &mut self.conns[id];
        let lane_id = self.lanes.enter(LaneKey { replica: conn.replica, variant: conn.variant, scope });
        let lane = &mut self.lanes[lane_id];
        conn.lane = Some(lane_id);
        if conn.in_flight == 0 {
            lane.idle.push(id);
        } else {
            conn.busy_at = lane.busy.len();
            lane.busy.push(id);
        }
    }

    /// Takes a connection out of its lane.
    pub(super) fn leave_lane(&mut self, id: ConnId) {
        let conn = &mut self.conns[id];
        let Some(lane_id) = conn.lane.take() else { return };
        let lane = &mut self.lanes[lane_id];
        // Not by the count of calls: one that is just being leased is still among the idle.
        if let Some(at) = lane.idle.iter().rposition(|idle| *idle == id) {
            lane.idle.remove(at);
        } else {
            let place = conn.busy_at;
            lane.busy.swap_remove(place);
            if let Some(moved) = lane.busy.get(place).copied() {
                self.conns[moved].busy_at = place;
            }
        }
        self.lanes.tidy(lane_id);
    }

    /// Whether the users of a connection would miss what it holds.
    pub(super) fn holds_state(&self, id: ConnId) -> bool {
        let conn = &self.conns[id];
        let scope = conn.lane.and_then(|lane| self.lanes[lane].key.scope);
        match scope {
            Some(Scope::Session(_)) => true,
            Some(_) => self.replicas[conn.replica].config.stateful,
            None => false,
        }
    }

    /// Drops a replica that was removed, with its last connection.
    pub(super) fn forget_if_removed(&mut self, id: ReplicaId) {
        let replica = &self.replicas[id];
        if replica.removed && replica.counts.total() == 0 {
            self.past.add(&replica.counters);
            self.replicas.remove(id);
        }
    }

    /// A random factor around 1, by which things that began together drift apart.
    fn stretch(&mut self) -> f64 {
        1.0 + JITTER * (2.0 * unit(self.roll()) - 1.0)
    }
}
