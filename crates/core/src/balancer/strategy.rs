//! How each strategy chooses among the candidates: replicas that may be used and have room.

use std::mem;
use std::time::Instant;

use super::config::{ScoreWeights, Strategy};
use super::random::Random;
use super::replica::Replica;

/// What a strategy sees.
pub(super) struct Choice<'a> {
    pub(super) replicas: &'a mut [Replica],
    /// Positions in `replicas`; at least one.
    pub(super) candidates: &'a [usize],
    /// Room for what is expected of each candidate.
    pub(super) expected_ns: &'a mut Vec<f64>,
    pub(super) category: Option<&'a str>,
    pub(super) score: ScoreWeights,
    pub(super) random: &'a mut Random,
    pub(super) now: Instant,
}

impl Choice<'_> {
    /// The position of the chosen replica.
    pub(super) fn make(mut self, strategy: Strategy) -> usize {
        if let [only] = self.candidates {
            return *only;
        }
        match strategy {
            Strategy::RoundRobin => self.round_robin(),
            Strategy::LeastConnections => {
                let load = |replica: &Replica, _: usize| -f64::from(replica.in_flight + 1) / replica.weight;
                self.best(load)
            }
            Strategy::ResponseTime => self.response_time(),
            Strategy::Weighted => self.weighted(),
            Strategy::P2c => self.p2c(),
        }
    }

    /// Smooth weighted round-robin: each candidate earns its weight, the richest pays for all.
    fn round_robin(self) -> usize {
        let mut chosen = self.candidates[0];
        let mut earned = 0.0;
        for &position in self.candidates {
            let replica = &mut self.replicas[position];
            replica.credit += replica.weight;
            earned += replica.weight;
            if self.replicas[position].credit > self.replicas[chosen].credit {
                chosen = position;
            }
        }
        self.replicas[chosen].credit -= earned;
        chosen
    }

    /// The candidate with the highest value, of several any. `value` gets a replica and its place among the candidates.
    fn best(&mut self, value: impl Fn(&Replica, usize) -> f64) -> usize {
        let count = self.candidates.len();
        let start = self.random.below(count);
        let mut chosen = (f64::NEG_INFINITY, self.candidates[start]);
        for place in (start..count).chain(0..start) {
            let position = self.candidates[place];
            let value = value(&self.replicas[position], place);
            if value > chosen.0 {
                chosen = (value, position);
            }
        }
        chosen.1
    }

    fn response_time(&mut self) -> usize {
        self.expect();
        let mut chosen = self.candidates[0];
        let mut total = 0.0;
        // Each takes the place of those before it with the probability of its share of the weights so far.
        for (&position, expected) in self.candidates.iter().zip(&*self.expected_ns) {
            let weight = self.replicas[position].weight / expected;
            total += weight;
            if self.random.unit() * total < weight {
                chosen = position;
            }
        }
        chosen
    }

    fn weighted(&mut self) -> usize {
        let least_expected = self.expect();
        let expected = mem::take(self.expected_ns);
        let (score, category) = (self.score, self.category);
        let load = |replica: &Replica| {
            f64::from(replica.in_flight + 1) / (f64::from(replica.capacity) * replica.weight)
        };
        let loads = self.candidates.iter().map(|&position| load(&self.replicas[position]));
        let least_load = loads.fold(f64::INFINITY, f64::min);
        let chosen = self.best(|replica, place| {
            let meant = category.is_some_and(|wanted| replica.categories.iter().any(|one| **one == *wanted));
            score.load * (least_load / load(replica))
                + score.response * (least_expected / expected[place])
                + score.category * f64::from(u8::from(meant))
        });
        *self.expected_ns = expected;
        chosen
    }

    fn p2c(&mut self) -> usize {
        let count = self.candidates.len();
        let first = self.random.below(count);
        let second = self.random.below(count - 1);
        let second = if second >= first { second + 1 } else { second };
        let [first, second] = [first, second].map(|draw| self.candidates[draw]);
        let [a, b] = [first, second].map(|position| &self.replicas[position]);
        let expected = (a.expected_ns(self.now), b.expected_ns(self.now));
        // Of a replica that has answered nothing yet the other's latency is assumed.
        let (of_a, of_b) =
            (expected.0.or(expected.1).unwrap_or(1.0), expected.1.or(expected.0).unwrap_or(1.0));
        let cost =
            |replica: &Replica, expected: f64| expected * f64::from(replica.in_flight + 1) / replica.weight;
        if cost(b, of_b) < cost(a, of_a) { second } else { first }
    }

    /// Notes what is expected of each candidate, in nanoseconds, and gives the least: which is also assumed of one that
    /// has answered nothing yet, so that it is tried.
    fn expect(&mut self) -> f64 {
        let expected = self.candidates.iter().map(|&position| self.replicas[position].expected_ns(self.now));
        self.expected_ns.clear();
        self.expected_ns.extend(expected.map(|known| known.unwrap_or(f64::INFINITY)));
        let least = self.expected_ns.iter().copied().fold(f64::INFINITY, f64::min);
        let least = if least.is_finite() { least } else { 1.0 };
        for expected in self.expected_ns.iter_mut().filter(|expected| expected.is_infinite()) {
            *expected = least;
        }
        least
    }
}
