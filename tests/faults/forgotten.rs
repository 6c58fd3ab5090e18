//! Servers that forget their sessions: every one of them, as after a restart.

use std::time::Duration;

use crate::scene::Stage;
use crate::support::Over;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_is_lost_when_every_server_forgets_its_sessions() {
    let stage = Stage::new(Over::Http).upstream("session_scope = \"shared\"\n").flags(&["--era", "legacy"]);
    let mut scene = stage.open().await;
    for _ in 0..3 {
        scene.play(Duration::from_millis(500)).await;
        for replica in &scene.replicas {
            replica.forget_sessions();
        }
    }
    scene.play(Duration::from_secs(1)).await;
    // A call of a session that is unknown was not made.
    scene.close().await.assert_none_failed();
}
