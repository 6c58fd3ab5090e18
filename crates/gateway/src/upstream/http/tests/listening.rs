//! The GET stream of a legacy connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::support::*;
use crate::upstream::{Connection, Item};

const CHANGED: &str = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
const ROOTS: &str = r#"{"jsonrpc":"2.0","id":5,"method":"roots/list"}"#;

#[tokio::test]
async fn messages_go_to_their_call_or_to_the_events_in_order() {
    let (go, waiting) = tokio::sync::watch::channel(false);
    let server = Server::start(move |seen| {
        let mut waiting = waiting.clone();
        async move {
            if seen.method == "GET" {
                let (sender, reply) = open(200, "text/event-stream");
                tokio::spawn(async move {
                    waiting.wait_for(|go| *go).await.unwrap();
                    for n in 0..100 {
                        write(&sender, &data(&progress("1", n))).await;
                    }
                    for message in [CHANGED, &progress("77", 1), ROOTS, "broken", &result("1"), CHANGED] {
                        write(&sender, &data(message)).await;
                    }
                    sender.closed().await;
                });
                return reply;
            }
            std::future::pending().await
        }
    })
    .await;
    let (connection, recorder) = connect(&server.url());
    negotiate(&connection, "2025-03-26");
    let call = tokio::spawn(all(request(&connection, "tools/call")));
    server.saw(|seen| seen.is("tools/call")).await;
    let get = server.saw(|seen| seen.method == "GET").await;
    assert_eq!(get.header("accept"), Some("text/event-stream"));
    go.send(true).unwrap();
    let (before, answer) = call.await.unwrap();
    assert_eq!(before, (0..100).map(|n| progress("1", n)).collect::<Vec<_>>());
    assert_eq!(answer.unwrap(), result("1"));
    until(|| (recorder.unsolicited.lock().unwrap().len() == 4).then_some(())).await;
    assert_eq!(*recorder.unsolicited.lock().unwrap(), [CHANGED, &progress("77", 1), ROOTS, CHANGED]);
}

#[tokio::test]
async fn a_server_without_the_stream_is_asked_once() {
    for status in [405, 404, 200] {
        let server = Server::start(move |_| async move { reply(status, "text/html", "") }).await;
        let (connection, recorder) = connect(&server.url());
        negotiate(&connection, "2025-11-25");
        server.saw(|seen| seen.method == "GET").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(server.seen().len(), 1, "{status}");
        assert!(connection.is_open() && recorder.closed.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn no_stream_is_opened_where_none_can_be() {
    for version in ["2024-11-05", "2026-07-28"] {
        let server = Server::start(|_| async { reply(405, "text/plain", "") }).await;
        let (connection, _) = connect(&server.url());
        negotiate(&connection, version);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(server.seen().is_empty(), "{version}");
    }
}

#[tokio::test]
async fn a_broken_stream_is_taken_up_after_its_last_event_when_the_server_said() {
    let asked = Arc::new(AtomicUsize::new(0));
    let server = Server::start(move |_| {
        let nth = asked.fetch_add(1, Ordering::Relaxed);
        async move {
            match nth {
                0 => reply(503, "text/plain", ""),
                1 => events(&format!("retry: 300\nid: e{nth}\ndata: {CHANGED}\n\n")),
                _ => {
                    let (sender, reply) = open(200, "text/event-stream");
                    tokio::spawn(async move { sender.closed().await });
                    reply
                }
            }
        }
    })
    .await;
    let (connection, recorder) = connect(&server.url());
    negotiate(&connection, "2025-11-25");
    until(|| (recorder.unsolicited.lock().unwrap().len() == 1).then_some(())).await;
    let begun = std::time::Instant::now();
    until(|| (server.seen().len() == 3).then_some(())).await;
    assert!(begun.elapsed() >= Duration::from_millis(250), "{:?}", begun.elapsed());
    let ids: Vec<Option<String>> =
        server.seen().iter().map(|seen| seen.header("last-event-id").map(str::to_owned)).collect();
    assert_eq!(ids, [None, None, Some("e1".into())]);
}

#[tokio::test]
async fn a_404_after_the_stream_was_open_is_a_lost_session() {
    let asked = Arc::new(AtomicUsize::new(0));
    let server = Server::start(move |seen| {
        let nth = if seen.method == "GET" { asked.fetch_add(1, Ordering::Relaxed) } else { 0 };
        async move {
            if seen.method == "POST" {
                let mut answer = json(&result(&seen.id()));
                answer.headers_mut().insert("mcp-session-id", "s1".parse().unwrap());
                return answer;
            }
            if nth == 0 { events("retry: 20\n\n") } else { reply(404, "text/plain", "") }
        }
    })
    .await;
    let (connection, recorder) = connect(&server.url());
    open_session(&connection, "2025-11-25").await;
    until(|| (!recorder.closed.lock().unwrap().is_empty()).then_some(())).await;
    assert!(!connection.is_open());
}

#[tokio::test]
async fn the_stream_ends_with_its_connection_closed_or_dropped() {
    for close in [true, false] {
        let (gone, mut ended) = tokio::sync::mpsc::channel(1);
        let server = Server::start(move |_| {
            let gone = gone.clone();
            async move {
                let (sender, reply) = open(200, "text/event-stream");
                tokio::spawn(async move {
                    sender.closed().await;
                    gone.send(()).await.unwrap();
                });
                reply
            }
        })
        .await;
        let (connection, _) = connect(&server.url());
        negotiate(&connection, "2025-11-25");
        server.saw(|seen| seen.method == "GET").await;
        if close {
            connection.close("bye").await;
        } else {
            drop(connection);
        }
        tokio::time::timeout(PATIENCE, ended.recv()).await.expect("the GET stream closes");
    }
}

#[tokio::test]
async fn a_call_is_not_starved_by_what_the_get_stream_brings() {
    let server = Server::start(|seen| async move { json(&result(&seen.id())) }).await;
    let (connection, _) = connect(&server.url());
    let call = request(&connection, "tools/call");
    let limits = aqe_core::envelope::Limits::default();
    let big = format!(r#"{{"jsonrpc":"2.0","method":"x","params":{{"pad":"{}"}}}}"#, "x".repeat(20 << 20));
    let message = aqe_core::envelope::Message::parse(big.into(), limits).unwrap();
    assert!(connection.deliver(1, Item::Notification(message.clone())).is_none());
    assert!(connection.deliver(1, Item::Notification(message.clone())).is_none());
    assert!(connection.deliver(1, Item::Notification(message)).is_some(), "the call has overflowed");
    let (before, answer) = all(call).await;
    assert_eq!(before.len(), 1);
    assert!(matches!(answer, Err(crate::upstream::CallError::Overflow(_))));
    assert!(connection.in_flight().is_empty());
}
