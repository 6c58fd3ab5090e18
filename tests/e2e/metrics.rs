//! What other programs read of a running gateway agrees with what its clients and upstreams have seen.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aqe_testkit::client::{Answer, Message};
use aqe_testkit::process::wait_until;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Metric, NumberDataPoint, number_data_point,
};
use serde_json::{Value, json};

use crate::support::collector::{Collector, Conduct};
use crate::support::{Client, Gateway, Over, Pair, Plan, Upstream, one_by_one};

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0";

/// Samples by name and labels, as they are written.
struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    /// Reads a text; no series may be there twice.
    fn read(text: &str) -> Self {
        let mut samples = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').expect("expected a sample");
            let value = value.parse().expect("expected a number");
            assert!(samples.insert(series.to_owned(), value).is_none(), "{series} is there twice");
        }
        Self(samples)
    }

    /// The sum of the samples with this name whose labels hold all of these texts; `None` without any.
    fn sum(&self, name: &str, labels: &[&str]) -> Option<f64> {
        let is_meant = |series: &str| {
            let (of, text) = series.split_once('{').unwrap_or((series, ""));
            of == name && labels.iter().all(|label| text.contains(label))
        };
        self.0.iter().filter(|(series, _)| is_meant(series)).map(|(_, value)| *value).reduce(|a, b| a + b)
    }

    #[track_caller]
    fn assert(&self, name: &str, labels: &[&str], expected: usize) {
        let found = self.sum(name, labels);
        assert_eq!(found, Some(expected as f64), "{name} {labels:?} of {:#?}", self.of(name));
    }

    fn of(&self, name: &str) -> Vec<(&String, &f64)> {
        self.0.iter().filter(|(series, _)| series.starts_with(name)).collect()
    }
}

/// The metrics, in both formats, which must have the same series.
async fn scrape(gateway: &Gateway) -> Scrape {
    let names = |scrape: &Scrape| scrape.0.keys().cloned().collect::<Vec<_>>();
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let (old, new) = (old_format(gateway).await, openmetrics(gateway).await);
        if names(&old) == names(&new) {
            return old;
        }
        // Between the two a second ended, and something was counted for the first time.
        assert!(Instant::now() < until, "{:#?}\n{:#?}", names(&old), names(&new));
    }
}

async fn old_format(gateway: &Gateway) -> Scrape {
    let mut told = gateway.admin().at("/metrics").send("GET", &[], b"").await;
    assert_eq!(told.status, 200);
    assert!(told.headers.begins("content-type", "text/plain; version=0.0.4"), "{:?}", told.headers);
    Scrape::read(&told.text().await)
}

async fn openmetrics(gateway: &Gateway) -> Scrape {
    let mut told = gateway.admin().at("/metrics").send("GET", &[("accept", OPENMETRICS)], b"").await;
    assert!(told.headers.begins("content-type", OPENMETRICS), "{:?}", told.headers);
    let text = told.text().await;
    Scrape::read(text.strip_suffix("# EOF\n").expect("expected the end of an OpenMetrics text"))
}

/// What is told once all requests are counted: of full seconds.
async fn settled(gateway: &Gateway, requests: usize) -> (Scrape, Value) {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let told = scrape(gateway).await;
        if told.sum("aqe_requests_total", &["method=\"tools/call\""]) == Some(requests as f64) {
            return (told, gateway.admin().get("/admin/metrics?window=start").await.json().await);
        }
        assert!(Instant::now() < until, "{:#?}", told.of("aqe_requests_total"));
    }
}

/// What a client has seen of the calls of a tool.
#[derive(Default)]
struct Seen {
    calls: usize,
    request_bytes: usize,
    response_bytes: usize,
    /// How long each took at least and at most.
    least: Vec<Duration>,
    most: Vec<Duration>,
}

struct Observer {
    client: Client,
    id: u32,
    tools: BTreeMap<String, Seen>,
}

impl Observer {
    async fn call(&mut self, tool: &str, arguments: &Value, least: Duration) -> Answer {
        self.id += 1;
        let message = Message::call(self.id, tool, &arguments.to_string());
        let began = Instant::now();
        let answer = self.client.request(&message).await;
        let seen = self.tools.entry(tool.to_owned()).or_default();
        seen.most.push(began.elapsed());
        seen.least.push(least);
        seen.calls += 1;
        seen.request_bytes += message.capabilities("{}").text(self.client.revision).len();
        seen.response_bytes += answer.text.len();
        answer
    }

