//! `[monitoring.otlp]`: traces for a collector, and what OpenTelemetry's own environment variables say of it.
//!
//! A key in the file counts before the variable that means the same. A variable that cannot be used is told and left out:
//! it may be meant for another program.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::endpoint::{check_url, header};
use super::env::Environment;
use super::keys::{Flag, Int, Map, OptInt, Real, SectionKeys, Text};
use super::paths;
use super::place::Severity;
use super::secret::Secret;
use super::section::{Context, Section, Spot};

/// `[monitoring.otlp]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Otlp {
    /// Where traces go; `None`: nowhere.
    pub traces: Option<Collector>,
    /// Where metrics go; `None`: nowhere.
    pub metrics: Option<Collector>,
    /// How often they are sent.
    pub metrics_interval: Duration,
    /// Share of the traces that begin here that is recorded, from 0 to 1.
    pub sample_ratio: f64,
    /// Time for one attempt to deliver.
    pub timeout: Duration,
    /// What this process is.
    pub resource: Vec<(String, String)>,
}

/// Who takes what is exported.
#[derive(Clone, PartialEq, Eq)]
pub struct Collector {
    /// The whole URL, checked. Its query may hold a key.
    pub url: Secret,
    /// Headers of each request.
    pub headers: Vec<(String, Secret)>,
    /// A PEM file with further root certificates; absolute.
    pub ca_file: Option<PathBuf>,
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector")
            .field("headers", &self.headers)
            .field("ca_file", &self.ca_file)
            .finish_non_exhaustive()
    }
}

/// What the resource is called where nobody says.
const SERVICE: &str = "aqe-v3";
/// Most attributes of the resource.
const MAX_ATTRIBUTES: usize = 64;

static ENDPOINT: Text = Text {
    name: "endpoint",
    kind: "an http or https URL",
    absent: "`OTEL_EXPORTER_OTLP_ENDPOINT`; without it nothing is exported",
    meaning: "The collector, without `/v1/traces`, such as `\"http://127.0.0.1:4318\"`. OTLP over HTTP in protobuf is spoken.",
};
static HEADERS: Map = Map {
    name: "headers",
    kind: "a table of strings",
    meaning: "Headers of each request, such as `authorization`; their values are never shown. \
              `OTEL_EXPORTER_OTLP_HEADERS` adds others.",
};
static CA_FILE: Text = Text {
    name: "ca_file",
    kind: "a path",
    absent: "none",
    meaning: "A PEM file with further root certificates that are trusted.",
};
static TRACES: Flag =
    Flag { name: "traces", default: true, meaning: "Whether requests are recorded as spans and exported." };
static METRICS: Flag =
    Flag { name: "metrics", default: true, meaning: "Whether the metrics of `/metrics` are exported." };
static METRICS_INTERVAL: OptInt = OptInt {
    name: "metrics_interval_s",
    min: 1,
    max: 3600,
    absent: "that of `OTEL_METRIC_EXPORT_INTERVAL`, else 60",
    meaning: "How often metrics are exported.",
};
static SAMPLE_RATIO: Real = Real {
    name: "sample_ratio",
    default: 1.0,
    min: 0.0,
    max: 1.0,
    meaning: "Share of the traces that begin here that is recorded. A request that says in which trace it was sent is \
              recorded if its sender recorded it.",
};
static TIMEOUT: Int = Int {
    name: "timeout_ms",
    default: 10_000,
    min: 100,
    max: 60_000,
    meaning: "Time for one attempt to deliver a batch.",
};
static SERVICE_NAME: Text = Text {
    name: "service_name",
    kind: "a string",
    absent: "that of `OTEL_SERVICE_NAME`, else `\"aqe-v3\"`",
    meaning: "`service.name` of all that is exported.",
};
static RESOURCE: Map = Map {
    name: "resource_attributes",
    kind: "a table of strings",
    meaning: "Further attributes of all that is exported. `OTEL_RESOURCE_ATTRIBUTES` adds others.",
};

