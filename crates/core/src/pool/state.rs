//! The pool, and the way of a lease through it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::arena::Arena;
use super::config::{PoolConfig, PoolConfigError};
use super::connection::{CloseReason, ConnId, Connection, Counts, Phase};
use super::effect::{Acquire, AcquireError, Effect, Lease, Outcome};
use super::lane::{Lane, LaneId, LaneKey, Lanes, Scope, Waiter, WaiterId};
use super::replica::{Replica, ReplicaId};
use super::stats::Counters;

/// A call without an answer makes a connection suspect if nothing was answered on it for this long.
const DOUBT_AFTER: Duration = Duration::from_secs(1);

/// The state of all connections and of all calls that want one. See the [module](super) for how to drive it.
#[derive(Debug)]
pub struct Pool {
    pub(super) config: PoolConfig,
    pub(super) conns: Arena<ConnId, Connection>,
    pub(super) replicas: Arena<ReplicaId, Replica>,
    pub(super) lanes: Lanes,
    /// All connections by phase: the sum of the replicas' counts.
    pub(super) counts: Counts,
    /// Waiters in all lanes.
    pub(super) waiting: usize,
    /// Orders what calls and connections do among each other.
    pub(super) sequence: u64,
    /// Nothing has to be done before this by [`Pool::tick`].
    pub(super) due: Option<Instant>,
    pub(super) effects: Vec<Effect>,
    /// State of the random numbers.
    pub(super) dice: u64,
    /// History of replicas that were removed.
    pub(super) past: Counters,
    /// Set while the whole pool is drained.
    pub(super) drain_by: Option<Instant>,
}

impl Pool {
    /// An empty pool. `seed` is a random number from which all jitter follows.
    ///
    /// # Errors
    /// If the settings cannot be used.
    pub fn new(config: PoolConfig, seed: u64) -> Result<Self, PoolConfigError> {
        config.check()?;
        Ok(Self {
            config,
            conns: Arena::new(),
            replicas: Arena::new(),
            lanes: Lanes::new(),
            counts: Counts::default(),
            waiting: 0,
            sequence: 0,
            due: None,
            effects: Vec::new(),
            dice: seed,
            past: Counters::default(),
            drain_by: None,
        })
    }

    /// Moves what the driver has to do to the end of `into`.
    pub fn take_effects(&mut self, into: &mut Vec<Effect>) {
        into.append(&mut self.effects);
    }

    /// When to call [`Self::tick`] at the latest; `None` if time alone changes nothing.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Asks for a connection for one call, whose own deadline is `deadline`.
    pub fn acquire(&mut self, now: Instant, lane: Lane, deadline: Instant) -> Acquire {
        let Some(replica) = self.replicas.get_mut(lane.replica) else {
            return Acquire::Refused(AcquireError::UnknownReplica);
        };
        if replica.drain_by.is_some() {
            replica.counters.refused += 1;
            return Acquire::Refused(AcquireError::Draining { replica: Arc::clone(&replica.config.name) });
        }
        let grow_at = replica.config.grow_at();
        let absent = replica.only.is_some_and(|only| only != lane.variant);
        let answer = match self.fitting(lane) {
            Some(conn) => {
                let calls = self.conns[conn].in_flight;
                let lease = self.lease(now, conn, lane, self.sequence);
                if calls >= grow_at {
                    self.widen(now, lane);
                }
                Acquire::Granted(lease)
            }
            // It would only be found out again by opening one more.
            None if absent => Acquire::Refused(AcquireError::OtherVariant),
            None => self.enqueue(now, lane, deadline),
        };
        self.debug_check();
        answer
    }

    /// A waiting call gives up. A connection that was granted to it in an effect not yet taken goes to the next.
    ///
    /// False if the call no longer waits: its [`Effect::Grant`] or [`Effect::Refuse`] has been taken.
    pub fn cancel(&mut self, now: Instant, waiter: WaiterId) -> bool {
        let waits = self.lanes.get_mut(waiter.lane).and_then(|lane| {
            lane.take_waiter(waiter.sequence)?;
            Some(lane.key.replica)
        });
        if let Some(replica) = waits {
            self.waiting -= 1;
            self.replicas[replica].counters.cancelled += 1;
            self.lanes.tidy(waiter.lane);
            self.debug_check();
            return true;
        }
        let granted = |effect: &Effect| matches!(effect, Effect::Grant { waiter: to, .. } if *to == waiter);
        let Some(at) = self.effects.iter().position(granted) else { return false };
        if let Effect::Grant { lease, .. } = self.effects.remove(at) {
            self.release(now, lease, Outcome::Unused);
        }
        true
    }

