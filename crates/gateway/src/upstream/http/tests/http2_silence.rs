//! When a silent HTTP/2 connection is given up, on a clock that is moved by hand.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::super::http2::{Conn, Failure, Place};
use super::frames::*;
use crate::upstream::CallError;

const PATIENCE: Duration = Duration::from_secs(3);

/// A connection, and its server after the first words.
async fn connected() -> (Arc<Conn>, Peer<DuplexStream>) {
    let (ours, theirs) = duplex(1024 * 1024);
    let server = async {
        let mut peer = Peer::new(theirs).await;
        peer.settings(None).await;
        peer
    };
    let (conn, peer) = tokio::join!(Conn::open(ours, PATIENCE), server);
    (conn.unwrap(), peer)
}

/// A call under way, as long as it waits.
fn call(place: Place) -> JoinHandle<Result<(), Failure>> {
    tokio::spawn(async move {
        let request = http::Request::post("https://localhost/mcp").body(()).unwrap();
        place.exchange(request, &Bytes::from_static(b"{}")).await.map(|_| ())
    })
}

#[tokio::test(start_paused = true)]
async fn a_server_that_leaves_everything_unanswered_gets_no_new_calls_and_ends_the_old_after_two_minutes() {
    let (conn, mut peer) = connected().await;
    tokio::spawn(async move { peer.ignore().await });
    let waiting = call(conn.place().unwrap());
    sleep(Duration::from_secs(22)).await;
    assert!(conn.place().is_some());
    sleep(Duration::from_secs(2)).await;
    assert!(conn.is_retired() && conn.place().is_none(), "after 20 s of silence and 3 s for the PING");
    sleep(Duration::from_secs(90)).await;
    assert!(!waiting.is_finished());
    sleep(Duration::from_secs(8)).await;
    let failure = waiting.await.unwrap().unwrap_err();
    let Failure::Call(CallError::Closed(reason)) = failure else { panic!("{failure:?}") };
    assert_eq!(reason, "no sign of the server for 120 s");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_pings_may_take_its_time_with_calls() {
    let (conn, mut peer) = connected().await;
    let waiting = call(conn.place().unwrap());
    // Answers PING, but no request.
    tokio::spawn(async move { while peer.request().await.is_some() {} });
    sleep(Duration::from_secs(3_600)).await;
    assert!(!waiting.is_finished() && conn.place().is_some());
}

#[tokio::test(start_paused = true)]
async fn who_sends_something_is_not_dead_even_if_it_answers_no_ping() {
    let (conn, mut peer) = connected().await;
    let waiting = call(conn.place().unwrap());
    tokio::spawn(async move {
        loop {
            sleep(Duration::from_secs(45)).await;
            peer.send(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()).await;
        }
    });
    sleep(Duration::from_secs(3_600)).await;
    assert!(!waiting.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_unanswered_has_the_server_asked_at_once() {
    for answers in [true, false] {
        let (conn, mut peer) = connected().await;
        tokio::spawn(async move {
            if answers {
                while peer.request().await.is_some() {}
            } else {
                peer.ignore().await;
            }
        });
        let waiting = call(conn.place().unwrap());
        sleep(Duration::from_secs(1)).await;
        waiting.abort();
        sleep(PATIENCE + Duration::from_secs(1)).await;
        assert_eq!(conn.is_retired(), !answers);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_calls_is_left_in_peace_and_closed_when_nobody_holds_it() {
    let (conn, mut peer) = connected().await;
    let closed = tokio::spawn(async move { peer.ignore().await });
    sleep(Duration::from_secs(3_600)).await;
    assert!(!conn.is_retired() && !closed.is_finished());
    assert!(conn.was_idle());
    drop(conn);
    closed.await.unwrap();
}
