use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;

use super::super::bounds::DURATIONS;
use super::super::{ALL, Stability, Unit};
use super::*;

static CALLS: Metric = Metric {
    name: "calls_total",
    kind: Kind::Counter,
    unit: Unit::None,
    help: "All \"calls\",\na back\\slash.",
    labels: &["tool", "kind"],
    stability: Stability::Stable,
};
static MEMORY: Metric = Metric {
    name: "memory_bytes",
    kind: Kind::Gauge,
    unit: Unit::Bytes,
    help: "Memory.",
    labels: &[],
    ..CALLS
};
static CPU: Metric =
    Metric { name: "cpu_seconds_total", unit: Unit::Seconds, help: "CPU.", labels: &[], ..CALLS };
static STATE: Metric = Metric {
    name: "state",
    kind: Kind::States(&["up", "down"]),
    unit: Unit::None,
    help: "State.",
    labels: &["replica"],
    ..CALLS
};
static BUILD: Metric = Metric {
    name: "build_info",
    kind: Kind::Info,
    unit: Unit::None,
    help: "Build.",
    labels: &["version"],
    ..CALLS
};
static DURATION: Metric = Metric {
    name: "duration_seconds",
    kind: Kind::Histogram(&DURATIONS),
    unit: Unit::Seconds,
    help: "Duration.",
    labels: &["tool"],
    ..CALLS
};

fn written(format: Format, tell: impl FnOnce(&mut Encoder)) -> String {
    let mut encoder = Encoder::new(format, 0);
    tell(&mut encoder);
    encoder.finish()
}

fn some(sink: &mut Encoder) {
    sink.whole(&CALLS, &["read", "timeout"], 3);
    sink.whole(&CALLS, &["wr\"i\\te\n", "timeout"], 4);
    sink.whole(&MEMORY, &[], 1 << 40);
    sink.real(&CPU, &[], 0.25);
    sink.state(&STATE, &["a"], "down");
    sink.whole(&BUILD, &["1.2.3"], 1);
}

#[test]
fn the_old_format_is_written_as_prometheus_reads_it() {
    assert_eq!(
        written(Format::Prometheus, some),
        r#"# HELP calls_total All "calls",\na back\\slash.
# TYPE calls_total counter
calls_total{tool="read",kind="timeout"} 3
calls_total{tool="wr\"i\\te\n",kind="timeout"} 4
# HELP memory_bytes Memory.
# TYPE memory_bytes gauge
memory_bytes 1099511627776
# HELP cpu_seconds_total CPU.
# TYPE cpu_seconds_total counter
cpu_seconds_total 0.25
# HELP state State.
# TYPE state gauge
state{replica="a",state="up"} 0
state{replica="a",state="down"} 1
# HELP build_info Build.
# TYPE build_info gauge
build_info{version="1.2.3"} 1
"#
    );
}

#[test]
fn openmetrics_has_families_units_state_sets_and_an_end() {
    assert_eq!(
        written(Format::OpenMetrics, some),
        r#"# HELP calls All \"calls\",\na back\\slash.
# TYPE calls counter
calls_total{tool="read",kind="timeout"} 3
calls_total{tool="wr\"i\\te\n",kind="timeout"} 4
# HELP memory_bytes Memory.
# TYPE memory_bytes gauge
# UNIT memory_bytes bytes
memory_bytes 1099511627776
# HELP cpu_seconds CPU.
# TYPE cpu_seconds counter
# UNIT cpu_seconds seconds
cpu_seconds_total 0.25
# HELP state State.
# TYPE state stateset
state{replica="a",state="up"} 0
state{replica="a",state="down"} 1
# HELP build Build.
# TYPE build info
build_info{version="1.2.3"} 1
# EOF
"#
    );
}

#[test]
fn what_is_no_number_is_absent() {
    let text = written(Format::Prometheus, |sink| {
        sink.real(&CPU, &[], f64::NAN);
        sink.real(&CPU, &[], f64::INFINITY);
    });
    assert_eq!(text, "");
}

/// A sample of a text: name, labels in their order, value.
type Sample = (String, Vec<(String, String)>, String);

/// Reads a text as strictly as the specification has it.
fn parsed(text: &str) -> Vec<Sample> {
    text.strip_suffix('\n').unwrap().split('\n').filter(|line| !line.starts_with('#')).map(sample).collect()
}