    /// A call is done with its connection.
    #[expect(clippy::needless_pass_by_value, reason = "what was given back must not be used again")]
    pub fn release(&mut self, now: Instant, lease: Lease, outcome: Outcome) {
        let id = lease.conn;
        // A connection that died took its calls along.
        let Some(conn) = self.conns.get_mut(id) else { return };
        debug_assert!(conn.in_flight > 0, "a lease came back twice");
        conn.in_flight -= 1;
        conn.last_used = now;
        match outcome {
            Outcome::Ok => {
                conn.answered_at = now;
                conn.suspect = false;
            }
            Outcome::Unanswered if now - conn.answered_at >= DOUBT_AFTER => {
                conn.suspect = true;
                conn.probe_at = now;
                self.due_by(now);
            }
            Outcome::Unanswered => {}
            Outcome::Unused => conn.uses -= 1,
            Outcome::Broken => return self.broken(now, id),
        }
        self.freed(now, id);
        self.debug_check();
    }

    /// Gives the place of a call that left a connection to the next.
    fn freed(&mut self, now: Instant, id: ConnId) {
        let conn = &mut self.conns[id];
        let fresh = conn.uses == 0;
        match (conn.phase, conn.lane) {
            (Phase::Live { .. }, Some(lane_id)) => {
                let idle = conn.in_flight == 0;
                let full = conn.in_flight >= self.replicas[conn.replica].config.max_calls;
                let lane = &mut self.lanes[lane_id];
                if idle {
                    let place = conn.busy_at;
                    lane.busy.swap_remove(place);
                    lane.idle.push(id);
                    if let Some(moved) = lane.busy.get(place) {
                        self.conns[*moved].busy_at = place;
                    }
                }
                if !lane.queue.is_empty() {
                    if !full {
                        self.grant(now, lane_id, id);
                    }
                } else if idle {
                    self.due_by(now + self.config.idle_timeout);
                    if fresh {
                        self.leave_lane(id);
                        self.join_lane(id, None);
                    }
                    if self.waiting > 0 {
                        self.settle(now);
                    }
                }
            }
            (Phase::Draining(CloseReason::RequestServed), _)
                if fresh && self.replicas[conn.replica].drain_by.is_none() =>
            {
                // It never carried its one call, so that it is anybody's again.
                let replica = &mut self.replicas[conn.replica];
                replica.counters.retired[CloseReason::RequestServed as usize] -= 1;
                self.set_phase(id, Phase::Live { expiring: None });
                self.join_lane(id, None);
                self.settle(now);
            }
            (Phase::Draining(reason), _) if conn.in_flight == 0 => {
                self.close(id, reason);
                self.settle(now);
            }
            _ => {}
        }
    }

    /// The connection that a call of `lane` is to use, if there is one with time for it.
    ///
    /// The most recently used idle one of its own lane first, so that what the load does not need falls idle; then
    /// the one with the fewest calls, or one that is unbound if all have as many as they should.
    pub(super) fn fitting(&self, lane: Lane) -> Option<ConnId> {
        let config = &self.replicas[lane.replica].config;
        let mut shared = None;
        if lane.scope != Scope::Request
            && let Some((_, state)) = self.lanes.find(&LaneKey::from(lane))
        {
            if let Some(idle) = state.idle.last() {
                return Some(*idle);
            }
            let calls = state.busy.iter().map(|id| (self.conns[*id].in_flight, *id));
            if let Some((calls, id)) = calls.min_by_key(|(calls, _)| *calls) {
                shared = (calls < config.max_calls).then_some(id);
                if calls < config.grow_at() || matches!(lane.scope, Scope::Session(_)) {
                    return shared;
                }
            }
        }
        let unbound = self.lanes.find(&LaneKey::unbound(lane.replica, lane.variant));
        unbound.and_then(|(_, state)| state.idle.last().copied()).or(shared)
    }

    /// Puts one more call of `lane` on a connection that [`Self::fitting`] chose. `asked` is when the call asked.
    fn lease(&mut self, now: Instant, id: ConnId, lane: Lane, asked: u64) -> Lease {
        let conn = &mut self.conns[id];
        let replica = &mut self.replicas[conn.replica];
        let hit = conn.opened_sequence <= asked;
        replica.counters.hits += u64::from(hit);
        replica.counters.misses += u64::from(!hit);
        debug_assert!(conn.in_flight < replica.config.max_calls);
        conn.in_flight += 1;
        conn.uses += 1;
        conn.last_used = now;
        let used_up = conn.is_used_up(self.config.max_uses, now);
        let serves = conn.lane.map(|lane_id| (lane_id, &mut self.lanes[lane_id]));
        debug_assert!(serves.is_some(), "only live connections are chosen");
        if let Some((_, state)) = serves {
            if state.key.scope.is_none() {
                self.bind(id, lane);
            } else {
                debug_assert_eq!(state.key, LaneKey::from(lane), "a connection must not change its scope");
                if conn.in_flight == 1 {
                    let popped = state.idle.pop();
                    debug_assert_eq!(popped, Some(id));
                    conn.busy_at = state.busy.len();
                    state.busy.push(id);
                }
                state.last_grant = Some(now);
            }
        }
        if used_up && self.conns[id].phase == (Phase::Live { expiring: None }) && !self.holds_state(id) {
            self.expire(id, CloseReason::MaxUses);
            self.due_by(now);
        }
        Lease { conn: id, hit }
    }

