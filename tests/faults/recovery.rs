//! A replica comes back under load (reliability.md F12).

use std::time::{Duration, Instant};

use crate::scene::Stage;
use crate::support::{Over, now_us};

/// How long the balance is watched, and in what steps.
const WATCHED: Duration = Duration::from_secs(5);
const STEP: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_comes_back_is_not_overrun_and_overruns_nobody() {
    // With the slow start that is the default.
    let balancer = "health_check_interval_s = 1\nbackoff_min_ms = 300\n";
    let mut scene = Stage::new(Over::Http).balancer(balancer).per_second(500).open().await;
    scene.play(Duration::from_millis(300)).await;
    scene.replicas[1].kill().await;
    scene.until_serves(1, false).await;
    scene.replicas[1].start_again().await;
    scene.until_serves(1, true).await;
    let (mut share, back) = (0.0, Instant::now());
    // By the clock that the slow start goes by, however long a step takes on a busy machine.
    while back.elapsed() < WATCHED {
        let since = now_us();
        scene.play(STEP).await;
        let arrived = scene.arrived(since);
        let fair = arrived.iter().sum::<usize>() as f64 / arrived.len() as f64;
        let most = arrived.iter().copied().max().unwrap_or_default();
        assert!(most as f64 <= 2.0 * fair, "more than twice the fair share: {arrived:?}");
        share = arrived[1] as f64 / fair;
    }
    assert!((0.2..0.9).contains(&share), "half way through its slow start it has {share:.2} of its share");
    scene.close().await.assert_no_ask_failed();
}