fn sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).unwrap();
    let (name, mut rest) = line.split_at(end);
    let mut labels = Vec::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, after) = rest.split_once("=\"").unwrap();
            let mut value = String::new();
            let mut characters = after.char_indices();
            let end = loop {
                match characters.next().unwrap() {
                    (at, '"') => break at,
                    (_, '\\') => value.push(match characters.next().unwrap().1 {
                        'n' => '\n',
                        same @ ('\\' | '"') => same,
                        other => panic!("\\{other} in {line}"),
                    }),
                    (_, other) => value.push(other),
                }
            };
            labels.push((label.to_owned(), value));
            rest = &after[end + 1..];
            match rest.split_at(1) {
                (",", after) => rest = after,
                ("}", after) => break rest = after,
                _ => panic!("{line}"),
            }
        }
    }
    let value = rest.strip_prefix(' ').unwrap();
    value.parse::<f64>().unwrap();
    (name.to_owned(), labels, value.to_owned())
}

fn formats() -> impl Strategy<Value = Format> {
    prop_oneof![Just(Format::Prometheus), Just(Format::OpenMetrics)]
}

proptest! {
    #[test]
    fn whatever_a_server_calls_its_tools_the_text_says_so_and_nothing_else(
        names in prop::collection::hash_set("(?s).{0,12}|[\"\\\\\n{},= #]{0,6}", 1..12),
        format in formats(),
    ) {
        let names: Vec<String> = names.into_iter().collect();
        let text = written(format, |sink| {
            for (at, name) in names.iter().enumerate() {
                sink.whole(&CALLS, &[name, "x"], at as u64);
            }
        });
        let read = parsed(&text);
        prop_assert_eq!(read.len(), names.len());
        for ((at, name), (metric, labels, value)) in names.iter().enumerate().zip(read) {
            prop_assert_eq!(metric, "calls_total");
            let expected = [("tool".to_owned(), name.replace('\0', "\u{fffd}")), ("kind".to_owned(), "x".to_owned())];
            prop_assert_eq!(labels, expected);
            prop_assert_eq!(value, at.to_string());
        }
    }

    #[test]
    fn any_number_arrives_as_it_was(values in prop::collection::vec(any::<f64>(), 1..20), whole in any::<u64>()) {
        let finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        let text = written(Format::OpenMetrics, |sink| {
            sink.whole(&MEMORY, &[], whole);
            for value in &values {
                sink.real(&CPU, &[], *value);
            }
        });
        let read = parsed(&text);
        prop_assert_eq!(read[0].2.parse::<u64>().unwrap(), whole);
        let read: Vec<f64> = read[1..].iter().map(|(_, _, value)| value.parse().unwrap()).collect();
        prop_assert_eq!(read, finite);
    }

    #[test]
    fn histograms_grow_end_with_all_and_are_exact_at_each_bound(
        latencies in prop::collection::vec((0_u64..120_000_000_000).prop_map(|ns| ns >> (ns % 24)), 0..300),
        format in formats(),
    ) {
        let mut counts = Counts::default();
        for ns in &latencies {
            counts.record(*ns);
        }
        let read = parsed(&written(format, |sink| sink.histogram(&DURATION, &["a"], &counts)));
        let mut buckets = BTreeMap::new();
        let mut last = 0;
        for (name, labels, value) in &read[..read.len() - 2] {
            prop_assert_eq!(name, "duration_seconds_bucket");
            let le = labels[1].1.replace("+Inf", "inf").parse::<f64>().unwrap();
            let value = value.parse::<u64>().unwrap();
            prop_assert!(value >= last);
            last = value;
            let exact = latencies.iter().filter(|ns| (**ns as f64) < le * 1e9).count();
            prop_assert_eq!(value, exact as u64, "less than {}", le);
            prop_assert!(buckets.insert((le * 1e9) as u64, value).is_none());
        }
        let [.., (sum, _, total), (count, _, all)] = &read[..] else { panic!("{read:?}") };
        prop_assert_eq!((sum.as_str(), count.as_str()), ("duration_seconds_sum", "duration_seconds_count"));
        prop_assert_eq!(all, &latencies.len().to_string());
        prop_assert_eq!(last, latencies.len() as u64);
        let exact = latencies.iter().sum::<u64>() as f64 / 1e9;
        prop_assert!((total.parse::<f64>().unwrap() - exact).abs() <= exact * 1e-12);
        prop_assert_eq!(buckets.len(), DURATIONS.len() + 1);
    }
}

#[test]
fn no_series_of_any_metric_has_the_name_of_another() {
    let mut series = HashSet::new();
    for format in [Format::Prometheus, Format::OpenMetrics] {
        series.clear();
        let text = written(format, |sink| {
            for metric in ALL {
                let labels: Vec<&str> = metric.labels.iter().map(|_| "x").collect();
                match metric.kind {
                    Kind::Histogram(_) => sink.histogram(metric, &labels, &Counts::EMPTY),
                    Kind::States(states) => sink.state(metric, &labels, states[0]),
                    _ => sink.whole(metric, &labels, 1),
                }
            }
        });
        for (name, labels, _) in parsed(&text) {
            assert!(series.insert((name.clone(), labels)), "{name} is there twice");
        }
    }
}