pub(super) static KEYS: SectionKeys = SectionKeys {
    path: "monitoring.otlp",
    repeated: false,
    meaning: "Traces and metrics for an OpenTelemetry collector. `OTEL_SDK_DISABLED=true` switches them off, as \
              `OTEL_TRACES_EXPORTER=none` and `OTEL_METRICS_EXPORTER=none` do.",
    keys: &[
        &ENDPOINT,
        &HEADERS,
        &CA_FILE,
        &TRACES,
        &SAMPLE_RATIO,
        &METRICS,
        &METRICS_INTERVAL,
        &TIMEOUT,
        &SERVICE_NAME,
        &RESOURCE,
    ],
};

impl Otlp {
    pub(super) fn read(section: &Section<'_, '_>) -> Self {
        let cx = &section.cx;
        let headers = headers(section);
        let ca_file = section
            .expanded(&CA_FILE)
            .and_then(|spot| paths::resolve(cx, CA_FILE.name, spot.value.value(), &spot.at));
        let collector = |path: &str, variable: &str| {
            let url = url(section, path, variable)?;
            Some(Collector { url: Secret::new(url), headers: headers.clone(), ca_file: ca_file.clone() })
        };
        let switched_off = is(cx.env, "OTEL_SDK_DISABLED", "true");
        let traces = section.flag(&TRACES) && !switched_off && !is(cx.env, "OTEL_TRACES_EXPORTER", "none");
        let wanted = collector("v1/traces", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
        let metrics = section.flag(&METRICS) && !switched_off && !is(cx.env, "OTEL_METRICS_EXPORTER", "none");
        let own = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT";
        // What is wrong with the address of both has been told once.
        let known = wanted.is_some() || variable(cx, own).is_some();
        let measured = if known { collector("v1/metrics", own) } else { None };
        Self {
            metrics: measured.filter(|_| metrics),
            metrics_interval: metrics_interval(section),
            traces: wanted.filter(|_| traces),
            sample_ratio: section.real(&SAMPLE_RATIO),
            timeout: Duration::from_millis(section.int(&TIMEOUT)),
            resource: resource(section),
        }
    }
}

fn metrics_interval(section: &Section<'_, '_>) -> Duration {
    let named = section.opt_int(&METRICS_INTERVAL).map(Duration::from_secs);
    let variable = || {
        let millis: u64 = variable(&section.cx, "OTEL_METRIC_EXPORT_INTERVAL")?.parse().ok()?;
        Some(Duration::from_millis(millis.clamp(1_000, 3_600_000)))
    };
    named.or_else(variable).unwrap_or(Duration::from_secs(60))
}

fn is(env: &Environment, variable: &str, value: &str) -> bool {
    env.get(variable).is_some_and(|set| set.eq_ignore_ascii_case(value))
}

fn variable<'e>(cx: &Context<'e>, name: &str) -> Option<&'e str> {
    cx.env.get(name)?.to_str().map(str::trim).filter(|value| !value.is_empty())
}

/// Tells of a variable that cannot be used. Its value may be secret.
fn unusable(cx: &Context<'_>, name: &str, why: &str) {
    let message = format!("the environment variable {name} is left out: it {why}");
    cx.sink.note(Severity::Warning, None, message);
}

/// The whole URL of one kind of data.
fn url(section: &Section<'_, '_>, path: &str, own_variable: &str) -> Option<String> {
    let cx = &section.cx;
    if let Some(Spot { value, at }) = section.expanded(&ENDPOINT) {
        if let Err(why) = check_base(value.value()) {
            cx.fault(&at, format!("\"endpoint\" {why}"));
            return None;
        }
        return Some(below(value.value(), path));
    }
    if section.key_at(ENDPOINT.name).is_some() {
        return None;
    }
    let (name, base) = match variable(cx, own_variable) {
        Some(_) => (own_variable, false),
        None => ("OTEL_EXPORTER_OTLP_ENDPOINT", true),
    };
    let value = variable(cx, name)?;
    let protocol = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
    let protocol = protocol.iter().find_map(|name| variable(cx, name));
    if protocol.is_some_and(|protocol| protocol != "http/protobuf") {
        unusable(cx, name, "is for a protocol that is not spoken here; http/protobuf is");
        return None;
    }
    let checked = if base { check_base(value) } else { check_url(value).map(drop) };
    match checked {
        Ok(()) if base => Some(below(value, path)),
        Ok(()) => Some(value.to_owned()),
        Err(why) => {
            unusable(cx, name, why);
            None
        }
    }
}

