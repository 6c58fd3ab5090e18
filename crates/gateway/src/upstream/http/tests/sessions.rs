//! Legacy sessions: opened, carried, lost, ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::support::*;
use crate::upstream::{CallError, Connection, Item};

/// A server with a session `s1`, until `lost` is raised; then it answers with `status` and `body`.
async fn with_session(lost: Arc<AtomicBool>, status: u16, body: &'static str) -> Server {
    Server::start(move |seen| {
        let lost = lost.load(Ordering::Relaxed);
        async move {
            if seen.method == "GET" {
                return reply(405, "text/plain", "");
            }
            if seen.method == "DELETE" {
                return reply(200, "text/plain", "");
            }
            if lost {
                return reply(status, "application/json", body);
            }
            let mut answer = json(&result(&seen.id()));
            if seen.is("initialize") {
                answer.headers_mut().insert("mcp-session-id", "s1".parse().unwrap());
            }
            if seen.is("slow") {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            answer
        }
    })
    .await
}

#[tokio::test]
async fn the_session_goes_with_every_request_and_ends_with_delete() {
    let server = with_session(Arc::default(), 404, "").await;
    let (connection, recorder) = connect(&server.url());
    open_session(&connection, "2025-11-25").await;
    answer(request(&connection, "tools/list")).await.unwrap();
    connection.close("bye").await;
    let seen = server.seen();
    assert_eq!(seen[0].header("mcp-session-id"), None);
    for later in &seen[1..] {
        assert_eq!(later.header("mcp-session-id"), Some("s1"), "{later:?}");
        assert_eq!(later.header("mcp-protocol-version"), Some("2025-11-25"));
    }
    assert_eq!(seen.last().unwrap().method, "DELETE");
    assert!(!connection.is_open());
    assert!(recorder.closed.lock().unwrap().is_empty(), "we closed it ourselves");
    connection.close("again").await;
    let late = answer(request(&connection, "ping")).await.unwrap_err();
    assert_eq!(late, CallError::NotSent("connection closed: bye".into()));
}

#[tokio::test]
async fn closing_fails_the_open_calls_with_the_reason() {
    let server = with_session(Arc::default(), 404, "").await;
    let (connection, _) = connect(&server.url());
    open_session(&connection, "2025-11-25").await;
    let call = tokio::spawn(answer(request(&connection, "slow")));
    server.saw(|seen| seen.is("slow")).await;
    connection.close("reloaded").await;
    assert_eq!(call.await.unwrap().unwrap_err(), CallError::Closed("reloaded".into()));
    assert!(connection.in_flight().is_empty());
    assert!(!server.seen().iter().any(|seen| seen.is("cancelled")));
}

#[tokio::test]
async fn a_server_that_never_confirms_the_delete_does_not_hold_us() {
    let server = Server::start(|seen| async move {
        if seen.method == "DELETE" {
            std::future::pending::<()>().await;
        }
        let mut answer = json(&result(&seen.id()));
        answer.headers_mut().insert("mcp-session-id", "s1".parse().unwrap());
        answer
    })
    .await;
    let (connection, _) = connect(&server.url());
    open_session(&connection, "2024-11-05").await;
    tokio::time::timeout(Duration::from_secs(4), connection.close("bye")).await.expect("bounded");
}

#[tokio::test]
async fn a_lost_session_is_reported_once_and_refuses_further_calls() {
    let unknown =
        r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: No valid session ID provided"}}"#;
    let not_found = r#"{"jsonrpc":"2.0","error":{"code":-32001,"message":"Session not found"},"id":null}"#;
    for (status, body) in [(404, ""), (404, not_found), (400, unknown)] {
        let lost = Arc::new(AtomicBool::new(false));
        let server = with_session(Arc::clone(&lost), status, body).await;
        let (connection, recorder) = connect(&server.url());
        open_session(&connection, "2025-11-25").await;
        lost.store(true, Ordering::Relaxed);
        assert_eq!(
            answer(request(&connection, "ping")).await,
            Err(CallError::SessionLost),
            "{status} {body}"
        );
        assert!(!connection.is_open());
        assert_eq!(answer(request(&connection, "ping")).await, Err(CallError::SessionLost));
        assert_eq!(connection.send(notification("x")).await, Err(CallError::SessionLost));
        assert_eq!(*recorder.closed.lock().unwrap(), ["the server has lost the session"]);
        assert_eq!(server.seen().iter().filter(|seen| seen.is("ping")).count(), 1);
    }
}

#[tokio::test]
async fn a_call_in_flight_may_end_well_after_the_session_is_lost() {
    let lost = Arc::new(AtomicBool::new(false));
    let server = with_session(Arc::clone(&lost), 404, "").await;
    let (connection, recorder) = connect(&server.url());
    open_session(&connection, "2025-11-25").await;
    let call = tokio::spawn(answer(request(&connection, "slow")));
    server.saw(|seen| seen.is("slow")).await;
    lost.store(true, Ordering::Relaxed);
    assert_eq!(connection.send(notification("x")).await, Err(CallError::SessionLost));
    assert!(recorder.closed.lock().unwrap().is_empty(), "a call is still open");
    assert!(call.await.unwrap().is_ok());
    assert_eq!(recorder.closed.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn without_a_session_404_is_an_http_error() {
    let server = Server::start(|_| async { reply(404, "text/plain", "no such page") }).await;
    let (connection, _) = connect(&server.url());
    let error = answer(request(&connection, "ping")).await.unwrap_err();
    let detail = Some("no such page".into());
    assert_eq!(error, CallError::Http { status: 404, retry_after_s: None, detail });
    assert!(connection.is_open());
}

#[tokio::test]
async fn a_modern_peer_is_given_no_session() {
    let server = with_session(Arc::default(), 404, "").await;
    let (connection, _) = connect(&server.url());
    open_session(&connection, "2026-07-28").await;
    let mut call = request(&connection, "tools/list");
    assert!(matches!(next(call.as_mut()).await, Item::Answer(_)));
    connection.close("bye").await;
    assert!(
        server.seen().iter().all(|seen| seen.header("mcp-session-id").is_none() && seen.method == "POST")
    );
}
