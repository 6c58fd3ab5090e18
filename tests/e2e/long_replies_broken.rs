//! A long result that breaks off, on whichever side, never reads as a whole one, and everybody is told in time.

use std::time::Duration;

use aqe_testkit::client::{HttpSession, Message, Response};
use serde_json::{Value, json};

use crate::long_replies::{LARGE, assert_whole, large, start};
use crate::support::{Client, Era, Over, Pair, each};

/// What can be wrong, and the reason that is told where something still can be.
const FAULTS: [(&str, &str); 3] =
    [("wrong-id", "upstream_malformed"), ("no-end", "upstream_malformed"), ("cut", "upstream_closed")];

fn pairs(client_over: Over) -> Vec<Pair> {
    Pair::all().into_iter().filter(|pair| pair.client_over == client_over).collect()
}

/// The next call is answered; a child that has ended is started again first, after a while.
async fn next_is_answered(client: &mut Client) {
    for id in 100.. {
        let answer = client.call(id, "bare", "{}").await;
        if !answer.text.contains("upstream_unavailable") {
            assert_eq!(answer.content_text(), "bare");
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn over_http_the_response_does_not_end() {
    each(pairs(Over::Http), |pair| async move {
        let (_gateway, mut client) = start(pair, &[]).await;
        for (fault, _) in FAULTS {
            let arguments = json!({ "bytes": LARGE / 2, "fault": fault });
            for progress in [false, true] {
                let mut call = large("\"x\"", &arguments);
                if progress {
                    let mut arguments = arguments.clone();
                    arguments["progress"] = true.into();
                    call = large("\"x\"", &arguments).progress_token("\"t\"");
                }
                let mut response = client.session().start(&call).await;
                assert_eq!((response.status, response.is_event_stream()), (200, progress));
                let (body, error) = response.until_broken().await;
                assert!(error.is_some(), "{fault}: the response ended after {} bytes", body.len());
                let text = String::from_utf8_lossy(&body);
                let data = text.rsplit("data: ").next().unwrap_or_default();
                assert!(data.len() > LARGE / 8, "{fault}: only {} bytes came", data.len());
                assert!(serde_json::from_str::<Value>(data).is_err(), "{fault}: it reads as a message");
                next_is_answered(&mut client).await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn in_a_line_it_is_followed_by_an_error() {
    each(pairs(Over::Stdio), |pair| async move {
        let (_gateway, mut client) = start(pair, &[]).await;
        for (fault, reason) in FAULTS {
            client.begin(&large("\"x\"", &json!({ "bytes": LARGE / 2, "fault": fault }))).await;
            let broken = client.process().raw_line().await.unwrap();
            assert!(broken.len() > LARGE / 8, "{fault}: {:.300}", String::from_utf8_lossy(&broken));
            assert!(serde_json::from_slice::<Value>(&broken).is_err(), "{fault}: it reads as a message");
            let error: Value = serde_json::from_str(&client.process().line().await).unwrap();
            let told = &error["error"]["data"]["reason"];
            // What a child says beside it, such as an answer to a probe, may stand behind half a line.
            let joined = fault == "cut" && told == "upstream_malformed";
            assert!(error["id"] == "x" && (told == reason || joined), "{fault}: {error}");
            next_is_answered(&mut client).await;
        }
    })
    .await;
}

/// What an upstream notices of a call that nobody waits for any more: a notification, or the end of its connection.
const NOTICED: [&str; 3] = ["cancelled", "cancelled_unknown", "disconnected"];

#[tokio::test]
async fn a_client_that_leaves_or_cancels_in_the_middle_cancels_it_at_the_upstream() {
    each(pairs(Over::Http), |pair| async move {
        for leaves in [true, false] {
            if !leaves && pair.client == Era::Modern {
                // To leave is to cancel.
                continue;
            }
            let (gateway, mut client) = start(pair, &[]).await;
            let call = large("\"x\"", &json!({ "bytes": LARGE, "fault": "stall" }));
            let mut response = client.session().start(&call).await;
            response.piece().await.expect("expected a piece");
            if leaves {
                drop(response);
            } else {
                client.notify(&Message::cancelled("\"x\"")).await;
                let (_, error) = response.until_broken().await;
                assert!(error.is_some(), "a cancelled call was answered");
            }
            gateway.upstreams[0].event(&NOTICED, "").await;
            if pair.upstream_over == Over::Http {
                next_is_answered(&mut client).await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_cancel_ends_the_line_and_brings_no_answer() {
    each(pairs(Over::Stdio), |pair| async move {
        let (gateway, mut client) = start(pair, &[]).await;
        let arguments = json!({ "bytes": LARGE, "fault": "stall" });
        client.begin(&large("\"x\"", &arguments)).await;
        client.process().line_begun().await;
        client.notify(&Message::cancelled("\"x\"")).await;
        let broken = client.process().raw_line().await.unwrap();
        assert!(serde_json::from_slice::<Value>(&broken).is_err(), "it reads as a message");
        gateway.upstreams[0].event(&NOTICED, "").await;
        assert!(!client.is_answered("\"x\"", Duration::from_millis(100)).await);
        if pair.upstream_over == Over::Http {
            next_is_answered(&mut client).await;
        }
    })
    .await;
}

async fn resume(session: &HttpSession, event: &str) -> Response {
    let mut headers = session.headers(&Message::notification(""));
    headers.push(("last-event-id".to_owned(), event.to_owned()));
    let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    session.client.get_stream(&headers).await
}

#[tokio::test]
async fn a_legacy_client_that_comes_back_for_it_is_told_to_call_again() {
    let pairs = pairs(Over::Http).into_iter().filter(|pair| pair.client == Era::Legacy).collect();
    each(pairs, |pair| async move {
        let (_gateway, client) = start(pair, &[]).await;
        let session = client.session();
        let arguments = json!({ "bytes": LARGE, "progress": true });
        let mut response = session.start(&large("\"x\"", &arguments).progress_token("\"t\"")).await;
        let mut last = String::new();
        while !last.contains('-') || last.ends_with("-0") {
            last = response.event().await.expect("expected an event").id.expect("expected an event id");
        }
        drop(response);
        let answer = resume(session, &last).await.answer("\"x\"").await;
        let error: Value = serde_json::from_str(&answer.text).unwrap();
        assert_eq!(error["error"]["data"]["reason"], "reply_not_kept", "{error}");
        let again = session.request(&large("\"y\"", &json!({ "bytes": LARGE }))).await;
        assert_whole(pair, &again.text, "\"y\"", LARGE, false);
    })
    .await;
}
