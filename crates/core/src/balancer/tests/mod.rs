//! Tests of the balancer as its driver sees it.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use super::random::Random;
use super::*;
use crate::health::{BreakerState, FailureKind, HealthConfig, Outcome, Reason};

mod choice;
mod ejection;
mod pauses;
mod properties;
mod reconfigure;
mod simulation;

const SEED: u64 = 11;
const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const ANY: Request<'static> =
    Request { affinity: Affinity::Any, exclude: &[], category: None, repeatable: false };
const REPEATABLE: Request<'static> = Request { repeatable: true, ..ANY };

fn capacity(calls: u32) -> NonZeroU32 {
    NonZeroU32::new(calls).unwrap()
}

/// Replicas `a`, `b`, … with room for so many calls each.
fn replicas(count: usize, room: u32) -> Vec<ReplicaConfig> {
    (b'a'..)
        .take(count)
        .map(|name| ReplicaConfig::new(&char::from(name).to_string(), capacity(room)))
        .collect()
}

fn config(strategy: Strategy, count: usize) -> BalancerConfig {
    BalancerConfig { strategy, ..BalancerConfig::new(replicas(count, 100)) }
}

/// A balancer with a clock of its own that ticks as a driver should.
struct Driven {
    balancer: Balancer,
    now: Instant,
    ids: Vec<ReplicaId>,
}

impl Driven {
    fn new(config: BalancerConfig) -> Self {
        let now = Instant::now();
        let balancer = Balancer::new(config, SEED, now).unwrap();
        let ids = balancer.replicas().map(|(id, _)| id).collect();
        Self { balancer, now, ids }
    }

    fn pick(&mut self, request: &Request<'_>) -> Ticket {
        self.balancer.pick(request, self.now).unwrap()
    }

    fn finish(&mut self, ticket: Ticket, outcome: Outcome) {
        self.balancer.finished(ticket, outcome, MS, self.now);
    }

    /// One call to one replica that ends at once.
    fn call_on(&mut self, replica: usize, outcome: Outcome) {
        let bound = Request { affinity: Affinity::Replica(self.ids[replica]), ..ANY };
        let ticket = self.pick(&bound);
        self.finish(ticket, outcome);
    }

    fn fail(&mut self, replica: usize, times: u32) {
        (0..times).for_each(|_| self.call_on(replica, Outcome::Failure(FailureKind::Closed)));
    }

    /// Lets so many calls of a healthy replica fail that it is ejected.
    fn eject(&mut self, replica: usize) {
        while self.status(replica).reason.is_none() {
            self.fail(replica, 1);
        }
    }

    /// Lets time pass in ticks of a quarter of a second, and answers probes as `answer` says.
    fn pass(&mut self, time: Duration, mut answer: impl FnMut(usize) -> Outcome) -> Vec<Change> {
        let end = self.now + time;
        let mut changes = Vec::new();
        while self.now < end {
            self.now = (self.now + 250 * MS).min(end);
            let tick = self.balancer.tick(self.now);
            changes.extend(tick.changes);
            for probe in tick.probes {
                let replica = self.ids.iter().position(|id| *id == probe.replica()).unwrap();
                self.balancer.probed(probe, answer(replica), self.now);
            }
        }
        changes
    }

    /// Lets time pass with probes that are never answered.
    fn pass_without_probes(&mut self, time: Duration) {
        self.pass(time, |_| Outcome::Cancelled);
    }

    fn state(&mut self, replica: usize) -> BreakerState {
        self.status(replica).state
    }

    fn status(&mut self, replica: usize) -> ReplicaStatus {
        self.balancer.status(self.now).replicas.swap_remove(replica)
    }

    /// The share of so many calls that went to each replica. Each ends before the next, after half to one and a half
    /// times the given latency.
    fn shares(&mut self, calls: u32, latency: impl Fn(usize) -> Duration) -> Vec<f64> {
        let mut random = Random::new(SEED);
        let mut counts = vec![0_u32; self.ids.len()];
        for _ in 0..calls {
            let ticket = self.pick(&ANY);
            let replica = self.ids.iter().position(|id| *id == ticket.replica()).unwrap();
            counts[replica] += 1;
            self.now += MS;
            let latency = latency(replica).mul_f64(0.5 + random.unit());
            self.balancer.finished(ticket, Outcome::Success, latency, self.now);
        }
        counts.into_iter().map(|count| f64::from(count) / f64::from(calls)).collect()
    }
}
