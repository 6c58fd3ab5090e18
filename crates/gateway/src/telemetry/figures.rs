//! The metrics of `/metrics` as OTLP has them (opentelemetry-proto 1, `metrics/v1`), sent again and again.
//!
//! Points are cumulative, so that one which does not arrive is made good by the next. Names are those of `/metrics` without
//! the endings that Prometheus adds by itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use aqe_core::durable::WorkFigures;
use aqe_core::monitor::Counts;
use aqe_core::monitor::metrics::{Kind, Metric, Sink, Unit};
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric as Encoded, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use serde_json::json;

use super::delivery::{Delivered, Delivery};
use super::encode::{self, SCHEMA};
use super::task::{Closing, Task};
use crate::proxy::Gateway;
use crate::{exposition, tasks};

/// The way of the metrics to a collector, before and after the gateway is there.
#[derive(Debug)]
pub(super) struct Figures {
    delivery: Arc<Delivery>,
    resource: Resource,
    interval: Duration,
    counts: Arc<Sent>,
    task: Task,
}

/// What has become of the requests to the collector.
#[derive(Debug, Default)]
struct Sent {
    exported: AtomicU64,
    failed: AtomicU64,
}

impl Figures {
    pub(super) fn new(delivery: Delivery, resource: &[(String, String)], interval: Duration) -> Self {
        Self {
            delivery: Arc::new(delivery),
            resource: encode::resource(resource),
            interval,
            counts: Arc::default(),
            task: Task::new(),
        }
    }

    /// Begins to send the figures of this gateway.
    pub(super) fn start(&self, gateway: &Arc<Gateway>) {
        let now = SystemTime::now();
        let started = now.checked_sub(gateway.uptime()).unwrap_or(now);
        self.task.begin("otlp metrics", |closed| {
            let work = Work {
                started,
                gateway: Arc::downgrade(gateway),
                delivery: Arc::clone(&self.delivery),
                resource: self.resource.clone(),
                interval: self.interval,
                counts: Arc::clone(&self.counts),
                closed,
            };
            work.run()
        });
    }

    /// Sends the last figures, for at most `limit`, and ends.
    pub(super) async fn close(&self, limit: Duration) {
        self.task.close(limit).await;
    }

    /// Figures for the admin API.
    pub(super) fn status(&self) -> serde_json::Value {
        json!({
            "exported": self.counts.exported.load(Ordering::Relaxed),
            "failed": self.counts.failed.load(Ordering::Relaxed),
        })
    }
}

struct Work {
    /// When the counts began. Told each time as the same, or it would say that all was lost meanwhile.
    started: SystemTime,
    gateway: Weak<Gateway>,
    delivery: Arc<Delivery>,
    resource: Resource,
    interval: Duration,
    counts: Arc<Sent>,
    closed: Closing,
}

impl Work {
    async fn run(self) {
        loop {
            let mut closed = self.closed.clone();
            // An error means that nobody is left who could close it, which is an end too.
            let is_last = tokio::select! {
                _ = closed.wait_for(Option::is_some) => true,
                () = tokio::time::sleep(self.interval) => false,
            };
            let Some(gateway) = self.gateway.upgrade() else { return };
            let work = exposition::work(&gateway).await;
            let (resource, started) = (self.resource.clone(), self.started);
            let encoded =
                tasks::aside(move || request(resource, &gateway, work.as_ref(), started).encode_to_vec())
                    .await;
            let Some(encoded) = encoded else { return };
            let delivered = self.delivery.deliver(encoded.into(), &self.closed).await;
            let count = match &delivered {
                Delivered::Accepted(answer) if is_whole(answer) => &self.counts.exported,
                _ => &self.counts.failed,
            };
            count.fetch_add(1, Ordering::Relaxed);
            if is_last {
                return;
            }
        }
    }
}

/// Whether the collector has taken all points ("Partial Success").
fn is_whole(answer: &Bytes) -> bool {
    let partial = ExportMetricsServiceResponse::decode(answer.clone()).ok();
    let Some(partial) = partial.and_then(|answer| answer.partial_success) else { return true };
    if partial.rejected_data_points != 0 || !partial.error_message.is_empty() {
        let rejected = partial.rejected_data_points;
        tracing::warn!(rejected, message = partial.error_message, "the collector has not taken all points");
    }
    partial.rejected_data_points == 0
}

fn request(
    resource: Resource,
    gateway: &Gateway,
    work: Option<&WorkFigures>,
    started: SystemTime,
) -> ExportMetricsServiceRequest {
    let mut points = Points::new(started, SystemTime::now());
    exposition::collect(gateway, work, &mut points);
    let scope_metrics =
        ScopeMetrics { scope: Some(encode::scope()), metrics: points.metrics, schema_url: SCHEMA.into() };
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource),
            scope_metrics: vec![scope_metrics],
            schema_url: SCHEMA.into(),
        }],
    }
}

/// Takes points as OTLP has them.
struct Points {
    metrics: Vec<Encoded>,
    started: u64,
    now: u64,
}

impl Points {
    fn new(started: SystemTime, now: SystemTime) -> Self {
        let nanos = |time: SystemTime| {
            let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
        };
        Self { metrics: Vec::new(), started: nanos(started), now: nanos(now) }
    }

