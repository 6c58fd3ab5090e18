//! Lanes: which connections are interchangeable for a call, and who waits for one of them.

use std::collections::VecDeque;
use std::time::Instant;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::arena::{Arena, arena_key};
use super::connection::ConnId;
use super::replica::ReplicaId;

/// What a call needs of a connection. Connections that serve one lane are interchangeable for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lane {
    /// The replica that the call goes to.
    pub replica: ReplicaId,
    /// A way of talking to the replica that is fixed when a connection opens, such as the era; the pool does not look
    /// into it.
    pub variant: u8,
    /// Who may share the connection.
    pub scope: Scope,
}

/// Who may share a connection. A connection that carried a call of one scope never carries one of another.
///
/// The numbers stand for principals and sessions: the caller gives each its own and never one to two of them at a
/// time, so a hash will not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Everybody whose calls are shared too.
    Shared,
    /// The calls of one principal.
    Principal(u64),
    /// The calls of one client session: they all go through one connection, for what it holds is the session.
    Session(u64),
    /// One call; then the connection is closed.
    Request,
}

arena_key! {
    /// A lane that has connections or waiters.
    pub(super) struct LaneId;
}

/// What [`Lane`] says, and `scope: None` for connections that carried no call yet and are anybody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct LaneKey {
    pub(super) replica: ReplicaId,
    pub(super) variant: u8,
    pub(super) scope: Option<Scope>,
}

impl LaneKey {
    pub(super) fn unbound(replica: ReplicaId, variant: u8) -> Self {
        Self { replica, variant, scope: None }
    }

    /// The lane that waiters of this key wait for; `None` for unbound connections, which nobody waits for.
    pub(super) fn lane(self) -> Option<Lane> {
        let Self { replica, variant, scope } = self;
        scope.map(|scope| Lane { replica, variant, scope })
    }
}

impl From<Lane> for LaneKey {
    fn from(lane: Lane) -> Self {
        Self { replica: lane.replica, variant: lane.variant, scope: Some(lane.scope) }
    }
}

/// A call that waits for a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiter {
    /// Its place in the order of all events; within a queue it only grows.
    pub(super) sequence: u64,
    pub(super) since: Instant,
    /// Refused at the first tick from here on.
    pub(super) deadline: Instant,
}

/// A waiting call, for [`Pool::cancel`](super::Pool::cancel) and to recognise what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WaiterId {
    pub(super) lane: LaneId,
    pub(super) sequence: u64,
}

/// The connections that serve a lane, and its queue.
#[derive(Debug)]
pub(super) struct LaneState {
    pub(super) key: LaneKey,
    /// Connections without a call, the most recently used last.
    pub(super) idle: Vec<ConnId>,
    /// Connections with calls, in no order; each knows its position.
    pub(super) busy: Vec<ConnId>,
    /// First come, first served.
    pub(super) queue: VecDeque<Waiter>,
    pub(super) last_grant: Option<Instant>,
}

impl LaneState {
    /// Connections that serve the lane.
    pub(super) fn live(&self) -> usize {
        self.idle.len() + self.busy.len()
    }

    /// Orders lanes by how long ago they were last served, or began to wait: the first is the next.
    /// `None` if nobody waits.
    pub(super) fn hungry_since(&self) -> Option<(Instant, u64)> {
        let head = self.queue.front()?;
        Some((self.last_grant.map_or(head.since, |at| at.max(head.since)), head.sequence))
    }

    pub(super) fn take_waiter(&mut self, sequence: u64) -> Option<Waiter> {
        let at = self.queue.binary_search_by_key(&sequence, |waiter| waiter.sequence).ok()?;
        self.queue.remove(at)
    }
}

/// All lanes that have connections or waiters.
#[derive(Debug)]
pub(super) struct Lanes {
    ids: HashMap<LaneKey, LaneId, FixedState>,
    states: Arena<LaneId, LaneState>,
}

impl Lanes {
    pub(super) fn new() -> Self {
        Self { ids: HashMap::with_hasher(FixedState::default()), states: Arena::new() }
    }

    pub(super) fn find(&self, key: &LaneKey) -> Option<(LaneId, &LaneState)> {
        let id = *self.ids.get(key)?;
        Some((id, &self.states[id]))
    }

    /// The lane, new if it had neither connections nor waiters.
    pub(super) fn enter(&mut self, key: LaneKey) -> LaneId {
        let states = &mut self.states;
        *self.ids.entry(key).or_insert_with(|| {
            let (idle, busy, queue) = (Vec::new(), Vec::new(), VecDeque::new());
            states.insert(LaneState { key, idle, busy, queue, last_grant: None })
        })
    }

    /// Forgets the lane if it has neither connections nor waiters.
    pub(super) fn tidy(&mut self, id: LaneId) {
        if let Some(lane) = self.states.get(id)
            && lane.live() == 0
            && lane.queue.is_empty()
        {
            self.ids.remove(&lane.key);
            self.states.remove(id);
        }
    }

    pub(super) fn get_mut(&mut self, id: LaneId) -> Option<&mut LaneState> {
        self.states.get_mut(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (LaneId, &LaneState)> {
        self.states.iter()
    }

    /// Lanes in which somebody waits, the hungriest first.
    pub(super) fn hungriest_first(&self) -> Vec<LaneId> {
        let mut waiting: Vec<_> =
            self.iter().filter_map(|(id, lane)| Some((lane.hungry_since()?, id))).collect();
        waiting.sort_unstable();
        waiting.into_iter().map(|(_, id)| id).collect()
    }
}

impl std::ops::Index<LaneId> for Lanes {
    type Output = LaneState;

    fn index(&self, id: LaneId) -> &LaneState {
        &self.states[id]
    }
}

impl std::ops::IndexMut<LaneId> for Lanes {
    fn index_mut(&mut self, id: LaneId) -> &mut LaneState {
        &mut self.states[id]
    }
}
