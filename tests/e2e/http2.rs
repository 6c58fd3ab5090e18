//! HTTP/2 on both sides of the real binary, each through a reverse proxy that speaks HTTP/1.1 to the other end: what
//! holds over HTTP/1.1 holds here.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use aqe_testkit::client::{Answer, Message};
use http_body_util::{BodyExt, Empty, combinators::BoxBody};
use hyper::body::{Body, Bytes, Frame};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};

use crate::{
    relay::Relay,
    support::{Client, Era, Gateway, Over, Pair, Plan, Upstream, each, now_us},
};

/// The pairs over HTTP.
fn pairs() -> Vec<Pair> {
    let over_http = |pair: &Pair| pair.client_over == Over::Http && pair.upstream_over == Over::Http;
    Pair::all().into_iter().filter(over_http).collect()
}

/// A gateway between two proxies, and a client.
struct Chain {
    towards_gateway: Relay,
    towards_upstream: Relay,
    gateway: Gateway,
    client: Client,
}

impl Chain {
    async fn open(pair: Pair) -> Self {
        let upstream = Upstream::raw("up", pair.upstream, Over::Http, &[]).await;
        let towards_upstream = Relay::before_upstream(upstream.url()).await;
        let ca_file = format!("ca_file = \"{}\"", towards_upstream.ca_file.path().display());
        let upstream = upstream.under(&towards_upstream.url).with(&ca_file);
        let mut gateway = Gateway::start(Plan::new(Over::Http).upstream(upstream)).await;
        let towards_gateway = Relay::before_gateway(&gateway.url).await;
        gateway.url.clone_from(&towards_gateway.url);
        let client = gateway.connect(pair.client.revision(), "{}").await;
        Self { towards_gateway, towards_upstream, gateway, client }
    }
}

