//! Random histories: whatever happens, the states follow each other as they are told to.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Op {
    Tick { value: Option<f64>, ms: u64 },
    Ack(usize),
    Replace { hold: u64, resolve_after: u64, keep: bool },
    Stop,
}

fn op() -> impl Strategy<Value = Op> {
    let value = prop_oneof![
        2 => Just(None),
        5 => (200.1..900.0).prop_map(Some),
        5 => (0.0..=200.0).prop_map(Some),
    ];
    let ms = prop_oneof![20 => Just(1_000_u64), 2 => 0..5_000_u64, 1 => 5_000..200_000_u64];
    prop_oneof![
        40 => (value, ms).prop_map(|(value, ms)| Op::Tick { value, ms }),
        3 => (0..3_usize).prop_map(Op::Ack),
        1 => (0..6_u64, 0..6_u64, any::<bool>())
            .prop_map(|(hold, resolve_after, keep)| Op::Replace { hold, resolve_after, keep }),
        1 => Just(Op::Stop),
    ]
}

/// What an observer knows from the events alone.
#[derive(Debug, Default)]
struct Observer {
    open: HashMap<u64, String>,
    fired: u64,
    resolved: u64,
}

impl Observer {
    fn take(&mut self, events: &[Event]) -> Result<(), TestCaseError> {
        for event in events {
            match event.what {
                What::Fired => {
                    self.fired += 1;
                    prop_assert_eq!(event.firing, self.fired, "numbers go up by one");
                    prop_assert!(!self.open.values().any(|name| **name == *event.rule.name));
                    self.open.insert(event.firing, event.rule.name.to_string());
                }
                What::Repeated => {
                    prop_assert!(self.open.contains_key(&event.firing));
                    prop_assert!(event.ack.is_none(), "an acknowledged firing is not repeated");
                }
                What::Acknowledged => prop_assert!(self.open.contains_key(&event.firing)),
                What::Resolved(_) => {
                    self.resolved += 1;
                    prop_assert!(self.open.remove(&event.firing).is_some(), "it was open");
                }
            }
        }
        Ok(())
    }
}

fn rules(hold: u64, resolve_after: u64) -> Vec<Rule> {
    vec![slow("patient", hold, resolve_after), slow("at once", 0, resolve_after), slow("steady", hold, 0)]
}

proptest! {
    #[test]
    fn whatever_happens_the_states_are_told_as_they_are(
        (hold, resolve_after) in (0..6_u64, 0..6_u64),
        ops in prop::collection::vec(op(), 1..300),
    ) {
        let mut bench = Bench::repeating(rules(hold, resolve_after), Some(Duration::from_secs(7)));
        let mut seen = Observer::default();
        let mut before: HashMap<String, State> = HashMap::new();
        for op in ops {
            let mut ticked = false;
            match op {
                Op::Tick { value, ms } => {
                    bench.set(Signal::LatencyP95, value);
                    bench.now += Duration::from_millis(ms);
                    let events = bench.alerts.tick(&bench.figures, bench.now);
                    if value.is_none() {
                        for event in &events {
                            prop_assert_eq!(event.what, What::Resolved(Resolution::NoData), "nothing was known");
                        }
                    }
                    seen.take(&events)?;
                    ticked = true;
                }
                Op::Ack(at) => {
                    let name = rules(0, 0)[at].name.to_string();
                    let told = bench.alerts.acknowledge(&name, bench.ack("ann"));
                    let fires = before.get(&name).is_some_and(|state| matches!(state, State::Firing | State::Acknowledged));
                    prop_assert_eq!(told.is_ok(), fires);
                    seen.take(&told.ok().flatten().into_iter().collect::<Vec<_>>())?;
                }
                Op::Replace { hold, resolve_after, keep } => {
                    let next = if keep {
                        bench.alerts.read().iter().map(|reading| (*reading.rule).clone()).collect()
                    } else {
                        rules(hold, resolve_after)
                    };
                    let events = bench.alerts.replace(next, Some(Duration::from_secs(7)));
                    prop_assert!(!keep || events.is_empty(), "nothing has changed");
                    seen.take(&events)?;
                }
                Op::Stop => seen.take(&bench.alerts.stop())?,
            }
            let read = bench.alerts.read();
            for reading in &read {
                let fires = matches!(reading.state, State::Firing | State::Acknowledged);
                prop_assert_eq!(fires, reading.firing.is_some());
                let was = before.get(&*reading.rule.name).copied().unwrap_or(State::Inactive);
                if ticked && fires && !reading.rule.hold.is_zero() {
                    let from_pending = matches!(was, State::Pending | State::Firing | State::Acknowledged);
                    prop_assert!(from_pending, "{} → {:?} without being pending", was.as_str(), reading.state);
                }
            }
            let open = read.iter().filter(|reading| reading.firing.is_some()).count();
            prop_assert_eq!(open, seen.open.len());
            prop_assert_eq!(seen.fired, seen.resolved + open as u64);
            before = read.iter().map(|reading| (reading.rule.name.to_string(), reading.state)).collect();
        }
    }
}
