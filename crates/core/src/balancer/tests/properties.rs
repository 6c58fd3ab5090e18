//! Any sequence of events leaves the balancer in a state that adds up.

use proptest::prelude::{Just, Strategy as Generator, any, prop, prop_assert, prop_oneof, proptest};
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Pick { affinity: Wish, exclude: Vec<Index>, repeatable: bool },
    Finish { which: Index, outcome: Outcome, latency: Duration },
    Tick { after: Duration, answers: Vec<Option<Outcome>> },
    Rest { which: Index, duration: Duration },
    Renew { which: Index },
    Reconfigure { strategy: Strategy, keep: Vec<bool>, room: u32 },
}

#[derive(Debug, Clone)]
enum Wish {
    Any,
    Key(u64),
    Replica(Index),
}

fn outcome() -> impl Generator<Value = Outcome> {
    prop_oneof![
        4 => Just(Outcome::Success),
        2 => Just(Outcome::Failure(FailureKind::Closed)),
        2 => Just(Outcome::Failure(FailureKind::Timeout)),
        1 => Just(Outcome::Cancelled),
        1 => (0..5_u32).prop_map(|rest| Outcome::Overloaded { retry_after: Some(rest * SECOND / 2) }),
    ]
}

fn step() -> impl Generator<Value = Step> {
    let wish = prop_oneof![
        6 => Just(Wish::Any),
        1 => any::<u64>().prop_map(Wish::Key),
        1 => any::<Index>().prop_map(Wish::Replica),
    ];
    let millis = |most: u64| (0..most).prop_map(Duration::from_millis);
    let indices = prop::collection::vec(any::<Index>(), 0..2);
    prop_oneof![
        12 => (wish, indices, any::<bool>())
            .prop_map(|(affinity, exclude, repeatable)| Step::Pick { affinity, exclude, repeatable }),
        10 => (any::<Index>(), outcome(), millis(2_000))
            .prop_map(|(which, outcome, latency)| Step::Finish { which, outcome, latency }),
        4 => (millis(7_000), prop::collection::vec(prop::option::of(outcome()), 1..6))
            .prop_map(|(after, answers)| Step::Tick { after, answers }),
        1 => (any::<Index>(), millis(4_000)).prop_map(|(which, duration)| Step::Rest { which, duration }),
        1 => any::<Index>().prop_map(|which| Step::Renew { which }),
        1 => (prop::sample::select(&Strategy::ALL[..]), prop::collection::vec(any::<bool>(), 5), 1..6_u32)
            .prop_map(|(strategy, keep, room)| Step::Reconfigure { strategy, keep, room }),
    ]
}

/// The balancer beside what a driver knows of it.
struct Model {
    driven: Driven,
    /// Tickets that are out, each with the number of its replica's ejections when it was made.
    tickets: Vec<(Ticket, u32)>,
    probes: Vec<Probe>,
    seen: Seen,
}

/// How often what is rare happened.
#[derive(Debug, Default)]
struct Seen {
    trials: u32,
    panic_picks: u32,
    full: u32,
    none_available: u32,
    gone: u32,
    down: u32,
    recovered: u32,
}

impl Model {
    fn new(strategy: Strategy) -> Self {
        let health = HealthConfig { timeouts_in_row: 2, min_calls: 3, ..HealthConfig::default() };
        let config = BalancerConfig { strategy, health, ..BalancerConfig::new(replicas(5, 3)) };
        Self { driven: Driven::new(config), tickets: Vec::new(), probes: Vec::new(), seen: Seen::default() }
    }

    fn status(&mut self) -> BalancerStatus {
        self.driven.balancer.status(self.driven.now)
    }

    fn id(&self, which: Index) -> ReplicaId {
        *which.get(&self.driven.ids)
    }

