//! The states, and what leads from one to the next.

use super::*;

const RECOVERED: What = What::Resolved(Resolution::Recovered);
const P95: Signal = Signal::LatencyP95;

#[test]
fn flapping_never_fires_a_rule_that_asks_for_more_patience() {
    let mut bench = Bench::new(vec![slow("slow", 5, 0)]);
    for _ in 0..100 {
        bench.set(P95, Some(300.0));
        assert_eq!(bench.ticks(5), []);
        assert_eq!(bench.state(), State::Pending);
        bench.set(P95, Some(100.0));
        assert_eq!(bench.ticks(1), []);
        assert_eq!(bench.state(), State::Inactive);
    }
}

#[test]
fn with_resolve_after_flapping_is_one_firing() {
    let mut bench = Bench::new(vec![slow("slow", 2, 10)]);
    bench.set(P95, Some(300.0));
    assert_eq!(bench.ticks(5), [(2, What::Fired)]);
    for _ in 0..20 {
        bench.set(P95, Some(100.0));
        assert_eq!(bench.ticks(10), []);
        bench.set(P95, Some(300.0));
        assert_eq!(bench.ticks(1), []);
    }
    let clear = bench.second();
    bench.set(P95, Some(100.0));
    assert_eq!(bench.ticks(20), [(clear + 10, RECOVERED)]);
    assert_eq!(bench.state(), State::Resolved);
}

#[test]
fn without_a_hold_it_fires_at_the_first_tick() {
    let mut bench = Bench::new(vec![slow("slow", 0, 0)]);
    bench.set(P95, Some(201.0));
    assert_eq!(bench.ticks(1), [(0, What::Fired)]);
}

#[test]
fn time_without_data_does_not_count_for_the_hold() {
    let mut bench = Bench::new(vec![slow("slow", 10, 0)]);
    bench.set(P95, Some(300.0));
    // Held from 0 to 5.
    assert_eq!(bench.ticks(6), []);
    bench.set(P95, None);
    assert_eq!(bench.ticks(30), []);
    assert_eq!(bench.state(), State::Pending);
    // Again from 36 on: five more seconds are needed.
    bench.set(P95, Some(300.0));
    assert_eq!(bench.ticks(10), [(41, What::Fired)]);
}

#[test]
fn a_pending_rule_without_data_for_a_minute_is_inactive() {
    let mut bench = Bench::new(vec![slow("slow", 10, 0)]);
    bench.set(P95, Some(300.0));
    bench.ticks(5);
    bench.set(P95, None);
    // Last known at 4.
    assert_eq!(bench.ticks(59), []);
    assert_eq!(bench.state(), State::Pending);
    assert_eq!(bench.ticks(1), []);
    assert_eq!(bench.state(), State::Inactive);
}

#[test]
fn a_firing_rule_without_data_goes_on_for_a_minute_and_then_says_why_it_ends() {
    let mut bench = Bench::new(vec![slow("slow", 0, 0)]);
    bench.set(P95, Some(300.0));
    bench.ticks(1);
    bench.set(P95, None);
    assert_eq!(bench.ticks(59), []);
    assert_eq!(bench.state(), State::Firing);
    assert_eq!(bench.ticks(60), [(60, What::Resolved(Resolution::NoData))]);
    assert_eq!(bench.state(), State::Resolved);
}

#[test]
fn nothing_known_from_the_start_is_inactive_for_ever() {
    let mut bench = Bench::new(vec![slow("slow", 0, 0)]);
    assert_eq!(bench.ticks(500), []);
    bench.set(P95, Some(f64::NAN));
    assert_eq!(bench.ticks(500), []);
    assert_eq!(bench.state(), State::Inactive);
    assert_eq!(bench.alerts.read()[0].since, None);
}

#[test]
fn fewer_calls_than_the_rule_asks_for_are_no_data() {
    let rule = Rule { min_requests: 10, ..slow("slow", 0, 0) };
    let mut bench = Bench::new(vec![rule]);
    bench.set(P95, Some(300.0));
    bench.figures.requests = 9;
    assert_eq!(bench.ticks(10), []);
    bench.figures.requests = 10;
    assert_eq!(bench.ticks(1), [(10, What::Fired)]);
}

#[test]
fn time_in_which_nobody_looked_does_not_count() {
    let mut bench = Bench::new(vec![slow("slow", 10, 10)]);
    bench.set(P95, Some(300.0));
    bench.ticks(5);
    // The process was stopped for an hour.
    bench.now += Duration::from_secs(3600);
    assert_eq!(bench.ticks(1), []);
    let fired = bench.ticks(10);
    assert_eq!(fired.len(), 1);
    assert_eq!(fired[0].0 - 3600, 11);
    bench.set(P95, Some(100.0));
    bench.ticks(5);
    bench.now += Duration::from_secs(3600);
    assert_eq!(bench.ticks(5), []);
    assert_eq!(bench.ticks(5).len(), 1);
}

