//! One rule in the course of time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::counts::{Counts, Samples};
use super::rule::{BurnRate, Condition, Rule};
use super::{Counted, Event, Figures, LONGEST_STEP, NO_DATA_AFTER, Open, Reading, Resolution, What};

/// Who has taken notice of a firing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// Who, in their own words.
    pub by: String,
    /// When.
    pub at: Instant,
    /// What they said to it.
    pub note: Option<String>,
}

/// The state of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its condition does not hold.
    Inactive,
    /// Its condition holds, not for long enough yet.
    Pending,
    /// Its condition has held for long enough.
    Firing,
    /// The same, and somebody has taken notice.
    Acknowledged,
    /// It has fired, and its condition does not hold any more.
    Resolved,
}

impl State {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }

    /// Whether it is neither inactive nor resolved.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Firing | Self::Acknowledged)
    }
}

/// What a tick has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Fires,
    Repeats,
    Resolves(Resolution),
}

#[derive(Debug)]
enum Phase {
    Inactive {
        since: Option<Instant>,
    },
    Pending {
        since: Instant,
        /// From when on it is known to have held, without the time for which nothing was known.
        held_from: Instant,
    },
    Firing {
        open: Open,
        next_repeat: Option<Instant>,
        /// From when on the condition is known not to hold.
        clear_from: Option<Instant>,
    },
    Resolved {
        since: Instant,
    },
}

/// A rule and how it is.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) rule: Arc<Rule>,
    phase: Phase,
    value: Option<f64>,
    /// The last tick at which there was a value.
    known_at: Option<Instant>,
    samples: Option<Samples>,
}

impl Tracked {
    /// A rule that is inactive. `zero` is when its counters were zero, where that is known; without it they count from the
    /// first look on.
    pub(super) fn new(rule: Arc<Rule>, zero: Option<Instant>) -> Self {
        let span = match &rule.condition {
            Condition::BurnRate(burn) => Some(burn.long),
            Condition::Threshold { signal, window, .. } => signal.counted().map(|_| window.length()),
        };
        let mut samples = span.map(Samples::new);
        if let Some((samples, zero)) = samples.as_mut().zip(zero) {
            samples.take(Counts::default(), zero);
        }
        Self { rule, phase: Phase::Inactive { since: None }, value: None, known_at: None, samples }
    }

    /// Looks at the figures.
    pub(super) fn tick(
        &mut self,
        figures: &dyn Figures,
        repeat: Option<Duration>,
        now: Instant,
    ) -> Option<Change> {
        let seen = self.value.is_some();
        self.value = self.look(figures, now).filter(|value| value.is_finite());
        let Some(value) = self.value else { return self.unknown(now) };
        // What was between this tick and the last one with a value was not seen, unless that was the one before.
        let step = self.known_at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let unseen = if seen && step <= LONGEST_STEP { Duration::ZERO } else { step };
        self.known_at = Some(now);
        let holds = self.rule.comparison().holds(value, self.rule.threshold());
        match &mut self.phase {
            Phase::Inactive { .. } | Phase::Resolved { .. } if holds => {
                if self.rule.hold.is_zero() {
                    return Some(self.fire(value, repeat, now));
                }
                self.phase = Phase::Pending { since: now, held_from: now };
                None
            }
            Phase::Inactive { .. } | Phase::Resolved { .. } => None,
            Phase::Pending { held_from, .. } if holds => {
                *held_from += unseen;
                let is_long = now.saturating_duration_since(*held_from) >= self.rule.hold;
                is_long.then(|| self.fire(value, repeat, now))
            }
            Phase::Pending { .. } => {
                self.phase = Phase::Inactive { since: Some(now) };
                None
            }
            Phase::Firing { open, next_repeat, clear_from } => {
                open.last = value;
                if holds {
                    *clear_from = None;
                    open.peak = self.rule.comparison().worse(open.peak, value);
                    let (pause, due) = repeat.zip(*next_repeat)?;
                    if open.ack.is_some() || now < due {
                        return None;
                    }
                    *next_repeat = Some(now + pause);
                    return Some(Change::Repeats);
                }
                let from = clear_from.map_or(now, |from| from + unseen);
                *clear_from = Some(from);
                let is_long = now.saturating_duration_since(from) >= self.rule.resolve_after;
                is_long.then_some(Change::Resolves(Resolution::Recovered))
            }
        }
    }

