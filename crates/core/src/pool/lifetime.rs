//! What time does: deadlines of calls and drains, ages, idleness and health checks of connections.

use std::sync::Arc;
use std::time::Instant;

use super::connection::{CloseReason, ConnId, Connection, Phase};
use super::effect::{AcquireError, Effect};
use super::lane::{LaneId, Scope};
use super::state::Pool;

impl Pool {
    /// Does what is due by now. Cheap when nothing is.
    pub fn tick(&mut self, now: Instant) {
        if self.due.is_none_or(|due| now < due) {
            return;
        }
        self.time_out_waiters(now);
        for (_, replica) in self.replicas.iter_mut() {
            replica.backoff.settle(now);
        }
        self.cut_off_drained(now);
        for id in self.conns.keys() {
            if self.conns[id].is_live() {
                self.look_after(now, id);
            }
        }
        self.close_idle(now);
        self.settle(now);
        self.debug_check();
    }

    fn time_out_waiters(&mut self, now: Instant) {
        let late = |lane: LaneId, pool: &Self| pool.lanes[lane].queue.iter().any(|w| w.deadline <= now);
        for lane in self.lanes.hungriest_first() {
            if !late(lane, self) {
                continue;
            }
            let pool = self.occupancy();
            let replica = Arc::clone(&self.replicas[self.lanes[lane].key.replica].config.name);
            let queue = std::mem::take(&mut self.lanes[lane].queue);
            for waiter in queue {
                if waiter.deadline <= now {
                    let (replica, waited) = (Arc::clone(&replica), now - waiter.since);
                    self.refuse(lane, waiter, AcquireError::Timeout { replica, waited, pool });
                } else {
                    self.lanes[lane].queue.push_back(waiter);
                }
            }
            self.lanes.tidy(lane);
        }
    }

    /// Closes what still carries calls when the time for draining is up.
    fn cut_off_drained(&mut self, now: Instant) {
        for id in self.conns.keys() {
            let conn = &self.conns[id];
            let up = self.replicas[conn.replica].drain_by.is_some_and(|by| by <= now);
            if up && let Phase::Draining(reason) = conn.phase {
                self.close(id, reason);
            }
        }
    }

    /// Age and health of a live connection.
    fn look_after(&mut self, now: Instant, id: ConnId) {
        let conn = &self.conns[id];
        if conn.expires_at(self.config.max_lifetime) <= now && !self.holds_state(id) {
            self.expire(id, CloseReason::MaxLifetime);
        }
        let conn = &mut self.conns[id];
        if !conn.is_live() || conn.probing || conn.probe_at > now {
            return;
        }
        // What a call has just proved need not be asked again.
        let proved_until = conn.proved_until(self.config.health_check_interval);
        if proved_until > now && !conn.suspect {
            conn.probe_at = proved_until;
        } else {
            conn.probing = true;
            self.effects.push(Effect::Probe { conn: id });
        }
    }

    /// Closes what has been idle for long, the longest first, down to each replica's minimum.
    fn close_idle(&mut self, now: Instant) {
        let idle = self.conns.iter().filter(|(_, conn)| self.may_idle_out(conn));
        let long = idle.filter(|(_, conn)| conn.last_used + self.config.idle_timeout <= now);
        let mut long: Vec<_> = long.map(|(id, conn)| (conn.last_used, id)).collect();
        long.sort_unstable();
        for (_, id) in long {
            let replica = &self.replicas[self.conns[id].replica];
            if replica.counts.live > replica.config.min(&self.config) {
                self.close(id, CloseReason::IdleTimeout);
            }
        }
    }

    /// Whether idleness ends this connection some day. What holds a session lives as long as the session.
    fn may_idle_out(&self, conn: &Connection) -> bool {
        let scope = conn.lane.and_then(|lane| self.lanes[lane].key.scope);
        conn.is_idle() && !matches!(scope, Some(Scope::Session(_)))
    }

    /// When time alone will next change something, as the pool now stands.
    pub(super) fn earliest(&self, now: Instant) -> Option<Instant> {
        let mut earliest: Option<Instant> = None;
        let mut consider = |at: Instant| earliest = Some(earliest.map_or(at, |known| known.min(at)));
        for (id, conn) in self.conns.iter() {
            let Phase::Live { expiring } = conn.phase else { continue };
            if expiring.is_none() && !self.holds_state(id) {
                consider(conn.expires_at(self.config.max_lifetime));
            }
            if !conn.probing {
                consider(conn.probe_at);
            }
            let replica = &self.replicas[conn.replica];
            if replica.counts.live > replica.config.min(&self.config) && self.may_idle_out(conn) {
                consider(conn.last_used + self.config.idle_timeout);
            }
        }
        for (_, replica) in self.replicas.iter() {
            let cut_off = replica.drain_by.filter(|_| replica.counts.draining > 0);
            // Once it may be tried, only room can be missing.
            let retry_at = replica.backoff.retry_at().filter(|at| *at > now);
            [replica.backoff.proved_at(), retry_at, cut_off].into_iter().flatten().for_each(&mut consider);
        }
        for (_, lane) in self.lanes.iter() {
            if let Some((hungry_since, _)) = lane.hungry_since() {
                // Once that is past, it is looked at with everything that happens.
                Some(hungry_since + self.config.reclaim_after).filter(|at| *at > now).map(&mut consider);
            }
            lane.queue.iter().for_each(|waiter| consider(waiter.deadline));
        }
        earliest
    }
}