#[test]
fn a_firing_is_repeated_until_somebody_takes_notice() {
    let mut bench = Bench::repeating(vec![slow("slow", 0, 0)], Some(Duration::from_secs(60)));
    bench.set(P95, Some(300.0));
    assert_eq!(bench.ticks(130), [(0, What::Fired), (60, What::Repeated), (120, What::Repeated)]);
    let event = bench.alerts.acknowledge("slow", bench.ack("ann")).unwrap().unwrap();
    assert_eq!((event.what, event.firing), (What::Acknowledged, 1));
    assert_eq!(event.ack.unwrap().by, "ann");
    assert_eq!(bench.state(), State::Acknowledged);
    assert_eq!(bench.ticks(600), []);
    bench.set(P95, Some(100.0));
    assert_eq!(bench.ticks(1), [(730, RECOVERED)]);
    // The next firing is another one, which nobody has acknowledged.
    bench.set(P95, Some(300.0));
    assert_eq!(bench.ticks(1), [(731, What::Fired)]);
    assert_eq!(bench.state(), State::Firing);
    assert_eq!(bench.alerts.read()[0].firing.as_ref().unwrap().number, 2);
}

#[test]
fn only_what_fires_can_be_acknowledged_and_the_first_one_counts() {
    let mut bench = Bench::new(vec![slow("slow", 5, 0)]);
    let unknown = bench.alerts.acknowledge("fast", bench.ack("ann")).unwrap_err();
    assert_eq!(unknown.to_string(), "no alert rule is called \"fast\"; there are: slow");
    bench.set(P95, Some(300.0));
    bench.ticks(2);
    let pending = bench.alerts.acknowledge("slow", bench.ack("ann")).unwrap_err();
    assert_eq!(pending.to_string(), "\"slow\" is not firing, it is pending");
    bench.ticks(10);
    assert!(bench.alerts.acknowledge("slow", bench.ack("ann")).unwrap().is_some());
    assert!(bench.alerts.acknowledge("slow", bench.ack("bob")).unwrap().is_none());
    assert_eq!(bench.alerts.read()[0].firing.as_ref().unwrap().ack.as_ref().unwrap().by, "ann");
}

#[test]
fn a_reload_keeps_the_state_of_rules_that_are_the_same_and_ends_the_others() {
    let rules = || vec![slow("same", 0, 0), slow("other", 0, 0), slow("gone", 0, 0), slow("new", 9, 0)];
    let mut bench = Bench::new(rules()[..3].to_vec());
    bench.set(P95, Some(300.0));
    assert_eq!(bench.tick().len(), 3);
    bench.alerts.acknowledge("same", bench.ack("ann")).unwrap();
    let mut next = rules();
    next[1].severity = Severity::Critical;
    next.remove(2);
    next.reverse();
    let ended = bench.alerts.replace(next, None);
    let ended: Vec<_> = ended.iter().map(|event| (&*event.rule.name, event.what)).collect();
    let changed = What::Resolved(Resolution::RuleChanged);
    assert_eq!(ended, [("other", changed), ("gone", changed)]);
    let read = bench.alerts.read();
    let states: Vec<_> = read.iter().map(|reading| (&*reading.rule.name, reading.state)).collect();
    assert_eq!(states, [("new", State::Inactive), ("other", State::Inactive), ("same", State::Acknowledged)]);
    // The changed rule fires anew.
    assert_eq!(bench.ticks(1), [(1, What::Fired)]);
}

#[test]
fn the_end_of_the_server_ends_every_firing() {
    let mut bench = Bench::new(vec![slow("one", 0, 0), slow("two", 500, 0)]);
    bench.set(P95, Some(300.0));
    bench.ticks(3);
    let ended = bench.alerts.stop();
    assert_eq!(ended.len(), 1);
    assert_eq!((ended[0].firing, ended[0].what), (1, What::Resolved(Resolution::Stopped)));
    assert!(bench.alerts.stop().is_empty());
}

#[test]
fn the_peak_is_the_value_that_was_worst() {
    let below = |rule: Rule| Rule {
        condition: Condition::Threshold {
            signal: P95,
            comparison: Comparison::Below,
            threshold: 200.0,
            window: Window::TenSeconds,
        },
        ..rule
    };
    let mut bench = Bench::new(vec![slow("above", 0, 0), below(slow("below", 0, 0))]);
    for value in [300.0, 900.0, 250.0, 150.0, 20.0, 90.0, 500.0] {
        bench.set(P95, Some(value));
        for event in bench.tick() {
            if matches!(event.what, What::Resolved(_)) {
                let expected = if &*event.rule.name == "above" { 900.0 } else { 20.0 };
                assert!((event.peak - expected).abs() < 1e-9, "{event:?}");
            }
        }
    }
}