    /// The first call of a connection makes it that call's lane's.
    fn bind(&mut self, id: ConnId, lane: Lane) {
        self.leave_lane(id);
        if lane.scope == Scope::Request {
            self.retire(id, CloseReason::RequestServed);
        } else {
            self.join_lane(id, Some(lane.scope));
        }
    }

    /// Gives a connection to the first in the queue of a lane.
    pub(super) fn grant(&mut self, now: Instant, lane_id: LaneId, conn: ConnId) {
        let state = &mut self.lanes[lane_id];
        let Some(lane) = state.key.lane() else { return };
        let Some(waiter) = state.queue.pop_front() else { return };
        state.last_grant = Some(now);
        self.waiting -= 1;
        self.replicas[lane.replica].counters.waited(now - waiter.since);
        let lease = self.lease(now, conn, lane, waiter.sequence);
        let waiter = WaiterId { lane: lane_id, sequence: waiter.sequence };
        self.effects.push(Effect::Grant { waiter, lease });
        self.lanes.tidy(lane_id);
    }

    /// Lets a call wait, if it makes sense.
    fn enqueue(&mut self, now: Instant, lane: Lane, deadline: Instant) -> Acquire {
        if let Some(error) = self.hopeless(now, lane, deadline) {
            let counters = &mut self.replicas[lane.replica].counters;
            match error {
                AcquireError::Timeout { .. } => counters.timeouts += 1,
                _ => counters.refused += 1,
            }
            return Acquire::Refused(error);
        }
        self.sequence += 1;
        self.waiting += 1;
        let deadline = deadline.min(now + self.config.acquire_timeout);
        let lane_id = self.lanes.enter(LaneKey::from(lane));
        let state = &mut self.lanes[lane_id];
        state.queue.push_back(Waiter { sequence: self.sequence, since: now, deadline });
        let waiter = WaiterId { lane: lane_id, sequence: self.sequence };
        // One more in a queue asks for no more connections than the first did.
        let first = state.queue.len() == 1 || lane.scope == Scope::Request;
        self.due_by(deadline);
        if first {
            self.due_by(now + self.config.reclaim_after);
            self.grow(now);
        }
        Acquire::Waiting(waiter)
    }

    /// Why waiting would be in vain, if it would.
    fn hopeless(&mut self, now: Instant, lane: Lane, deadline: Instant) -> Option<AcquireError> {
        let key = LaneKey::from(lane);
        let serves = self.lanes.find(&key).is_some_and(|(_, state)| state.live() > 0);
        if !serves && let Some(error) = self.unavailable(now, lane.replica, lane.variant) {
            return Some(error);
        }
        if deadline <= now {
            let replica = Arc::clone(&self.replicas[lane.replica].config.name);
            return Some(AcquireError::Timeout { replica, waited: Duration::ZERO, pool: self.occupancy() });
        }
        if self.waiting >= self.config.max_waiting() && !self.shed(&key) {
            return Some(AcquireError::Overloaded { waiting: self.waiting });
        }
        None
    }

    /// Makes place in the full queue for a call of `key` by refusing the last of the longest lane, so that a lane that
    /// floods the pool crowds out itself only. False if that would be the caller's own, or one that is no longer.
    fn shed(&mut self, key: &LaneKey) -> bool {
        let own = self.lanes.find(key).map_or(0, |(_, lane)| lane.queue.len());
        let longest = self.lanes.iter().map(|(id, lane)| (lane.queue.len(), id)).max();
        let Some((_, id)) = longest.filter(|(length, _)| *length > own + 1) else { return false };
        let error = AcquireError::Overloaded { waiting: self.waiting };
        let Some(last) = self.lanes[id].queue.pop_back() else { return false };
        self.refuse(id, last, error);
        true
    }

    /// Tells a call that was taken out of a queue that it waited in vain.
    pub(super) fn refuse(&mut self, lane: LaneId, waiter: Waiter, error: AcquireError) {
        let counters = &mut self.replicas[self.lanes[lane].key.replica].counters;
        match error {
            AcquireError::Timeout { waited, .. } => {
                counters.timeouts += 1;
                counters.waited(waited);
            }
            _ => counters.refused += 1,
        }
        self.waiting -= 1;
        let waiter = WaiterId { lane, sequence: waiter.sequence };
        self.effects.push(Effect::Refuse { waiter, error });
    }

    /// Refuses all that wait in a lane.
    pub(super) fn refuse_lane(&mut self, lane: LaneId, error: &AcquireError) {
        while let Some(waiter) = self.lanes[lane].queue.pop_front() {
            self.refuse(lane, waiter, error.clone());
        }
        self.lanes.tidy(lane);
    }

    /// Makes sure that [`Self::tick`] is called by `at`.
    pub(super) fn due_by(&mut self, at: Instant) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// Panics, in builds with debug assertions, if something does not hold that always must.
    #[inline]
    pub(super) fn debug_check(&self) {
        #[cfg(debug_assertions)]
        if let Err(broken) = self.check() {
            panic!("the pool broke an invariant: {broken}");
        }
    }

    /// The next random number (SplitMix64).
    pub(super) fn roll(&mut self) -> u64 {
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.dice;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
