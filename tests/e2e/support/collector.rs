//! A collector that takes OTLP over HTTP, decodes it with OpenTelemetry's own types, and checks the protocol.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime};

use aqe_testkit::process::wait_until;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use prost::Message as _;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// How a collector answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conduct {
    /// Takes everything.
    Takes,
    /// Takes everything but so many spans.
    TakesAllBut(i64),
    /// Answers with this status and these header lines.
    Status(u16, &'static str),
    /// Never answers.
    Silent,
}

/// A collector on a port of its own.
#[derive(Debug)]
pub(crate) struct Collector {
    /// Its address, without the path.
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    spans: Vec<Span>,
    /// Those of the last request.
    metrics: Vec<Metric>,
    /// When what they count began.
    began: BTreeSet<u64>,
    resources: Vec<HashMap<String, String>>,
    heads: Vec<String>,
    faults: Vec<String>,
    /// What is done with the next requests; the last one stays.
    conduct: VecDeque<Conduct>,
}

impl Collector {
    /// One that behaves so, request by request; the last conduct stays.
    pub(crate) fn start(conduct: &[Conduct]) -> Self {
        Self::listening("http", conduct, serve)
    }

    /// One that takes everything over TLS, and the certificate (PEM) of the authority that has signed its own.
    pub(crate) fn over_tls() -> (Self, String) {
        let (config, authority) = identity();
        let config = Arc::new(config);
        let collector = Self::listening("https", &[Conduct::Takes], move |stream, state| {
            let connection = ServerConnection::new(Arc::clone(&config)).expect("expected a connection");
            serve(StreamOwned::new(connection, stream), state);
        });
        (collector, authority)
    }

    fn listening(
        scheme: &str,
        conduct: &[Conduct],
        serve: impl Fn(TcpStream, &Mutex<State>) + Clone + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("expected to listen");
        let url = format!("{scheme}://{}", listener.local_addr().expect("expected an address"));
        let state =
            Arc::new(Mutex::new(State { conduct: conduct.iter().copied().collect(), ..State::default() }));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, serve) = (Arc::clone(&shared), serve.clone());
                thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { url, state }
    }

    /// The section of the configuration that exports traces to it.
    pub(crate) fn section(&self, more: &str) -> String {
        format!("[monitoring.otlp]\nendpoint = \"{}\"\nmetrics = false\n{more}\n", self.url)
    }

    /// The section that exports metrics to it, each second.
    #[allow(dead_code, reason = "used by tests/e2e")]
    pub(crate) fn section_of_metrics(&self) -> String {
        format!("[monitoring.otlp]\nendpoint = \"{}\"\ntraces = false\nmetrics_interval_s = 1\n", self.url)
    }

    /// Waits until the metrics are as `holds` says; checks that nothing broke the protocol. Those that came last.
    #[allow(dead_code, reason = "used by tests/e2e")]
    pub(crate) async fn metrics(&self, holds: impl Fn(&[Metric]) -> bool) -> Vec<Metric> {
        let metrics = wait_until(Duration::from_secs(20), "the metrics at the collector", || {
            let state = self.state.lock().unwrap();
            holds(&state.metrics).then(|| state.metrics.clone())
        })
        .await;
        let state = self.state.lock().unwrap();
        assert!(state.faults.is_empty(), "{:?}", state.faults);
        metrics
    }

    /// Waits until there are so many spans; checks that nothing broke the protocol.
    pub(crate) async fn spans(&self, count: usize) -> Vec<Span> {
        let what = format!("{count} spans at the collector");
        let spans = wait_until(Duration::from_secs(20), &what, || {
            let state = self.state.lock().unwrap();
            (state.spans.len() >= count).then(|| state.spans.clone())
        })
        .await;
        let state = self.state.lock().unwrap();
        assert!(state.faults.is_empty(), "{:?}", state.faults);
        assert_eq!(spans.len(), count, "{:?}", names(&spans));
        spans
    }

    /// The spans that have come so far.
    pub(crate) fn so_far(&self) -> Vec<Span> {
        self.state.lock().unwrap().spans.clone()
    }

    /// Spans that were taken so far.
    pub(crate) fn count(&self) -> usize {
        self.state.lock().unwrap().spans.len()
    }

    /// Requests so far: their heads, in lower case.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.state.lock().unwrap().heads.clone()
    }

    /// The attributes of the last resource.
    pub(crate) fn resource(&self) -> HashMap<String, String> {
        self.state.lock().unwrap().resources.last().cloned().expect("expected a resource")
    }
}

