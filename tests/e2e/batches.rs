//! Batches exist in revision 2025-03-26 only: there they are answered with one array, elsewhere refused.

use std::time::{Duration, Instant};

use aqe_testkit::client::{Answer, HttpSession, Message, Revision};
use serde_json::{Value, json};

use crate::support::{Client, Era, Gateway, Over, Plan, Upstream, id_of};

async fn open(over: Over, upstream: Era, revision: Revision) -> (Gateway, Client) {
    let upstream = Upstream::raw("up", upstream, Over::Stdio, &[]).await;
    let mut gateway = Gateway::start(Plan::new(over).upstream(upstream)).await;
    let client = gateway.connect(revision, "{}").await;
    (gateway, client)
}

/// Sends a line or body; returns the HTTP status, 200 over stdio, and what comes back.
async fn send(client: &mut Client, over: Over, text: &str) -> (u16, String) {
    if over == Over::Stdio {
        client.process().send(text).await;
        return (200, client.process().line().await);
    }
    let session: HttpSession = client.session().clone();
    let headers = session.headers(&Message::notification(""));
    let headers: Vec<_> = headers
        .iter()
        .filter(|(name, _)| name != "mcp-method")
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let mut response = session.client.post(&headers, text.as_bytes()).await;
    let status = response.status;
    // The last message is the array; progress may come before it.
    let mut last = String::new();
    if response.is_event_stream() {
        while let Some(message) = response.message().await {
            last = message;
        }
    } else {
        last = response.text().await;
    }
    (status, last)
}

fn call(id: &str, tool: &str, arguments: &str) -> String {
    Message::call(id, tool, arguments).text(Revision::V2025_03_26)
}

#[tokio::test]
async fn requests_notifications_and_errors_mixed_are_answered_in_one_array() {
    for over in [Over::Stdio, Over::Http] {
        for upstream in [Era::Legacy, Era::Modern] {
            let (_gateway, mut client) = open(over, upstream, Revision::V2025_03_26).await;
            let odd = json!({ "result": r#"{"content":[],"n":1e400}"# }).to_string();
            let batch = [
                call("\"a\"", "bare", "{}"),
                Message::notification("notifications/roots/list_changed").text(Revision::V2025_03_26),
                call("1.0", "reply", &odd),
                Message::request(2, "no/such/method").text(Revision::V2025_03_26),
                r#"{"jsonrpc":"2.0"}"#.to_owned(),
                "7".to_owned(),
                call("3", "no such tool", "{}"),
                Message::request(4, "ping").text(Revision::V2025_03_26),
                Message::cancelled(99).text(Revision::V2025_03_26),
            ];
            let (status, text) = send(&mut client, over, &format!(" [{}]", batch.join(" , "))).await;
            assert_eq!(status, 200, "{over:?} {upstream:?}: {text}");
            let answers: Vec<Box<serde_json::value::RawValue>> =
                serde_json::from_str(&text).expect("expected an array");
            let find = |id: &str| {
                let found: Vec<_> = answers.iter().filter(|answer| id_of(answer.get()) == id).collect();
                assert_eq!(found.len(), if id == "null" { 2 } else { 1 }, "{id} in {text}");
                Answer { before: Vec::new(), text: found[0].get().to_owned() }
            };
            assert_eq!(answers.len(), 7, "{text}");
            assert_eq!(find("\"a\"").content_text(), "bare");
            assert!(find("1.0").raw_result().contains("1e400"));
            assert_eq!(find("2").error_code(), -32601);
            assert_eq!(find("null").error_code(), -32600);
            assert_eq!(find("3").error_code(), -32602);
            assert_eq!(find("4").raw_result(), "{}");
        }
    }
}

#[tokio::test]
async fn the_requests_of_a_batch_run_at_the_same_time() {
    for over in [Over::Stdio, Over::Http] {
        let (_gateway, mut client) = open(over, Era::Legacy, Revision::V2025_03_26).await;
        client.call(1, "bare", "{}").await;
        let calls: Vec<String> = (2..12).map(|id| call(&id.to_string(), "sleep", r#"{"ms":300}"#)).collect();
        let begun = Instant::now();
        let (_, text) = send(&mut client, over, &format!("[{}]", calls.join(","))).await;
        let answers: Vec<Value> = serde_json::from_str(&text).expect("expected an array");
        assert_eq!(answers.len(), 10);
        assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_batch_of_notifications_gets_no_answer() {
    let note = Message::notification("notifications/roots/list_changed").text(Revision::V2025_03_26);
    let (_gateway, mut client) = open(Over::Http, Era::Legacy, Revision::V2025_03_26).await;
    assert_eq!(send(&mut client, Over::Http, &format!("[{note},{note}]")).await, (202, String::new()));
    let (_gateway, mut client) = open(Over::Stdio, Era::Legacy, Revision::V2025_03_26).await;
    client.process().send(&format!("[{note},{note}]")).await;
    let all = client.everything(&Message::request(1, "ping")).await;
    assert_eq!(all.len(), 1, "{all:?}");
}

#[tokio::test]
async fn an_empty_batch_and_a_handshake_in_a_batch_are_refused() {
    for over in [Over::Stdio, Over::Http] {
        let (_gateway, mut client) = open(over, Era::Legacy, Revision::V2025_03_26).await;
        let (_, text) = send(&mut client, over, "[]").await;
        let refused = Answer { before: Vec::new(), text };
        assert_eq!(refused.error_code(), -32600, "{over:?}");
        let initialize = Message::initialize(1, Revision::V2025_03_26).text(Revision::V2025_03_26);
        let (_, text) = send(&mut client, over, &format!("[{initialize}]")).await;
        let answers: Vec<Value> = serde_json::from_str(&text).expect("expected an array");
        assert_eq!(answers[0]["error"]["code"], -32600, "{over:?}");
        assert_eq!(client.call(2, "bare", "{}").await.content_text(), "bare");
    }
}

#[tokio::test]
async fn every_other_revision_refuses_a_batch_and_goes_on() {
    for over in [Over::Stdio, Over::Http] {
        for revision in Revision::ALL.into_iter().filter(|revision| *revision != Revision::V2025_03_26) {
            let (_gateway, mut client) = open(over, Era::Legacy, revision).await;
            let call = Message::call(1, "bare", "{}").text(revision);
            let (status, text) = send(&mut client, over, &format!("[{call}]")).await;
            assert!(over == Over::Stdio || status == 400, "{revision:?}: {status} {text}");
            let refused = Answer { before: Vec::new(), text };
            assert_eq!(refused.error_code(), -32600, "{revision:?} {over:?}: {}", refused.text);
            assert_eq!(client.call(2, "bare", "{}").await.content_text(), "bare");
        }
    }
}
