//! One call through the balancer: chosen, counted, finished.
//!
//! `cargo bench -p aqe-core --bench balancer`

// A benchmark may stop at once when what it needs cannot be made.
#![allow(clippy::expect_used)]

use std::collections::VecDeque;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use aqe_core::balancer::{Affinity, Balancer, BalancerConfig, ReplicaConfig, Request, Strategy, Ticket};
use aqe_core::health::Outcome;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

const SEED: u64 = 7;
/// Calls in flight while the next is chosen.
const IN_FLIGHT: usize = 12;
/// Between two calls.
const GAP: Duration = Duration::from_micros(100);

/// A balancer under steady load, and the calls that it has in flight, oldest first.
struct Load {
    balancer: Balancer,
    in_flight: VecDeque<Ticket>,
    now: Instant,
    calls: u64,
}

impl Load {
    fn new(strategy: Strategy, replicas: usize) -> Self {
        let capacity = NonZeroU32::new(64).expect("not zero");
        let replicas = (0..replicas).map(|n| ReplicaConfig::new(&format!("http://replica-{n}"), capacity));
        let config = BalancerConfig { strategy, ..BalancerConfig::new(replicas.collect()) };
        let now = Instant::now();
        let balancer = Balancer::new(config, SEED, now).expect("usable settings");
        let mut load = Self { balancer, in_flight: VecDeque::new(), now, calls: 0 };
        for _ in 0..IN_FLIGHT {
            load.pick(&Request::default());
        }
        for _ in 0..10_000 {
            load.step(&Request::default());
        }
        load
    }

    fn pick(&mut self, request: &Request<'_>) {
        let ticket = self.balancer.pick(black_box(request), self.now).expect("there is room");
        self.in_flight.push_back(ticket);
    }

    /// One call begins and one ends.
    fn step(&mut self, request: &Request<'_>) {
        self.now += GAP;
        self.calls += 1;
        self.pick(request);
        let ticket = self.in_flight.pop_front().expect("one was just begun");
        let latency = Duration::from_micros(900 + self.calls % 7 * 50);
        self.balancer.finished(ticket, Outcome::Success, black_box(latency), self.now);
    }
}

fn call(c: &mut Criterion) {
    let mut group = c.benchmark_group("pick_and_finish");
    for strategy in Strategy::ALL {
        for replicas in [3, 16] {
            let mut load = Load::new(strategy, replicas);
            let request = Request { category: Some("search"), repeatable: true, ..Request::default() };
            group.bench_function(BenchmarkId::new(strategy.as_str(), replicas), |b| {
                b.iter(|| load.step(&request));
            });
        }
    }
    for replicas in [3, 16] {
        let mut load = Load::new(Strategy::default(), replicas);
        group.bench_function(BenchmarkId::new("sticky", replicas), |b| {
            b.iter(|| {
                let request = Request { affinity: Affinity::Key(load.calls), ..Request::default() };
                load.step(&request);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, call);
criterion_main!(benches);
