//! Calls in flight are seen from outside, and cancelled from outside.

use std::time::Duration;

use aqe_testkit::client::Message;
use serde_json::{Value, json};

use crate::support::{Client, Era, Gateway, Over, Pair, Plan, Upstream, one_by_one};

/// How an upstream notices a cancel.
const NOTICED: [&str; 2] = ["cancelled", "disconnected"];

async fn ask(gateway: &Gateway, path: &str) -> Value {
    gateway.admin().get(path).await.json().await
}

async fn cancel(gateway: &Gateway, call: &Value) -> u16 {
    let body = json!({ "call": call }).to_string();
    gateway.admin().at("/admin/calls/cancel").post(&[], body.as_bytes()).await.status
}

/// The only call in flight, which is the one of `sleep`.
async fn sleeping(gateway: &Gateway, client: &mut Client) -> Value {
    client.begin(&Message::call("\"c\"", "sleep", r#"{"ms":30000}"#)).await;
    gateway.upstreams[0].event(&["request"], "tools/call").await;
    let calls = ask(gateway, "/admin/calls").await;
    let [call] = &calls.as_array().unwrap()[..] else { panic!("one call was expected: {calls}") };
    assert_eq!((&call["method"], &call["tool"]), (&json!("tools/call"), &json!("sleep")));
    assert!(call["running_ms"].as_f64().unwrap() >= 0.0);
    call.clone()
}

#[tokio::test]
async fn an_operator_cancels_a_call_its_client_gets_an_error_and_its_upstream_is_told() {
    one_by_one(Pair::all(), |pair| async move {
        let (gateway, mut client) = pair.open(&[]).await;
        let call = sleeping(&gateway, &mut client).await;
        assert_eq!(cancel(&gateway, &call["call"]).await, 200);
        let answer: Value = serde_json::from_str(&client.finish("\"c\"").await.text).unwrap();
        assert_eq!(answer["error"]["code"], -32603, "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains("operator"), "{answer}");
        gateway.upstreams[0].event(&NOTICED, "").await;
        assert_eq!(cancel(&gateway, &call["call"]).await, 404, "it has ended");
        assert_eq!(ask(&gateway, "/admin/calls").await, json!([]));
        assert_eq!(client.call(2, "bare", "{}").await.content_text(), "bare");
    })
    .await;
}

#[tokio::test]
async fn a_handshake_that_waits_is_in_flight_and_once_it_was_cancelled_it_is_none() {
    let flags = ["--mute", "initialize", "--mute", "server/discover"];
    let upstream = Upstream::raw("up", Era::Legacy, Over::Stdio, &flags).await;
    let mut gateway = Gateway::start(Plan::new(Over::Stdio).upstream(upstream)).await;
    let hello = |id| Message::initialize(id, Era::Legacy.revision());
    gateway.process().notify(&hello(1)).await;
    // Over stdio nothing says when the control socket is there.
    while gateway.admin().try_socket().await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let call = loop {
        if let Some(call) = ask(&gateway, "/admin/calls").await.as_array().unwrap().first() {
            break call.clone();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!((&call["method"], &call["era"]), (&json!("initialize"), &json!("legacy")));
    assert_eq!(cancel(&gateway, &call["call"]).await, 200);
    assert_eq!(gateway.process().answer("1").await.error_code(), -32603);
    let again = gateway.process().request(&hello(2)).await;
    assert!(!again.is_error(), "{}", again.text);
}

#[tokio::test]
async fn what_was_cancelled_is_told_from_what_failed_and_from_what_its_client_gave_up() {
    one_by_one(Pair::all(), |pair| async move {
        let (gateway, mut client) = pair.open(&[]).await;
        let call = sleeping(&gateway, &mut client).await;
        cancel(&gateway, &call["call"]).await;
        client.finish("\"c\"").await;
        client.begin(&Message::call("\"d\"", "sleep", r#"{"ms":30000}"#)).await;
        while gateway.upstreams[0].count("request", "tools/call") < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        client.cancel("\"d\"").await;
        client.call(2, "bare", "{}").await;
        // The figures are those of full seconds.
        let sleep = loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let metrics = ask(&gateway, "/admin/metrics?window=start").await;
            let tool = |name: &str| {
                metrics["tools"].as_array().unwrap().iter().find(|tool| tool["name"] == name).cloned()
            };
            if let (Some(sleep), Some(_)) =
                (tool("sleep").filter(|sleep| sleep["requests"] == 2), tool("bare"))
            {
                break sleep;
            }
        };
        assert_eq!(sleep["errors_by_kind"], json!({ "operator": 1 }), "{sleep}");
        assert_eq!((&sleep["errors"], &sleep["cancelled"]), (&json!(1), &json!(1)), "{sleep}");
    })
    .await;
}

#[tokio::test]
async fn a_call_that_does_not_exist_cannot_be_cancelled() {
    let (gateway, _client) = Pair::all()[0].open(&[]).await;
    for unknown in [json!("c0-0-0"), json!(""), json!("c9-0-0"), json!("c0-ffffffffffffffffffff-0")] {
        assert_eq!(cancel(&gateway, &unknown).await, 404, "{unknown}");
    }
    assert_eq!(cancel(&gateway, &json!(7)).await, 400);
}
