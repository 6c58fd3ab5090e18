//! Every replica is restarted, one after the other.

use std::time::Duration;

use crate::scene::Stage;
use crate::support::Over;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarting_every_server_one_by_one_costs_no_call_that_only_asks() {
    restarted(Over::Http).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarting_every_child_one_by_one_costs_no_call_that_only_asks() {
    restarted(Over::Stdio).await;
}

async fn restarted(over: Over) {
    let mut scene = Stage::new(over).open().await;
    for at in 0..scene.replicas.len() {
        scene.play(Duration::from_millis(300)).await;
        let picks = scene.figures("picks").await[at].as_u64().unwrap();
        scene.replicas[at].kill().await;
        scene.play(Duration::from_millis(300)).await;
        scene.replicas[at].start_again().await;
        scene
            .until("calls at the restarted replica", |balance| {
                let replica = &balance["replicas"][at];
                replica["picks"].as_u64() > Some(picks) && replica["latency_ms"].is_number()
            })
            .await;
        scene.until_all_serve().await;
    }
    scene.close().await.assert_no_ask_failed();
}
