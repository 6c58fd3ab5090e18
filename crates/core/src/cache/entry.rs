//! An answer that is kept: how long it counts, and for whom.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::body::Body;
use super::namespace::{Kind, Namespace, Stamp, mark_of};
use super::place::{Place, Rule};
use super::question::Scope;

/// A pause after which a stale answer that could not be refreshed is tried again.
const REFRESH_PAUSE: Duration = Duration::from_secs(1);

/// How long an answer counts, and for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// How long it is fresh.
    pub fresh: Duration,
    /// How long after that it may be given while another one is fetched.
    pub stale: Duration,
    /// For whom.
    pub scope: Scope,
}

impl Life {
    /// What a rule says of a result; `None` if it must not be kept.
    pub fn of(rule: &Rule, body: &Body) -> Option<Self> {
        if !body.is_final {
            return None;
        }
        let scope = body.scope.unwrap_or(if rule.shared { Scope::Public } else { Scope::Private });
        let life = if body.is_error {
            // What went wrong once is not worth waiting for: it is never given for longer than that.
            Self { fresh: rule.errors?, stale: Duration::ZERO, scope }
        } else {
            let fresh = rule.ttl.or(body.ttl_ms.map(Duration::from_millis))?;
            Self { fresh, stale: rule.stale, scope }
        };
        (!life.fresh.is_zero()).then_some(life)
    }
}

/// Whether an answer counts at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It does.
    Fresh,
    /// It may be given while another one is fetched.
    Stale,
    /// Its time is over.
    Expired,
    /// Something has changed since.
    Invalid,
}

/// An answer that is kept.
#[derive(Debug)]
pub struct Entry {
    /// The answer.
    pub body: Body,
    /// How long it counts, and for whom.
    pub life: Life,
    /// The upstream's own name of the tool or prompt, or the URI.
    pub name: Box<str>,
    namespace: Arc<Namespace>,
    kind: Kind,
    mark: u8,
    stamp: Stamp,
    /// When this process got it.
    since: Instant,
    /// How old it was then.
    age: Duration,
    /// Bytes that it takes in memory.
    pub(super) bytes: u64,
    /// What it weighs in the second level: at least its share of it.
    pub(super) weight: u64,
    /// It was asked for at least once in the second level.
    pub(super) wanted: AtomicBool,
    /// The age in milliseconds from which it may be refreshed again.
    refresh_at_ms: AtomicU64,
}

/// What an entry is made of.
#[derive(Debug)]
pub struct Parts<'a> {
    /// Where it belongs.
    pub place: &'a Place,
    /// The upstream's own name of the tool or prompt, or the URI.
    pub name: &'a str,
    /// The answer.
    pub body: Body,
    /// How long it counts.
    pub life: Life,
    /// From before it was asked for.
    pub stamp: Stamp,
    /// How old it is.
    pub age: Duration,
}

impl Entry {
    /// An answer that has come at this moment.
    pub fn new(parts: Parts<'_>, now: Instant) -> Self {
        let Parts { place, name, body, life, stamp, age } = parts;
        Self {
            body,
            life,
            name: name.into(),
            namespace: Arc::clone(&place.namespace),
            kind: place.kind,
            mark: mark_of(name),
            stamp,
            since: now,
            age,
            bytes: 0,
            weight: 0,
            wanted: AtomicBool::new(false),
            refresh_at_ms: AtomicU64::new(0),
        }
    }

    /// How old the answer is.
    pub fn age(&self, now: Instant) -> Duration {
        self.age + now.saturating_duration_since(self.since)
    }

    /// How long this process has had it.
    pub(super) fn stay(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    /// The upstream that it is of.
    pub fn upstream(&self) -> &str {
        self.namespace.name()
    }

    /// What it is an answer to.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// From before it was asked for.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Whether it counts now.
    pub fn state(&self, now: Instant) -> State {
        if self.stamp != self.namespace.stamp_at(self.kind, self.mark) {
            return State::Invalid;
        }
        let age = self.age(now);
        if age < self.life.fresh {
            State::Fresh
        } else if age < self.life.fresh + self.life.stale {
            State::Stale
        } else {
            State::Expired
        }
    }

    /// Whether it is to be refreshed now by the one who asks: of all who ask for a stale answer one is told so, and
    /// again after a pause if that came to nothing.
    pub fn claim_refresh(&self, now: Instant) -> bool {
        let age = self.age(now).as_millis() as u64;
        let due = self.refresh_at_ms.load(Ordering::Relaxed);
        let next = age + REFRESH_PAUSE.as_millis() as u64;
        age >= due
            && self.refresh_at_ms.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}