    async fn calls(&mut self, tool: &str, arguments: Value, count: usize) {
        for _ in 0..count {
            self.call(tool, &arguments, Duration::ZERO).await;
        }
    }
}

/// Fewest and most of the values that are less than a bound.
fn below(seen: &Seen, bound: f64) -> (f64, f64) {
    let count =
        |values: &[Duration]| values.iter().filter(|value| value.as_secs_f64() < bound).count() as f64;
    (count(&seen.most), count(&seen.least))
}

fn assert_histogram(told: &Scrape, tool: &str, seen: &Seen) {
    let label = format!("tool=\"{tool}\"");
    let name = "aqe_tool_duration_seconds_bucket";
    let buckets: Vec<(f64, f64)> = told
        .of(name)
        .into_iter()
        .filter(|(series, _)| series.contains(&label))
        .map(|(series, count)| {
            let le = series.split("le=\"").nth(1).unwrap().trim_end_matches("\"}");
            (le.parse().unwrap_or(f64::INFINITY), *count)
        })
        .collect();
    assert!(buckets.len() > 10, "{buckets:?}");
    for (bound, count) in buckets {
        let (fewest, most) = below(seen, bound);
        assert!(fewest <= count && count <= most, "{count} below {bound}, expected {fewest} to {most}");
    }
    told.assert("aqe_tool_duration_seconds_count", &[&label], seen.calls);
    let sum = told.sum("aqe_tool_duration_seconds_sum", &[&label]).unwrap();
    let total = |values: &[Duration]| values.iter().sum::<Duration>().as_secs_f64();
    assert!(total(&seen.least) <= sum && sum <= total(&seen.most), "{sum}");
}

/// Percentiles of the admin API are within their stated error of what lies between upstream and client.
fn assert_percentiles(tool: &Value, error: f64, seen: &mut Seen) {
    seen.least.sort_unstable();
    seen.most.sort_unstable();
    for (name, share) in [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)] {
        let rank = ((share * seen.calls as f64).ceil() as usize).max(1) - 1;
        let told = tool["latency_ms"][name].as_f64().unwrap();
        let (least, most) = (seen.least[rank].as_secs_f64() * 1e3, seen.most[rank].as_secs_f64() * 1e3);
        assert!(
            least * (1.0 - error) <= told && told <= most * (1.0 + error),
            "{name}: {told}, not {least} to {most}"
        );
    }
}

