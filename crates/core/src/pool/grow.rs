//! What to open and for whom, and which connections have to go for it.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::connection::{CloseReason, ConnId, Connection, Counts, Phase};
use super::effect::{AcquireError, Effect};
use super::lane::{Lane, LaneId, LaneKey, Scope};
use super::replica::ReplicaId;
use super::state::Pool;

/// What is already arranged for lanes that come first, while those that wait are looked at in turn.
#[derive(Default)]
struct Plan {
    /// Openings under way that will serve a lane, by what they open.
    booked: Tally<(ReplicaId, u8)>,
    /// Connections on their way out whose room is spoken for, by where the room is missing.
    promised: Tally<Place>,
}

/// Where room is missing: in one variant of a replica, or (`None`) in the whole pool.
pub(super) type Place = Option<(ReplicaId, u8)>;

/// Whether a connection takes up room there.
pub(super) fn is_in(place: Place, conn: &Connection) -> bool {
    place.is_none_or(|of| of == (conn.replica, conn.variant))
}

struct Tally<K>(Vec<(K, u32)>);

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: PartialEq> Tally<K> {
    /// Takes one of `there` under `key`, unless all are taken.
    fn take(&mut self, key: K, there: u32) -> bool {
        let at = self.0.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
            self.0.push((key, 0));
            self.0.len() - 1
        });
        let taken = &mut self.0[at].1;
        let left = *taken < there;
        *taken += u32::from(left);
        left
    }
}

/// What became of the wish for a connection.
#[derive(PartialEq, Eq)]
enum Wish {
    Opened,
    /// It has to wait for room in the pool, or for another opening to end.
    Later,
    /// It has to wait for something that concerns nobody else, or has been refused.
    Held,
}

impl Pool {
    /// Brings everything into line after something happened: serves who can be served, opens what is wanted.
    pub(super) fn settle(&mut self, now: Instant) {
        self.serve(now);
        if !self.grow(now) {
            self.fill(now);
        }
        self.give_up_expiring(now);
        self.due = self.earliest(now);
    }

    /// Gives free connections to those that wait, the hungriest lane first.
    fn serve(&mut self, now: Instant) {
        while self.waiting > 0 {
            let fits = self.lanes.iter().filter_map(|(id, state)| {
                let hungry = state.hungry_since()?;
                let conn = self.fitting(state.key.lane()?)?;
                Some((hungry, id, conn))
            });
            let Some((_, lane, conn)) = fits.min_by_key(|(hungry, ..)| *hungry) else { return };
            self.grant(now, lane, conn);
        }
    }

    /// Opens connections for lanes in which calls wait. True if one of them has to wait for room that others could
    /// take from it.
    pub(super) fn grow(&mut self, now: Instant) -> bool {
        if self.waiting == 0 {
            return false;
        }
        let (mut plan, mut short) = (Plan::default(), false);
        for lane_id in self.lanes.hungriest_first() {
            let state = &self.lanes[lane_id];
            let (key, unserved) = (state.key, state.live() == 0);
            if !unserved && matches!(key.scope, Some(Scope::Session(_))) {
                continue;
            }
            let wanted = if key.scope == Some(Scope::Request) { state.queue.len() } else { 1 };
            for _ in 0..wanted {
                let under_way = self.opening(key.replica, key.variant);
                if unserved && plan.booked.take((key.replica, key.variant), under_way) {
                    continue;
                }
                if !unserved && under_way > 0 {
                    break;
                }
                match self.open_for(now, lane_id, key, unserved, &mut plan) {
                    Wish::Opened if unserved => {
                        plan.booked.take((key.replica, key.variant), under_way + 1);
                    }
                    Wish::Opened | Wish::Held => break,
                    Wish::Later => {
                        short = true;
                        break;
                    }
                }
            }
        }
        short
    }

