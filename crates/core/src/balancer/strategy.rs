//! How each strategy chooses among the candidates: replicas that may be used and have room.

use std::time::Instant;

use super::config::{ScoreWeights, Strategy};
use super::random::Random;
use super::replica::Replica;

/// What a strategy sees.
pub(super) struct Choice<'a> {
    pub(super) replicas: &'a mut [Replica],
    /// Positions in `replicas`; at least one.
    pub(super) candidates: &'a [usize],
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
                let load = |replica: &Replica| -f64::from(replica.in_flight + 1) / replica.weight;
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

    /// The candidate with the highest value; of several, any.
    fn best(&mut self, value: impl Fn(&Replica) -> f64) -> usize {
        let start = self.random.below(self.candidates.len());
        let (before, after) = self.candidates.split_at(start);
        let mut chosen = (f64::NEG_INFINITY, self.candidates[start]);
        for &position in after.iter().chain(before) {
            let value = value(&self.replicas[position]);
            if value > chosen.0 {
                chosen = (value, position);
            }
        }
        chosen.1
    }

    fn response_time(&mut self) -> usize {
        let unknown = self.mean_expected_ns();
        let mut chosen = self.candidates[0];
        let mut total = 0.0;
        // Each takes the place of those before it with the probability of its share of the weights so far.
        for &position in self.candidates {
            let replica = &self.replicas[position];
            let weight = replica.weight / replica.expected_ns(self.now).unwrap_or(unknown);
            total += weight;
            if self.random.unit() * total < weight {
                chosen = position;
            }
        }
        chosen
    }

    fn weighted(&mut self) -> usize {
        let (now, score, category) = (self.now, self.score, self.category);
        let unknown = self.mean_expected_ns();
        let load = |replica: &Replica| {
            f64::from(replica.in_flight + 1) / (f64::from(replica.capacity) * replica.weight)
        };
        let expected = |replica: &Replica| replica.expected_ns(now).unwrap_or(unknown);
        let (mut least_load, mut least_expected) = (f64::INFINITY, f64::INFINITY);
        for &position in self.candidates {
            let replica = &self.replicas[position];
            least_load = least_load.min(load(replica));
            least_expected = least_expected.min(expected(replica));
        }
        self.best(|replica| {
            let meant = category.is_some_and(|wanted| replica.categories.iter().any(|one| **one == *wanted));
            score.load * (least_load / load(replica))
                + score.response * (least_expected / expected(replica))
                + score.category * f64::from(u8::from(meant))
        })
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

    /// What is assumed of a replica that has answered nothing yet, in nanoseconds: the mean of the others.
    fn mean_expected_ns(&self) -> f64 {
        let known =
            self.candidates.iter().filter_map(|&position| self.replicas[position].expected_ns(self.now));
        let (count, sum) = known.fold((0_u32, 0.0), |(count, sum), ns| (count + 1, sum + ns));
        if count == 0 { 1.0 } else { sum / f64::from(count) }
    }
}
