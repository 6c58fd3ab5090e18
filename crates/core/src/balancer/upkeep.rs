//! What happens between calls: probes, slow replicas, rests, and pauses of this process.

use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::call::{Change, Probe, Tick};
use super::replica::{Replica, ReplicaId};
use super::state::Balancer;
use crate::health::{HealthConfig, Outcome, Reason, Shift, Standing};

/// A gap in the times that the balancer is told, after which this process is taken to have been stopped: five missed
/// ticks.
const PAUSE: Duration = Duration::from_secs(5);
/// Latencies older than this are not compared.
const FRESH: Duration = Duration::from_secs(10);
/// Most changes that are kept for the next tick.
const MAX_CHANGES: usize = 256;

impl Balancer {
    /// What time brings, once a second: slow replicas are ejected, probes become due.
    pub fn tick(&mut self, now: Instant) -> Tick {
        self.notice(now);
        if self.config.health.ejection {
            self.eject_slow(now);
        }
        let panic = self.in_panic();
        let mut probes = Vec::new();
        for replica in &mut self.replicas {
            let stalled = replica.is_stalled(now);
            if replica.health.start_probe(stalled, panic, &self.config.health, now) {
                probes.push(Probe { replica: replica.id, started: now });
            }
        }
        Tick { probes, changes: mem::take(&mut self.changes) }
    }

    /// Takes the outcome of a probe. One that does not come for a minute is taken to be lost.
    #[expect(clippy::needless_pass_by_value, reason = "a probe is reported once")]
    pub fn probed(&mut self, probe: Probe, outcome: Outcome, now: Instant) {
        self.notice(now);
        let Probe { replica: id, started } = probe;
        let Some(position) = self.position(id) else { return };
        let random = self.random.unit();
        let replica = &mut self.replicas[position];
        let load = (replica.in_flight > 0, replica.is_stalled(now));
        let shift = replica.health.probed(started, outcome, load, &self.config.health, random, now);
        self.shifted(position, shift, now);
    }

    /// Tells a replica to rest: it takes no calls for so long, at most [`Outcome::MAX_REST`].
    pub fn rest(&mut self, replica: ReplicaId, duration: Duration, now: Instant) {
        if let Some(position) = self.position(replica) {
            self.replicas[position].health.rest_for(duration, now);
        }
    }

    /// A new process or connection took the place of a replica that was out: it is back in use, in slow start. One that
    /// fails again and again still finds its back-off growing.
    pub fn renewed(&mut self, replica: ReplicaId, now: Instant) {
        if let Some(position) = self.position(replica)
            && self.replicas[position].standing() != Standing::Healthy
        {
            let shift = self.replicas[position].health.take_back(now);
            self.shifted(position, Some(shift), now);
        }
    }

    /// Ejects a replica whose typical latency is many times the median of the others': one at a time, so that the next is
    /// judged by those that are left.
    fn eject_slow(&mut self, now: Instant) {
        let health = &self.config.health;
        let judged = |replica: &Replica| {
            replica.health.latency.typical(FRESH, now).filter(|_| replica.standing() == Standing::Healthy)
        };
        let mut sorted: Vec<Duration> = self.replicas.iter().filter_map(judged).collect();
        if sorted.len() < 2 {
            return;
        }
        sorted.sort_unstable();
        for position in 0..self.replicas.len() {
            let replica = &self.replicas[position];
            let Some(typical) = judged(replica).filter(|_| !replica.health.is_spared(now)) else { continue };
            let others = median_of_others(&sorted, typical);
            if !is_slow(typical, others, health) {
                continue;
            }
            let reason = Reason::Slow { typical, others };
            let random = self.random.unit();
            let shift =
                self.replicas[position].health.take_out(reason, false, &self.config.health, random, now);
            self.shifted(position, Some(shift), now);
            return;
        }
    }

    /// Why a replica that was out for being slow, and took so long when it was tried again, must stay out; `None` if it
    /// need not.
    pub(super) fn slowness(&self, position: usize, latency: Duration, now: Instant) -> Option<Reason> {
        let opening = self.replicas[position].health.breaker.opening()?;
        let Reason::Slow { .. } = opening.reason else { return None };
        let known = |replica: &Replica| {
            replica.health.latency.typical(FRESH, now).filter(|_| replica.standing() == Standing::Healthy)
        };
        let mut others: Vec<Duration> = self.replicas.iter().filter_map(known).collect();
        others.sort_unstable();
        let others = *others.get(others.len() / 2)?;
        is_slow(latency, others, &self.config.health).then_some(Reason::Slow { typical: latency, others })
    }

    pub(super) fn shifted(&mut self, position: usize, shift: Option<Shift>, now: Instant) {
        let Some(shift) = shift else { return };
        self.count_out();
        let replica = &self.replicas[position];
        let (id, name) = (replica.id, Arc::clone(&replica.name));
        let again_in =
            replica.health.breaker.opening().map(|opening| opening.until - now).unwrap_or_default();
        if self.changes.len() < MAX_CHANGES {
            self.changes.push(match shift {
                Shift::Out(reason) => Change::Ejected { id, name, reason, again_in },
                Shift::Back => Change::Recovered { id, name },
            });
        }
    }

    pub(super) fn count_out(&mut self) {
        self.out = self.replicas.iter().filter(|replica| replica.standing() != Standing::Healthy).count();
    }

    /// Takes note of the time. A long gap means that this process was stopped: calls seem to have timed out and
    /// replicas to have been silent that may be well, so every replica is probed before any call can eject it.
    pub(super) fn notice(&mut self, now: Instant) {
        let gap = now.saturating_duration_since(self.latest);
        self.latest = self.latest.max(now);
        if gap < PAUSE {
            return;
        }
        self.resumed = Some(now);
        self.pauses = self.pauses.saturating_add(1);
        let spared_until = now + self.config.health.probe_interval.unwrap_or(PAUSE);
        for replica in &mut self.replicas {
            replica.health.paused(spared_until, now);
            replica.silent_since = replica.silent_since.max(now);
        }
    }
}

/// Whether a latency is many times that of the others.
fn is_slow(latency: Duration, others: Duration, config: &HealthConfig) -> bool {
    latency >= config.slow_floor && latency.as_secs_f64() > others.as_secs_f64() * config.slow_factor
}

/// The median of sorted values without one that is `own`; the upper one of two. There are at least two values.
fn median_of_others(sorted: &[Duration], own: Duration) -> Duration {
    let own = sorted.partition_point(|value| *value < own);
    let middle = (sorted.len() - 1) / 2;
    sorted[if middle >= own { middle + 1 } else { middle }]
}