    fn apply(&mut self, step: Step) {
        let now = self.driven.now;
        match step {
            Step::Pick { affinity, exclude, repeatable } => {
                let affinity = match affinity {
                    Wish::Any => Affinity::Any,
                    Wish::Key(key) => Affinity::Key(key),
                    Wish::Replica(which) => Affinity::Replica(self.id(which)),
                };
                let exclude: Vec<_> = exclude.iter().map(|which| self.id(*which)).collect();
                self.pick(&Request { affinity, exclude: &exclude, category: None, repeatable });
            }
            Step::Finish { which, outcome, latency } if !self.tickets.is_empty() => {
                let (ticket, _) = self.tickets.swap_remove(which.index(self.tickets.len()));
                self.driven.balancer.finished(ticket, outcome, latency, now);
            }
            Step::Finish { .. } => {}
            Step::Tick { after, answers } => {
                self.driven.now += after;
                self.probes.extend(self.driven.balancer.tick(self.driven.now).probes);
                for answer in answers.into_iter().flatten() {
                    if let Some(probe) = self.probes.pop() {
                        self.driven.balancer.probed(probe, answer, self.driven.now);
                    }
                }
            }
            Step::Rest { which, duration } => self.driven.balancer.rest(self.id(which), duration, now),
            Step::Renew { which } => self.driven.balancer.renewed(self.id(which), now),
            Step::Reconfigure { strategy, mut keep, room } => {
                keep[0] |= !keep.contains(&true);
                let mut config = self.driven.balancer.config().clone();
                config.replicas = replicas(5, room);
                let mut kept = keep.into_iter();
                config.replicas.retain(|_| kept.next().unwrap());
                config.strategy = strategy;
                self.driven.balancer.reconfigure(config, now).unwrap();
                let ids = self.driven.balancer.replicas().map(|(id, _)| id);
                // The last that is gone stays among those that calls ask for.
                let gone = self.driven.ids.pop();
                self.driven.ids = ids.chain(gone).collect();
            }
        }
    }

    fn pick(&mut self, request: &Request<'_>) {
        let before = self.status();
        let wanted = |replica: &&ReplicaStatus| {
            let bound = match request.affinity {
                Affinity::Replica(id) => replica.id == id,
                Affinity::Any | Affinity::Key(_) => true,
            };
            bound && !request.exclude.contains(&replica.id)
        };
        let in_use = |replica: &&ReplicaStatus| {
            matches!(replica.state, BreakerState::Closed | BreakerState::SlowStart)
                && replica.resting.is_none()
        };
        let usable: Vec<_> = before.replicas.iter().filter(wanted).filter(in_use).collect();
        match self.driven.balancer.pick(request, self.driven.now) {
            Ok(ticket) => {
                let chosen = before.replicas.iter().find(|one| one.id == ticket.replica()).unwrap();
                assert!(wanted(&chosen), "not excluded, and the bound one");
                assert!(chosen.in_flight < chosen.capacity, "never above its capacity");
                assert!(chosen.resting.is_none(), "never while it rests");
                self.seen.trials += u32::from(ticket.is_trial());
                self.seen.panic_picks += u32::from(ticket.is_panic());
                if ticket.is_trial() {
                    assert_eq!(chosen.state, BreakerState::HalfOpen);
                    let mut out = self.tickets.iter().filter(|(ticket, _)| ticket.replica() == chosen.id);
                    assert!(
                        !out.any(|(ticket, at)| ticket.is_trial() && *at == chosen.ejections),
                        "one trial"
                    );
                } else if ticket.is_panic() {
                    assert!(before.panic && !chosen.down && chosen.reason.is_some());
                    assert!(usable.iter().all(|one| one.in_flight >= one.capacity), "only for lack of room");
                } else {
                    assert_eq!(chosen.reason, None, "no ordinary call to a replica that is out");
                }
                let ejections = chosen.ejections;
                self.tickets.push((ticket, ejections));
            }
            Err(PickError::Full { .. }) => {
                self.seen.full += 1;
                let full = |one: &ReplicaStatus| one.in_flight >= one.capacity;
                // In panic the ones that are out may be what is full.
                assert!(
                    usable.iter().any(|one| full(one)) || before.panic && before.replicas.iter().any(full)
                );
            }
            Err(PickError::NoAvailableReplicas(none)) => {
                self.seen.none_available += 1;
                assert!(usable.is_empty(), "{none}");
                assert!(none.to_string().starts_with("No available replicas"));
            }
            Err(PickError::Gone) => {
                self.seen.gone += 1;
                assert!(matches!(request.affinity, Affinity::Replica(_)));
            }
        }
    }

