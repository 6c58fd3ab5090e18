//! A simulation of discrete events: calls arrive at random, replicas have a few workers and a queue each.
//!
//! `cargo test -p aqe-core --lib simulation -- --nocapture` prints a table.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::random::Random;
use super::*;

const REPLICAS: usize = 3;
const WORKERS: u32 = 8;
const ROOM: u32 = 64;
const MEAN_SERVICE: Duration = Duration::from_millis(10);
const CALLS: u32 = 30_000;
/// Calls at the beginning that are not measured: until the averages have settled.
const WARM_UP: u32 = 3_000;
/// Of the capacity of the fast replicas together.
const UTILISATION: f64 = 0.6;

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrival(u32),
    Served { replica: usize, call: u32 },
    Tick,
}

/// A replica of the simulation: busy workers, and calls that wait for one.
#[derive(Default)]
struct Server {
    busy: u32,
    queue: VecDeque<u32>,
}

/// What one call went through.
struct Flight {
    arrived: Duration,
    sent: Duration,
    ticket: Option<Ticket>,
}

struct Simulation {
    driven: Driven,
    start: Instant,
    random: Random,
    slowness: [f64; REPLICAS],
    events: BinaryHeap<Reverse<(Duration, Event)>>,
    servers: [Server; REPLICAS],
    flights: Vec<Flight>,
    /// Calls that found no replica with room.
    waiting: VecDeque<u32>,
    latencies: Vec<Duration>,
    sent_to: [u32; REPLICAS],
}

impl Simulation {
    fn new(strategy: Strategy, slowness: [f64; REPLICAS], ejection: bool) -> Self {
        let health = HealthConfig { ejection, ..HealthConfig::default() };
        let driven =
            Driven::new(BalancerConfig { strategy, health, ..BalancerConfig::new(replicas(REPLICAS, ROOM)) });
        Self {
            start: driven.now,
            driven,
            random: Random::new(SEED),
            slowness,
            events: BinaryHeap::new(),
            servers: Default::default(),
            flights: Vec::new(),
            waiting: VecDeque::new(),
            latencies: Vec::new(),
            sent_to: [0; REPLICAS],
        }
    }

    /// Exponentially distributed around `mean`.
    fn draw(&mut self, mean: Duration) -> Duration {
        mean.mul_f64(-(1.0 - self.random.unit()).ln())
    }

    fn run(mut self) -> Self {
        let fast = self.slowness.iter().filter(|slowness| **slowness <= 1.0).count() as f64;
        let gap = MEAN_SERVICE.div_f64(f64::from(WORKERS) * fast * UTILISATION);
        self.events.push(Reverse((Duration::ZERO, Event::Arrival(0))));
        self.events.push(Reverse((SECOND, Event::Tick)));
        while let Some(Reverse((at, event))) = self.events.pop() {
            self.driven.now = self.start + at;
            match event {
                Event::Arrival(call) => {
                    self.flights.push(Flight { arrived: at, sent: at, ticket: None });
                    self.send(call, at);
                    if call + 1 < CALLS {
                        let next = at + self.draw(gap);
                        self.events.push(Reverse((next, Event::Arrival(call + 1))));
                    }
                }
                Event::Served { replica, call } => self.served(replica, call, at),
                Event::Tick => {
                    for probe in self.driven.balancer.tick(self.driven.now).probes {
                        self.driven.balancer.probed(probe, Outcome::Success, self.driven.now);
                    }
                    if self.latencies.len() < CALLS as usize {
                        self.events.push(Reverse((at + SECOND, Event::Tick)));
                    }
                }
            }
        }
        assert_eq!(self.latencies.len(), CALLS as usize, "every call is served");
        self.latencies.drain(..WARM_UP as usize);
        self.latencies.sort_unstable();
        self
    }