/// What a server on loopback proves itself by, signed by an authority that nobody knows; and that one's certificate.
fn identity() -> (ServerConfig, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.der().clone()], key)
        .unwrap();
    (config, authority)
}

fn names(spans: &[Span]) -> Vec<&str> {
    spans.iter().map(|span| span.name.as_str()).collect()
}

fn serve(mut stream: impl Read + Write, state: &Mutex<State>) {
    let mut read = Vec::new();
    while let Some((head, body)) = request(&mut stream, &mut read) {
        let (conduct, answer) = {
            let mut state = state.lock().unwrap();
            let conduct = if state.conduct.len() > 1 { state.conduct.pop_front() } else { None };
            let conduct = conduct.or(state.conduct.front().copied()).unwrap_or(Conduct::Takes);
            (conduct, state.take(&head, &body, conduct))
        };
        match conduct {
            Conduct::Silent => thread::sleep(Duration::from_secs(3600)),
            _ if stream.write_all(&answer).is_err() => return,
            _ => {}
        }
    }
}

/// Head, in lower case, and body of the next request.
fn request(stream: &mut impl Read, read: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    let mut more = |read: &mut Vec<u8>| {
        let mut chunk = [0; 8 * 1024];
        let count = stream.read(&mut chunk).ok().filter(|count| *count > 0)?;
        read.extend_from_slice(&chunk[..count]);
        Some(())
    };
    let end = loop {
        match read.windows(4).position(|four| four == b"\r\n\r\n") {
            Some(at) => break at + 4,
            None => more(read)?,
        }
    };
    let head = String::from_utf8_lossy(&read[..end]).to_lowercase();
    let length = head.split("content-length: ").nth(1)?.lines().next()?.parse::<usize>().ok()?;
    while read.len() < end + length {
        more(read)?;
    }
    let rest = read.split_off(end + length);
    let body = std::mem::replace(read, rest).split_off(end);
    Some((head, body))
}

impl State {
    fn take(&mut self, head: &str, body: &[u8], conduct: Conduct) -> Vec<u8> {
        self.heads.push(head.to_owned());
        let is_of_metrics = head.starts_with("post /v1/metrics http/1.1\r\n");
        let is_right = (head.starts_with("post /v1/traces http/1.1\r\n") || is_of_metrics)
            && head.contains("\r\ncontent-type: application/x-protobuf\r\n");
        self.check(is_right, || format!("head: {head}"));
        let rejected = match conduct {
            Conduct::Status(status, lines) => {
                return format!("HTTP/1.1 {status} No\r\n{lines}content-length: 0\r\n\r\n").into_bytes();
            }
            Conduct::TakesAllBut(count) => count,
            Conduct::Takes | Conduct::Silent => 0,
        };
        if is_of_metrics {
            match ExportMetricsServiceRequest::decode(body) {
                Ok(request) => self.take_metrics(request),
                Err(error) => self.faults.push(format!("not protobuf: {error}")),
            }
            return b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec();
        }
        match ExportTraceServiceRequest::decode(body) {
            Ok(request) => self.take_spans(request),
            Err(error) => self.faults.push(format!("not protobuf: {error}")),
        }
        let partial = ExportTracePartialSuccess { rejected_spans: rejected, error_message: "quota".into() };
        let answer =
            ExportTraceServiceResponse { partial_success: (rejected > 0).then_some(partial) }.encode_to_vec();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        [head.into_bytes(), answer].concat()
    }

    fn take_spans(&mut self, request: ExportTraceServiceRequest) {
        for of_resource in request.resource_spans {
            let resource = of_resource.resource.unwrap_or_default();
            self.resources.push(resource.attributes.iter().map(text_pair).collect());
            for of_scope in of_resource.scope_spans {
                let scope = of_scope.scope.unwrap_or_default();
                self.check(scope.name == "aqe-v3" && !scope.version.is_empty(), || format!("{scope:?}"));
                for span in of_scope.spans {
                    self.check_span(&span);
                    self.spans.push(span);
                }
            }
        }
    }