#[tokio::test]
async fn a_conversation_of_either_era_needs_one_connection_on_each_side() {
    each(pairs(), |pair| async move {
        let mut chain = Chain::open(pair).await;
        for id in 1..50 {
            assert_eq!(chain.client.call(id, "bare", "{}").await.content_text(), "bare");
        }
        for id in 100..150 {
            chain.client.begin(&Message::call(id, "sleep", r#"{"ms":100}"#)).await;
        }
        for id in 100..150 {
            let answer = chain.client.finish(&id.to_string()).await;
            assert_eq!(answer.content_text(), "slept 100 ms");
        }
        assert_eq!(chain.towards_upstream.connections.load(Ordering::Relaxed), 1);
        assert_eq!(chain.towards_gateway.onward.load(Ordering::Relaxed), 1);
    })
    .await;
}

#[tokio::test]
async fn notifications_come_in_order_then_the_result_then_nothing() {
    each(pairs(), |pair| async move {
        let mut chain = Chain::open(pair).await;
        let message = Message::call("\"p\"", "progress", r#"{"count":1000}"#);
        let all = chain.client.everything(&message.progress_token(json!("a token"))).await;
        assert_eq!(all.len(), 1001, "{:?}", all.last());
        for (index, text) in all.iter().take(1000).enumerate() {
            let message: Value = serde_json::from_str(text).expect("expected JSON");
            assert_eq!(message["params"]["progress"], index + 1);
        }
        assert!(Answer::is_for(all.last().expect("expected messages"), "\"p\""));
    })
    .await;
}

#[tokio::test]
async fn a_cancel_reaches_the_upstream_at_once_and_touches_no_other_call() {
    each(pairs(), |pair| async move {
        let mut chain = Chain::open(pair).await;
        chain.client.begin(&Message::call("\"c\"", "sleep", r#"{"ms":30000}"#)).await;
        chain.gateway.upstreams[0].event(&["request"], "tools/call").await;
        chain.client.begin(&Message::call("\"other\"", "sleep", r#"{"ms":1000}"#)).await;
        let cancelled_at = now_us();
        chain.client.cancel("\"c\"").await;
        let noticed = chain.gateway.upstreams[0].event(&["cancelled", "disconnected"], "").await;
        let took = noticed.at_us.saturating_sub(cancelled_at);
        assert!(took <= 1_000_000, "it took {took} us");
        assert_eq!(chain.client.finish("\"other\"").await.content_text(), "slept 1000 ms");
        assert_eq!(chain.towards_upstream.connections.load(Ordering::Relaxed), 1);
    })
    .await;
}

#[tokio::test]
async fn large_replies_come_whole_and_delay_no_other_call() {
    each(pairs(), |pair| async move {
        let mut chain = Chain::open(pair).await;
        let bytes = 10 * 1024 * 1024;
        let large = Message::call("\"large\"", "bad", &json!({ "mode": "long", "bytes": bytes }).to_string());
        let mut unread = chain.client.session().start(&large).await;
        let begun = Instant::now();
        for id in 2..10 {
            assert_eq!(chain.client.call(id, "bare", "{}").await.content_text(), "bare");
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "8 calls took {:?}", begun.elapsed());
        assert_eq!(unread.answer("\"large\"").await.content_text().len(), bytes);
    })
    .await;
}

#[tokio::test]
async fn an_upstream_may_be_told_not_to_speak_http2() {
    let upstream = Upstream::raw("up", Era::Modern, Over::Http, &[]).await;
    let relay = Relay::before_upstream(upstream.url()).await;
    let ca_file = format!("ca_file = \"{}\"\nhttp2 = false", relay.ca_file.path().display());
    let upstream = upstream.under(&relay.url).with(&ca_file);
    let mut gateway = Gateway::start(Plan::new(Over::Http).upstream(upstream)).await;
    let mut client = gateway.connect(Era::Modern.revision(), "{}").await;
    // This proxy speaks nothing else, so that it shows what it gets.
    let answer = client.call(1, "bare", "{}").await;
    assert!(answer.is_error(), "{answer:?}");
    assert_eq!(relay.onward.load(Ordering::Relaxed), 0);
}

type Sender = hyper::client::conn::http2::SendRequest<BoxBody<Bytes, Infallible>>;

/// A body of which nothing comes.
struct Never;

impl Body for Never {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

/// An HTTP/2 connection to the gateway, and the task behind it.
async fn direct(gateway: &Gateway) -> (Sender, tokio::task::JoinHandle<hyper::Result<()>>) {
    let address = gateway.url.strip_prefix("http://").unwrap().split('/').next().unwrap();
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let io = TokioIo::new(stream);
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    (sender, tokio::spawn(connection))
}

fn get(gateway: &Gateway, path: &str) -> http::Request<BoxBody<Bytes, Infallible>> {
    let url = gateway.url.replace("/mcp", path);
    http::Request::get(url).body(Empty::new().boxed()).unwrap()
}

#[tokio::test]
async fn strange_hosts_are_refused_by_their_authority() {
    let gateway = Gateway::start(Plan::new(Over::Http)).await;
    let (mut sender, _) = direct(&gateway).await;
    let answer = sender.send_request(get(&gateway, "/healthz")).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, http::Version::HTTP_2));
    for url in ["http://evil.com/healthz", "http://localhost.evil.com:80/healthz"] {
        let request = http::Request::get(url).body(Empty::new().boxed()).unwrap();
        assert_eq!(sender.send_request(request).await.unwrap().status(), 403, "{url}");
    }
    let mut disguised = get(&gateway, "/healthz");
    disguised.headers_mut().insert("host", "evil.com".parse().unwrap());
    assert_eq!(sender.send_request(disguised).await.unwrap().status(), 403);
}

#[tokio::test]
async fn heads_beyond_the_limits_are_refused_and_the_connection_goes_on() {
    let gateway = Gateway::start(Plan::new(Over::Http)).await;
    let (mut sender, _) = direct(&gateway).await;
    let mut many = get(&gateway, "/healthz");
    for n in 0..150 {
        many.headers_mut()
            .insert(http::HeaderName::try_from(format!("x-{n}")).unwrap(), "y".parse().unwrap());
    }
    assert_eq!(sender.send_request(many).await.unwrap().status(), 431);
    let mut long = get(&gateway, "/healthz");
    long.headers_mut().insert("x", "y".repeat(80_000).parse().unwrap());
    // Where the library refuses it, it may do so by a reset.
    assert!(sender.send_request(long).await.map_or(true, |answer| answer.status() == 431));
    sender.ready().await.unwrap();
    assert_eq!(sender.send_request(get(&gateway, "/healthz")).await.unwrap().status(), 200);
}

#[tokio::test]
async fn who_only_opens_and_resets_streams_has_to_leave_and_others_go_on() {
    let gateway = Gateway::start(Plan::new(Over::Http).builtin()).await;
    let (mut sender, connection) = direct(&gateway).await;
    let begun = Instant::now();
    let mut rounds = 0;
    while !connection.is_finished() && begun.elapsed() < Duration::from_secs(20) {
        rounds += 1;
        for _ in 0..50 {
            let request = http::Request::post(gateway.url.as_str())
                .header("content-type", "application/json")
                .header("accept", "application/json, text/event-stream");
            let sending = sender.send_request(request.body(Never.boxed()).unwrap());
            // Dropped before its answer, it resets its stream.
            let _ = tokio::time::timeout(Duration::from_micros(100), sending).await;
        }
    }
    assert!(connection.is_finished(), "after {rounds} rounds");
    let (mut other, _) = direct(&gateway).await;
    assert_eq!(other.send_request(get(&gateway, "/healthz")).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_connection_on_which_nothing_comes_is_closed_and_a_used_one_is_kept() {
    let plan = Plan::new(Over::Http).server("header_timeout_ms = 400").server("keep_alive_timeout_ms = 4000");
    let gateway = Gateway::start(plan).await;
    let (_silent, closed) = direct(&gateway).await;
    let (mut used, open) = direct(&gateway).await;
    assert_eq!(used.send_request(get(&gateway, "/healthz")).await.unwrap().status(), 200);
    tokio::time::timeout(Duration::from_secs(5), closed).await.expect("closed").unwrap().unwrap();
    assert!(!open.is_finished());
    let mut half = gateway.http().socket().await;
    half.send("PRI * HTTP/2.0\r\n").await;
    assert!(half.closes_within(Duration::from_secs(5)).await);
    tokio::time::timeout(Duration::from_secs(10), open).await.expect("idle for too long").unwrap().unwrap();
}

#[tokio::test]
async fn a_stop_lets_open_calls_end_and_tells_the_client_to_go_elsewhere() {
    let upstream = Upstream::raw("up", Era::Modern, Over::Stdio, &[]).await;
    let mut gateway = Gateway::start(Plan::new(Over::Http).upstream(upstream)).await;
    let relay = Relay::before_gateway(&gateway.url).await;
    let direct_url = std::mem::replace(&mut gateway.url, relay.url.clone());
    let mut client = gateway.connect(Era::Modern.revision(), "{}").await;
    client.begin(&Message::call(1, "sleep", r#"{"ms":1500}"#)).await;
    gateway.upstreams[0].event(&["request"], "tools/call").await;
    gateway.url = direct_url;
    let stopping = Arc::new(tokio::sync::Notify::new());
    let told = Arc::clone(&stopping);
    let stop = tokio::spawn(async move {
        told.notify_one();
        gateway.stop().await
    });
    stopping.notified().await;
    assert_eq!(client.finish("1").await.content_text(), "slept 1500 ms");
    assert!(stop.await.unwrap().success());
}
