//! What the pool knows of one connection.

use std::time::{Duration, Instant};

use super::arena::arena_key;
use super::lane::LaneId;
use super::replica::ReplicaId;

arena_key! {
    /// A connection, from the [`Effect::Open`](super::Effect::Open) that asks for it until it is reported closed.
    /// Never reused.
    pub struct ConnId;
}

/// Why a connection was taken out of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// It was idle for long, and there are enough without it.
    IdleTimeout,
    /// It carried as many calls as one connection may.
    MaxUses,
    /// It reached the age that a connection may have.
    MaxLifetime,
    /// It was idle, and its room was needed for another.
    Evicted,
    /// It was in use, but others had been waiting for room for long.
    Reclaimed,
    /// Its health check failed.
    Unhealthy,
    /// A call found it broken.
    Broken,
    /// The principal or session that it was bound to is gone.
    ScopeEnded,
    /// It was opened for one call, which is over.
    RequestServed,
    /// The settings allow fewer connections than before.
    Shrunk,
    /// The replica is to be talked to anew, such as at a new address.
    Recycled,
    /// The pool or the replica is being drained.
    Drained,
    /// It ended without our doing. Counted only, never the reason of a [`Effect::Close`](super::Effect::Close).
    Lost,
}

impl CloseReason {
    /// All reasons, in the order in which statistics show them.
    pub const ALL: [Self; 13] = [
        Self::IdleTimeout,
        Self::MaxUses,
        Self::MaxLifetime,
        Self::Evicted,
        Self::Reclaimed,
        Self::Unhealthy,
        Self::Broken,
        Self::ScopeEnded,
        Self::RequestServed,
        Self::Shrunk,
        Self::Recycled,
        Self::Drained,
        Self::Lost,
    ];

    /// Those of a connection that failed, be it that it was found to have.
    pub(super) const UNASKED: [Self; 3] = [Self::Unhealthy, Self::Broken, Self::Lost];

    /// A word for logs, metrics and replies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::IdleTimeout => "idle-timeout",
            Self::MaxUses => "max-uses",
            Self::MaxLifetime => "max-lifetime",
            Self::Evicted => "evicted",
            Self::Reclaimed => "reclaimed",
            Self::Unhealthy => "unhealthy",
            Self::Broken => "broken",
            Self::ScopeEnded => "scope-ended",
            Self::RequestServed => "request-served",
            Self::Shrunk => "shrunk",
            Self::Recycled => "recycled",
            Self::Drained => "drained",
            Self::Lost => "lost",
        }
    }
}

/// Where in its life a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Asked for, not yet there.
    Opening,
    /// In service, and member of a lane. With `expiring` it is so only until its replacement is open.
    Live { expiring: Option<CloseReason> },
    /// Takes no new calls; closes with the last that it carries.
    Draining(CloseReason),
    /// The driver has been told to close it, and has not said yet that it did.
    Closing,
}

/// How many connections are in which phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    pub(super) opening: u32,
    pub(super) live: u32,
    /// Those of `live` that only await their replacement.
    pub(super) expiring: u32,
    pub(super) draining: u32,
    pub(super) closing: u32,
}

impl Counts {
    pub(super) fn total(&self) -> u32 {
        self.opening + self.live + self.draining + self.closing
    }

    pub(super) fn add(&mut self, phase: Phase) {
        match phase {
            Phase::Opening => self.opening += 1,
            Phase::Live { expiring } => {
                self.live += 1;
                self.expiring += u32::from(expiring.is_some());
            }
            Phase::Draining(_) => self.draining += 1,
            Phase::Closing => self.closing += 1,
        }
    }

    pub(super) fn subtract(&mut self, phase: Phase) {
        match phase {
            Phase::Opening => self.opening -= 1,
            Phase::Live { expiring } => {
                self.live -= 1;
                self.expiring -= u32::from(expiring.is_some());
            }
            Phase::Draining(_) => self.draining -= 1,
            Phase::Closing => self.closing -= 1,
        }
    }
}

/// A connection lives at least so many times as long as it took to open before it is replaced for its uses: a server
/// that starts slowly spends at most a hundredth of its time on that, however many calls there are.
const LEAST_LIFE: u32 = 100;

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) replica: ReplicaId,
    pub(super) variant: u8,
    pub(super) phase: Phase,
    /// The lane that it serves while it is live.
    pub(super) lane: Option<LaneId>,
    /// Its position among the busy ones of its lane, while it is one of them.
    pub(super) busy_at: usize,
    pub(super) in_flight: u32,
    pub(super) uses: u32,
    /// When the attempt to open it began.
    pub(super) begun_at: Instant,
    /// When it opened; meaningless while opening, as is what follows.
    pub(super) opened_at: Instant,
    /// Its opening in the order of all events.
    pub(super) opened_sequence: u64,
    pub(super) last_used: Instant,
    /// When it last proved that somebody answers: an opening, a call or a probe that succeeded.
    pub(super) answered_at: Instant,
    /// Whether a call gave up on it since then, after a time without any answer.
    pub(super) suspect: bool,
    /// Stretches its lifetime and the time between its probes: 0.9 to 1.1.
    pub(super) stretch: f64,
    pub(super) probe_at: Instant,
    pub(super) probing: bool,
}

impl Connection {
    pub(super) fn opening(replica: ReplicaId, variant: u8, now: Instant) -> Self {
        Self {
            replica,
            variant,
            phase: Phase::Opening,
            lane: None,
            busy_at: 0,
            in_flight: 0,
            uses: 0,
            begun_at: now,
            opened_at: now,
            opened_sequence: 0,
            last_used: now,
            answered_at: now,
            suspect: false,
            stretch: 1.0,
            probe_at: now,
            probing: false,
        }
    }

    pub(super) fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Live { .. })
    }

    pub(super) fn is_idle(&self) -> bool {
        self.is_live() && self.in_flight == 0
    }

    /// Until when it need not be probed, if nothing else happens.
    pub(super) fn proved_until(&self, interval: Duration) -> Instant {
        self.answered_at + interval.mul_f64(self.stretch)
    }

    /// Whether it has carried enough calls to be replaced, and lived long enough to be worth it.
    pub(super) fn is_used_up(&self, max_uses: u32, now: Instant) -> bool {
        self.uses >= max_uses && now >= self.opened_at + (self.opened_at - self.begun_at) * LEAST_LIFE
    }

    pub(super) fn expires_at(&self, max_lifetime: Duration) -> Instant {
        self.opened_at + max_lifetime.mul_f64(self.stretch)
    }
}
