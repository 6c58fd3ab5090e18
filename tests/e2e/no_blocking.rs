//! A call that takes long, says much or is not read does not delay another one, on the same session and on the same
//! connection to the upstream.

use std::time::{Duration, Instant};

use aqe_testkit::client::{HttpSession, Message};
use serde_json::json;

use crate::support::{Era, Over, Pair, each};

/// A second call takes some milliseconds; waiting for the first would take longer than this.
const GENEROUS: Duration = Duration::from_secs(3);

#[tokio::test]
async fn a_sleeping_tool_delays_no_other_call() {
    each(Pair::all(), |pair| async move {
        let (gateway, mut client) = pair.open(&[]).await;
        client.call(1, "bare", "{}").await;
        client.begin(&Message::call("\"long\"", "sleep", r#"{"ms":20000}"#)).await;
        gateway.upstreams[0].event(&["request"], "tools/call").await;
        let begun = Instant::now();
        for id in 2..20 {
            assert_eq!(client.call(id, "bare", "{}").await.content_text(), "bare");
        }
        assert!(begun.elapsed() < GENEROUS, "18 calls took {:?}", begun.elapsed());
    })
    .await;
}

/// Pairs whose client can leave a response unread and go on.
fn over_http() -> Vec<Pair> {
    Pair::all().into_iter().filter(|pair| pair.client_over == Over::Http).collect()
}

#[tokio::test]
async fn a_large_reply_that_is_not_read_delays_no_other_call() {
    each(over_http(), |pair| async move {
        let (mut gateway, mut client) = pair.open(&[]).await;
        client.call(1, "bare", "{}").await;
        let bytes = 10 * 1024 * 1024;
        let large = Message::call("\"large\"", "bad", &json!({ "mode": "long", "bytes": bytes }).to_string());
        let mut unread = client.session().start(&large).await;
        let begun = Instant::now();
        let mut other = gateway.connect(pair.client.revision(), "{}").await;
        for id in 2..10 {
            assert_eq!(client.call(id, "bare", "{}").await.content_text(), "bare");
            assert_eq!(other.call(id, "bare", "{}").await.content_text(), "bare");
        }
        assert!(begun.elapsed() < GENEROUS, "16 calls took {:?}", begun.elapsed());
        assert_eq!(unread.answer("\"large\"").await.content_text().len(), bytes);
    })
    .await;
}

#[tokio::test]
async fn a_large_reply_over_stdio_comes_whole_with_the_others() {
    let pairs = Pair::all().into_iter().filter(|pair| pair.client_over == Over::Stdio).collect();
    each(pairs, |pair| async move {
        let (_gateway, mut client) = pair.open(&[]).await;
        let bytes = 10 * 1024 * 1024;
        let arguments = json!({ "mode": "long", "bytes": bytes }).to_string();
        client.begin(&Message::call("\"large\"", "bad", &arguments)).await;
        for id in 2..10 {
            assert_eq!(client.call(id, "bare", "{}").await.content_text(), "bare");
        }
        assert_eq!(client.finish("\"large\"").await.content_text().len(), bytes);
    })
    .await;
}

#[tokio::test]
async fn an_unread_stream_delays_no_other_call() {
    each(over_http(), |pair| async move {
        let (mut gateway, mut client) = pair.open(&[]).await;
        client.call(1, "bare", "{}").await;
        // Some 12 MB: more than sockets and buffers hold.
        let raw = format!(r#""message":"{}""#, "x".repeat(4000));
        let flood = Message::call("\"flood\"", "progress", &json!({ "count": 3000, "raw": raw }).to_string());
        let mut unread = client.session().start(&flood.progress_token(1)).await;
        assert!(unread.is_event_stream());
        // Let it fill what there is to fill.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let begun = Instant::now();
        let mut other = gateway.connect(pair.client.revision(), "{}").await;
        for id in 2..10 {
            assert_eq!(client.call(id, "bare", "{}").await.content_text(), "bare");
            assert_eq!(other.call(id, "bare", "{}").await.content_text(), "bare");
        }
        assert!(begun.elapsed() < GENEROUS, "16 calls took {:?}", begun.elapsed());
        // Who does not read may lose the answer, but not wait for ever.
        let answer = unread.answer("\"flood\"").await;
        assert!(answer.is_valid(), "{}", answer.text);
    })
    .await;
}

#[tokio::test]
async fn an_unread_stream_of_notifications_delays_no_call() {
    let pair = Pair {
        client: Era::Legacy,
        client_over: Over::Http,
        upstream: Era::Legacy,
        upstream_over: Over::Stdio,
    };
    let (gateway, mut client) = pair.open(&[]).await;
    let _unread = client.session().listen().await;
    let second = HttpSession::open(gateway.http(), pair.client.revision()).await;
    let begun = Instant::now();
    let storm = client.call(1, "bad", r#"{"mode":"storm","count":20000}"#).await;
    assert_eq!(storm.content_text(), "good");
    for id in 2..10 {
        assert_eq!(client.call(id, "bare", "{}").await.content_text(), "bare");
        assert_eq!(second.request(&Message::call(id, "bare", "{}")).await.content_text(), "bare");
    }
    assert!(begun.elapsed() < GENEROUS, "16 calls took {:?}", begun.elapsed());
}
