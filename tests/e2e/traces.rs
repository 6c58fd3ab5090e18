//! Traces: a request's way from its client through us to its upstream, as a collector sees it, and what a collector
//! that does not do its part costs.

use std::time::{Duration, Instant};

use aqe_testkit::client::{HttpSession, Message};
use aqe_testkit::process::{binary, signal, wait_until};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::collector::{Ask, Collector, Conduct, hex};
use crate::support::{Client, Era, Gateway, Over, Pair, Plan, Upstream, each};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const UNSAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
const OF_HTTP: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn traced(message: Message, parent: &str) -> Message {
    message
        .meta("traceparent", &format!("\"{parent}\""))
        .meta("tracestate", "\"rojo=1,congo=2\"")
        .meta("baggage", "\"user=alice\"")
}

async fn open(pair: Pair, section: &str) -> (Gateway, Client) {
    let upstream = Upstream::raw("up", pair.upstream, pair.upstream_over, &[]).await;
    let mut gateway = Gateway::start(Plan::new(pair.client_over).sections(section).upstream(upstream)).await;
    let client = gateway.connect(pair.client.revision(), "{}").await;
    (gateway, client)
}

async fn open_http(plan: Plan) -> (Gateway, HttpSession) {
    let gateway = Gateway::start(plan).await;
    let session = HttpSession::open(gateway.http(), Era::Modern.revision()).await;
    (gateway, session)
}

/// The server span of a method that has a client span, and that.
fn two(spans: &[Span]) -> (&Span, &Span) {
    let of = |kind| spans.iter().find(|span| span.is(kind) && span.name.starts_with("tools/call"));
    (
        of(SpanKind::Server).expect("expected a server span"),
        of(SpanKind::Client).expect("expected a client span"),
    )
}

/// What the upstream got in `_meta`.
fn meta_of(received: &str) -> Value {
    let received: Value = serde_json::from_str(received).expect("expected a request");
    received["params"]["_meta"].clone()
}

#[tokio::test]
async fn spans_lead_from_the_client_through_us_to_the_upstream() {
    each(Pair::all(), |pair| async move {
        let collector = Collector::start(&[Conduct::Takes]);
        let (gateway, mut client) = open(pair, &collector.section("")).await;
        let message = traced(Message::call("\"id\"", "received", "{}"), PARENT);
        let answer = client.request(&message).await;
        // What is waiting is exported at the end.
        signal(gateway.pid(), Signal::TERM);
        let spans =
            wait_until(Duration::from_secs(20), "both spans", || (collector.count() >= 2).then_some(()));
        spans.await;
        let spans = collector.spans(collector.count()).await;
        let (server, client) = two(&spans);
        assert_eq!(hex(&server.trace_id), TRACE);
        assert_eq!(hex(&server.parent_span_id), "00f067aa0ba902b7");
        assert_eq!((&client.trace_id, &client.parent_span_id), (&server.trace_id, &server.span_id));
        assert_eq!((server.flags, client.flags), (0x301, 0x101));
        for span in [server, client] {
            assert_eq!(span.name, "tools/call received");
            assert_eq!(span.trace_state, "rojo=1,congo=2");
            assert_eq!(span.attribute("mcp.method.name"), "tools/call");
            assert_eq!(span.attribute("gen_ai.tool.name"), "received");
            assert_eq!(span.attribute("gen_ai.operation.name"), "execute_tool");
            assert_eq!((span.attribute("aqe.upstream"), span.error()), ("up".to_owned(), None));
        }
        assert_eq!(server.attribute("jsonrpc.request.id"), "id");
        let revision = |era| if era == Era::Legacy { "2025-11-25" } else { "2026-07-28" };
        assert_eq!(server.attribute("mcp.protocol.version"), revision(pair.client));
        assert_eq!(client.attribute("mcp.protocol.version"), revision(pair.upstream));
        let transport = |over| if over == Over::Http { "tcp" } else { "pipe" };
        assert_eq!(server.attribute("network.transport"), transport(pair.client_over));
        assert_eq!(client.attribute("network.transport"), transport(pair.upstream_over));
        assert_eq!(client.attribute("server.address").is_empty(), pair.upstream_over == Over::Stdio);
        let has_session = pair.client == Era::Legacy && pair.client_over == Over::Http;
        assert_eq!(server.attribute("mcp.session.id").len(), if has_session { 16 } else { 0 });
        // The upstream is a child of the attempt, whichever way it looks.
        let meta = meta_of(&answer.content_text());
        assert_eq!(meta["traceparent"], client.traceparent());
        assert_eq!((&meta["tracestate"], &meta["baggage"]), (&json!("rojo=1,congo=2"), &json!("user=alice")));
        if pair.upstream_over == Over::Http {
            let headers = &answer.result()["structuredContent"]["headers"];
            assert_eq!(headers["traceparent"], client.traceparent());
            assert_eq!(headers["tracestate"], "rojo=1,congo=2");
        }
    })
    .await;
}