#[tokio::test]
async fn counts_sizes_errors_and_percentiles_are_those_that_client_and_upstream_have_seen() {
    let pairs = Pair::all().into_iter().filter(|pair| pair.is_same_era()).collect();
    one_by_one(pairs, |pair| async move {
        let upstream = Upstream::raw("up", pair.upstream, pair.upstream_over, &["--large"]).await;
        let upstream = upstream.with("cache = { tool_ttl_ms = { \"received\" = 60000 } }");
        let mut gateway = Gateway::start(Plan::new(pair.client_over).upstream(upstream)).await;
        let client = gateway.connect(pair.client.revision(), "{}").await;
        let mut observer = Observer { client, id: 0, tools: BTreeMap::new() };
        for (ms, count) in [(3, 30), (30, 8), (210, 2)] {
            for _ in 0..count {
                observer.call("sleep", &json!({ "ms": ms }), Duration::from_millis(ms)).await;
            }
        }
        observer.calls("reply", json!({ "error": r#"{"code":-32000,"message":"no"}"# }), 3).await;
        observer
            .calls(
                "reply",
                json!({ "result": r#"{"content":[],"isError":true,"resultType":"complete"}"# }),
                4,
            )
            .await;
        observer.calls("received", json!({ "a": 1 }), 3).await;
        observer.calls("large", json!({ "bytes": 3 << 20 }), 2).await;
        observer.calls("no such tool at all", json!({}), 2).await;
        // One that its client gives up.
        observer.client.begin(&Message::call("\"gone\"", "sleep", r#"{"ms":30000}"#)).await;
        gateway_has(&gateway, "tool", "sleep", 41).await;
        observer.client.cancel("\"gone\"").await;
        let answered: usize = observer.tools.values().map(|seen| seen.calls).sum();
        let (told, document) = settled(&gateway, answered + 1).await;

        let call = "method=\"tools/call\"";
        told.assert("aqe_requests_cancelled_total", &[call], 1);
        told.assert("aqe_requests_cached_total", &[call], 2);
        told.assert("aqe_request_duration_seconds_count", &[call], answered);
        for (kind, count) in
            [("upstream_error", 3), ("tool_error", 4), ("invalid_request", 2), ("timeout", 0)]
        {
            told.assert("aqe_request_errors_total", &[call, &format!("kind=\"{kind}\"")], count);
            let by_kind = &document["all"]["errors_by_kind"][kind];
            assert_eq!(by_kind.as_u64().unwrap_or(0), count as u64, "{kind}");
        }
        told.assert("aqe_request_errors_total", &[call], 9);
        told.assert("aqe_tool_lookups_total", &["unknown"], 2);
        observer.tools.remove("no such tool at all");
        for (name, seen) in &mut observer.tools {
            let label = format!("tool=\"{name}\"");
            let given_up = usize::from(name == "sleep");
            told.assert("aqe_tool_requests_total", &[&label, "upstream=\"up\""], seen.calls + given_up);
            told.assert("aqe_tool_cancelled_total", &[&label], given_up);
            told.assert("aqe_tool_request_bytes_total", &[&label], seen.request_bytes);
            told.assert("aqe_tool_response_bytes_total", &[&label], seen.response_bytes);
            assert_histogram(&told, name, seen);
            let tools = document["tools"].as_array().unwrap();
            let tool = tools.iter().find(|tool| tool["name"] == *name).unwrap();
            assert_eq!(tool["requests"], seen.calls + given_up, "{tool}");
            assert_percentiles(tool, document["histogram_error"].as_f64().unwrap(), seen);
        }
        told.assert("aqe_tool_failures_total", &["tool=\"reply\""], 7);
        told.assert("aqe_tool_errors_total", &["tool=\"reply\"", "kind=\"tool_error\""], 4);
        told.assert("aqe_tool_cached_total", &["tool=\"received\""], 2);
        assert_eq!(told.sum("aqe_tool_errors_total", &["tool=\"sleep\""]), None, "it never failed");
        // What was sent on: all but cached answers and what is no tool.
        told.assert("aqe_upstream_duration_seconds_count", &["upstream=\"up\""], answered - 2 - 2);
        told.assert("aqe_overhead_duration_seconds_count", &["upstream=\"up\""], answered - 2 - 2);
        told.assert("aqe_health", &["critical"], 1);
        told.assert("aqe_alert_state", &["alert=\"error-rate\"", "severity="], 1);
        let child = told.sum("aqe_children", &["upstream=\"up\""]);
        assert_eq!(
            child,
            (pair.upstream_over == Over::Stdio).then_some(1.0),
            "an upstream by URL has no child"
        );
    })
    .await;
}

async fn gateway_has(gateway: &Gateway, event: &str, name: &str, count: usize) {
    let what = format!("{count} times {event} {name} at the upstream");
    let enough = || (gateway.upstreams[0].count(event, name) >= count).then_some(());
    wait_until(Duration::from_secs(10), &what, enough).await;
}

#[tokio::test]
async fn what_is_not_recorded_is_absent_and_never_a_zero() {
    let upstream = Upstream::raw("up", Pair::all()[0].upstream, Over::Stdio, &[]).await;
    let plan = Plan::new(Over::Http).sections("[monitoring]\nenabled = false\n").upstream(upstream);
    let mut gateway = Gateway::start(plan).await;
    let mut client = gateway.connect(Pair::all()[0].client.revision(), "{}").await;
    client.call(1, "bare", "{}").await;
    let told = scrape(&gateway).await;
    for unknown in [
        "aqe_requests",
        "aqe_tool_requests",
        "aqe_replica_requests",
        "aqe_health",
        "aqe_alert",
        "aqe_child",
        "process_cpu",
    ] {
        assert!(told.of(unknown).is_empty(), "{:?}", told.of(unknown));
    }
    told.assert("aqe_build_info", &[env!("CARGO_PKG_VERSION")], 1);
    told.assert("aqe_pool_opened_total", &["upstream=\"up\""], 1);
    assert!(told.sum("process_start_time_seconds", &[]).unwrap() > 1.7e9);
}

#[tokio::test]
async fn only_so_many_tools_have_names_and_the_others_are_counted_together() {
    let upstream = Upstream::raw("up", Pair::all()[0].upstream, Over::Stdio, &["--tools", "9"]).await;
    let plan = Plan::new(Over::Http).sections("[monitoring]\nmax_tool_series = 2\n").upstream(upstream);
    let mut gateway = Gateway::start(plan).await;
    let mut client = gateway.connect(Pair::all()[0].client.revision(), "{}").await;
    for id in 0..18 {
        client.call(id, &format!("tool_{:05}", id % 9), "{}").await;
    }
    let (told, _) = settled(&gateway, 18).await;
    assert_eq!(told.of("aqe_tool_requests_total").len(), 3);
    told.assert("aqe_tool_requests_total", &["tool=\"(other)\"", "upstream=\"up\""], 14);
    told.assert("aqe_tool_requests_total", &[], 18);
}

#[tokio::test]
async fn the_metrics_are_served_over_tcp_and_printed_and_not_shown_to_pages_of_others() {
    let upstream = Upstream::raw("up", Pair::all()[0].upstream, Over::Stdio, &[]).await;
    let gateway = Gateway::start(Plan::new(Over::Http).upstream(upstream)).await;
    let client = gateway.http().at("/metrics");
    let mut response = client.send("GET", &[("accept", OPENMETRICS)], b"").await;
    assert_eq!(response.status, 200);
    assert!(response.text().await.contains("# TYPE aqe_build info\n"));
    assert_eq!(client.send("POST", &[], b"").await.status, 405);
    assert_eq!(gateway.admin().at("/metrics").send("POST", &[], b"").await.status, 405);
    assert_eq!(client.send("GET", &[("origin", "https://elsewhere.example")], b"").await.status, 403);
    let ran = gateway.run("mcp metrics --export prometheus").await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    Scrape::read(&ran.out).assert("aqe_build_info", &[env!("CARGO_PKG_VERSION")], 1);
}

/// The sum of a metric's points at the collector; of a histogram the number of values.
fn sum_at_collector(metrics: &[Metric], name: &str) -> Option<f64> {
    let number = |point: &NumberDataPoint| match point.value {
        Some(number_data_point::Value::AsInt(value)) => value as f64,
        Some(number_data_point::Value::AsDouble(value)) => value,
        None => f64::NAN,
    };
    let metric = metrics.iter().find(|metric| metric.name == name)?;
    Some(match metric.data.as_ref()? {
        Data::Sum(sum) => {
            assert!(sum.is_monotonic && sum.aggregation_temporality() == AggregationTemporality::Cumulative);
            sum.data_points.iter().map(number).sum()
        }
        Data::Gauge(gauge) => gauge.data_points.iter().map(number).sum(),
        Data::Histogram(histogram) => {
            for point in &histogram.data_points {
                assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
                assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count, "{name}");
            }
            histogram.data_points.iter().map(|point| point.count as f64).sum()
        }
        other => panic!("{name} is {other:?}"),
    })
}

#[tokio::test]
async fn a_collector_gets_the_figures_of_the_metrics_page_again_and_again_and_at_the_end() {
    let collector = Collector::start(&[Conduct::Takes]);
    let upstream = Upstream::raw("up", Pair::all()[0].upstream, Over::Stdio, &[]).await;
    let plan = Plan::new(Over::Http).sections(&collector.section_of_metrics()).upstream(upstream);
    let mut gateway = Gateway::start(plan).await;
    let mut client = gateway.connect(Pair::all()[0].client.revision(), "{}").await;
    for id in 1..=7 {
        client.call(id, "bare", "{}").await;
    }
    let has_seven = |metrics: &[Metric]| sum_at_collector(metrics, "aqe_tool_requests") == Some(7.0);
    let metrics = collector.metrics(has_seven).await;
    let page = scrape(&gateway).await;
    for (otlp, prometheus) in [
        ("aqe_tool_requests", "aqe_tool_requests_total"),
        ("aqe_tool_duration_seconds", "aqe_tool_duration_seconds_count"),
        ("aqe_pool_opened", "aqe_pool_opened_total"),
        ("aqe_health", "aqe_health"),
    ] {
        assert_eq!(sum_at_collector(&metrics, otlp), page.sum(prometheus, &[]), "{otlp}");
    }
    // The last ones are sent when the server stops, without waiting for the interval.
    client.call(8, "bare", "{}").await;
    assert!(gateway.stop().await.success());
    collector.metrics(|metrics| sum_at_collector(metrics, "aqe_tool_requests") == Some(8.0)).await;
}
