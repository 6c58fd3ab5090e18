//! Burn rates: an error budget that is used up too fast.

use super::*;

const HOUR: u64 = 3600;

/// The first row of the workbook's table: 14.4 times the budget over an hour, and still over five minutes.
fn fast() -> Rule {
    let burn = BurnRate {
        objective: 0.999,
        factor: 14.4,
        long: Duration::from_secs(HOUR),
        short: Duration::from_secs(300),
    };
    Rule { condition: Condition::BurnRate(burn), ..slow("burn", 0, 0) }
}

fn slow_burn() -> Rule {
    let burn = BurnRate {
        objective: 0.999,
        factor: 6.0,
        long: Duration::from_secs(6 * HOUR),
        short: Duration::from_secs(1800),
    };
    Rule { condition: Condition::BurnRate(burn), ..slow("burn", 0, 0) }
}

/// A thousand requests a second, so many of them failing.
fn run(bench: &mut Bench, seconds: u64, bad: u64) -> Vec<(u64, What)> {
    let mut all = Vec::new();
    for _ in 0..seconds {
        bench.figures.counts.total += 1_000;
        bench.figures.counts.bad += bad;
        all.extend(bench.ticks(1));
    }
    all
}

#[test]
fn a_total_outage_is_told_within_the_minute_that_uses_up_two_percent_of_the_budget() {
    let mut bench = Bench::new(vec![fast()]);
    assert_eq!(run(&mut bench, 2 * HOUR, 0), []);
    let fired = run(&mut bench, 120, 1_000);
    // 1.44 % of an hour is 51.8 s: with the 52nd second (counted from 0 in the list, one sample of 5 s of doubt).
    assert_eq!(fired.len(), 1);
    let after = fired[0].0 - 2 * HOUR;
    assert!((46..=57).contains(&after), "{after}");
}

#[test]
fn errors_within_the_budget_burn_nothing() {
    let mut bench = Bench::new(vec![fast(), slow_burn()]);
    // Exactly the budget: a burn rate of 1.
    assert_eq!(run(&mut bench, 7 * HOUR, 1), []);
    let value = bench.alerts.read()[0].value.unwrap();
    assert!((value - 1.0).abs() < 1e-6, "{value}");
}

#[test]
fn it_resolves_when_the_short_window_is_clean_though_the_long_one_is_not() {
    let mut bench = Bench::new(vec![fast()]);
    run(&mut bench, 2 * HOUR, 0);
    assert_eq!(run(&mut bench, 600, 100).len(), 1);
    let resolved = run(&mut bench, 600, 0);
    assert_eq!(resolved.len(), 1);
    assert_eq!(resolved[0].1, What::Resolved(Resolution::Recovered));
    // 10 % errors in the short window fall below 1.44 % after (1 - 0.144) of its 300 s.
    let after = resolved[0].0 - (2 * HOUR + 600);
    assert!((252..=262).contains(&after), "{after}");
}

#[test]
fn a_slow_burn_is_seen_over_six_hours_and_not_over_one() {
    let mut bench = Bench::new(vec![fast(), slow_burn()]);
    run(&mut bench, 7 * HOUR, 0);
    // Eight times the budget: below 14.4, above 6.
    let fired = run(&mut bench, 6 * HOUR, 8);
    assert_eq!(fired.len(), 1);
    // 6/8 of six hours.
    let after = fired[0].0 - 7 * HOUR;
    assert!((16_170..=16_260).contains(&after), "{after}");
}

#[test]
fn too_few_calls_say_nothing() {
    let rule = Rule { min_requests: 100, ..fast() };
    let mut bench = Bench::new(vec![rule]);
    for _ in 0..50 {
        bench.figures.counts.total += 1;
        bench.figures.counts.bad += 1;
        assert_eq!(bench.ticks(1), []);
    }
    assert_eq!(bench.alerts.read()[0].value, None);
}

#[test]
fn what_failed_before_the_first_look_counts_and_what_was_before_a_new_rule_does_not() {
    let mut bench = Bench::new(vec![fast()]);
    bench.figures.counts = Counts { total: 40, bad: 20 };
    assert_eq!(bench.ticks(1), [(0, What::Fired)]);
    let renamed = Rule { name: "new".into(), ..fast() };
    bench.alerts.replace(vec![renamed], None);
    assert_eq!(bench.ticks(3), []);
    assert_eq!(bench.alerts.read()[0].value, None);
}

#[test]
fn a_budget_burnt_is_said_in_a_sentence() {
    assert_eq!(
        fast().sentence(20.0),
        "errors use up the budget of 0.1 % 20 times as fast as it allows, above 14.4 (over 1h and 5m)"
    );
}
