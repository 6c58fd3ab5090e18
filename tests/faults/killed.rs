//! A replica's process dies.

use std::time::Duration;

use crate::scene::Stage;
use crate::support::Over;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_costs_no_call_that_only_asks() {
    killed(Over::Http).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_is_killed_costs_no_call_that_only_asks() {
    killed(Over::Stdio).await;
}

async fn killed(over: Over) {
    let mut scene = Stage::new(over).open().await;
    scene.play(Duration::from_millis(500)).await;
    scene.replicas[1].kill().await;
    scene.play(Duration::from_secs(1)).await;
    scene.replicas[1].start_again().await;
    scene.until_serves(1, true).await;
    scene.close().await.assert_no_ask_failed();
}
