//! The pool and the balancer are given other settings while calls run.

use std::time::Duration;

use serde_json::json;

use crate::scene::Stage;
use crate::support::Over;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_notices_that_the_connections_to_servers_are_reconfigured() {
    reconfigured(Over::Http).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_notices_that_children_are_reconfigured() {
    reconfigured(Over::Stdio).await;
}

async fn reconfigured(over: Over) {
    let mut scene = Stage::new(over).open().await;
    // As when what the gateway holds was counted: pings at a tenth of a second keep more connections busy.
    let mut usual = scene.admin("/admin/pool").await["settings"].clone();
    usual.as_object_mut().expect("expected settings").remove("max_opening");
    let pools = [
        json!({ "max_connections": 6, "min_connections": 1 }),
        json!({ "max_uses": 50, "idle_timeout_ms": 100 }),
        json!({ "max_lifetime_ms": 200, "health_check_interval_ms": 100 }),
        json!({ "max_connections": 50, "min_connections": 5 }),
    ];
    let strategies = ["round-robin", "response-time", "weighted", "p2c", "least-connections"];
    for round in 0..20 {
        let (status, answer) = scene.change("/admin/pool", &pools[round % pools.len()]).await;
        assert_eq!(status, 200, "{answer}");
        let change = json!({ "strategy": strategies[round % strategies.len()] });
        let (status, answer) = scene.change("/admin/balance", &change).await;
        assert_eq!(status, 200, "{answer}");
        scene.play(Duration::from_millis(100)).await;
    }
    let (status, _) = scene.change("/admin/pool", &json!({ "max_connections": 0 })).await;
    assert_eq!(status, 400);
    assert_eq!(scene.change("/admin/pool", &usual).await.0, 200);
    scene.close().await.assert_none_failed();
}
