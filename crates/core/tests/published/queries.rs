//! Queries in PromQL: whether they ask for what there is.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use aqe_core::monitor::metrics::{ALL, Kind, Metric};

/// Labels that Prometheus adds by itself, and that of a histogram's bounds.
const FOREIGN: [&str; 3] = ["job", "instance", "le"];

/// The metric that a series of this name is of.
fn metric(series: &str) -> Option<&'static Metric> {
    ALL.iter().copied().find(|metric| match metric.kind {
        Kind::Histogram(_) => {
            series.strip_prefix(metric.name).is_some_and(|end| ["_bucket", "_sum", "_count"].contains(&end))
        }
        _ => series == metric.name,
    })
}

/// Words of a query, outside of strings.
fn words(query: &str) -> Vec<&str> {
    let outside = query.split('"').step_by(2);
    let words = outside.flat_map(|part| part.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    words.filter(|word| !word.is_empty()).collect()
}

/// Fails for a query that asks for a metric or label that is not in the list, or for a bound that no bucket has.
pub(crate) fn check(query: &str) {
    let words = words(query);
    let series: Vec<&str> = words
        .iter()
        .copied()
        .filter(|word| word.starts_with("aqe_") || word.starts_with("process_"))
        .collect();
    let mut labels: BTreeSet<&str> = FOREIGN.into();
    let mut states = BTreeSet::new();
    let mut bounds = BTreeSet::new();
    for name in &series {
        let metric = metric(name).unwrap_or_else(|| panic!("{name} is no metric: {query}"));
        labels.extend(metric.labels);
        match metric.kind {
            Kind::States(_) => drop(states.insert(metric.name)),
            Kind::Histogram(of) => bounds.extend(of.iter().map(|bound| bound.le)),
            _ => {}
        }
    }
    assert!(!series.is_empty() || query.starts_with("up"), "{query}");
    for selector in query.split('{').skip(1).map(|rest| rest.split_once('}').unwrap().0) {
        for matcher in selector.split(',') {
            let label = matcher.split(['=', '!']).next().unwrap().trim();
            assert!(labels.contains(label) || states.contains(label), "{label} is no label: {query}");
            if let Some(bound) = matcher.strip_prefix("le=") {
                assert!(bounds.contains(bound.trim_matches('"')), "no bucket ends at {bound}: {query}");
            }
        }
    }
    for grouping in query.split(" by (").skip(1).map(|rest| rest.split_once(')').unwrap().0) {
        for label in grouping.split(", ") {
            assert!(labels.contains(label) || states.contains(label), "{label} is no label: {query}");
        }
    }
}

/// Rules that record what the queries ask for.
pub(crate) fn as_rules(queries: &[String]) -> String {
    let mut yaml = String::from(
        "# The queries of dist/grafana/aqe-v3.json, printed from crates/core/tests/published, so that promtool reads them.\n\
         groups:\n  - name: dashboard\n    rules:\n",
    );
    for (at, query) in queries.iter().enumerate() {
        let query = query.replace("$__rate_interval", "5m").replace('\'', "''");
        writeln!(yaml, "      - record: dashboard:query:{at}\n        expr: '{query}'").unwrap();
    }
    yaml
}