    fn send(&mut self, call: u32, at: Duration) {
        let Ok(ticket) = self.driven.balancer.pick(&REPEATABLE, self.driven.now) else {
            self.waiting.push_back(call);
            return;
        };
        let replica = self.driven.ids.iter().position(|id| *id == ticket.replica()).unwrap();
        self.sent_to[replica] += u32::from(call >= WARM_UP);
        let flight = &mut self.flights[call as usize];
        (flight.ticket, flight.sent) = (Some(ticket), at);
        if self.servers[replica].busy < WORKERS {
            self.servers[replica].busy += 1;
            self.serve(replica, call, at);
        } else {
            self.servers[replica].queue.push_back(call);
        }
    }

    fn serve(&mut self, replica: usize, call: u32, at: Duration) {
        let service = self.draw(MEAN_SERVICE.mul_f64(self.slowness[replica]));
        self.events.push(Reverse((at + service, Event::Served { replica, call })));
    }

    fn served(&mut self, replica: usize, call: u32, at: Duration) {
        let flight = &mut self.flights[call as usize];
        let ticket = flight.ticket.take().unwrap();
        self.latencies.push(at.saturating_sub(flight.arrived));
        let latency = at.saturating_sub(flight.sent);
        self.driven.balancer.finished(ticket, Outcome::Success, latency, self.driven.now);
        match self.servers[replica].queue.pop_front() {
            Some(next) => self.serve(replica, next, at),
            None => self.servers[replica].busy -= 1,
        }
        if let Some(call) = self.waiting.pop_front() {
            self.send(call, at);
        }
    }

    fn percentile(&self, percent: f64) -> Duration {
        self.latencies[(self.latencies.len() as f64 * percent / 100.0) as usize]
    }

    fn share(&self, replica: usize) -> f64 {
        f64::from(self.sent_to[replica]) / f64::from(CALLS - WARM_UP)
    }

    fn row(&self, name: &str) {
        let [p50, p95, p99, p999] = [50.0, 95.0, 99.0, 99.9].map(|p| self.percentile(p).as_secs_f64() * 1e3);
        let slow = self.share(0) * 100.0;
        println!("{name:<28} {p50:>9.1} {p95:>9.1} {p99:>9.1} {p999:>9.1} {slow:>9.1} %");
    }
}

#[test]
fn those_that_measure_keep_the_tail_short_when_one_replica_is_slow() {
    let slow = [10.0, 1.0, 1.0];
    println!("{:<28} {:>9} {:>9} {:>9} {:>9} {:>11}", "ms", "p50", "p95", "p99", "p99.9", "to the slow");
    let run = |strategy| Simulation::new(strategy, slow, false).run();
    let [robin, least, response, weighted, p2c] = Strategy::ALL.map(run);
    for (strategy, one) in Strategy::ALL.iter().zip([&robin, &least, &response, &weighted, &p2c]) {
        one.row(strategy.as_str());
    }
    let ejecting = Simulation::new(Strategy::RoundRobin, slow, true).run();
    ejecting.row("round-robin with ejection");
    let healthy = Simulation::new(Strategy::P2c, [1.0; REPLICAS], false).run();
    healthy.row("p2c, none slow");

    assert!(least.percentile(99.0) < robin.percentile(99.0).div_f64(1.5));
    for (name, one) in [("response-time", &response), ("weighted", &weighted), ("p2c", &p2c)] {
        assert!(one.share(0) < 0.1, "{name}: {} of the calls go to the slow one", one.share(0));
        assert!(one.percentile(95.0) < robin.percentile(95.0).div_f64(3.0), "{name}");
    }
    assert!(p2c.percentile(99.0) < least.percentile(99.0));
    assert!(ejecting.percentile(95.0) < robin.percentile(95.0).div_f64(3.0));
}

#[test]
fn equal_replicas_share_the_load_under_every_strategy() {
    for strategy in Strategy::ALL {
        let done = Simulation::new(strategy, [1.0; REPLICAS], true).run();
        for replica in 0..REPLICAS {
            let share = done.share(replica);
            assert!((share - 1.0 / 3.0).abs() < 0.05, "{strategy}: {share}");
        }
    }
}
