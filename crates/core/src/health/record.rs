//! What is known of one replica's health: calls and probes come in, a standing comes out.

use std::time::{Duration, Instant};

use super::breaker::{Breaker, Standing};
use super::config::HealthConfig;
use super::latency::Latency;
use super::outcome::{FailureKind, Outcome, Reason};
use super::window::Window;

/// Least time between two probes of a replica that is in doubt; also the time without any answer that casts doubt.
pub(crate) const RECHECK: Duration = Duration::from_secs(1);
/// A probe without a report for so long is given up, so that a lost report cannot stop probing.
const PROBE_LOST: Duration = Duration::from_secs(60);

const SUCCESS: usize = 0;
const FAILURE: usize = 1;

/// The health of one replica.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) breaker: Breaker,
    pub(crate) latency: Latency,
    window: Window<2>,
    failures_in_row: u32,
    timeouts_in_row: u32,
    rest_until: Option<Instant>,
    /// When the next regular probe is due.
    next_probe: Instant,
    last_probe: Option<Instant>,
    /// When the probe that is under way began.
    probing: Option<Instant>,
    probe_failed: bool,
    /// After a pause of this process: no ejection by calls before this time, unless a probe reports earlier.
    spared_until: Option<Instant>,
}

/// How a call relates to the breaker of its replica, each with the number of openings when the call began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// The replica was healthy.
    Ordinary(u32),
    /// The one call that tries whether the replica is well again.
    Trial(u32),
    /// The replica was ejected, but too few others were left.
    Panic(u32),
}

impl Call {
    fn openings(self) -> u32 {
        match self {
            Self::Ordinary(openings) | Self::Trial(openings) | Self::Panic(openings) => openings,
        }
    }
}

/// A change of standing, for whoever logs it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Shift {
    Out(Reason),
    Back,
}

impl Record {
    /// A healthy replica, with the time of its first regular probe.
    pub(crate) fn new(warming: bool, first_probe: Instant, now: Instant) -> Self {
        Self {
            breaker: Breaker::new(warming, now),
            latency: Latency::new(now),
            window: Window::new(now),
            failures_in_row: 0,
            timeouts_in_row: 0,
            rest_until: None,
            next_probe: first_probe,
            last_probe: None,
            probing: None,
            probe_failed: false,
            spared_until: None,
        }
    }

    /// For how long the replica rests, if it does.
    pub(crate) fn rest(&self, now: Instant) -> Option<Duration> {
        self.rest_until.and_then(|until| until.checked_duration_since(now)).filter(|rest| !rest.is_zero())
    }

    pub(crate) fn rest_for(&mut self, rest: Duration, now: Instant) {
        let until = now + rest.min(Outcome::MAX_REST);
        self.rest_until = self.rest_until.max(Some(until));
    }

    /// Success rate of the last ten seconds and the calls behind it; `None` without calls.
    pub(crate) fn success_rate(&mut self, now: Instant) -> Option<(f64, u32)> {
        let totals = self.window.totals(now);
        let calls = totals[SUCCESS].saturating_add(totals[FAILURE]);
        (calls > 0).then(|| (f64::from(totals[SUCCESS]) / f64::from(calls), calls))
    }

    /// Whether one call may now try the replica again.
    pub(crate) fn call_trial_due(&self, config: &HealthConfig, now: Instant) -> bool {
        self.breaker.opening().is_some_and(|opening| {
            let by_call = config.probe_interval.is_none() || !(opening.down || opening.reason.may_hang());
            by_call && !opening.trial && !self.probe_under_way(now) && now >= opening.until
        })
    }

    /// Whether a probe should be sent now; it is then taken to be under way.
    pub(crate) fn start_probe(
        &mut self,
        stalled: bool,
        panic: bool,
        config: &HealthConfig,
        now: Instant,
    ) -> bool {
        let due = self.probe_due(stalled, panic, config, now);
        if due && let Some(interval) = config.probe_interval {
            self.probing = Some(now);
            self.last_probe = Some(now);
            self.next_probe = now + interval;
        }
        due
    }

