//! Three times as many calls as the replicas can take (reliability.md F13).

use std::time::Duration;

use serde_json::json;

use crate::scene::{Ended, Stage};
use crate::support::Over;

/// How long a call takes.
const SERVICE: Duration = Duration::from_millis(50);
/// Calls that a replica can take at once.
const AT_ONCE: u32 = 4;
const REPLICAS: u32 = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_with_too_much_to_do_are_not_given_more_and_the_rest_is_refused_at_once() {
    overloaded(Over::Http).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_with_too_much_to_do_are_not_given_more_and_the_rest_is_refused_at_once() {
    overloaded(Over::Stdio).await;
}

async fn overloaded(over: Over) {
    let capacity = REPLICAS * AT_ONCE * 1000 / u32::try_from(SERVICE.as_millis()).unwrap();
    let limits = format!("max_concurrent_calls = {AT_ONCE}\n");
    let limits = if over == Over::Http { format!("{limits}max_connections = 1\n") } else { limits };
    let stage = Stage::new(over).upstream(&limits).flags(&["--era", "modern"]).per_second(3 * capacity);
    let mut scene = stage.open().await;
    for replica in &scene.replicas {
        replica.behave(&json!({ "delay_ms": SERVICE.as_millis() as u64 }));
    }
    let time = Duration::from_secs(3);
    scene.play(time).await;
    let report = scene.end_load().await;
    report.assert_sound();
    let mut refused = Vec::new();
    for call in &report.calls {
        if let Ended::Failed(error) = &call.ended {
            assert!(error.contains(r#""reason":"overloaded""#), "{error}");
            refused.push(call.took);
        }
    }
    refused.sort_unstable();
    assert!(!refused.is_empty(), "nothing was refused");
    let admitted: Vec<_> = report.calls.iter().filter(|call| call.ended == Ended::Answered).collect();
    let mut took: Vec<Duration> = admitted.iter().map(|call| call.took).collect();
    took.sort_unstable();
    let (p99, goodput) = (took[took.len() * 99 / 100], admitted.len() as f64 / time.as_secs_f64());
    eprintln!(
        "admitted: p50 {:?} p99 {p99:?}, {goodput:.0} of {capacity} a second; refused after p50 {:?} p99 {:?}",
        took[took.len() / 2],
        refused[refused.len() / 2],
        refused[refused.len() * 99 / 100]
    );
    assert!(goodput >= 0.9 * f64::from(capacity), "{goodput:.0} of {capacity} a second");
    scene.close_quiet().await;
}