    /// Opens a connection for a lane, or takes a step towards it.
    fn open_for(
        &mut self,
        now: Instant,
        lane_id: LaneId,
        key: LaneKey,
        unserved: bool,
        plan: &mut Plan,
    ) -> Wish {
        let replica = &self.replicas[key.replica];
        if !replica.may_open(now, &self.config) {
            if unserved && let Some(error) = self.unavailable(now, key.replica, key.variant) {
                self.refuse_lane(lane_id, &error);
            }
            return Wish::Held;
        }
        if self.counts.opening >= self.config.max_opening {
            return Wish::Later;
        }
        let place = if !replica.has_room(key.variant) {
            Some((key.replica, key.variant))
        } else if self.counts.total() >= self.config.max_connections {
            None
        } else {
            self.open(now, key.replica, key.variant);
            return Wish::Opened;
        };
        self.make_room(now, place, lane_id, unserved, plan);
        if place.is_none() { Wish::Later } else { Wish::Held }
    }

    /// Sends a connection away, unless one is on its way out for this lane.
    fn make_room(&mut self, now: Instant, place: Place, lane_id: LaneId, unserved: bool, plan: &mut Plan) {
        let counts = place.map_or(self.counts, |(of, variant)| self.replicas[of].counts_of(variant));
        let closing = counts.closing;
        let leaving =
            |conn: &&Connection| conn.phase == Phase::Draining(CloseReason::Reclaimed) && is_in(place, conn);
        let reclaimed = self.conns.iter().map(|(_, conn)| conn).filter(leaving).count() as u32;
        if plan.promised.take(place, closing + reclaimed) {
            return;
        }
        if let Some(victim) = self.idle_victim(place, unserved) {
            self.close(victim, CloseReason::Evicted);
        } else if unserved
            && self.lanes[lane_id].hungry_since().is_some_and(|(at, _)| at + self.config.reclaim_after <= now)
            && let Some(victim) = self.busy_victim(place, lane_id)
        {
            self.drain_connection(victim, CloseReason::Reclaimed);
        } else {
            return;
        }
        plan.promised.take(place, closing + reclaimed + 1);
    }

    /// The idle connection that was not used for longest; one that holds state only if there is no other, and only
    /// for a lane that has none.
    fn idle_victim(&self, place: Place, also_stateful: bool) -> Option<ConnId> {
        let idle = self.conns.iter().filter(|(_, conn)| conn.is_idle());
        let idle = idle.filter(|(_, conn)| is_in(place, conn));
        let ranked = idle.map(|(id, conn)| (self.holds_state(id), conn.last_used, id));
        let (_, _, id) = ranked.filter(|(stateful, ..)| also_stateful || !stateful).min()?;
        Some(id)
    }

    /// The connection in use that its lane can spare best, and that will soon be free.
    fn busy_victim(&self, place: Place, for_lane: LaneId) -> Option<ConnId> {
        let busy = self.conns.iter().filter(|(_, conn)| conn.is_live() && conn.in_flight > 0);
        let busy = busy.filter(|(_, conn)| is_in(place, conn));
        let ranked = busy.filter(|(_, conn)| conn.lane != Some(for_lane)).map(|(id, conn)| {
            let siblings = conn.lane.map_or(0, |lane| self.lanes[lane].live());
            (self.holds_state(id), Reverse(siblings), conn.in_flight, conn.last_used, id)
        });
        ranked.min().map(|(.., id)| id)
    }

    /// Opens one more for a lane whose connections all have as many calls as they should, if that costs nobody
    /// anything.
    pub(super) fn widen(&mut self, now: Instant, lane: Lane) {
        let replica = &self.replicas[lane.replica];
        let room = replica.has_room(lane.variant)
            && self.counts.total() < self.config.max_connections
            && self.counts.opening < self.config.max_opening;
        if room
            && self.waiting == 0
            && replica.counts.opening == 0
            && replica.may_open(now, &self.config)
            && !matches!(lane.scope, Scope::Session(_))
        {
            self.open(now, lane.replica, lane.variant);
        }
    }