    /// The points of a metric: all of one come together.
    fn of(&mut self, metric: &'static Metric) -> &mut Data {
        if self.metrics.last().is_none_or(|last| last.name != metric.family()) {
            let data = match metric.kind {
                Kind::Counter => Data::Sum(Sum {
                    data_points: Vec::new(),
                    aggregation_temporality: AggregationTemporality::Cumulative.into(),
                    is_monotonic: true,
                }),
                Kind::Histogram(_) => Data::Histogram(Histogram {
                    data_points: Vec::new(),
                    aggregation_temporality: AggregationTemporality::Cumulative.into(),
                }),
                Kind::Gauge | Kind::States(_) | Kind::Info => Data::Gauge(Gauge::default()),
            };
            self.metrics.push(Encoded {
                name: metric.family().into(),
                description: metric.help.into(),
                // UCUM, as OTLP asks.
                unit: match metric.unit {
                    Unit::None => "1",
                    Unit::Seconds => "s",
                    Unit::Bytes => "By",
                }
                .into(),
                data: Some(data),
                ..Encoded::default()
            });
        }
        let last = self.metrics.len() - 1;
        self.metrics[last].data.get_or_insert_with(|| Data::Gauge(Gauge::default()))
    }

    fn number(&mut self, metric: &'static Metric, attributes: Vec<KeyValue>, value: Value) {
        let grows = matches!(metric.kind, Kind::Counter);
        let point = NumberDataPoint {
            attributes,
            start_time_unix_nano: if grows { self.started } else { 0 },
            time_unix_nano: self.now,
            value: Some(value),
            ..NumberDataPoint::default()
        };
        match self.of(metric) {
            Data::Sum(sum) => sum.data_points.push(point),
            Data::Gauge(gauge) => gauge.data_points.push(point),
            _ => {}
        }
    }
}

fn attributes(metric: &Metric, labels: &[&str]) -> Vec<KeyValue> {
    metric.labels.iter().zip(labels).map(|(name, value)| encode::text(name, (*value).to_owned())).collect()
}

fn whole(value: u64) -> Value {
    Value::AsInt(i64::try_from(value).unwrap_or(i64::MAX))
}

impl Sink for Points {
    fn whole(&mut self, metric: &'static Metric, labels: &[&str], value: u64) {
        self.number(metric, attributes(metric, labels), whole(value));
    }

    fn real(&mut self, metric: &'static Metric, labels: &[&str], value: f64) {
        if value.is_finite() {
            self.number(metric, attributes(metric, labels), Value::AsDouble(value));
        }
    }

    fn histogram(&mut self, metric: &'static Metric, labels: &[&str], counts: &Counts) {
        let Kind::Histogram(bounds) = metric.kind else { return };
        let below = bounds.iter().map(|bound| counts.below(Duration::from_nanos(bound.ns)));
        let mut before = 0;
        let each = below.chain([counts.count()]);
        let each = each.map(|below| below.saturating_sub(std::mem::replace(&mut before, below)));
        let point = HistogramDataPoint {
            attributes: attributes(metric, labels),
            start_time_unix_nano: self.started,
            time_unix_nano: self.now,
            count: counts.count(),
            sum: Some(counts.sum().as_secs_f64()),
            bucket_counts: each.collect(),
            explicit_bounds: bounds.iter().map(|bound| bound.ns as f64 / 1e9).collect(),
            ..HistogramDataPoint::default()
        };
        if let Data::Histogram(histogram) = self.of(metric) {
            histogram.data_points.push(point);
        }
    }

    fn state(&mut self, metric: &'static Metric, labels: &[&str], state: &str) {
        let Kind::States(states) = metric.kind else { return };
        for each in states {
            let mut attributes = attributes(metric, labels);
            attributes.push(encode::text(metric.name, (*each).to_owned()));
            self.number(metric, attributes, whole((*each == state).into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use aqe_core::monitor::metrics::list;

    use super::*;

    fn points() -> Points {
        Points::new(SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + Duration::from_secs(1))
    }

    #[test]
    fn each_count_is_in_the_bucket_of_its_bounds_and_all_are_the_count() {
        let mut counts = Counts::default();
        for ns in [1, 1 << 16, 100_000, 1 << 40] {
            counts.record(ns);
        }
        let mut points = points();
        points.histogram(&list::UPSTREAM_DURATION, &["a"], &counts);
        points.histogram(&list::UPSTREAM_DURATION, &["b"], &Counts::default());
        let [Encoded { name, data: Some(Data::Histogram(histogram)), .. }] = &points.metrics[..] else {
            panic!("one histogram: {:?}", points.metrics)
        };
        assert_eq!(name, list::UPSTREAM_DURATION.name);
        let [first, empty] = &histogram.data_points[..] else { panic!("two points") };
        assert_eq!(first.bucket_counts.len(), first.explicit_bounds.len() + 1);
        assert_eq!(first.bucket_counts.iter().sum::<u64>(), first.count);
        assert_eq!((first.bucket_counts[0], first.bucket_counts.last()), (1, Some(&1)));
        assert_eq!((empty.count, empty.sum), (0, Some(0.0)));
    }

    #[test]
    fn of_states_one_holds() {
        let mut points = points();
        points.state(&list::HEALTH, &[], "warning");
        let Some(Data::Gauge(gauge)) = &points.metrics[0].data else { panic!("a gauge") };
        let holds = gauge.data_points.iter().filter(|point| point.value == Some(Value::AsInt(1))).count();
        assert_eq!((gauge.data_points.len(), holds), (3, 1));
    }
}