    fn probe_due(&self, stalled: bool, panic: bool, config: &HealthConfig, now: Instant) -> bool {
        let Some(interval) = config.probe_interval else { return false };
        if self.probe_under_way(now) {
            return false;
        }
        let regular = now >= self.next_probe;
        let recheck = interval.min(RECHECK);
        let again = self.last_probe.is_none_or(|last| now.saturating_duration_since(last) >= recheck);
        match self.breaker.opening() {
            None => regular || (again && self.in_doubt(stalled)),
            Some(opening) if opening.trial => false,
            // A probe put it out: a probe takes it back, however long the back-off.
            Some(opening) if opening.down => regular || (again && now >= opening.until),
            // In panic it may be serving: find out soon whether it can.
            Some(_) if panic && again => true,
            Some(opening) if opening.reason.may_hang() => again && now >= opening.until,
            // A call is the better trial, but there may be none that may be spent on it.
            Some(opening) => again && now >= opening.until + recheck,
        }
    }

    fn probe_under_way(&self, now: Instant) -> bool {
        self.probing.is_some_and(|since| now.saturating_duration_since(since) < PROBE_LOST)
    }

    /// Something speaks against the replica, but not enough to take it out.
    fn in_doubt(&self, stalled: bool) -> bool {
        stalled || self.probe_failed || self.failures_in_row > 0
    }

    /// The probe that began at `started` ended. `busy`: calls are in flight; `stalled`: and none has been answered for
    /// [`RECHECK`].
    pub(crate) fn probed(
        &mut self,
        started: Instant,
        outcome: Outcome,
        (busy, stalled): (bool, bool),
        config: &HealthConfig,
        random: f64,
        now: Instant,
    ) -> Option<Shift> {
        // One that was given up, or that this process slept through, tells nothing.
        self.probing.take_if(|probing| *probing == started)?;
        self.last_probe = Some(now);
        if outcome != Outcome::Cancelled {
            self.spared_until = None;
        }
        match outcome {
            Outcome::Cancelled => None,
            Outcome::Success => self.probe_succeeded(now),
            Outcome::Overloaded { retry_after } => {
                self.rest_for(retry_after.unwrap_or(Outcome::DEFAULT_REST), now);
                self.probe_succeeded(now)
            }
            Outcome::Failure(kind) => {
                // A server that computes may be unable to answer a probe in time, and still finish its calls.
                let down = !(kind == FailureKind::Timeout && busy);
                let reason = Reason::Probe(kind);
                if let Some(opening) = self.breaker.opening_mut()
                    && now < opening.until
                {
                    // It was not its turn yet: what is worse than known is noted, the back-off stays.
                    let worse = down && !opening.down;
                    if worse {
                        (opening.down, opening.reason) = (true, reason);
                    }
                    return worse.then_some(Shift::Out(reason));
                }
                if self.breaker.opening().is_some() || self.in_doubt(stalled) {
                    return Some(self.take_out(reason, down, config, random, now));
                }
                self.probe_failed = true;
                None
            }
        }
    }

    fn probe_succeeded(&mut self, now: Instant) -> Option<Shift> {
        self.probe_failed = false;
        let opening = self.breaker.opening()?;
        let enough = opening.down || opening.reason.may_hang() || now >= opening.until;
        (enough && !opening.trial).then(|| self.take_back(now))
    }

    /// Marks the trial as under way and says what to call it.
    pub(crate) fn trial_started(&mut self) -> Call {
        if let Some(opening) = self.breaker.opening_mut() {
            opening.trial = true;
        }
        Call::Trial(self.breaker.openings())
    }

    /// A call ended after `latency`; `None` for the latency if this process slept meanwhile.
    pub(crate) fn finished(
        &mut self,
        call: Call,
        outcome: Outcome,
        latency: Option<Duration>,
        config: &HealthConfig,
        random: f64,
        now: Instant,
    ) -> Option<Shift> {
        let trial = call == Call::Trial(self.breaker.openings());
        // A call from before the replica was last taken out tells of another time.
        let latency = latency.filter(|_| call.openings() == self.breaker.openings());
        if trial && let Some(opening) = self.breaker.opening_mut() {
            opening.trial = false;
        }
        match outcome {
            Outcome::Success => {
                if let Some(latency) = latency {
                    self.latency.observe(latency, now);
                }
                self.succeeded(call, now)
            }
            Outcome::Overloaded { retry_after } => {
                self.rest_for(retry_after.unwrap_or(Outcome::DEFAULT_REST), now);
                self.alive(call, now)
            }
            Outcome::Cancelled => {
                self.waited(latency, now);
                None
            }
            Outcome::Failure(kind) => {
                self.waited(latency, now);
                // What failed while this process slept may have failed because of that; so may what was under way when
                // the replica was taken out.
                latency?;
                if self.breaker.opening().is_some() {
                    return trial
                        .then(|| self.take_out(Reason::Trial(kind), self.is_down(), config, random, now));
                }
                let reason = self.failed(kind, config, now)?;
                Some(self.take_out(reason, false, config, random, now))
            }
        }
    }

