//! The dashboard for Grafana.

use aqe_core::monitor::metrics::list::{
    ALERT_NOTICES, ALERT_STATE, BALANCER_EJECTIONS, BALANCER_HEDGES, BALANCER_RETRIES, BUILD, CACHE_HITS,
    CACHE_MISSES, CHILD_CPU, CHILD_MEMORY, CHILD_UPTIME, HEALTH, LIST_TOKENS, LOOKUPS, OVERHEAD_DURATION,
    POOL_ACQUIRES, POOL_CLOSED, POOL_CONNECTIONS, POOL_WAIT, POOL_WAITING, PROCESS_CPU, PROCESS_FILES,
    PROCESS_MEMORY, REFUSED, REPLICA_DURATION, REPLICA_STATE, REQUEST_DURATION, REQUEST_ERRORS, REQUESTS,
    REQUESTS_IN_FLIGHT, RESPONSE_BYTES, SESSIONS, SPANS, TOOL_DURATION, TOOL_FAILURES, TOOL_REQUESTS,
    TOOL_TOKENS, UPSTREAM_DURATION,
};
use aqe_core::monitor::metrics::{Kind, Metric, Unit};
use serde_json::{Value, json};

/// What a panel looks like.
#[derive(Clone, Copy, PartialEq)]
enum Look {
    /// A heading over those that follow.
    Row,
    /// The last value, in large.
    Stat,
    /// Values over time.
    Lines,
    /// The highest values, as bars.
    Bars,
}

pub(crate) struct Panel {
    title: &'static str,
    look: Look,
    /// What it is of: its help is the description.
    of: Option<&'static Metric>,
    unit: &'static str,
    /// Queries, and how their lines are called.
    targets: Vec<(String, &'static str)>,
}

/// Only the chosen instances. `more` are further matchers.
fn series(metric: &Metric, ending: &str, more: &str) -> String {
    let more = if more.is_empty() { String::new() } else { format!(",{more}") };
    format!("{}{ending}{{job=~\"$job\",instance=~\"$instance\"{more}}}", metric.name)
}

fn rate(metric: &Metric, more: &str) -> String {
    format!("rate({}[$__rate_interval])", series(metric, "", more))
}

/// The sum of rates by these labels.
fn rates(metric: &Metric, by: &str) -> String {
    match by {
        "" => format!("sum({})", rate(metric, "")),
        by => format!("sum by ({by}) ({})", rate(metric, "")),
    }
}

/// A quantile of a histogram by these labels.
fn quantile(metric: &Metric, share: f64, by: &str) -> String {
    let by = if by.is_empty() { String::new() } else { format!(", {by}") };
    let buckets = series(metric, "_bucket", "");
    format!("histogram_quantile({share}, sum by (le{by}) (rate({buckets}[$__rate_interval])))")
}

fn percentiles(metric: &'static Metric) -> Vec<(String, &'static str)> {
    [(0.5, "p50"), (0.95, "p95"), (0.99, "p99")]
        .map(|(share, name)| (quantile(metric, share, ""), name))
        .to_vec()
}

/// The unit of a metric as Grafana calls it; of a counter as a rate.
fn unit(metric: &Metric) -> &'static str {
    match (metric.unit, metric.kind) {
        (Unit::Seconds, Kind::Counter) => "percentunit",
        (Unit::Seconds, _) => "s",
        (Unit::Bytes, Kind::Counter) => "Bps",
        (Unit::Bytes, _) => "bytes",
        (Unit::None, Kind::Counter) => "cps",
        (Unit::None, _) => "short",
    }
}

fn row(title: &'static str) -> Panel {
    Panel { title, look: Look::Row, of: None, unit: "", targets: Vec::new() }
}

