//! Rules under a simulated clock, one tick a second.

mod burn;
mod defaults;
mod model;
mod states;

use std::collections::HashMap;

use super::*;

/// Figures that a test sets.
#[derive(Debug, Default)]
struct Set {
    values: HashMap<Signal, f64>,
    requests: u64,
    counts: Counts,
}

impl Figures for Set {
    fn value(&self, signal: Signal, _: &Scope, _: Window) -> Option<f64> {
        self.values.get(&signal).copied()
    }

    fn requests(&self, _: &Scope, _: Window) -> Option<u64> {
        Some(self.requests)
    }

    fn counts(&self, _: Counted, _: &Scope) -> Option<Counts> {
        Some(self.counts)
    }
}

/// Alerts, what they look at, and the time.
struct Bench {
    alerts: Alerts,
    figures: Set,
    start: Instant,
    now: Instant,
}

impl Bench {
    fn new(rules: Vec<Rule>) -> Self {
        Self::repeating(rules, None)
    }

    fn repeating(rules: Vec<Rule>, repeat: Option<Duration>) -> Self {
        let start = Instant::now();
        let figures = Set { requests: 100, ..Set::default() };
        Self { alerts: Alerts::new(rules, repeat, start), figures, start, now: start }
    }

    /// Sets a signal, or leaves it without a value.
    fn set(&mut self, signal: Signal, value: Option<f64>) {
        match value {
            Some(value) => self.figures.values.insert(signal, value),
            None => self.figures.values.remove(&signal),
        };
    }

    /// Ticks at this moment, then lets a second pass.
    fn tick(&mut self) -> Vec<Event> {
        let events = self.alerts.tick(&self.figures, self.now);
        self.now += Duration::from_secs(1);
        events
    }

    /// Ticks so often; returns what happened, with the second of the tick.
    fn ticks(&mut self, count: u64) -> Vec<(u64, What)> {
        let mut all = Vec::new();
        for _ in 0..count {
            let second = self.second();
            all.extend(self.tick().into_iter().map(|event| (second, event.what)));
        }
        all
    }

    /// The second of the next tick.
    fn second(&self) -> u64 {
        self.now.duration_since(self.start).as_secs()
    }

    fn state(&self) -> State {
        self.alerts.read()[0].state
    }

    fn ack(&self, by: &str) -> Ack {
        Ack { by: by.into(), at: self.now, note: None }
    }
}

/// `latency_p95` above 200 ms, held for so many seconds.
fn slow(name: &str, hold: u64, resolve_after: u64) -> Rule {
    Rule {
        name: name.into(),
        condition: Condition::Threshold {
            signal: Signal::LatencyP95,
            comparison: Comparison::Above,
            threshold: 200.0,
            window: Window::OneMinute,
        },
        scope: Scope::All,
        hold: Duration::from_secs(hold),
        resolve_after: Duration::from_secs(resolve_after),
        severity: Severity::Warning,
        min_requests: 1,
        is_default: false,
    }
}
