//! A replica that takes twenty times as long as it did (reliability.md F10).

use std::time::{Duration, Instant};

use aqe_testkit::faults::Fault;
use serde_json::json;

use crate::scene::{Scene, Stage};
use crate::support::{Over, now_us};

/// How long a tool takes.
const USUAL: Duration = Duration::from_millis(5);
/// How many times as long one replica takes.
const FACTOR: u32 = 20;
/// Within this time most of its calls must go elsewhere.
const LEFT_WITHIN: Duration = Duration::from_secs(5);
/// The share of them that must.
const LEFT: f64 = 0.9;
/// What is looked at to see whether they do.
const WINDOW: Duration = Duration::from_secs(1);

async fn opened(over: Over, strategy: &str) -> Scene {
    // Tried again sooner than by default, which makes it harder to be rid of it.
    let soon = "backoff_min_ms = 300\nhealth_check_interval_s = 1\nslow_start_ms = 500\n";
    let balancer = format!("strategy = \"{strategy}\"\n{soon}");
    let mut scene = Stage::new(over).alone().per_second(500).balancer(&balancer).open().await;
    for replica in &scene.replicas {
        replica.behave(&json!({ "delay_ms": USUAL.as_millis() as u64 }));
    }
    scene.play(Duration::from_millis(500)).await;
    scene
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn most_calls_leave_a_distant_server_within_seconds() {
    let mut scene = opened(Over::Http, "round-robin").await;
    let usual = usual(&mut scene).await;
    let late = USUAL * (FACTOR - 1);
    scene.replicas[1].network(Fault::Latency { latency: late, jitter: late / 10 }).await;
    left(&mut scene, 1, usual).await;
    scene.replicas[1].network(Fault::None).await;
    scene.close().await.assert_none_failed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn most_calls_leave_a_busy_child_within_seconds() {
    let mut scene = opened(Over::Stdio, "least-connections").await;
    let usual = usual(&mut scene).await;
    scene.replicas[1].behave(&json!({ "delay_ms": (USUAL * FACTOR).as_millis() as u64 }));
    left(&mut scene, 1, usual).await;
    scene.replicas[1].behave(&json!({}));
    scene.close().await.assert_none_failed();
}

/// What 99 in 100 calls take at most, for a while, and what the machine adds of it.
async fn usual(scene: &mut Scene) -> (Duration, Duration) {
    let since = Instant::now();
    scene.play(WINDOW).await;
    (p99(scene, since), scene.witness.percentile(99, since, Instant::now()))
}

fn p99(scene: &Scene, since: Instant) -> Duration {
    let mut took: Vec<Duration> =
        scene.ended().iter().filter(|call| call.sent >= since).map(|call| call.took).collect();
    took.sort_unstable();
    took[took.len() * 99 / 100]
}

/// Waits until most calls of a replica go elsewhere, and the others take no longer than before.
async fn left(scene: &mut Scene, slow: usize, (usual, usual_late): (Duration, Duration)) {
    let start = Instant::now();
    loop {
        let (since, since_us) = (Instant::now(), now_us());
        scene.play(WINDOW).await;
        let arrived = scene.arrived(since_us);
        let fair = arrived.iter().sum::<usize>() as f64 / arrived.len() as f64;
        let left = 1.0 - arrived[slow] as f64 / fair;
        let p99 = p99(scene, since);
        // The machine may be busier than it was when what is usual was measured.
        let late = scene.witness.percentile(99, since, Instant::now()).saturating_sub(usual_late);
        if left >= LEFT && p99 <= 2 * usual + late {
            return;
        }
        assert!(
            start.elapsed() <= LEFT_WITHIN,
            "expected most calls elsewhere, got {arrived:?}, p99 {p99:?}, usually {usual:?}, {late:?} by the machine"
        );
    }
}