    fn check(&mut self) {
        let status = self.status();
        self.seen.down += status.replicas.iter().map(|replica| u32::from(replica.down)).sum::<u32>();
        self.seen.recovered += status.replicas.iter().map(|replica| replica.recoveries).sum::<u32>();
        for replica in status.replicas.iter().chain(&status.leaving) {
            let out = self.tickets.iter().filter(|(ticket, _)| ticket.replica() == replica.id).count();
            assert_eq!(replica.in_flight as usize, out, "in flight is started less finished");
            assert!(replica.recoveries <= replica.ejections);
            assert!(replica.success_rate.is_none_or(|rate| (0.0..=1.0).contains(&rate)));
        }
        assert!(status.leaving.iter().all(|replica| replica.in_flight > 0));
        let ejected = status.replicas.iter().filter(|one| one.reason.is_some() && !one.down).count();
        assert!(
            status.panic || 2 * ejected <= status.replicas.len(),
            "at most half are shut out by their calls"
        );
    }
}

#[test]
fn the_sequences_reach_what_is_rare() {
    let mut runner = TestRunner::deterministic();
    let mut seen = Seen::default();
    for _ in 0..200 {
        let steps = prop::collection::vec(step(), 200).new_tree(&mut runner).unwrap().current();
        let mut model = Model::new(Strategy::P2c);
        model.seen = seen;
        for step in steps {
            model.apply(step);
            model.check();
        }
        seen = model.seen;
    }
    let Seen { trials, panic_picks, full, none_available, gone, down, recovered } = seen;
    let counts = [trials, panic_picks, full, none_available, gone, down, recovered];
    assert!(counts.iter().all(|count| *count > 0), "{seen:?}");
}

proptest! {
    #[test]
    fn any_sequence_of_events_adds_up(
        strategy in prop::sample::select(&Strategy::ALL[..]),
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let mut model = Model::new(strategy);
        for step in steps {
            model.apply(step);
            model.check();
        }
        while let Some((ticket, _)) = model.tickets.pop() {
            model.driven.finish(ticket, Outcome::Success);
        }
        let status = model.status();
        prop_assert!(status.leaving.is_empty());
        prop_assert!(status.replicas.iter().all(|replica| replica.in_flight == 0));
    }

    #[test]
    fn taking_a_replica_away_moves_only_its_keys(
        count in 2..8_usize,
        gone in any::<Index>(),
        keys in prop::collection::vec(any::<u64>(), 50),
    ) {
        let mut driven = Driven::new(config(Strategy::P2c, count));
        let owners = |driven: &mut Driven| -> Vec<_> {
            let owner = |key: &u64| {
                let ticket = driven.pick(&Request { affinity: Affinity::Key(*key), ..ANY });
                let owner = ticket.replica();
                driven.finish(ticket, Outcome::Success);
                owner
            };
            keys.iter().map(owner).collect()
        };
        let before = owners(&mut driven);
        let position = gone.index(count);
        let mut smaller = driven.balancer.config().clone();
        smaller.replicas.remove(position);
        driven.balancer.reconfigure(smaller, driven.now).unwrap();
        for (before, after) in before.into_iter().zip(owners(&mut driven)) {
            prop_assert!(before == after || before == driven.ids[position]);
        }
    }
}
