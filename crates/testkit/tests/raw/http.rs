use std::time::Duration;

use aqe_testkit::client::{HttpSession, Message, Revision};
use serde_json::{Value, json};

use super::http;

#[tokio::test]
async fn every_revision_calls_a_tool_on_a_kept_connection() {
    let (_server, client) = http(&[]).await;
    let mut peers = Vec::new();
    for revision in Revision::ALL {
        let session = HttpSession::open(client.clone(), revision).await;
        assert_eq!(session.id.is_some(), !revision.is_modern());
        let answer = session.request(&Message::call(7, "received", r#"{"x":1.0}"#)).await;
        let result = answer.result();
        assert!(answer.content_text().contains(r#""arguments":{"x":1.0}"#));
        let headers = &result["structuredContent"]["headers"];
        assert_eq!(headers["content-type"], "application/json");
        assert_eq!(headers["mcp-method"].as_str(), revision.is_modern().then_some("tools/call"));
        peers.push(result["structuredContent"]["peer"].clone());
    }
    peers.dedup();
    assert_eq!(peers.len(), 1, "one connection carries them all: {peers:?}");
}

#[tokio::test]
async fn a_call_with_progress_streams_and_one_without_does_not() {
    let (_server, client) = http(&[]).await;
    for revision in [Revision::V2025_11_25, Revision::V2026_07_28] {
        let session = HttpSession::open(client.clone(), revision).await;
        let call = Message::call(1, "progress", r#"{"count":3}"#).progress_token(5);
        let mut response = session.start(&call).await;
        assert!(response.is_event_stream());
        assert_eq!(response.answer("1").await.before.len(), 3);
        assert_eq!(response.message().await, None);
        let response = session.start(&Message::call(2, "bare", "{}")).await;
        assert!(!response.is_event_stream());
    }
}

#[tokio::test]
async fn sessions_can_be_unknown_forgotten_and_deleted() {
    let (_server, client) = http(&["--forget-session-after", "2"]).await;
    let mut session = HttpSession::open(client.clone(), Revision::V2025_06_18).await;
    let call = Message::call(1, "bare", "{}");
    for expected in [200, 200, 404] {
        assert_eq!(session.start(&call).await.status, expected);
    }
    session.id = None;
    assert_eq!(session.start(&call).await.status, 400);
    session.id = Some("made up".to_owned());
    assert_eq!(session.start(&call).await.status, 404);
    let session = HttpSession::open(client, Revision::V2025_06_18).await;
    let mut stream = session.listen().await;
    assert_eq!(session.delete().await, 200);
    assert_eq!(stream.event().await, None, "the GET stream ends with its session");
    assert_eq!(session.start(&call).await.status, 404);
}

#[tokio::test]
async fn notifications_beside_a_call_go_to_the_get_stream() {
    let (_server, client) = http(&[]).await;
    let session = HttpSession::open(client, Revision::V2025_11_25).await;
    let mut stream = session.listen().await;
    let notify = r#"{"method":"notifications/tools/list_changed","count":2}"#;
    assert_eq!(session.request(&Message::call(1, "notify", notify)).await.content_text(), "sent 2");
    for _ in 0..2 {
        let message: Value = serde_json::from_str(&stream.message().await.unwrap()).unwrap();
        assert_eq!(message["method"], "notifications/tools/list_changed");
    }
    assert_eq!(stream.event_within(Duration::from_millis(20)).await, None);
}

#[tokio::test]
async fn a_listener_gets_tagged_notifications_on_its_stream() {
    let (_server, client) = http(&[]).await;
    let session = HttpSession::open(client, Revision::V2026_07_28).await;
    let listen = Message::request("\"sub\"", "subscriptions/listen").param("notifications", "{}");
    let mut stream = session.start(&listen).await;
    assert!(stream.message().await.unwrap().contains("notifications/subscriptions/acknowledged"));
    let notify = r#"{"method":"notifications/resources/updated","params":"{\"uri\":\"x\",\"n\":1.0}"}"#;
    assert_eq!(session.request(&Message::call(1, "notify", notify)).await.content_text(), "sent 1");
    assert_eq!(
        stream.message().await.unwrap(),
        r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"x","n":1.0,"_meta":{"io.modelcontextprotocol/subscriptionId":"sub"}}}"#
    );
}

#[tokio::test]
async fn a_server_that_is_gone_is_an_error_to_who_tries() {
    let (mut server, client) = http(&[]).await;
    client.get("/mcp").await.bytes().await;
    server.kill().await;
    assert!(client.try_send("GET", &[], b"").await.is_err());
    assert!(client.try_socket().await.is_err());
}

#[tokio::test]
async fn leaving_cancels_a_stateless_call_and_no_other() {
    let (_server, client) = http(&[]).await;
    let modern = HttpSession::open(client.clone(), Revision::V2026_07_28).await;
    let legacy = HttpSession::open(client.clone(), Revision::V2025_11_25).await;
    let entries = async |event: &str| -> Vec<Value> {
        let journal = modern.request(&Message::call(2, "journal", "{}")).await.result();
        let entries = journal["structuredContent"]["entries"].as_array().unwrap();
        entries.iter().filter(|entry| entry["event"] == event).map(|entry| entry["id"].clone()).collect()
    };
    for (session, id) in [(&modern, "\"modern\""), (&legacy, "\"legacy\"")] {
        let message = Message::call(id, "sleep", r#"{"ms":200}"#);
        let headers = session.headers(&message);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let body = message.text(session.revision);
        let mut socket = client.socket().await;
        socket.send(client.head("POST", &headers, body.len()) + &body).await;
    }
    while entries("disconnected").await.len() < 2 || entries("sleep_done").await.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(entries("sleep_done").await, ["legacy"]);
}

#[tokio::test]
async fn a_request_of_the_server_is_answered_by_a_post() {
    let (_server, client) = http(&[]).await;
    let session = HttpSession::open(client, Revision::V2025_11_25).await;
    let mut response = session.start(&Message::call(1, "ask", r#"{"method":"roots/list"}"#)).await;
    let question: Value = serde_json::from_str(&response.message().await.unwrap()).unwrap();
    let reply = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"roots":[]}}}}"#, question["id"]);
    assert_eq!(session.post_text(&reply).await, 202);
    assert_eq!(response.answer("1").await.content_text(), reply);
}

#[tokio::test]
async fn its_conduct_changes_while_it_runs_and_what_it_was_told_is_written_down_unless_it_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let (conduct, journal) = (folder.path().join("conduct"), folder.path().join("journal"));
    let flags = ["--conduct", conduct.to_str().unwrap(), "--journal", journal.to_str().unwrap()];
    let (_server, client) = http(&flags).await;
    let behave = |text: &str| std::fs::write(&conduct, text).unwrap();
    let session = HttpSession::open(client, Revision::V2025_11_25).await;
    let tell = |mark: &str| Message::call(1, "tell", &json!({ "mark": mark }).to_string());
    assert_eq!(session.request(&tell("plain")).await.content_text(), "plain");
    behave(r#"{"bad":{"mode":"status-500"}}"#);
    assert_eq!(session.start(&tell("failed")).await.status, 500);
    behave(r#"{"bad":{"mode":"status-503","retry_after":"2"}}"#);
    let refused = session.start(&tell("refused")).await;
    assert_eq!((refused.status, refused.headers.get("retry-after")), (503, Some("2")));
    behave(r#"{"error":{"code":-32603,"message":"no"}}"#);
    assert_eq!(session.request(&tell("error")).await.error_code(), -32603);
    behave(r#"{"delay_ms":50}"#);
    let start = std::time::Instant::now();
    assert_eq!(session.request(&tell("late")).await.content_text(), "late");
    assert!(start.elapsed() >= Duration::from_millis(50));
    behave(r#"{"epoch":1}"#);
    assert_eq!(session.start(&tell("unknown session")).await.status, 404);
    let journal = std::fs::read_to_string(journal).unwrap();
    let told: Vec<String> = journal
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|entry| entry["event"] == "told")
        .map(|entry| entry["mark"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(told, ["plain", "failed", "error", "late"]);
}
