//! Legacy streams of calls that break and are taken up again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::support::*;
use crate::upstream::{CallError, Connection};

#[tokio::test]
async fn a_polled_stream_continues_after_its_last_event_and_no_earlier_than_asked() {
    let server = Server::start(|seen| async move {
        match (seen.method.as_str(), seen.header("last-event-id")) {
            ("POST", _) => events(&format!("id: a\nretry: 300\ndata:\n\nid: b\n{}", data(&progress("1", 1)))),
            ("GET", Some("b")) => events(&format!("id: c\n{}", data(&progress("1", 2)))),
            ("GET", Some("c")) => events(&data(&result("1"))),
            _ => reply(405, "text/plain", ""),
        }
    })
    .await;
    let (connection, _) = connect(&server.url());
    negotiate(&connection, "2024-11-05");
    let begun = Instant::now();
    let (before, answer) = all(request(&connection, "tools/call")).await;
    assert_eq!((before, answer.unwrap()), (vec![progress("1", 1), progress("1", 2)], result("1")));
    assert!(begun.elapsed() >= Duration::from_millis(600), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_outage_while_resuming_is_survived_and_a_lasting_one_is_not() {
    for failures in [2, usize::MAX] {
        let asked = Arc::new(AtomicUsize::new(0));
        let server = Server::start(move |seen| {
            let nth = if seen.method == "GET" { asked.fetch_add(1, Ordering::Relaxed) } else { 0 };
            async move {
                if seen.method == "POST" {
                    return events("id: a\nretry: 10\ndata:\n\n");
                }
                if nth < failures { reply(503, "text/plain", "") } else { events(&data(&result("1"))) }
            }
        })
        .await;
        let (connection, _) = connect(&server.url());
        negotiate(&connection, "2024-11-05");
        let answer = answer(request(&connection, "tools/call")).await;
        if failures == 2 {
            assert_eq!(answer.unwrap(), result("1"));
        } else {
            assert!(
                matches!(&answer, Err(CallError::Closed(reason)) if reason.contains("503")),
                "{answer:?}"
            );
            assert_eq!(server.seen().len(), 6);
        }
    }
}

#[tokio::test]
async fn without_an_event_id_or_in_the_modern_era_a_broken_stream_is_the_end() {
    for (version, body) in
        [("2024-11-05", data(&progress("1", 1))), ("2026-07-28", "id: a\ndata:\n\n".into())]
    {
        let server = Server::start(move |_| {
            let body = body.clone();
            async move { events(&body) }
        })
        .await;
        let (connection, _) = connect(&server.url());
        negotiate(&connection, version);
        let (_, answer) = all(request(&connection, "tools/call")).await;
        assert!(matches!(answer, Err(CallError::Closed(_))), "{answer:?}");
        assert_eq!(server.seen().len(), 1, "{version}");
    }
}

#[tokio::test]
async fn a_call_dropped_between_streams_is_cancelled() {
    let server = Server::start(|seen| async move {
        if seen.is("cancelled") {
            reply(202, "text/plain", "")
        } else {
            events("id: a\nretry: 20000\ndata:\n\n")
        }
    })
    .await;
    let (connection, _) = connect(&server.url());
    negotiate(&connection, "2024-11-05");
    let mut call = request(&connection, "tools/call");
    let waiting = crate::upstream::next_item(call.as_mut());
    assert!(tokio::time::timeout(Duration::from_millis(100), waiting).await.is_err());
    drop(call);
    server.saw(|seen| seen.is("cancelled")).await;
    assert!(connection.is_open());
}
