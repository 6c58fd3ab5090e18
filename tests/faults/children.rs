//! Children that misbehave beside those that serve (reliability.md F2, F4, F5).

use std::time::{Duration, Instant};

use aqe_testkit::client::{HttpSession, Message};
use serde_json::{Value, json};

use crate::scene::{Replica, Scene, Stage};
use crate::support::{Era, Over};

/// Attempts to start a child that ends at once, in the first seconds: pauses of 0.1, 0.2, 0.4, 0.8, 1.6, 3.2 s, each up
/// to a fifth shorter.
const FEW_STARTS: u64 = 9;

/// What the pool says of the only replica of an upstream.
async fn pool_of(scene: &Scene, upstream: &str) -> Value {
    let pool = scene.admin("/admin/pool").await;
    let mut replicas = pool["replicas"].as_array().expect("expected replicas").iter();
    replicas.find(|replica| replica["upstream"] == upstream).expect("expected the upstream").clone()
}

/// The gateway's resident memory, in bytes (proc(5), `statm`).
fn resident(scene: &Scene) -> u64 {
    let path = format!("/proc/{}/statm", scene.gateway.pid());
    let text = std::fs::read_to_string(path).expect("expected a running process");
    let pages: u64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("expected a number");
    pages * rustix::param::page_size() as u64
}

/// Calls a tool of one of the replicas in the modern era.
async fn call(scene: &Scene, tool: &str, arguments: &Value) -> Value {
    let session = HttpSession::open(scene.gateway.http(), Era::Modern.revision()).await;
    session.request(&Message::call(1, tool, &arguments.to_string())).await.result()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_ends_at_once_again_and_again_is_left_alone_and_its_last_words_are_shown() {
    let bad = r#"
        [[upstream]]
        name = "bad"
        command = "sh"
        args = ["-c", "echo no such database: /var/lib/nothing >&2; exit 1"]
    "#;
    let mut scene = Stage::new(Over::Stdio).upstream(bad).open().await;
    scene.play(Duration::from_secs(6)).await;
    let told = pool_of(&scene, "bad").await;
    assert_eq!(told["health"]["state"], "crash-looping", "{told}");
    assert!(
        told["open_failures"].as_u64().is_some_and(|starts| (3..=FEW_STARTS).contains(&starts)),
        "{told}"
    );
    let last = told["last_error"].as_str().unwrap_or_default();
    assert!(last.contains("no such database"), "{last}");
    scene.close().await.assert_none_failed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_reads_nothing_any_more_is_replaced_and_costs_no_call_that_only_asks() {
    let mut scene = Stage::new(Over::Stdio).upstream("session_scope = \"shared\"").open().await;
    scene.play(Duration::from_millis(500)).await;
    let before: Vec<u32> = scene.replicas.iter().flat_map(Replica::pids).collect();
    call(&scene, "bad", &json!({ "mode": "stop-reading" })).await;
    let replaced = |scene: &Scene| {
        let now: Vec<u32> = scene.replicas.iter().flat_map(Replica::pids).collect();
        now.len() == before.len() && now != before
    };
    let since = Instant::now();
    while !replaced(&scene) {
        assert!(since.elapsed() < Duration::from_secs(15), "expected another child in its place");
        scene.play(Duration::from_millis(50)).await;
    }
    scene.close().await.assert_no_ask_failed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_on_standard_error_delays_nobody_and_fills_no_memory() {
    const FLOOD: u64 = 64 * 1024 * 1024;
    let mut scene = Stage::new(Over::Stdio).open().await;
    scene.play(Duration::from_millis(500)).await;
    let before = resident(&scene);
    call(&scene, "bad", &json!({ "mode": "stderr-flood", "bytes": FLOOD })).await;
    let grown = resident(&scene).saturating_sub(before);
    assert!(grown < FLOOD / 4, "grown by {grown} bytes");
    scene.close().await.assert_none_failed();
}