    /// Nothing was measured.
    fn unknown(&mut self, now: Instant) -> Option<Change> {
        let long = self.known_at.is_none_or(|at| now.saturating_duration_since(at) >= NO_DATA_AFTER);
        match &self.phase {
            Phase::Pending { .. } if long => {
                self.phase = Phase::Inactive { since: Some(now) };
                None
            }
            Phase::Firing { .. } if long => Some(Change::Resolves(Resolution::NoData)),
            _ => None,
        }
    }

    fn fire(&mut self, value: f64, repeat: Option<Duration>, now: Instant) -> Change {
        let open = Open { number: 0, since: now, peak: value, last: value, ack: None };
        self.phase = Phase::Firing { open, next_repeat: repeat.map(|pause| now + pause), clear_from: None };
        Change::Fires
    }

    /// Gives the firing that has just begun its number.
    pub(super) fn number(&mut self, number: u64) {
        if let Phase::Firing { open, .. } = &mut self.phase {
            open.number = number;
        }
    }

    /// The value at this moment, if there is one.
    fn look(&mut self, figures: &dyn Figures, now: Instant) -> Option<f64> {
        let rule = &self.rule;
        match &rule.condition {
            Condition::BurnRate(burn) => {
                let counts = figures.counts(Counted::Requests, &rule.scope)?;
                let samples = self.samples.as_mut()?;
                samples.take(counts, now);
                burn_rate(burn, samples, rule.min_requests, now)
            }
            Condition::Threshold { signal, window, .. } => {
                if let Some(counted) = signal.counted() {
                    let counts = figures.counts(counted, &rule.scope)?;
                    let samples = self.samples.as_mut()?;
                    samples.take(counts, now);
                    return samples.over(window.length(), now).and_then(Counts::share).map(|bad| 1.0 - bad);
                }
                if signal.is_of_calls() && figures.requests(&rule.scope, *window)? < rule.min_requests {
                    return None;
                }
                figures.value(*signal, &rule.scope, *window)
            }
        }
    }

    /// Takes notice of the firing; `false` if somebody has before.
    pub(super) fn acknowledge(&mut self, ack: Ack) -> Result<bool, State> {
        let state = self.state();
        let Phase::Firing { open, .. } = &mut self.phase else { return Err(state) };
        let is_first = open.ack.is_none();
        open.ack.get_or_insert(ack);
        Ok(is_first)
    }

    /// Ends a firing from outside; nothing happens to a rule that does not fire.
    pub(super) fn end(&mut self, resolution: Resolution) -> Option<Event> {
        let event = self.event(What::Resolved(resolution));
        self.phase = Phase::Inactive { since: None };
        event
    }

    /// Ends a firing because of what the figures say.
    pub(super) fn end_at(&mut self, resolution: Resolution, now: Instant) -> Option<Event> {
        let event = self.event(What::Resolved(resolution));
        self.phase = Phase::Resolved { since: now };
        event
    }

    /// The firing, in an event.
    pub(super) fn event(&self, what: What) -> Option<Event> {
        let Phase::Firing { open, .. } = &self.phase else { return None };
        Some(Event {
            rule: Arc::clone(&self.rule),
            what,
            firing: open.number,
            value: open.last,
            peak: open.peak,
            since: open.since,
            ack: open.ack.clone(),
        })
    }

    fn state(&self) -> State {
        match &self.phase {
            Phase::Inactive { .. } => State::Inactive,
            Phase::Pending { .. } => State::Pending,
            Phase::Firing { open, .. } if open.ack.is_some() => State::Acknowledged,
            Phase::Firing { .. } => State::Firing,
            Phase::Resolved { .. } => State::Resolved,
        }
    }

    pub(super) fn read(&self) -> Reading {
        let (since, firing) = match &self.phase {
            Phase::Inactive { since } => (*since, None),
            Phase::Pending { since, .. } | Phase::Resolved { since } => (Some(*since), None),
            Phase::Firing { open, .. } => {
                let since = open.ack.as_ref().map_or(open.since, |ack| ack.at);
                (Some(since), Some(open.clone()))
            }
        };
        Reading { rule: Arc::clone(&self.rule), state: self.state(), since, value: self.value, firing }
    }
}

/// The lesser of the burn rates over both windows: the condition asks for both.
fn burn_rate(burn: &BurnRate, samples: &Samples, min_requests: u64, now: Instant) -> Option<f64> {
    let long = samples.over(burn.long, now).filter(|counts| counts.total >= min_requests.max(1))?;
    let short = samples.over(burn.short, now)?;
    let budget = 1.0 - burn.objective;
    // Without a call in the short window the budget does not burn now.
    let rate = |counts: Counts| counts.share().unwrap_or(0.0) / budget;
    Some(rate(long).min(rate(short)))
}