    /// Opens what is missing to keep every replica's minimum and to replace what expires. The replica with the fewest
    /// connections comes first, so that a maximum below the sum of the minimums is shared evenly.
    fn fill(&mut self, now: Instant) {
        while self.counts.opening < self.config.max_opening
            && self.counts.total() < self.config.max_connections
        {
            let lacking = self.replicas.iter().filter_map(|(id, replica)| {
                let lacks = replica.may_open(now, &self.config)
                    && replica.missing(replica.config.min(&self.config)) > 0
                    && (replica.warming || replica.counts.opening == 0);
                if !lacks {
                    return None;
                }
                let expiring = self.oldest_expiring(id, None);
                let variant = expiring.map_or(replica.config.variant, |conn| self.conns[conn].variant);
                replica.has_room_to_replace(variant).then_some((id, variant, replica))
            });
            let poorest = lacking.min_by_key(|(.., replica)| replica.counts.live + replica.counts.opening);
            let Some((id, variant, _)) = poorest else { return };
            self.open(now, id, variant);
        }
    }

    /// Retires connections that await a replacement for which there is no room.
    fn give_up_expiring(&mut self, now: Instant) {
        if self.counts.expiring == 0 {
            return;
        }
        for id in self.conns.keys() {
            let Phase::Live { expiring: Some(reason) } = self.conns[id].phase else { continue };
            let replica = &self.replicas[self.conns[id].replica];
            let full = !replica.has_room_to_replace(self.conns[id].variant)
                || self.counts.total() >= self.config.max_connections;
            // One at a time: the room that it leaves is for its replacement.
            let Counts { opening, draining, closing, .. } = replica.counts;
            if full && replica.may_open(now, &self.config) && opening + draining + closing == 0 {
                self.drain_connection(id, reason);
            }
        }
    }

    /// The connection that has been awaiting its replacement (in `variant`) for longest.
    pub(super) fn oldest_expiring(&self, replica: ReplicaId, variant: Option<u8>) -> Option<ConnId> {
        if self.replicas[replica].counts.expiring == 0 {
            return None;
        }
        let mine = self.conns.iter().filter(|(_, conn)| conn.replica == replica);
        let mine = mine.filter(|(_, conn)| variant.is_none_or(|variant| variant == conn.variant));
        let expiring = mine.filter(|(_, conn)| matches!(conn.phase, Phase::Live { expiring: Some(_) }));
        expiring.min_by_key(|(_, conn)| conn.opened_sequence).map(|(id, _)| id)
    }

    /// Asks for a new connection. There must be room.
    fn open(&mut self, now: Instant, replica: ReplicaId, variant: u8) {
        let conn = self.conns.insert(Connection::opening(replica, variant, now));
        self.counts.add(Phase::Opening);
        self.replicas[replica].add(variant, Phase::Opening);
        debug_assert!(self.counts.total() <= self.config.max_connections, "S2: no more than the maximum");
        let replica_now = &self.replicas[replica];
        debug_assert!(replica_now.counts_of(variant).total() <= replica_now.most(variant));
        self.effects.push(Effect::Open { conn, replica, variant });
    }

    /// Connections of a replica that are being opened in a variant.
    pub(super) fn opening(&self, replica: ReplicaId, variant: u8) -> u32 {
        if self.replicas[replica].counts.opening == 0 {
            return 0;
        }
        let opening = self.conns.iter().filter(|(_, conn)| {
            conn.phase == Phase::Opening && conn.replica == replica && conn.variant == variant
        });
        opening.count() as u32
    }

    /// The error for calls that only a new connection could serve, if the replica is known to be bad.
    pub(super) fn unavailable(&self, now: Instant, replica: ReplicaId, variant: u8) -> Option<AcquireError> {
        let backoff = &self.replicas[replica].backoff;
        if backoff.may_try(now) || self.opening(replica, variant) > 0 {
            return None;
        }
        Some(AcquireError::Unavailable {
            replica: Arc::clone(&self.replicas[replica].config.name),
            error: backoff.last_error().map_or_else(|| "".into(), Arc::clone),
            retry_in: backoff.retry_at().map_or(Duration::ZERO, |at| at.saturating_duration_since(now)),
            crash_looping: backoff.crash_looping(),
        })
    }
}