    fn take_metrics(&mut self, request: ExportMetricsServiceRequest) {
        for of_resource in request.resource_metrics {
            let resource = of_resource.resource.unwrap_or_default();
            self.resources.push(resource.attributes.iter().map(text_pair).collect());
            for of_scope in of_resource.scope_metrics {
                let mut names: Vec<&str> =
                    of_scope.metrics.iter().map(|metric| metric.name.as_str()).collect();
                names.sort_unstable();
                let unique = names.windows(2).all(|two| two[0] != two[1]);
                self.check(unique, || format!("a metric comes twice: {names:?}"));
                let points = of_scope.metrics.iter().filter_map(|metric| metric.data.as_ref());
                self.began.extend(points.flat_map(|data| match data {
                    Data::Sum(sum) => sum.data_points.iter().map(|it| it.start_time_unix_nano).collect(),
                    Data::Histogram(of) => of.data_points.iter().map(|it| it.start_time_unix_nano).collect(),
                    _ => Vec::new(),
                }));
                // Another beginning says that all was lost meanwhile.
                self.check(self.began.len() <= 1, || "points begin at different times".to_owned());
                self.metrics = of_scope.metrics;
            }
        }
    }

    fn check(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.faults.push(what());
        }
    }

    fn check_span(&mut self, span: &Span) {
        let is_id = |id: &[u8], length: usize| id.len() == length && id.iter().any(|byte| *byte != 0);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
        let (start, end) = (span.start_time_unix_nano, span.end_time_unix_nano);
        let mut keys: Vec<&str> = span.attributes.iter().map(|pair| pair.key.as_str()).collect();
        keys.sort_unstable();
        let unique = keys.windows(2).all(|two| two[0] != two[1]);
        let sound = is_id(&span.trace_id, 16)
            && is_id(&span.span_id, 8)
            && (span.parent_span_id.is_empty() || is_id(&span.parent_span_id, 8))
            && !span.name.is_empty()
            && start <= end
            && end <= now + 1_000_000
            && now - start < 60_000_000_000
            && span.events.iter().all(|event| (start..=end).contains(&event.time_unix_nano))
            && span.links.iter().all(|link| is_id(&link.trace_id, 16) && is_id(&link.span_id, 8))
            && unique;
        self.check(sound, || format!("{span:?}"));
    }
}

fn text_pair(pair: &KeyValue) -> (String, String) {
    (pair.key.clone(), show(pair))
}

fn show(pair: &KeyValue) -> String {
    match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        other => format!("{other:?}"),
    }
}

/// What tests ask a span.
pub(crate) trait Ask {
    /// An attribute as text; empty where it is not there.
    fn attribute(&self, name: &str) -> String;
    /// Whether it is of this kind.
    fn is(&self, kind: SpanKind) -> bool;
    /// The text of a `traceparent` that names it.
    fn traceparent(&self) -> String;
    /// `error.type`, if the span has failed; checks that its status says the same.
    fn error(&self) -> Option<String>;
    /// The events of this name.
    fn named(&self, event: &str) -> Vec<&Event>;
}

impl Ask for Span {
    fn attribute(&self, name: &str) -> String {
        self.attributes.iter().find(|pair| pair.key == name).map(show).unwrap_or_default()
    }

    fn is(&self, kind: SpanKind) -> bool {
        self.kind() == kind
    }

    fn traceparent(&self) -> String {
        format!("00-{}-{}-01", hex(&self.trace_id), hex(&self.span_id))
    }

    fn error(&self) -> Option<String> {
        let has_failed = self.status.as_ref().map(Status::code) == Some(StatusCode::Error);
        let kind = self.attribute("error.type");
        assert_eq!(has_failed, !kind.is_empty(), "{self:?}");
        has_failed.then_some(kind)
    }

    fn named(&self, event: &str) -> Vec<&Event> {
        self.events.iter().filter(|other| other.name == event).collect()
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
