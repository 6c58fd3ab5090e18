//! Spans as OTLP has them (opentelemetry-proto 1, `trace/v1`).

use aqe_core::trace::TraceParent;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as Encoded, Status};

use super::span::{Attributes, Kind, Span, Value};

/// The version of OpenTelemetry's conventions that the names of the attributes are from.
pub(super) const SCHEMA: &str = "https://opentelemetry.io/schemas/1.41.0";
/// The sampled flag of W3C, and what OTLP adds: whether it is known if a parent is remote, and if it is.
const SAMPLED: u32 = 0x01;
const KNOWS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

/// The resource that all is exported of.
pub(super) fn resource(attributes: &[(String, String)]) -> Resource {
    let pairs = attributes.iter().map(|(name, value)| text(name, value.clone()));
    Resource { attributes: pairs.collect(), ..Resource::default() }
}

/// Who says so.
pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "aqe-v3".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        ..InstrumentationScope::default()
    }
}

/// One request to the collector.
pub(super) fn spans(resource: &Resource, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope_spans = ScopeSpans {
        scope: Some(scope()),
        spans: spans.into_iter().map(span).collect(),
        schema_url: SCHEMA.into(),
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource.clone()),
            scope_spans: vec![scope_spans],
            schema_url: SCHEMA.into(),
        }],
    }
}

fn span(span: Span) -> Encoded {
    let remote = if span.is_parent_remote && span.parent.is_some() { IS_REMOTE } else { 0 };
    let status = span.failure.map(|message| Status { message, code: StatusCode::Error.into() });
    Encoded {
        trace_id: span.trace.bytes().to_vec(),
        span_id: span.id.bytes().to_vec(),
        trace_state: span.state.as_deref().unwrap_or_default().to_owned(),
        parent_span_id: span.parent.map(|parent| parent.bytes().to_vec()).unwrap_or_default(),
        flags: SAMPLED | KNOWS_REMOTE | remote,
        name: span.name,
        kind: match span.kind {
            Kind::Server => SpanKind::Server,
            Kind::Client => SpanKind::Client,
        }
        .into(),
        start_time_unix_nano: nanos(span.start),
        end_time_unix_nano: nanos(span.start + span.length),
        attributes: attributes(span.attributes),
        events: span.events.into_iter().map(event).collect(),
        links: span.links.iter().map(link).collect(),
        status: Some(status.unwrap_or_default()),
        ..Encoded::default()
    }
}

fn event(event: super::span::Event) -> Event {
    Event {
        time_unix_nano: nanos(event.at),
        name: event.name.into(),
        attributes: attributes(event.attributes),
        dropped_attributes_count: 0,
    }
}

fn link(to: &TraceParent) -> Link {
    Link {
        trace_id: to.trace.bytes().to_vec(),
        span_id: to.span.bytes().to_vec(),
        flags: if to.sampled { SAMPLED } else { 0 },
        ..Link::default()
    }
}

fn attributes(attributes: Attributes) -> Vec<KeyValue> {
    let encode = |(name, value): (&str, Value)| {
        let value = match value {
            Value::Text(value) => return text(name, value.into_owned()),
            Value::Int(number) => any_value::Value::IntValue(number),
            Value::Flag(flag) => any_value::Value::BoolValue(flag),
        };
        pair(name, value)
    };
    attributes.into_iter().map(encode).collect()
}

pub(super) fn text(name: &str, value: String) -> KeyValue {
    pair(name, any_value::Value::StringValue(value))
}

fn pair(name: &str, value: any_value::Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: name.into(), value, ..KeyValue::default() }
}

/// Nanoseconds since 1970; 64 bits last until 2554.
fn nanos(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
