//! Alerts: rules over the figures, and what becomes of each of them from tick to tick.
//!
//! A rule is *inactive* until its condition holds, *pending* until it has held for as long as the rule asks, then
//! *firing* until it has not held for `resolve_after`, and *resolved* from then on. A firing one can be *acknowledged*,
//! which silences its repeats until it resolves. A rule with a `hold` is never firing without having been pending.
//!
//! # What is not known
//! A signal has no value where nothing was measured, such as the latency of no calls. That neither begins nor ends
//! anything by itself: the time for which nothing is known does not count for `hold` nor for `resolve_after`. When
//! nothing has been known for [`NO_DATA_AFTER`], a pending rule becomes inactive and a firing one resolves, and says
//! that it did so for lack of data. Time in which nobody looked (the process was stopped) counts as not known too.
//!
//! # Layout
//! - [`signal`], [`scope`]: what can be watched, and of what.
//! - [`rule`], [`thresholds`]: from which value on it is an alert, and the rules that there are by default.
//! - `counts`: counters over the last minutes or hours, for rates that nobody else keeps.
//! - `tracked`: one rule in the course of time.
//! - [`record`]: one firing, as it is kept and told.

mod counts;
pub mod record;
pub mod rule;
pub mod scope;
pub mod signal;
#[cfg(test)]
mod tests;
pub mod thresholds;
mod tracked;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use self::counts::Counts;
pub use self::record::{Firing, Resolution};
pub use self::rule::{BurnRate, Comparison, Condition, Rule, Severity};
pub use self::scope::{Scope, ScopeKind};
pub use self::signal::{Signal, Unit, Window};
pub use self::thresholds::Thresholds;
pub use self::tracked::{Ack, State};
use self::tracked::{Change, Tracked};

/// For how long a signal may have no value until that counts as the condition not holding any more.
pub const NO_DATA_AFTER: Duration = Duration::from_secs(60);
/// Two ticks further apart than this have not seen what was between them.
pub const LONGEST_STEP: Duration = Duration::from_secs(10);

/// What the rules look at, at one moment.
pub trait Figures {
    /// The value of a signal in its unit, over the window where it has one; `None` where nothing was measured. Signals
    /// that are shares of [`Figures::counts`] are not asked for here.
    fn value(&self, signal: Signal, scope: &Scope, window: Window) -> Option<f64>;
    /// The calls that ended within the window; `None` where they are not counted.
    fn requests(&self, scope: &Scope, window: Window) -> Option<u64>;
    /// Counters since the start, of which shares are made; `None` where they are not counted.
    fn counts(&self, counted: Counted, scope: &Scope) -> Option<Counts>;
}

/// What can be counted since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Calls, and those that failed.
    Requests,
    /// Connections asked for, and those that had to be opened.
    Pool,
    /// Look-ups in the result cache, and those without success.
    Cache,
}

/// Something that is worth telling.
#[derive(Debug, Clone)]
pub struct Event {
    /// The rule.
    pub rule: Arc<Rule>,
    /// What happened.
    pub what: What,
    /// The firing that it belongs to, numbered from 1.
    pub firing: u64,
    /// The value at this moment, or the last one known.
    pub value: f64,
    /// The value of the firing that was furthest beyond the threshold.
    pub peak: f64,
    /// When the rule began to fire.
    pub since: Instant,
    /// Who has acknowledged it, if anybody has.
    pub ack: Option<Ack>,
}

/// What happened to a firing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It began.
    Fired,
    /// It goes on, and it is time to say so again.
    Repeated,
    /// Somebody has acknowledged it.
    Acknowledged,
    /// It is over.
    Resolved(Resolution),
}

/// How a rule is at this moment.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The rule.
    pub rule: Arc<Rule>,
    /// Its state.
    pub state: State,
    /// Since when it is in that state; `None` while it has never left the first one.
    pub since: Option<Instant>,
    /// The value at the last tick; `None` if it was not known.
    pub value: Option<f64>,
    /// The firing that is open.
    pub firing: Option<Open>,
}

