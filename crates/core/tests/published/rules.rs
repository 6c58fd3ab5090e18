//! The alert rules for Prometheus.

use std::fmt::Write as _;

use aqe_core::monitor::metrics::list::{
    BALANCER_PANIC, BUILD, FLEET_AGENTS, FLEET_TASKS, HEALTH, POOL_ACQUIRES, POOL_REPLICA_STATE,
    POOL_WAITING, PROCESS_FILES, PROCESS_MAX_FILES, PROCESS_MEMORY, PROCESS_START, REPLICA_STATE,
    REQUEST_DURATION, REQUEST_ERRORS, REQUESTS, TOOL_FAILURES, TOOL_REQUESTS,
};

/// A rule.
pub(crate) struct Rule {
    name: &'static str,
    pub(crate) expr: String,
    hold: &'static str,
    severity: &'static str,
    summary: &'static str,
    description: &'static str,
}

/// What an instance is known by.
const INSTANCE: &str = "job, instance";

/// The share of requests that failed in this time, of each instance.
fn error_rate(range: &str) -> String {
    let sum = |name: &str| format!("sum by ({INSTANCE}) (rate({name}[{range}]))");
    format!("{} / {}", sum(REQUEST_ERRORS.name), sum(REQUESTS.name))
}

/// Multi-window burn rate (Google's SRE workbook, chapter 5) of an objective of 99 %.
fn burn(factor: f64, long: &str, short: &str) -> String {
    let budget = 0.01;
    // Rounded to what is written in the workbook: 0.144, not its sixteen digits.
    let threshold = (factor * budget * 1e6).round() / 1e6;
    format!("({} > {threshold}) and ({} > {threshold})", error_rate(long), error_rate(short))
}

/// A series of a state set.
fn state(metric: &aqe_core::monitor::metrics::Metric, state: &str) -> String {
    format!("{name}{{{name}=\"{state}\"}}", name = metric.name)
}

/// Only ours: metrics of processes are everybody's.
fn ours(expr: &str) -> String {
    format!("({expr}) and on ({INSTANCE}) {}", BUILD.name)
}

