//! A replica that answers, with errors.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::scene::{Kind, Stage};
use crate::support::{Over, now_us};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_500_costs_no_call_that_only_asks() {
    failing(Over::Http, &json!({ "bad": { "mode": "status-500" } })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_internal_error_over_http_costs_no_call_that_only_asks() {
    failing(Over::Http, &json!({ "error": { "code": -32603, "message": "out of order" } })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_internal_error_of_a_child_costs_no_call_that_only_asks() {
    failing(Over::Stdio, &json!({ "error": { "code": -32603, "message": "out of order" } })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_body_costs_no_call_that_only_asks() {
    failing(Over::Http, &json!({ "bad": { "mode": "truncated-body" } })).await;
}

async fn failing(over: Over, conduct: &Value) {
    let mut scene = Stage::new(over).open().await;
    scene.play(Duration::from_millis(300)).await;
    scene.replicas[0].behave(conduct);
    scene.until_serves(0, false).await;
    scene.play(Duration::from_millis(1500)).await;
    scene.replicas[0].behave(&json!({}));
    scene.until_serves(0, true).await;
    let report = scene.close().await;
    report.assert_no_ask_failed();
    // Those were done before the error, as far as anybody can know.
    assert!(report.failed(Kind::Tells).len() < 50, "a replica that only fails is to be left alone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_asks_for_a_rest_is_given_it_and_no_call_is_lost() {
    for status in ["status-429", "status-503"] {
        let mut scene = Stage::new(Over::Http).open().await;
        scene.play(Duration::from_millis(300)).await;
        scene.replicas[0].behave(&json!({ "bad": { "mode": status, "retry_after": "2" } }));
        scene.until("a rest", |balance| !balance["replicas"][0]["resting_ms"].is_null()).await;
        let begun = Instant::now();
        // Those that were on their way still arrive.
        scene.until_ended_so_far().await;
        let refused_us = now_us();
        scene.replicas[0].behave(&json!({}));
        let mut rested_us = refused_us;
        loop {
            let now = now_us();
            if scene.balance().await["replicas"][0]["resting_ms"].is_null() {
                break;
            }
            rested_us = now;
            scene.play(Duration::from_millis(20)).await;
        }
        // Two seconds were asked for; when they began is seen a little later.
        assert!(begun.elapsed() >= Duration::from_millis(1500), "{status}: the rest was cut short");
        let arrived = scene.replicas[0].events().into_iter();
        let during =
            arrived.filter(|event| event.what == "tool" && (refused_us..rested_us).contains(&event.at_us));
        assert_eq!(during.count(), 0, "{status}: calls during the rest");
        scene.until_all_serve().await;
        scene.play(Duration::from_millis(500)).await;
        assert!(scene.arrived(refused_us)[0] > 0, "{status}: no calls after the rest");
        // Refused, it can be sent elsewhere whatever it does.
        scene.close().await.assert_none_failed();
    }
}
