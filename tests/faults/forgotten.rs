//! Servers that forget their sessions: every one of them, as after a restart.

use std::time::Duration;

use serde_json::json;

use crate::scene::Stage;
use crate::support::Over;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_is_lost_when_every_server_forgets_its_sessions() {
    let stage = Stage::new(Over::Http).upstream("session_scope = \"shared\"\n").flags(&["--era", "legacy"]);
    let mut scene = stage.open().await;
    for epoch in 1..=3 {
        scene.play(Duration::from_millis(500)).await;
        for replica in &scene.replicas {
            replica.behave(&json!({ "epoch": epoch }));
        }
    }
    scene.play(Duration::from_millis(1000)).await;
    // A call of a session that is unknown was not made.
    scene.close().await.assert_none_failed();
}
