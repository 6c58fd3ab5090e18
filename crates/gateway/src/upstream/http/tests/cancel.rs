//! Dropping a call: what the server sees in each era.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::support::*;
use crate::upstream::{Connection, Item, next_item};

/// A server whose calls never answer; the flag is raised when it sees such a call's stream close.
async fn endless() -> (Server, Arc<Notify>) {
    let gone = Arc::new(Notify::new());
    let flag = Arc::clone(&gone);
    let server = Server::start(move |seen| {
        let flag = Arc::clone(&flag);
        async move {
            if seen.is("cancelled") {
                return reply(202, "text/plain", "");
            }
            if seen.is("initialize") {
                return json(&result(&seen.id()));
            }
            let (sender, reply) = open(200, "text/event-stream");
            tokio::spawn(async move {
                write(&sender, &data(&progress("1", 1))).await;
                sender.closed().await;
                flag.notify_one();
            });
            reply
        }
    })
    .await;
    (server, gone)
}

#[tokio::test]
async fn a_modern_server_sees_the_stream_close_and_no_notification() {
    let (server, gone) = endless().await;
    let (connection, _) = connect(&server.url());
    negotiate(&connection, "2026-07-28");
    let mut call = request(&connection, "tools/call");
    assert!(matches!(next(call.as_mut()).await, Item::Notification(_)));
    drop(call);
    tokio::time::timeout(Duration::from_secs(2), gone.notified()).await.expect("the stream closes at once");
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_modern_server_that_has_not_answered_at_all_sees_the_connection_close() {
    let gone = Arc::new(Notify::new());
    let flag = Arc::clone(&gone);
    let server = Server::start(move |_| {
        let guard = NotifyOnDrop(Arc::clone(&flag));
        async move {
            let _guard = guard;
            std::future::pending().await
        }
    })
    .await;
    let (connection, _) = connect(&server.url());
    negotiate(&connection, "2026-07-28");
    let mut call = request(&connection, "tools/call");
    assert!(tokio::time::timeout(Duration::from_millis(50), next_item(call.as_mut())).await.is_err());
    drop(call);
    tokio::time::timeout(Duration::from_secs(2), gone.notified())
        .await
        .expect("the request is dropped at once");
}

struct NotifyOnDrop(Arc<Notify>);

impl Drop for NotifyOnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tokio::test]
async fn a_legacy_server_is_told_which_call_is_cancelled() {
    let (server, gone) = endless().await;
    let (connection, _) = connect(&server.url());
    negotiate(&connection, "2024-11-05");
    let mut call = request(&connection, "tools/call");
    next(call.as_mut()).await;
    drop(call);
    let cancelled = server.saw(|seen| seen.is("notifications/cancelled")).await;
    assert!(cancelled.is(r#""requestId":1"#), "{}", cancelled.body);
    gone.notified().await;
    assert!(connection.in_flight().is_empty());
}

#[tokio::test]
async fn what_was_answered_or_never_sent_or_may_not_be_cancelled_is_not_cancelled() {
    let server = Server::start(|seen| async move {
        if seen.is("slow") || seen.is("initialize") {
            std::future::pending::<()>().await;
        }
        json(&result(&seen.id()))
    })
    .await;
    let (connection, _) = connect(&server.url());
    negotiate(&connection, "2024-11-05");
    answer(request(&connection, "ping")).await.unwrap();
    drop(request(&connection, "never polled"));
    let mut initialize = request(&connection, "initialize");
    assert!(tokio::time::timeout(Duration::from_millis(50), next_item(initialize.as_mut())).await.is_err());
    drop(initialize);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!server.seen().iter().any(|seen| seen.is("cancelled")), "{:?}", server.seen());
    assert!(!server.seen().iter().any(|seen| seen.is("never polled")));
}