    /// The trial was answered, and not as it should be.
    pub(crate) fn tried_in_vain(
        &mut self,
        call: Call,
        reason: Reason,
        config: &HealthConfig,
        random: f64,
        now: Instant,
    ) -> Option<Shift> {
        let current = call == Call::Trial(self.breaker.openings());
        current.then(|| self.take_out(reason, self.is_down(), config, random, now))
    }

    fn waited(&mut self, waited: Option<Duration>, now: Instant) {
        if let Some(waited) = waited {
            self.latency.observe_at_least(waited, now);
        }
    }

    fn succeeded(&mut self, call: Call, now: Instant) -> Option<Shift> {
        if self.breaker.opening().is_some() {
            return self.alive(call, now);
        }
        self.failures_in_row = 0;
        self.timeouts_in_row = 0;
        self.window.add(SUCCESS, now);
        None
    }

    /// Takes the replica back if the call that it answered is proof enough: one that was sent since it was taken out,
    /// or any if only a probe spoke against it.
    fn alive(&mut self, call: Call, now: Instant) -> Option<Shift> {
        let opening = self.breaker.opening()?;
        let since = self.breaker.openings();
        let proof = call == Call::Trial(since)
            || call == Call::Panic(since)
            || matches!(opening.reason, Reason::Probe(_));
        (proof && !opening.trial).then(|| self.take_back(now))
    }

    /// Counts a failed call of a healthy replica: is it a reason to take it out?
    fn failed(&mut self, kind: FailureKind, config: &HealthConfig, now: Instant) -> Option<Reason> {
        if self.spared_until.is_some_and(|until| now < until) {
            return None;
        }
        self.window.add(FAILURE, now);
        self.failures_in_row = self.failures_in_row.saturating_add(1);
        self.timeouts_in_row = if kind == FailureKind::Timeout { self.timeouts_in_row + 1 } else { 0 };
        if !config.ejection {
            return None;
        }
        if self.timeouts_in_row >= config.timeouts_in_row {
            return Some(Reason::Timeouts { in_a_row: self.timeouts_in_row });
        }
        if self.failures_in_row >= config.failures_in_row {
            return Some(Reason::Failures { in_a_row: self.failures_in_row, last: kind });
        }
        let (rate, calls) = self.success_rate(now)?;
        (calls >= config.min_calls && rate < config.success_rate)
            .then_some(Reason::SuccessRate { rate, calls })
    }

    /// Takes the replica out, or out again.
    pub(crate) fn take_out(
        &mut self,
        reason: Reason,
        down: bool,
        config: &HealthConfig,
        random: f64,
        now: Instant,
    ) -> Shift {
        self.breaker.open(reason, down, config, random, now);
        Shift::Out(reason)
    }

    /// Takes the replica back: what was known of it is about another time.
    pub(crate) fn take_back(&mut self, now: Instant) -> Shift {
        self.breaker.recover(now);
        self.latency = Latency::new(now);
        self.window = Window::new(now);
        self.failures_in_row = 0;
        self.timeouts_in_row = 0;
        self.probe_failed = false;
        Shift::Back
    }

    /// This process was stopped for a while: probe at once, and let no call eject until the probe has reported, or
    /// until `spared_until`.
    pub(crate) fn paused(&mut self, spared_until: Instant, now: Instant) {
        self.probing = None;
        self.spared_until = Some(spared_until);
        self.next_probe = now;
        self.last_probe = None;
    }

    /// Whether a pause of this process is too recent to judge the replica.
    pub(crate) fn is_spared(&self, now: Instant) -> bool {
        self.spared_until.is_some_and(|until| now < until)
    }

    fn is_down(&self) -> bool {
        self.breaker.standing() == Standing::Down
    }
}
