//! The circuit breaker of one replica: the one state machine behind every ejection.
//!
//! ```text
//!            a reason                back-off over              trial succeeds             time
//!  closed ─────────────▶ open ─────────────────────▶ half-open ────────────────▶ slow start ─────▶ closed
//!                          ▲                             │                           │
//!                          └──── longer back-off ────────┴───────────────────────────┘
//! ```

use std::time::{Duration, Instant};

use super::config::HealthConfig;
use super::outcome::Reason;

/// Share of the back-off that is added at random, so that replicas that failed together are not tried together.
const JITTER: f64 = 0.5;
/// Least share of a replica in slow start: it must get a call now and then, to be known.
const MIN_SHARE: f64 = 0.05;
/// Doublings after which every back-off is at its longest.
const MAX_DOUBLINGS: u32 = 24;

/// The state of a replica's circuit breaker, as shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BreakerState {
    /// In use.
    Closed,
    /// Back in use, with a share that still grows.
    SlowStart,
    /// Out of use.
    Open,
    /// Out of use but for one trial, which is due or under way.
    HalfOpen,
}

impl BreakerState {
    /// A word for status, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::SlowStart => "slow-start",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// What a breaker allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// In use.
    Healthy,
    /// Out by the word of its calls: may serve if too few others are left.
    Ejected,
    /// Out by the word of a probe: may not serve.
    Down,
}

#[derive(Debug, Clone)]
pub(crate) struct Breaker {
    state: State,
    /// Openings with no healthy spell between them, which make the back-off grow.
    doublings: u32,
    /// Openings since the start.
    openings: u32,
    /// Times that it came back.
    recoveries: u32,
}

#[derive(Debug, Clone)]
enum State {
    Closed { since: Instant, warming: bool },
    Open(Opening),
}

/// The facts of an open breaker.
#[derive(Debug, Clone)]
pub(crate) struct Opening {
    pub(crate) reason: Reason,
    pub(crate) until: Instant,
    /// A probe has confirmed it.
    pub(crate) down: bool,
    /// A call that tries it is under way.
    pub(crate) trial: bool,
}

impl Breaker {
    /// A closed breaker: with `warming`, its replica joins others that are at work, and begins with a small share.
    pub(crate) fn new(warming: bool, now: Instant) -> Self {
        Self { state: State::Closed { since: now, warming }, doublings: 0, openings: 0, recoveries: 0 }
    }

    pub(crate) fn standing(&self) -> Standing {
        match &self.state {
            State::Closed { .. } => Standing::Healthy,
            State::Open(opening) if opening.down => Standing::Down,
            State::Open(_) => Standing::Ejected,
        }
    }

    pub(crate) fn opening(&self) -> Option<&Opening> {
        match &self.state {
            State::Closed { .. } => None,
            State::Open(opening) => Some(opening),
        }
    }

    pub(crate) fn opening_mut(&mut self) -> Option<&mut Opening> {
        match &mut self.state {
            State::Closed { .. } => None,
            State::Open(opening) => Some(opening),
        }
    }

    pub(crate) fn state(&self, slow_start: Duration, now: Instant) -> BreakerState {
        match &self.state {
            State::Closed { .. } if self.share(slow_start, now) < 1.0 => BreakerState::SlowStart,
            State::Closed { .. } => BreakerState::Closed,
            State::Open(opening) if opening.trial || now >= opening.until => BreakerState::HalfOpen,
            State::Open(_) => BreakerState::Open,
        }
    }

    /// The share of its usual traffic that the replica may have: grows from nearly 0 to 1 in slow start.
    pub(crate) fn share(&self, slow_start: Duration, now: Instant) -> f64 {
        match self.state {
            State::Closed { since, warming: true } => {
                let age = now.saturating_duration_since(since);
                if age >= slow_start {
                    return 1.0;
                }
                (age.as_secs_f64() / slow_start.as_secs_f64()).max(MIN_SHARE)
            }
            _ => 1.0,
        }
    }

    /// Opens, or opens again with a longer back-off. `random` lies within 0 and 1.
    pub(crate) fn open(
        &mut self,
        reason: Reason,
        down: bool,
        config: &HealthConfig,
        random: f64,
        now: Instant,
    ) {
        if let State::Closed { since, .. } = self.state
            && now.saturating_duration_since(since) > config.backoff_max
        {
            self.doublings = 0;
        }
        let backoff = config.backoff_min.saturating_mul(1 << self.doublings).min(config.backoff_max);
        let until = now + backoff.mul_f64(1.0 + JITTER * random);
        self.doublings = (self.doublings + 1).min(MAX_DOUBLINGS);
        self.openings = self.openings.saturating_add(1);
        self.state = State::Open(Opening { reason, until, down, trial: false });
    }

    /// Closes into slow start.
    pub(crate) fn recover(&mut self, now: Instant) {
        self.recoveries = self.recoveries.saturating_add(1);
        self.state = State::Closed { since: now, warming: true };
    }

    pub(crate) fn openings(&self) -> u32 {
        self.openings
    }

    pub(crate) fn recoveries(&self) -> u32 {
        self.recoveries
    }
}