pub(crate) fn all() -> Vec<Rule> {
    let rule = |name, expr: String, hold, severity, summary, description| Rule {
        name,
        expr,
        hold,
        severity,
        summary,
        description,
    };
    let (duration, acquires) = (REQUEST_DURATION.name, POOL_ACQUIRES.name);
    let acquired =
        |results: &str| format!("sum by ({INSTANCE}) (rate({acquires}{{result=~\"{results}\"}}[5m]))");
    vec![
        rule(
            "AqeResponseTime",
            format!(
                "1 - sum by ({INSTANCE}) (rate({duration}_bucket{{le=\"0.201326592\"}}[5m])) / sum by ({INSTANCE}) \
                 (rate({duration}_count[5m])) > 0.05"
            ),
            "5m",
            "warning",
            "More than 5 % of the requests take longer than 200 ms",
            "{{ $value | humanizePercentage }} of the requests took longer than 201 ms: the 95th percentile is above it.",
        ),
        rule(
            "AqeErrorRate",
            format!("{} > 0.05", error_rate("2m")),
            "1m",
            "critical",
            "More than 5 % of the requests fail",
            "{{ $value | humanizePercentage }} of the requests failed.",
        ),
        rule(
            "AqePoolHitRate",
            format!("{} / {} < 0.7", acquired("hit"), acquired("hit|miss")),
            "10m",
            "warning",
            "Less than 70 % of the calls find a connection",
            "{{ $value | humanizePercentage }} of the calls found a connection; the others waited for a new one.",
        ),
        rule(
            "AqeMemory",
            ours(&format!("{} > 500e6", PROCESS_MEMORY.name)),
            "5m",
            "warning",
            "More than 500 MB of memory are in use",
            "{{ $value | humanize1024 }}B of memory are in use.",
        ),
        rule(
            "AqeErrorBudgetFast",
            burn(14.4, "1h", "5m"),
            "2m",
            "critical",
            "2 % of a month's error budget are gone in an hour",
            "{{ $value | humanizePercentage }} of the requests of the last hour failed; 1 % is the objective.",
        ),
        rule(
            "AqeErrorBudgetSlow",
            burn(6.0, "6h", "30m"),
            "15m",
            "warning",
            "5 % of a month's error budget are gone in six hours",
            "{{ $value | humanizePercentage }} of the requests of the last six hours failed; 1 % is the objective.",
        ),
        rule(
            "AqeFleetStuck",
            format!(
                "sum by ({INSTANCE}) ({}{{state=\"ready\"}}) > 0 unless on ({INSTANCE}) sum by ({INSTANCE}) ({}) > 0",
                FLEET_TASKS.name, FLEET_AGENTS.name
            ),
            "5m",
            "warning",
            "Tasks wait and no agent of a fleet is there",
            "{{ $value }} tasks are ready and this server has no agent for them.",
        ),
        rule(
            "AqeToolFails",
            format!(
                "rate({}[10m]) / rate({requests}[10m]) > 0.5 and increase({requests}[10m]) >= 10",
                TOOL_FAILURES.name,
                requests = TOOL_REQUESTS.name
            ),
            "5m",
            "warning",
            "Most calls of {{ $labels.tool }} fail",
            "{{ $value | humanizePercentage }} of the calls of {{ $labels.tool }} failed.",
        ),
        rule(
            "AqeReplicaDown",
            format!("{} == 1", state(&REPLICA_STATE, "open")),
            "1m",
            "warning",
            "Replica {{ $labels.replica }} of {{ $labels.upstream }} is out",
            "The circuit breaker of replica {{ $labels.replica }} of {{ $labels.upstream }} is open.",
        ),
        rule(
            "AqeUpstreamDown",
            format!("min by ({INSTANCE}, upstream) ({}) == 1", state(&REPLICA_STATE, "open")),
            "1m",
            "critical",
            "All replicas of {{ $labels.upstream }} are out",
            "No replica of {{ $labels.upstream }} is in use.",
        ),
        rule(
            "AqeChildCrashLoop",
            format!("{} == 1", state(&POOL_REPLICA_STATE, "crash-looping")),
            "1m",
            "critical",
            "Replica {{ $labels.replica }} of {{ $labels.upstream }} fails again and again",
            "{{ $labels.replica }} of {{ $labels.upstream }} cannot be kept connected and is tried rarely; its last lines \
             are in mcp metrics.",
        ),
        rule(
            "AqeBalancerPanic",
            format!("{} == 1", BALANCER_PANIC.name),
            "1m",
            "critical",
            "So few replicas of {{ $labels.upstream }} are well that all serve",
            "Calls of {{ $labels.upstream }} also go to replicas that are out.",
        ),
        rule(
            "AqePoolQueue",
            format!("sum by ({INSTANCE}, upstream) ({}) > 0", POOL_WAITING.name),
            "5m",
            "warning",
            "Calls of {{ $labels.upstream }} wait for connections",
            "{{ $value }} calls of {{ $labels.upstream }} wait for a connection.",
        ),
        rule(
            "AqeOpenFiles",
            ours(&format!("{} / {} > 0.8", PROCESS_FILES.name, PROCESS_MAX_FILES.name)),
            "5m",
            "warning",
            "Few files can be opened any more",
            "{{ $value | humanizePercentage }} of the files that the process may open are open.",
        ),
        rule(
            "AqeCritical",
            format!("{} == 1", state(&HEALTH, "critical")),
            "5m",
            "critical",
            "The gateway calls itself critical",
            "Error rate or pool hit rate are far from good; mcp metrics says which.",
        ),
        rule(
            "AqeRestarts",
            ours(&format!("changes({}[15m]) > 2", PROCESS_START.name)),
            "0m",
            "critical",
            "The gateway was started again and again",
            "It was started {{ $value }} times in the last 15 minutes.",
        ),
        rule(
            "AqeDown",
            "up{job=\"aqe-v3\"} == 0".to_owned(),
            "1m",
            "critical",
            "{{ $labels.instance }} cannot be scraped",
            "Prometheus gets no metrics of {{ $labels.instance }}.",
        ),
    ]
}

pub(crate) fn yaml(rules: &[Rule]) -> String {
    let mut yaml = String::from(
        "# Alert rules for Prometheus, printed from crates/core/tests/published; docs/monitoring.md says how to use them.\n\
         # The scrape interval is to be 30 s or less. AqeDown expects the job to be called aqe-v3.\n\
         groups:\n  - name: aqe-v3\n    rules:\n",
    );
    for rule in rules {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
        write!(
            yaml,
            "      - alert: {}\n        expr: {}\n        for: {}\n        labels:\n          severity: {}\n        \
             annotations:\n          summary: {}\n          description: {}\n",
            rule.name,
            quoted(&rule.expr),
            rule.hold,
            rule.severity,
            quoted(rule.summary),
            quoted(rule.description),
        )
        .unwrap();
    }
    yaml
}