fn panel(
    title: &'static str,
    look: Look,
    of: &'static Metric,
    targets: Vec<(String, &'static str)>,
) -> Panel {
    Panel { title, look, of: Some(of), unit: unit(of), targets }
}

/// A panel of shares.
fn shares(
    title: &'static str,
    look: Look,
    of: &'static Metric,
    targets: Vec<(String, &'static str)>,
) -> Panel {
    Panel { unit: "percentunit", ..panel(title, look, of, targets) }
}

pub(crate) fn panels() -> Vec<Panel> {
    use Look::{Bars, Lines, Stat};
    let one = |query: String, legend: &'static str| vec![(query, legend)];
    let hits = format!("sum({})", rate(&POOL_ACQUIRES, "result=\"hit\""));
    let acquired = format!("sum({})", rate(&POOL_ACQUIRES, "result=~\"hit|miss\""));
    let now = |metric: &Metric, by: &str| format!("sum by ({by}) ({})", series(metric, "", ""));
    let health = format!("{} == 1", series(&HEALTH, "", ""));
    vec![
        row("At a glance"),
        panel("Health", Stat, &HEALTH, one(health, "{{instance}}: {{aqe_health}}")),
        panel("Requests", Stat, &REQUESTS, one(rates(&REQUESTS, ""), "requests")),
        shares(
            "Errors",
            Stat,
            &REQUEST_ERRORS,
            one(format!("{} / {}", rates(&REQUEST_ERRORS, ""), rates(&REQUESTS, "")), "errors"),
        ),
        panel("95th percentile", Stat, &REQUEST_DURATION, one(quantile(&REQUEST_DURATION, 0.95, ""), "p95")),
        shares("Pool hits", Stat, &POOL_ACQUIRES, one(format!("{hits} / {acquired}"), "hits")),
        panel(
            "Memory",
            Stat,
            &PROCESS_MEMORY,
            one(format!("sum({})", series(&PROCESS_MEMORY, "", "")), "memory"),
        ),
        row("Requests"),
        panel("Requests by method", Lines, &REQUESTS, one(rates(&REQUESTS, "method"), "{{method}}")),
        panel("Time to answer", Lines, &REQUEST_DURATION, percentiles(&REQUEST_DURATION)),
        panel("Errors by kind", Lines, &REQUEST_ERRORS, one(rates(&REQUEST_ERRORS, "kind"), "{{kind}}")),
        panel(
            "In flight",
            Lines,
            &REQUESTS_IN_FLIGHT,
            vec![
                (now(&REQUESTS_IN_FLIGHT, "instance"), "{{instance}}: requests"),
                (now(&SESSIONS, "instance"), "{{instance}}: sessions"),
            ],
        ),
        panel("Answers", Lines, &RESPONSE_BYTES, one(rates(&RESPONSE_BYTES, "method"), "{{method}}")),
        panel("Turned away", Lines, &REFUSED, one(rates(&REFUSED, "reason"), "{{reason}}")),
        row("Tools"),
        panel(
            "Most used",
            Bars,
            &TOOL_REQUESTS,
            one(format!("topk(10, {})", rates(&TOOL_REQUESTS, "tool")), "{{tool}}"),
        ),
        panel(
            "Slowest (95th percentile)",
            Bars,
            &TOOL_DURATION,
            one(format!("topk(10, {})", quantile(&TOOL_DURATION, 0.95, "tool")), "{{tool}}"),
        ),
        panel(
            "Most failures",
            Bars,
            &TOOL_FAILURES,
            one(format!("topk(10, {} > 0)", rates(&TOOL_FAILURES, "tool")), "{{tool}}"),
        ),
        panel(
            "Most tokens",
            Bars,
            &TOOL_TOKENS,
            one(format!("topk(10, {})", rates(&TOOL_TOKENS, "tool")), "{{tool}}"),
        ),
        panel("Look-ups", Lines, &LOOKUPS, one(rates(&LOOKUPS, "result"), "{{result}}")),
        panel(
            "Tokens of the list of tools",
            Lines,
            &LIST_TOKENS,
            one(now(&LIST_TOKENS, "instance"), "{{instance}}"),
        ),
        row("Upstreams and replicas"),
        panel(
            "Upstream, 95th percentile",
            Lines,
            &UPSTREAM_DURATION,
            one(quantile(&UPSTREAM_DURATION, 0.95, "upstream"), "{{upstream}}"),
        ),
        panel(
            "Our overhead, 95th percentile",
            Lines,
            &OVERHEAD_DURATION,
            one(quantile(&OVERHEAD_DURATION, 0.95, "upstream"), "{{upstream}}"),
        ),
        panel(
            "Replica, 95th percentile",
            Lines,
            &REPLICA_DURATION,
            one(quantile(&REPLICA_DURATION, 0.95, "upstream, replica"), "{{upstream}} {{replica}}"),
        ),
        panel(
            "Replicas that are out",
            Lines,
            &REPLICA_STATE,
            one(
                format!(
                    "sum by (upstream) ({})",
                    series(&REPLICA_STATE, "", "aqe_replica_state=~\"open|half-open\"")
                ),
                "{{upstream}}",
            ),
        ),
        panel(
            "Retries, hedges, ejections",
            Lines,
            &BALANCER_RETRIES,
            vec![
                (rates(&BALANCER_RETRIES, "upstream"), "{{upstream}}: retries"),
                (rates(&BALANCER_HEDGES, "upstream"), "{{upstream}}: hedges"),
                (rates(&BALANCER_EJECTIONS, "upstream"), "{{upstream}}: ejections"),
            ],
        ),
        row("Connections"),
        panel("Connections", Lines, &POOL_CONNECTIONS, one(now(&POOL_CONNECTIONS, "state"), "{{state}}")),
        panel("Waiting calls", Lines, &POOL_WAITING, one(now(&POOL_WAITING, "upstream"), "{{upstream}}")),
        panel("Wait for a connection", Lines, &POOL_WAIT, percentiles(&POOL_WAIT)),
        panel(
            "Wanted connections",
            Lines,
            &POOL_ACQUIRES,
            one(rates(&POOL_ACQUIRES, "result"), "{{result}}"),
        ),
        panel("Closed connections", Lines, &POOL_CLOSED, one(rates(&POOL_CLOSED, "reason"), "{{reason}}")),
        row("Cache"),
        panel("Cache hits", Lines, &CACHE_HITS, one(rates(&CACHE_HITS, "level"), "{{level}}")),
        panel("Cache misses", Lines, &CACHE_MISSES, one(rates(&CACHE_MISSES, "level"), "{{level}}")),
        row("What is told to others"),
        panel(
            "Alerts of the gateway itself",
            Lines,
            &ALERT_STATE,
            one(
                format!(
                    "sum by (alert) ({})",
                    series(&ALERT_STATE, "", "aqe_alert_state=~\"firing|acknowledged\"")
                ),
                "{{alert}}",
            ),
        ),
        panel("Spans", Lines, &SPANS, one(rates(&SPANS, "outcome"), "{{outcome}}")),
        panel(
            "Notices of alerts",
            Lines,
            &ALERT_NOTICES,
            one(rates(&ALERT_NOTICES, "receiver, outcome"), "{{receiver}}: {{outcome}}"),
        ),
        row("Processes"),
        panel(
            "Memory of children",
            Lines,
            &CHILD_MEMORY,
            one(now(&CHILD_MEMORY, "upstream, replica"), "{{upstream}} {{replica}}"),
        ),
        panel(
            "CPU of children",
            Lines,
            &CHILD_CPU,
            one(rates(&CHILD_CPU, "upstream, replica"), "{{upstream}} {{replica}}"),
        ),
        panel(
            "Age of the youngest child",
            Lines,
            &CHILD_UPTIME,
            one(series(&CHILD_UPTIME, "", ""), "{{upstream}} {{replica}}"),
        ),
        panel("CPU", Lines, &PROCESS_CPU, one(rates(&PROCESS_CPU, "instance"), "{{instance}}")),
        panel("Open files", Lines, &PROCESS_FILES, one(now(&PROCESS_FILES, "instance"), "{{instance}}")),
    ]
}

/// All queries, those of the variables among them.
pub(crate) fn queries(panels: &[Panel]) -> Vec<String> {
    panels.iter().flat_map(|panel| &panel.targets).map(|(query, _)| query.clone()).collect()
}

/// The dashboard as Grafana imports it.
pub(crate) fn json(panels: &[Panel]) -> String {
    let (mut x, mut y, mut next_y) = (0, 0, 0);
    let mut placed = Vec::new();
    for (at, panel) in panels.iter().enumerate() {
        let (width, height) = match panel.look {
            Look::Row => (24, 1),
            Look::Stat => (4, 4),
            Look::Lines | Look::Bars => (8, 8),
        };
        if x + width > 24 || panel.look == Look::Row {
            (x, y) = (0, next_y);
        }
        placed.push(one(at + 1, panel, &json!({ "x": x, "y": y, "w": width, "h": height })));
        x += width;
        next_y = next_y.max(y + height);
    }
    let build = BUILD.name;
    let variable = |name: &str, query: &str| {
        json!({
            "name": name,
            "type": "query",
            "datasource": source(),
            "definition": query,
            "query": { "query": query, "refId": name },
            "includeAll": true,
            "allValue": ".+",
            "multi": true,
            "current": { "text": "All", "value": "$__all" },
            "refresh": 2,
            "sort": 1,
        })
    };
    let dashboard = json!({
        "uid": "aqe-v3",
        "title": "aqe-v3",
        "description": "What an aqe-v3 gateway does and how it fares. Printed from its list of metrics.",
        "tags": ["aqe-v3", "mcp"],
        "schemaVersion": 39,
        "editable": true,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": { "from": "now-1h", "to": "now" },
        "templating": { "list": [
            { "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus" },
            variable("job", &format!("label_values({build}, job)")),
            variable("instance", &format!("label_values({build}{{job=~\"$job\"}}, instance)")),
        ] },
        "panels": placed,
    });
    format!("{dashboard:#}\n")
}

fn source() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

fn one(id: usize, panel: &Panel, place: &Value) -> Value {
    let Some(of) = panel.of else {
        return json!({ "id": id, "type": "row", "title": panel.title, "gridPos": place, "collapsed": false, "panels": [] });
    };
    let (kind, options) = match panel.look {
        Look::Stat if matches!(of.kind, Kind::States(_)) => (
            "stat",
            json!({ "textMode": "name", "colorMode": "none", "reduceOptions": { "calcs": ["lastNotNull"] } }),
        ),
        Look::Bars => (
            "bargauge",
            json!({ "orientation": "horizontal", "displayMode": "basic", "reduceOptions": { "calcs": ["lastNotNull"] } }),
        ),
        Look::Stat => ("stat", json!({ "colorMode": "none", "reduceOptions": { "calcs": ["lastNotNull"] } })),
        Look::Lines | Look::Row => (
            "timeseries",
            json!({ "legend": { "displayMode": "list", "placement": "bottom" }, "tooltip": { "mode": "multi", "sort": "desc" } }),
        ),
    };
    let instant = panel.look == Look::Bars;
    let targets: Vec<Value> = panel
        .targets
        .iter()
        .zip('A'..)
        .map(|((query, legend), id)| {
            json!({
                "refId": id.to_string(),
                "datasource": source(),
                "expr": query,
                "legendFormat": legend,
                "instant": instant,
                "range": !instant,
            })
        })
        .collect();
    json!({
        "id": id,
        "type": kind,
        "title": panel.title,
        "description": of.help,
        "datasource": source(),
        "gridPos": place,
        "options": options,
        "fieldConfig": { "defaults": { "unit": panel.unit, "min": 0 }, "overrides": [] },
        "targets": targets,
    })
}