#[tokio::test]
async fn without_a_collector_the_trace_passes_as_the_client_sent_it() {
    each(Pair::all(), |pair| async move {
        let (_gateway, mut client) = open(pair, "").await;
        for parent in [PARENT, UNSAMPLED, "nonsense"] {
            let answer = client.request(&traced(Message::call(1, "received", "{}"), parent)).await;
            let meta = meta_of(&answer.content_text());
            assert_eq!(meta["traceparent"], parent);
            assert_eq!(
                (&meta["tracestate"], &meta["baggage"]),
                (&json!("rojo=1,congo=2"), &json!("user=alice"))
            );
        }
    })
    .await;
}

/// Sends a call with further header lines; the upstream's view of it.
async fn with_headers(session: &HttpSession, message: &Message, more: &[(&str, &str)]) -> (Value, Value) {
    let headers = session.headers(message);
    let mut headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    headers.extend_from_slice(more);
    let text = message.text(session.revision);
    let answer = session.client.post(&headers, text.as_bytes()).await.answer(message.id().unwrap()).await;
    (meta_of(&answer.content_text()), answer.result()["structuredContent"]["headers"].clone())
}

#[tokio::test]
async fn headers_of_the_client_pass_or_are_the_parent_and_meta_counts_before_them() {
    let upstream = || Upstream::raw("up", Era::Modern, Over::Http, &[]);
    let lines = [("traceparent", OF_HTTP), ("tracestate", "h=1")];
    let plain = Message::call(1, "received", "{}").capabilities("{}");
    let (_gateway, session) = open_http(Plan::new(Over::Http).upstream(upstream().await)).await;
    let (meta, headers) = with_headers(&session, &plain, &lines).await;
    assert_eq!((&headers["traceparent"], &headers["tracestate"]), (&json!(OF_HTTP), &json!("h=1")));
    assert_eq!(meta.get("traceparent"), None);
    let (_, headers) = with_headers(&session, &plain, &[("traceparent", "00-nonsense")]).await;
    assert_eq!(headers.get("traceparent"), None);

    let collector = Collector::start(&[Conduct::Takes]);
    let plan = Plan::new(Over::Http).sections(&collector.section("")).upstream(upstream().await);
    let (mut gateway, session) = open_http(plan).await;
    let (meta, headers) = with_headers(&session, &plain, &lines).await;
    let both = traced(Message::call(2, "received", "{}").capabilities("{}"), PARENT);
    with_headers(&session, &both, &lines).await;
    gateway.stop().await;
    let spans = collector.spans(4).await;
    let (of_header, of_both) = spans.split_at(2);
    let (server, client) = two(of_header);
    assert_eq!(server.traceparent()[3..35], OF_HTTP[3..35]);
    assert_eq!(hex(&server.parent_span_id), OF_HTTP[36..52]);
    assert_eq!(
        (&meta["traceparent"], &headers["traceparent"]),
        (&json!(client.traceparent()), &json!(client.traceparent()))
    );
    assert_eq!((&meta["tracestate"], &headers["tracestate"]), (&json!("h=1"), &json!("h=1")));
    let (server, _) = two(of_both);
    assert_eq!(
        (hex(&server.trace_id).as_str(), hex(&server.parent_span_id).as_str()),
        (TRACE, "00f067aa0ba902b7")
    );
    assert_eq!(server.links.len(), 1);
    assert_eq!(hex(&server.links[0].trace_id), OF_HTTP[3..35]);
}

#[tokio::test]
async fn parents_decide_what_is_recorded_and_the_ratio_decides_where_there_is_none() {
    for (ratio, own) in [("0.0", 0), ("1.0", 2)] {
        let collector = Collector::start(&[Conduct::Takes]);
        let section = collector.section(&format!("sample_ratio = {ratio}"));
        let upstream = Upstream::raw("up", Era::Modern, Over::Http, &[]).await;
        let (mut gateway, session) =
            open_http(Plan::new(Over::Http).sections(&section).upstream(upstream)).await;
        session.request(&Message::call(1, "received", "{}")).await;
        session.request(&traced(Message::call(2, "received", "{}"), PARENT)).await;
        let passed = session.request(&traced(Message::call(3, "received", "{}"), UNSAMPLED)).await;
        assert_eq!(meta_of(&passed.content_text())["traceparent"], UNSAMPLED);
        gateway.stop().await;
        let spans = collector.spans(2 + own).await;
        assert_eq!(spans.iter().filter(|span| hex(&span.trace_id) == TRACE).count(), 2);
        let roots = spans.iter().filter(|span| span.parent_span_id.is_empty());
        assert_eq!(roots.count(), own / 2);
    }
}

