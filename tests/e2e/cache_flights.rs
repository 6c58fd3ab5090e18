//! Equal calls at the same time are one call to the upstream, and nobody's cancel is anybody else's.

use std::time::Duration;

use aqe_testkit::client::{HttpSession, Message};
use aqe_testkit::process::wait_until;

use crate::cache::{figures, gateway, level, runs, session, start};
use crate::support::{Era, Gateway, Over, Pair, Plan, Upstream, each};

const KEPT: &str = "cache = { tool_ttl_ms = { sleep = 60000, progress = 60000, bad = 60000 } }";

/// Waits until so many calls have joined an equal one.
async fn joined(gateway: &Gateway, calls: u64) {
    let joined = async {
        while figures(gateway).await["calls_joined"] != calls {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), joined).await.expect("expected the calls to join");
}

async fn three(pair: Pair) -> (Gateway, crate::support::Client) {
    let upstream = Upstream::raw("up", pair.upstream, pair.upstream_over, &[]).await.with(KEPT);
    let mut gateway = Gateway::start(Plan::new(pair.client_over).upstream(upstream)).await;
    let mut client = gateway.connect(pair.client.revision(), "{}").await;
    for id in 1..4 {
        client.begin(&Message::call(id, "sleep", r#"{"ms":900}"#)).await;
        gateway.upstreams[0].event(&["tool"], "sleep").await;
    }
    joined(&gateway, 2).await;
    (gateway, client)
}

#[tokio::test]
async fn three_equal_calls_reach_the_upstream_once_and_all_are_answered() {
    each(Pair::all(), |pair| async move {
        let (gateway, mut client) = three(pair).await;
        for id in ["1", "2", "3"] {
            assert_eq!(client.finish(id).await.content_text(), "slept 900 ms", "{id}");
        }
        assert_eq!(runs(&gateway, "sleep"), 1);
        assert_eq!(gateway.upstreams[0].kind("cancelled"), 0);
    })
    .await;
}

#[tokio::test]
async fn a_cancel_of_one_of_them_also_of_the_first_takes_nothing_from_the_others() {
    each(Pair::all(), |pair| async move {
        for cancelled in ["1", "2"] {
            let (gateway, mut client) = three(pair).await;
            client.cancel(cancelled).await;
            for id in ["1", "2", "3"].into_iter().filter(|id| *id != cancelled) {
                assert_eq!(client.finish(id).await.content_text(), "slept 900 ms", "{id}");
            }
            assert!(!client.is_answered(cancelled, Duration::from_millis(50)).await);
            let events = gateway.upstreams[0].events();
            assert!(!events.iter().any(|event| event.what == "cancelled" || event.what == "disconnected"));
            // What was made for several is kept as well.
            assert_eq!(level(&client.call(9, "sleep", r#"{"ms":900}"#).await), "l2");
            assert_eq!(runs(&gateway, "sleep"), 1);
        }
    })
    .await;
}

#[tokio::test]
async fn when_the_last_of_them_is_cancelled_the_upstream_is_told() {
    each(Pair::all(), |pair| async move {
        let (gateway, mut client) = three(pair).await;
        for id in ["2", "1"] {
            client.cancel(id).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(gateway.upstreams[0].kind("cancelled") + gateway.upstreams[0].kind("disconnected"), 0);
        client.cancel("3").await;
        gateway.upstreams[0].event(&["cancelled", "disconnected"], "").await;
        assert_eq!(client.call(9, "sleep", r#"{"ms":1}"#).await.content_text(), "slept 1 ms");
    })
    .await;
}

#[tokio::test]
async fn clients_of_one_principal_share_a_call_and_one_that_leaves_takes_nothing_from_the_other() {
    let gateway = gateway(Era::Modern, &[], &[KEPT]).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let session = session(&gateway).await;
        clients.push(tokio::spawn(async move {
            session.request(&Message::call(1, "sleep", r#"{"ms":900}"#)).await.content_text()
        }));
        gateway.upstreams[0].event(&["tool"], "sleep").await;
    }
    joined(&gateway, 2).await;
    // It takes its connection with it.
    clients.remove(0).abort();
    for client in clients {
        assert_eq!(client.await.expect("expected an answer"), "slept 900 ms");
    }
    assert_eq!(runs(&gateway, "sleep"), 1);
}

#[tokio::test]
async fn progress_goes_to_the_one_who_began_the_call() {
    let gateway = gateway(Era::Modern, &[], &[KEPT]).await;
    let (first, second) = (session(&gateway).await, session(&gateway).await);
    let call = |token: &str| {
        Message::call(1, "progress", r#"{"count":4,"interval_ms":60}"#).progress_token(format!("\"{token}\""))
    };
    let leads = tokio::spawn(async move { first.request(&call("first")).await });
    gateway.upstreams[0].event(&["tool"], "progress").await;
    let follows = second.request(&call("second")).await;
    let leads = leads.await.expect("expected an answer");
    assert_eq!((leads.notifications("notifications/progress").len(), follows.before.len()), (4, 0));
    assert!(leads.before.iter().all(|text| text.contains("\"first\"")), "{:?}", leads.before);
    assert_eq!((level(&leads).as_str(), level(&follows).as_str()), ("", "shared"));
}

#[tokio::test]
async fn a_failure_is_given_to_all_and_the_next_call_is_made_anew() {
    let gateway =
        gateway(Era::Modern, &[], &[KEPT, "request_timeout_ms = 400", "idle_timeout_ms = 300"]).await;
    let began = tokio::time::Instant::now();
    let mut clients = Vec::new();
    for _ in 0..3 {
        let session = session(&gateway).await;
        clients.push(tokio::spawn(async move {
            session.request(&Message::call(1, "sleep", r#"{"ms":30000}"#)).await.error()
        }));
    }
    for client in clients {
        let error = client.await.expect("expected an answer");
        assert_eq!(error["data"]["reason"], "upstream_timeout", "{error}");
    }
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(runs(&gateway, "sleep") <= 2, "one that comes while the first fails may begin another");
    let session = session(&gateway).await;
    assert_eq!(session.request(&Message::call(2, "sleep", r#"{"ms":1}"#)).await.content_text(), "slept 1 ms");
}

#[tokio::test]
async fn a_call_after_a_writing_one_does_not_join_a_call_from_before_it() {
    let gateway = gateway(Era::Modern, &[], &["cache = { tool_ttl_ms = { sleep = 60000 } }"]).await;
    let before = session(&gateway).await;
    let before =
        tokio::spawn(async move { before.request(&Message::call(1, "sleep", r#"{"ms":400}"#)).await });
    gateway.upstreams[0].event(&["tool"], "sleep").await;
    let session = session(&gateway).await;
    session.request(&Message::call(1, "tell", r#"{"mark":"written"}"#)).await.result();
    let after = session.request(&Message::call(2, "sleep", r#"{"ms":400}"#)).await;
    assert!(level(&after).is_empty() && !after.is_error(), "{}", after.text);
    assert!(!before.await.expect("expected an answer").is_error());
    assert_eq!(runs(&gateway, "sleep"), 2);
    // That of the call after it is kept, and that of the one before is not.
    assert_eq!(level(&session.request(&Message::call(3, "sleep", r#"{"ms":400}"#)).await), "l2");
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_up_nobody_who_waits_for_the_same() {
    let upstream = Upstream::raw("up", Era::Modern, Over::Stdio, &[]).await.with(KEPT);
    let gateway = Gateway::start(Plan::new(Over::Http).upstream(upstream)).await;
    let slow = session(&gateway).await;
    // Far more progress than anything on the way could hold, in 200 steps.
    let raw = format!("\\\"x\\\":\\\"{}\\\"", "y".repeat(60_000));
    let arguments = format!(r#"{{"count":200,"interval_ms":5,"raw":"{raw}"}}"#);
    let call = Message::call(1, "progress", &arguments).progress_token("1");
    // Begun, and not read.
    let _unread = slow.start(&call).await;
    let other = session(&gateway).await;
    let call = Message::call(1, "progress", &arguments);
    let answer = tokio::time::timeout(Duration::from_secs(20), other.request(&call)).await;
    assert_eq!(answer.expect("expected an answer in time").content_text(), "sent 200");
    wait_until(Duration::from_secs(5), "the call to end", || (runs(&gateway, "progress") == 1).then_some(()))
        .await;
}

#[tokio::test]
async fn many_clients_that_ask_the_same_few_things_all_get_their_answers() {
    let plan = Plan::new(Over::Http);
    let gateway =
        start(plan, Era::Modern, &[], &["cache = { tool_ttl_ms = { received = 40 }, stale_ms = 20 }"]).await;
    let mut clients = Vec::new();
    for client in 0..8_u32 {
        let session = HttpSession::open(gateway.http(), Era::Modern.revision()).await;
        clients.push(tokio::spawn(async move {
            for round in 0..150_u32 {
                let asked = (round * 7 + client) % 5;
                let answer = session
                    .request(&Message::call(round, "received", &format!(r#"{{"asked":{asked}}}"#)))
                    .await;
                let text = answer.content_text();
                assert!(text.contains(&format!("\"asked\":{asked}")), "{text}");
            }
        }));
    }
    for client in clients {
        client.await.expect("expected every answer to be the right one");
    }
    let runs = runs(&gateway, "received");
    assert!((5..600).contains(&runs), "{runs} of 1200 calls reached the upstream");
}