/// A firing that is not over.
#[derive(Debug, Clone)]
pub struct Open {
    /// Its number, from 1.
    pub number: u64,
    /// When it began.
    pub since: Instant,
    /// The value that was furthest beyond the threshold.
    pub peak: f64,
    /// The last known value.
    pub last: f64,
    /// Who has acknowledged it, if anybody has.
    pub ack: Option<Ack>,
}

/// Why nothing was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AckError {
    /// No rule has this name.
    #[error("no alert rule is called {name:?}; there are: {}", known.join(", "))]
    Unknown {
        /// The name.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// It does not fire.
    #[error("{name:?} is not firing, it is {}", state.as_str())]
    NotFiring {
        /// The name.
        name: String,
        /// How it is.
        state: State,
    },
}

/// All rules, and how each of them is.
#[derive(Debug)]
pub struct Alerts {
    tracked: Vec<Tracked>,
    /// How long a firing goes on until it is told again; `None`: it is not.
    repeat: Option<Duration>,
    fired: u64,
}

impl Alerts {
    /// Rules that are all inactive, at a moment when nothing has been counted. Their names should differ; of two with the
    /// same name only the first can be acknowledged.
    pub fn new(rules: Vec<Rule>, repeat: Option<Duration>, now: Instant) -> Self {
        let tracked = rules.into_iter().map(|rule| Tracked::new(Arc::new(rule), Some(now))).collect();
        Self { tracked, repeat, fired: 0 }
    }

    /// Puts other rules in the place of these. A rule that is the same in every respect goes on as it was; a firing one
    /// that is gone or has changed resolves.
    pub fn replace(&mut self, rules: Vec<Rule>, repeat: Option<Duration>) -> Vec<Event> {
        self.repeat = repeat;
        let mut former = std::mem::take(&mut self.tracked);
        self.tracked = rules
            .into_iter()
            .map(|rule| match former.iter().position(|old| *old.rule == rule) {
                Some(at) => former.swap_remove(at),
                None => Tracked::new(Arc::new(rule), None),
            })
            .collect();
        let mut gone: Vec<Event> =
            former.iter_mut().filter_map(|old| old.end(Resolution::RuleChanged)).collect();
        gone.sort_by_key(|event| event.firing);
        gone
    }

    /// Looks at the figures, once a second or so, and tells what has changed by it.
    pub fn tick(&mut self, figures: &dyn Figures, now: Instant) -> Vec<Event> {
        let mut events = Vec::new();
        for tracked in &mut self.tracked {
            let change = tracked.tick(figures, self.repeat, now);
            let what = match change {
                None => continue,
                Some(Change::Fires) => {
                    self.fired += 1;
                    tracked.number(self.fired);
                    What::Fired
                }
                Some(Change::Repeats) => What::Repeated,
                Some(Change::Resolves(resolution)) => {
                    events.extend(tracked.end_at(resolution, now));
                    continue;
                }
            };
            events.extend(tracked.event(what));
        }
        events
    }

    /// Acknowledges a firing rule: it is not told again until it resolves. One that was acknowledged before stays as it
    /// was and there is no event.
    ///
    /// # Errors
    /// If there is no such rule, or if it does not fire.
    pub fn acknowledge(&mut self, name: &str, ack: Ack) -> Result<Option<Event>, AckError> {
        let Some(tracked) = self.tracked.iter_mut().find(|tracked| &*tracked.rule.name == name) else {
            let known = self.tracked.iter().map(|tracked| tracked.rule.name.to_string()).collect();
            return Err(AckError::Unknown { name: name.to_owned(), known });
        };
        match tracked.acknowledge(ack) {
            Ok(true) => Ok(tracked.event(What::Acknowledged)),
            Ok(false) => Ok(None),
            Err(state) => Err(AckError::NotFiring { name: name.to_owned(), state }),
        }
    }

    /// Ends every firing because nobody will look any more.
    pub fn stop(&mut self) -> Vec<Event> {
        self.tracked.iter_mut().filter_map(|tracked| tracked.end(Resolution::Stopped)).collect()
    }

    /// How each rule is, in the order in which they were given.
    pub fn read(&self) -> Vec<Reading> {
        self.tracked.iter().map(Tracked::read).collect()
    }
}