#[tokio::test]
async fn what_failed_says_so_in_both_spans() {
    let collector = Collector::start(&[Conduct::Takes]);
    let upstream = Upstream::raw("up", Era::Modern, Over::Stdio, &[]).await.with("request_timeout_ms = 300");
    let (mut gateway, session) =
        open_http(Plan::new(Over::Http).sections(&collector.section("")).upstream(upstream)).await;
    let tool = json!({ "result": r#"{"content":[],"isError":true}"# }).to_string();
    let error = json!({ "error": r#"{"code":-32099,"message":"no such luck"}"# }).to_string();
    for (id, name, arguments) in [
        (1, "reply", tool.as_str()),
        (2, "reply", &error),
        (3, "absent", "{}"),
        (4, "sleep", r#"{"ms":5000}"#),
    ] {
        session.request(&Message::call(id, name, arguments)).await;
    }
    gateway.stop().await;
    let spans = collector.spans(7).await;
    let of = |id: &str, kind| {
        spans.iter().find(move |span| {
            span.is(kind) && (kind == SpanKind::Client || span.attribute("jsonrpc.request.id") == id)
        })
    };
    let server = |id: &str| of(id, SpanKind::Server).expect("expected a server span");
    assert_eq!(server("1").error().as_deref(), Some("tool_error"));
    assert_eq!(server("2").error().as_deref(), Some("-32099"));
    assert_eq!(server("2").attribute("rpc.response.status_code"), "-32099");
    assert_eq!(server("2").status.as_ref().unwrap().message, "no such luck");
    assert_eq!(server("2").attribute("aqe.error"), "upstream_error");
    // A name that a client has made up is not in the name of a span.
    assert_eq!((server("3").name.as_str(), server("3").error().as_deref()), ("tools/call", Some("-32602")));
    assert_eq!(server("4").attribute("aqe.error"), "timeout");
    let mut clients: Vec<String> =
        spans.iter().filter(|span| span.is(SpanKind::Client)).filter_map(Ask::error).collect();
    clients.sort();
    assert_eq!(clients, ["-32099", "timeout", "tool_error"]);
}

#[tokio::test]
async fn every_attempt_is_a_span_that_is_linked_to_the_one_before() {
    let collector = Collector::start(&[Conduct::Takes]);
    let folder = tempfile::tempdir().unwrap();
    let program = Value::from(binary("rawmcp").display().to_string());
    let mut replicas = Vec::new();
    for (at, conduct) in [r#"{"bad":{"mode":"exit-1"}}"#, "{}"].iter().enumerate() {
        let path = folder.path().join(format!("conduct-{at}"));
        std::fs::write(&path, conduct).unwrap();
        let path = Value::from(path.display().to_string());
        replicas.push(format!("{{ command = {program}, args = [\"stdio\", \"--conduct\", {path}] }}"));
    }
    let upstream = format!("[[upstream]]\nname = \"up\"\nreplicas = [{}]\n", replicas.join(", "));
    let section = format!("{}{upstream}[balancer]\nstrategy = \"round-robin\"\n", collector.section(""));
    let (mut gateway, session) = open_http(Plan::new(Over::Http).sections(&section)).await;
    for id in 0..4 {
        assert!(!session.request(&Message::call(id, "received", "{}")).await.is_error());
    }
    gateway.stop().await;
    let spans = collector.spans(collector.count()).await;
    let second =
        spans.iter().find(|span| span.attribute("aqe.attempt") == "2").expect("expected a second attempt");
    let siblings = |span: &&Span| span.parent_span_id == second.parent_span_id;
    let first = spans.iter().filter(siblings).find(|span| span.attribute("aqe.attempt") == "1").unwrap();
    assert_eq!((first.error().as_deref(), second.error()), (Some("closed"), None));
    assert_ne!(first.attribute("aqe.replica"), second.attribute("aqe.replica"));
    assert_eq!(second.links[0].span_id, first.span_id);
    let server = spans.iter().find(|span| span.span_id == second.parent_span_id).unwrap();
    assert_eq!((server.named("retry").len(), server.error()), (1, None));
    assert_eq!(server.attribute("aqe.replica"), second.attribute("aqe.replica"));
}

#[tokio::test]
async fn the_resource_and_the_headers_are_those_of_the_configuration_and_no_secret_is_told() {
    let collector = Collector::start(&[Conduct::Takes]);
    let more = "service_name = \"gate\"\nheaders = { authorization = \"Bearer HUSHHUSH\" }\nresource_attributes = { \"deployment.environment.name\" = \"test\" }";
    let plan = Plan::new(Over::Http).builtin().sections(&collector.section(more));
    let (mut gateway, session) = open_http(plan).await;
    session.request(&Message::request(1, "tools/list")).await;
    let status = gateway.admin().get("/admin/status").await.text().await;
    assert!(!status.contains("HUSHHUSH"));
    gateway.stop().await;
    let spans = collector.spans(1).await;
    assert_eq!((spans[0].name.as_str(), spans[0].parent_span_id.len()), ("tools/list", 0));
    let resource = collector.resource();
    assert_eq!(resource["service.name"], "gate");
    assert_eq!(resource["deployment.environment.name"], "test");
    assert!(!resource["service.version"].is_empty() && resource["service.instance.id"].len() == 32);
    assert!(collector.heads()[0].contains("\r\nauthorization: bearer hushhush\r\n"));
}

async fn counts(gateway: &Gateway) -> Value {
    gateway.admin().get("/admin/status").await.json().await["telemetry"]["spans"].clone()
}

#[tokio::test]
async fn a_collector_that_is_busy_gets_the_spans_later_and_once() {
    let collector = Collector::start(&[
        Conduct::Status(503, "retry-after: 1\r\n"),
        Conduct::Status(429, ""),
        Conduct::Takes,
    ]);
    let plan = Plan::new(Over::Http).builtin().sections(&collector.section(""));
    let (gateway, session) = open_http(plan).await;
    let began = Instant::now();
    session.request(&Message::request(1, "tools/list")).await;
    let spans = collector.spans(1).await;
    assert_eq!((spans[0].name.as_str(), collector.heads().len()), ("tools/list", 3));
    assert!(began.elapsed() >= Duration::from_secs(1), "Retry-After was not honoured");
    wait_until(Duration::from_secs(5), "the span to be counted", || {
        Some(()).filter(|()| collector.count() == 1)
    })
    .await;
    assert_eq!(counts(&gateway).await["exported"], 1);
}

#[tokio::test]
async fn spans_that_a_collector_does_not_take_are_counted_and_not_sent_again() {
    for (conduct, exported, rejected) in [(Conduct::TakesAllBut(1), 1, 1), (Conduct::Status(400, ""), 0, 2)] {
        let collector = Collector::start(&[conduct]);
        let plan = Plan::new(Over::Http).builtin().sections(&collector.section(""));
        let (gateway, session) = open_http(plan).await;
        for id in 0..2 {
            session.request(&Message::request(id, "tools/list")).await;
        }
        let mut seen = Value::Null;
        for _ in 0..100 {
            seen = counts(&gateway).await;
            if seen["rejected"] == rejected {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(
            (&seen["exported"], &seen["rejected"]),
            (&json!(exported), &json!(rejected)),
            "{conduct:?}"
        );
        assert_eq!(collector.heads().len(), 1);
    }
}

#[tokio::test]
async fn a_collector_that_refuses_hangs_or_is_gone_costs_no_call() {
    const CALLS: u64 = 5_000;
    let gone = "[monitoring.otlp]\nendpoint = \"http://127.0.0.1:9\"\n".to_owned();
    let silent = Collector::start(&[Conduct::Silent]);
    for (what, section) in [("gone", gone), ("silent", silent.section(""))] {
        let (mut gateway, session) = open_http(Plan::new(Over::Http).builtin().sections(&section)).await;
        let mut clients = Vec::new();
        for client in 0..4 {
            let session = session.clone();
            clients.push(tokio::spawn(async move {
                for id in 0..CALLS / 4 {
                    let answer = session.request(&Message::request(client * CALLS + id, "tools/list")).await;
                    assert!(!answer.is_error());
                }
            }));
        }
        for client in clients {
            client.await.unwrap();
        }
        let counts = counts(&gateway).await;
        let dropped = counts["dropped"].as_u64().unwrap();
        // All but what waits in the queue and in one batch; nothing of it is lost without being counted.
        assert!((CALLS - 2_048 - 2 * 512..CALLS).contains(&dropped), "{what}: {counts}");
        let began = Instant::now();
        assert!(gateway.stop().await.success(), "{what}");
        assert!(began.elapsed() < Duration::from_secs(5), "{what}: stopped after {:?}", began.elapsed());
    }
}
