//! The four rules that there are without configuration, each at its exact tick.

use super::*;

const RECOVERED: What = What::Resolved(Resolution::Recovered);

fn only(name: &str) -> Bench {
    let rules = Thresholds::default().rules().into_iter().filter(|rule| &*rule.name == name).collect();
    Bench::new(rules)
}

/// Good until the second 30, bad until `until`, good again: when did it fire and resolve?
fn history(name: &str, signal: Signal, good: f64, bad: f64, until: u64) -> Vec<(u64, What)> {
    let mut bench = only(name);
    bench.set(signal, Some(good));
    let mut all = bench.ticks(30);
    bench.set(signal, Some(bad));
    all.extend(bench.ticks(until - 30));
    bench.set(signal, Some(good));
    all.extend(bench.ticks(100));
    all
}

#[test]
fn response_time_fires_after_five_minutes_above_200_ms_and_resolves_at_once() {
    let bad = |until| history("response-time", Signal::LatencyP95, 200.0, 200.01, until);
    // 30 … 330 are 301 ticks: the one at 330 is the first that is five minutes after the first bad one.
    assert_eq!(bad(331), [(330, What::Fired), (331, RECOVERED)]);
    assert_eq!(bad(330), []);
    assert_eq!(bad(900), [(330, What::Fired), (900, RECOVERED)]);
}

#[test]
fn error_rate_fires_after_one_minute_above_five_percent() {
    let bad = |until| history("error-rate", Signal::ErrorRate, 0.05, 0.051, until);
    assert_eq!(bad(91), [(90, What::Fired), (91, RECOVERED)]);
    assert_eq!(bad(90), []);
}

#[test]
fn memory_fires_after_five_minutes_above_500_mb() {
    let bad = |until| history("memory", Signal::MemoryBytes, 500e6, 500e6 + 1.0, until);
    assert_eq!(bad(331), [(330, What::Fired), (331, RECOVERED)]);
    assert_eq!(bad(330), []);
}

#[test]
fn pool_hit_rate_fires_after_ten_minutes_below_seventy_percent_of_the_last_minute() {
    let mut bench = only("pool-hit-rate");
    // Ten a second, all of them hits; then four misses a second; then none again.
    let mut run = |seconds: u64, misses: u64| {
        let mut all = Vec::new();
        for _ in 0..seconds {
            bench.figures.counts.total += 10;
            bench.figures.counts.bad += misses;
            all.extend(bench.ticks(1));
        }
        all
    };
    assert_eq!(run(100, 0), []);
    let fired = run(700, 4);
    // Of the last 600, the share of misses reaches 30 % with the 45th second and passes it with the 46th: 145.
    assert_eq!(fired, [(745, What::Fired)]);
    // With 15 s of hits in the minute it is 30 % again, which is not below 70 % of hits.
    assert_eq!(run(100, 0), [(814, RECOVERED)]);
}

#[test]
fn thresholds_of_the_configuration_are_those_of_the_rules() {
    let thresholds =
        Thresholds { p95_response_time_ms: 1.0, error_rate: 0.2, pool_hit_rate: 0.3, memory_bytes: 4.0 };
    let rules = thresholds.rules();
    let found: Vec<_> = rules.iter().map(|rule| (&*rule.name, rule.threshold())).collect();
    assert_eq!(found, [("response-time", 1.0), ("error-rate", 0.2), ("pool-hit-rate", 0.3), ("memory", 4.0)]);
}

#[test]
fn a_sentence_says_what_is_wrong_with_units() {
    let rules = Thresholds::default().rules();
    let said: Vec<String> =
        rules.iter().zip([312.4, 0.0713, 0.5, 612.3e6]).map(|(rule, value)| rule.sentence(value)).collect();
    assert_eq!(
        said,
        [
            "p95 of the latency is 312 ms, above 200 ms (over 1m)",
            "error rate is 7.13 %, above 5 % (over 1m)",
            "pool hit rate is 50 %, below 70 % (over 1m)",
            "memory in use is 612 MB, above 500 MB",
        ]
    );
    assert_eq!(rules[3].sentence(20e6), "memory in use is 20 MB; an alert is above 500 MB");
}
