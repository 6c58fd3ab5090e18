//! What is recorded of requests that do not go the ordinary way: in spans, in the access log and in the figures.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use aqe_testkit::client::{HttpSession, Message};
use aqe_testkit::process::{signal, wait_until};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::collector::{Ask, Collector, Conduct, hex};
use crate::support::{Client, Era, Gateway, Over, Pair, Plan, Upstream, each};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// So much is passed on while it comes.
const LONG: usize = 3 * 1024 * 1024;

/// A gateway with a collector and an access log.
struct Scene {
    gateway: Gateway,
    collector: Collector,
    log: PathBuf,
    _folder: TempDir,
}

impl Scene {
    async fn start(over: Over, upstream: Upstream, more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("access.log");
        let collector = Collector::start(&[Conduct::Takes]);
        let section = format!("[monitoring]\naccess_log = {}\n", Value::from(log.display().to_string()));
        let section = format!("{section}{}{more}", collector.section(""));
        let gateway = Gateway::start(Plan::new(over).sections(&section).upstream(upstream)).await;
        Self { gateway, collector, log, _folder: folder }
    }

    async fn of(pair: Pair, flags: &[&str], line: &str) -> (Self, Client) {
        let upstream = Upstream::raw("up", pair.upstream, pair.upstream_over, flags).await.with(line);
        let mut scene = Self::start(pair.client_over, upstream, "").await;
        let client = scene.gateway.connect(pair.client.revision(), "{}").await;
        (scene, client)
    }

