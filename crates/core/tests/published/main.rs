//! What is published of the metrics, printed from their list: the reference page, alert rules for Prometheus, a dashboard
//! for Grafana. Change it here or in the list, then run `UPDATE_REFERENCE=1 cargo test -p aqe-core --test published`.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod dashboard;
mod queries;
mod reference;
mod rules;

use std::fs;
use std::path::Path;

/// Compares a file of the project with what is printed, or writes it.
fn publish(path: &str, printed: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, printed).unwrap();
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == printed,
        "{path} is not what is printed; run: UPDATE_REFERENCE=1 cargo test -p aqe-core --test published"
    );
}

#[test]
fn the_reference_page_is_that_of_the_list() {
    publish("docs/reference/metrics.md", &reference::markdown());
}

#[test]
fn the_alert_rules_are_printed_and_ask_for_metrics_that_there_are() {
    let rules = rules::all();
    for rule in &rules {
        queries::check(&rule.expr);
    }
    publish("dist/prometheus/aqe-v3.rules.yml", &rules::yaml(&rules));
}

#[test]
fn the_dashboard_is_printed_and_asks_for_metrics_that_there_are() {
    let panels = dashboard::panels();
    let queries = dashboard::queries(&panels);
    for query in &queries {
        queries::check(query);
    }
    publish("dist/grafana/aqe-v3.json", &dashboard::json(&panels));
    // For promtool, which reads rules: does Prometheus understand what the dashboard asks?
    publish("interop/monitoring/dashboard.rules.yml", &queries::as_rules(&queries));
}
