//! A cancel reaches the upstream, at once, and the cancelled call gets no answer.

use std::time::Duration;

use aqe_testkit::client::Message;

use crate::support::{Client, Era, Gateway, Over, Pair, each, now_us, one_by_one};

/// The promise is 50 ms; a test machine may be busy with other things.
const AT_MOST_US: u64 = 500_000;

/// How an upstream notices.
const NOTICED: [&str; 2] = ["cancelled", "disconnected"];

async fn sleeping(pair: Pair) -> (Gateway, Client) {
    let (gateway, mut client) = pair.open(&[]).await;
    client.begin(&Message::call("\"c\"", "sleep", r#"{"ms":30000}"#)).await;
    gateway.upstreams[0].event(&["request"], "tools/call").await;
    (gateway, client)
}

#[tokio::test]
async fn a_cancel_reaches_the_upstream_at_once_and_the_call_gets_no_answer() {
    one_by_one(Pair::all(), |pair| async move {
        let (gateway, mut client) = sleeping(pair).await;
        let cancelled_at = now_us();
        client.cancel("\"c\"").await;
        let noticed = gateway.upstreams[0].event(&NOTICED, "").await;
        let took = noticed.at_us.saturating_sub(cancelled_at);
        println!("{pair}: cancelled after {took} us");
        assert!(took <= AT_MOST_US, "it took {took} us");
        assert!(
            !client.is_answered("\"c\"", Duration::from_millis(100)).await,
            "a cancelled call was answered"
        );
        assert_eq!(client.call(2, "bare", "{}").await.content_text(), "bare");
    })
    .await;
}

#[tokio::test]
async fn a_cancel_touches_no_other_call() {
    each(Pair::all(), |pair| async move {
        let (gateway, mut client) = sleeping(pair).await;
        client.begin(&Message::call("\"other\"", "sleep", r#"{"ms":400}"#)).await;
        client.cancel("\"c\"").await;
        assert_eq!(client.finish("\"other\"").await.content_text(), "slept 400 ms");
        gateway.upstreams[0].event(&NOTICED, "").await;
        for kind in NOTICED {
            assert!(gateway.upstreams[0].kind(kind) <= 1, "{:?}", gateway.upstreams[0].events());
        }
    })
    .await;
}

#[tokio::test]
async fn a_cancel_of_an_unknown_call_does_nothing() {
    let pairs = Pair::all().into_iter().filter(|pair| pair.client == Era::Legacy).collect();
    each(pairs, |pair| async move {
        let (gateway, mut client) = pair.open(&[]).await;
        client.begin(&Message::call("\"c\"", "sleep", r#"{"ms":200}"#)).await;
        for unknown in ["1", "\"C\"", "null", "{}"] {
            client.notify(&Message::cancelled(unknown)).await;
        }
        assert_eq!(client.finish("\"c\"").await.content_text(), "slept 200 ms");
        assert_eq!(gateway.upstreams[0].count("notification", "notifications/cancelled"), 0);
    })
    .await;
}

#[tokio::test]
async fn a_legacy_client_that_disconnects_cancels_nothing() {
    let pairs = Pair::all().into_iter();
    let pairs = pairs.filter(|pair| pair.client == Era::Legacy && pair.client_over == Over::Http).collect();
    each(pairs, |pair| async move {
        let (gateway, client) = pair.open(&[]).await;
        let session = client.session().clone();
        let call = Message::call("\"c\"", "sleep", r#"{"ms":700}"#);
        let running = tokio::spawn(async move { session.request(&call).await });
        gateway.upstreams[0].event(&["request"], "tools/call").await;
        running.abort();
        gateway.upstreams[0].event(&["sleep_done"], "").await;
        assert!(!gateway.upstreams[0].events().iter().any(|event| NOTICED.contains(&event.what.as_str())));
    })
    .await;
}