    /// The figures of a tool, or of a method, once they count so many requests.
    async fn figures(&self, of: &str, name: &str, requests: u64) -> Value {
        for _ in 0..100 {
            let told = self.gateway.admin().get("/admin/metrics?window=start").await.json().await;
            let rows = told[of].as_array().unwrap().iter();
            let found = rows.clone().find(|row| row["name"] == name && row["requests"] == requests);
            if let Some(found) = found {
                return found.clone();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("expected {requests} requests of {name}");
    }

    /// Ends the gateway; all spans, of which there are so many if that is known, and the lines of the log.
    async fn end(self, count: impl Into<Option<usize>>) -> (Vec<Span>, Vec<Value>) {
        let pid = self.gateway.pid();
        signal(pid, Signal::TERM);
        wait_until(Duration::from_secs(10), "the gateway to end", || {
            let left = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            (left.is_empty() || left.contains("State:\tZ")).then_some(())
        })
        .await;
        let spans = self.collector.spans(count.into().unwrap_or(self.collector.count())).await;
        let log = std::fs::read_to_string(&self.log).unwrap();
        (spans, log.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    }
}

/// The spans of a method, of one kind.
fn of<'a>(spans: &'a [Span], kind: SpanKind, method: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.is(kind) && span.attribute("mcp.method.name") == method).collect()
}

fn length(span: &Span) -> Duration {
    Duration::from_nanos(span.end_time_unix_nano - span.start_time_unix_nano)
}

/// Pairs of one era.
fn pairs() -> Vec<Pair> {
    Pair::all().into_iter().filter(|pair| pair.is_same_era()).collect()
}

/// Of a legacy client there is one more.
fn handshakes(pair: Pair) -> usize {
    usize::from(pair.client == Era::Legacy)
}

#[tokio::test]
async fn a_long_result_is_recorded_until_its_last_piece_and_as_what_it_says() {
    each(pairs(), |pair| async move {
        let (scene, mut client) = Scene::of(pair, &["--large"], "").await;
        let (mut bytes, mut heads) = (Vec::new(), Vec::new());
        for (id, is_error) in [(1, false), (2, true)] {
            let arguments = json!({ "bytes": LONG, "pause_ms": 5, "is_error": is_error }).to_string();
            let message =
                Message::call(id, "large", &arguments).meta("traceparent", &format!("\"{PARENT}\""));
            let answer = client.request(&message).await;
            assert_eq!(answer.text.contains("\"isError\":true"), is_error);
            bytes.push(answer.text.len());
            heads.push(is_error.then_some("tool_error"));
        }
        let figures = scene.figures("tools", "large", 2).await;
        assert_eq!(
            (&figures["errors"], &figures["errors_by_kind"]),
            (&json!(1), &json!({ "tool_error": 1 }))
        );
        let (spans, lines) = scene.end(4 + handshakes(pair)).await;
        let lines: Vec<_> = lines.iter().filter(|line| line["tool"] == "large").collect();
        let servers = of(&spans, SpanKind::Server, "tools/call");
        let clients = of(&spans, SpanKind::Client, "tools/call");
        // 48 pieces with a pause after each.
        let least = Duration::from_millis(200);
        for (at, kind) in heads.into_iter().enumerate() {
            assert_eq!(servers[at].error().as_deref(), kind);
            assert_eq!(clients[at].error().as_deref(), kind);
            assert_eq!(hex(&servers[at].parent_span_id), "00f067aa0ba902b7");
            assert_eq!(clients[at].parent_span_id, servers[at].span_id);
            assert!(length(clients[at]) >= least && length(servers[at]) >= length(clients[at]), "{spans:?}");
            assert_eq!(servers[at].attribute("aqe.error"), kind.unwrap_or_default());
            let line = &lines[at];
            assert_eq!(line["status"], kind.unwrap_or("ok"));
            // Without the id and the members that the eras differ in, which are changed on the way.
            assert!(line["response_bytes"].as_u64().unwrap().abs_diff(bytes[at] as u64) < 100, "{line}");
            assert!(line["upstream_ms"].as_f64().unwrap() >= 200.0, "{line}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_long_result_that_its_client_cancels_is_cancelled_in_both_spans() {
    let pair = Pair {
        client: Era::Modern,
        client_over: Over::Stdio,
        upstream: Era::Modern,
        upstream_over: Over::Http,
    };
    let (scene, mut client) = Scene::of(pair, &["--large"], "").await;
    let arguments = json!({ "bytes": LONG, "pause_ms": 200 }).to_string();
    client.begin(&Message::call("\"gone\"", "large", &arguments)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    client.process().notify(&Message::cancelled("\"gone\"")).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (spans, lines) = scene.end(2).await;
    for span in &spans {
        assert_eq!((span.named("cancelled").len(), span.error()), (1, None), "{span:?}");
    }
    assert_eq!(lines[0]["status"], "cancelled");
}

#[tokio::test]
async fn a_hedged_call_has_two_attempts_of_which_one_is_cancelled() {
    let upstream = Upstream::replicas("up", 3).with("session_scope = \"shared\"\nstrategy = \"round-robin\"");
    // Nothing but hedging may help here.
    let balancer =
        "[balancer]\nhedge_budget_percent = 100\nejection = false\nhealth_check_interval_s = 600\n";
    let scene = Scene::start(Over::Http, upstream, balancer).await;
    let session = HttpSession::open(scene.gateway.http(), Era::Modern.revision()).await;
    for id in 0..60 {
        assert!(!session.request(&Message::call(id, "received", "{}")).await.is_error());
    }
    let pids: BTreeSet<u32> = scene.gateway.upstreams[0].events().iter().map(|event| event.pid).collect();
    let hung = *pids.iter().next().expect("expected a child");
    signal(hung, Signal::STOP);
    for id in 100..106 {
        assert!(!session.request(&Message::call(id, "received", "{}")).await.is_error());
    }
    signal(hung, Signal::CONT);
    let (spans, _) = scene.end(None).await;
    assert_eq!(of(&spans, SpanKind::Server, "tools/call").len(), 66);
    let clients = of(&spans, SpanKind::Client, "tools/call");
    let second: Vec<_> = clients.iter().filter(|span| span.attribute("aqe.hedge") == "true").collect();
    assert!(!second.is_empty(), "no call was hedged");
    for second in &second {
        let siblings = clients.iter().filter(|span| span.parent_span_id == second.parent_span_id);
        let first = siblings.filter(|span| span.span_id != second.span_id).collect::<Vec<_>>();
        let [first] = &first[..] else { panic!("{first:?}") };
        assert_ne!(first.attribute("aqe.replica"), second.attribute("aqe.replica"));
        assert!(first.start_time_unix_nano < second.start_time_unix_nano);
        // Which of them was cancelled depends on who was slow; nothing has failed.
        assert_eq!(
            first.named("cancelled").len() + second.named("cancelled").len(),
            1,
            "{first:?} {second:?}"
        );
        let server = spans.iter().find(|span| span.span_id == second.parent_span_id).unwrap();
        assert_eq!((first.error(), second.error(), server.error()), (None, None, None));
        assert_eq!(server.named("cancelled").len(), 0);
    }
    assert_eq!(clients.len(), 66 + second.len());
}

#[tokio::test]
async fn a_failed_result_is_a_failure_as_often_as_it_is_given_wherever_it_comes_from() {
    let rule = "cache = { tool_ttl_ms = { reply = 60000 }, error_ttl_ms = 60000 }";
    let pair = Pair {
        client: Era::Modern,
        client_over: Over::Http,
        upstream: Era::Legacy,
        upstream_over: Over::Stdio,
    };
    let (scene, mut client) = Scene::of(pair, &[], rule).await;
    let failed = json!({ "result": r#"{"content":[],"isError":true}"# }).to_string();
    // The first from the upstream, then from each level of memory.
    for id in 0..6 {
        client.call(id, "reply", &failed).await;
    }
    let figures = scene.figures("tools", "reply", 6).await;
    assert_eq!(
        (&figures["errors_by_kind"], &figures["from_cache"]),
        (&json!({ "tool_error": 6 }), &json!(5))
    );
    let (spans, lines) = scene.end(7).await;
    for (at, span) in of(&spans, SpanKind::Server, "tools/call").into_iter().enumerate() {
        assert_eq!(span.error().as_deref(), Some("tool_error"));
        assert_eq!(span.attribute("aqe.cached"), (at > 0).to_string());
        assert_eq!((&lines[at]["status"], &lines[at]["cached"]), (&json!("tool_error"), &json!(at > 0)));
    }
}

#[tokio::test]
async fn a_handshake_is_recorded_like_any_other_request() {
    for over in [Over::Http, Over::Stdio] {
        let upstream = Upstream::raw("up", Era::Legacy, Over::Stdio, &[]).await;
        let mut scene = Scene::start(over, upstream, "").await;
        let revision = Era::Legacy.revision();
        let hello = || Message::initialize(1, revision).meta("traceparent", &format!("\"{PARENT}\""));
        let (accepted, refused) = if over == Over::Http {
            let session = HttpSession::open(scene.gateway.http(), Era::Modern.revision()).await;
            let post = async |message: Message, revision| {
                let (headers, text) = (message.headers(revision), message.text(revision));
                let headers: Vec<_> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
                session.client.post(&headers, text.as_bytes()).await.answer("1").await
            };
            let bad = Message::request(1, "initialize").param("protocolVersion", "7");
            (post(hello(), revision).await, post(bad, revision).await)
        } else {
            let process = scene.gateway.process();
            (process.request(&hello()).await, process.request(&hello()).await)
        };
        assert!(!accepted.is_error() && refused.is_error(), "{} {}", accepted.text, refused.text);
        let figures = scene.figures("methods", "initialize", 2).await;
        assert_eq!(figures["errors_by_kind"], json!({ "invalid_request": 1 }));
        let (spans, lines) = scene.end(2).await;
        for (at, (answer, status)) in
            [(&accepted, "ok"), (&refused, "invalid_request")].into_iter().enumerate()
        {
            let (span, line) = (&spans[at], &lines[at]);
            assert_eq!((span.name.as_str(), span.is(SpanKind::Server)), ("initialize", true));
            assert_eq!(span.attribute("mcp.method.name"), "initialize");
            assert_eq!(span.attribute("jsonrpc.request.id"), "1");
            assert_eq!(span.attribute("mcp.protocol.version"), "2025-11-25");
            assert_eq!(span.attribute("mcp.session.id").is_empty(), over == Over::Stdio);
            assert_eq!(span.error().is_some(), status != "ok");
            assert_eq!((&line["method"], &line["status"]), (&json!("initialize"), &json!(status)));
            assert_eq!((&line["era"], &line["tool"]), (&json!("legacy"), &Value::Null));
            assert_eq!(line["response_bytes"], answer.text.len());
        }
        assert_eq!(hex(&spans[0].parent_span_id), "00f067aa0ba902b7");
    }
}

#[tokio::test]
async fn a_collector_over_https_is_trusted_by_the_authority_that_the_configuration_names_and_not_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("authority.pem");
    for trusted in [false, true] {
        let (collector, authority) = Collector::over_tls();
        std::fs::write(&path, authority).unwrap();
        let ca_file = format!("ca_file = {}\n", Value::from(path.display().to_string()));
        let section = format!(
            "[monitoring.otlp]\nendpoint = \"{}\"\n{}",
            collector.url,
            if trusted { &ca_file } else { "" }
        );
        let mut gateway = Gateway::start(Plan::new(Over::Http).builtin().sections(&section)).await;
        let session = HttpSession::open(gateway.http(), Era::Modern.revision()).await;
        session.request(&Message::request(1, "tools/list")).await;
        assert!(gateway.stop().await.success());
        if trusted {
            assert_eq!(collector.spans(1).await[0].name, "tools/list");
            collector.metrics(|metrics| !metrics.is_empty()).await;
        } else {
            assert_eq!(collector.heads(), Vec::<String>::new());
        }
    }
}