fn check_base(url: &str) -> Result<(), &'static str> {
    check_url(url)?;
    if url.contains('?') { Err("must not have a query (?…): a path is added to it") } else { Ok(()) }
}

fn below(base: &str, path: &str) -> String {
    format!("{}/{path}", base.trim_end_matches('/'))
}

/// The file's headers, and those of the variable that have other names.
fn headers(section: &Section<'_, '_>) -> Vec<(String, Secret)> {
    let cx = &section.cx;
    let mut headers: Vec<(String, Secret)> = Vec::new();
    for (name, value) in section.text_map(&HEADERS) {
        match header(cx, &name, &value) {
            Some((name, _)) if headers.iter().any(|(known, _)| *known == name) => {
                cx.fault(&value.at, format!("\"headers\": {name} is given twice"));
            }
            Some(header) => headers.push(header),
            None => {}
        }
    }
    let variable_name = "OTEL_EXPORTER_OTLP_HEADERS";
    for (name, value) in pairs(cx, variable_name) {
        let name = name.to_ascii_lowercase();
        let sound = http::HeaderName::from_bytes(name.as_bytes()).is_ok()
            && http::HeaderValue::from_str(&value).is_ok();
        if !sound {
            unusable(cx, variable_name, "has a name or a value that no header may have");
        } else if headers.iter().all(|(known, _)| *known != name) {
            headers.push((name, Secret::new(value)));
        }
    }
    headers
}

fn resource(section: &Section<'_, '_>) -> Vec<(String, String)> {
    let cx = &section.cx;
    let own = section.text_map(&RESOURCE).into_iter();
    let own = own.map(|(name, value)| (name.value.to_owned(), value.value.to_owned()));
    let named = section.text(&SERVICE_NAME).map(|spot| spot.value.to_owned());
    let named = named.or_else(|| variable(cx, "OTEL_SERVICE_NAME").map(str::to_owned));
    let named = named.map(|name| ("service.name".to_owned(), name));
    let defaults = [("service.name", SERVICE), ("service.version", env!("CARGO_PKG_VERSION"))];
    let defaults = defaults.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let all = named.into_iter().chain(own).chain(pairs(cx, "OTEL_RESOURCE_ATTRIBUTES")).chain(defaults);
    let mut attributes: Vec<(String, String)> = Vec::new();
    for (name, value) in all {
        if attributes.iter().all(|(known, _)| *known != name) && attributes.len() < MAX_ATTRIBUTES {
            attributes.push((name, value));
        }
    }
    attributes
}

/// `a=1,b=2`, with values in percent encoding, as OpenTelemetry's variables have it.
fn pairs(cx: &Context<'_>, name: &str) -> Vec<(String, String)> {
    let list = variable(cx, name).unwrap_or_default();
    let mut pairs = Vec::new();
    for pair in list.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let decoded = pair.split_once('=').and_then(|(name, value)| {
            let name = name.trim();
            Some((name.to_owned(), decode(value.trim())?)).filter(|_| !name.is_empty())
        });
        match decoded {
            Some(pair) => pairs.push(pair),
            None => unusable(cx, name, "is not a list such as name=value,other=value"),
        }
    }
    pairs
}

/// Percent decoding (RFC 3986 section 2.1); `None` if that is no text.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let coded = after.get(..2).filter(|_| *first == b'%');
        let digits = coded.and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}
