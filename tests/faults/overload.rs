//! Three times as many calls as the replicas can take (reliability.md F13).

use std::time::{Duration, Instant};

use serde_json::json;

use crate::scene::{Ended, Stage};
use crate::support::Over;

/// How long a call takes.
const SERVICE: Duration = Duration::from_millis(100);
/// Calls that a replica can take at once.
const AT_ONCE: u32 = 8;
const REPLICAS: u32 = 3;
/// What the gateway may add to a call, beside what the machine adds by itself.
const OVERHEAD: Duration = Duration::from_millis(25);
/// What a refusal may take, usually; 1.5 ms on an idle machine.
const REFUSED_WITHIN: Duration = Duration::from_millis(10);
/// How long the load runs before it is looked at, and how long then.
const WARMING: Duration = Duration::from_millis(500);
const LOADED: Duration = Duration::from_secs(2);

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
    let stage =
        Stage::new(over).alone().upstream(&limits).flags(&["--era", "modern"]).per_second(3 * capacity);
    // Who would wait longer than a call takes is refused.
    let mut scene = stage.pool(&format!("acquire_timeout_ms = {}\n", SERVICE.as_millis())).open().await;
    for replica in &scene.replicas {
        replica.behave(&json!({ "delay_ms": SERVICE.as_millis() as u64 }));
    }
    scene.play(WARMING).await;
    let loaded = Instant::now();
    scene.play(LOADED).await;
    let report = scene.end_load().await;
    report.assert_sound();
    let (mut refused, mut admitted) = (Vec::new(), Vec::new());
    for call in report.calls.iter().filter(|call| call.sent >= loaded) {
        match &call.ended {
            Ended::Failed(error) => {
                assert!(error.contains(r#""reason":"overloaded""#), "{error}");
                refused.push(call.took);
            }
            _ => admitted.push(call.took),
        }
    }
    let goodput = admitted.len() as f64 / LOADED.as_secs_f64();
    let (admitted_p99, refused_p50) = (percentile(&mut admitted, 99), percentile(&mut refused, 50));
    let refused_p99 = percentile(&mut refused, 99);
    let late = |percent| scene.witness.percentile(percent, loaded, loaded + LOADED);
    let (usually_late, often_late) = (late(50), late(99));
    eprintln!(
        "{goodput:.0} of {capacity}/s in {admitted_p99:?}; refused in {refused_p50:?}, {refused_p99:?}; \
         the machine was late by {usually_late:?}, {often_late:?}"
    );
    // A place is taken for as long as the machine lets a call wait, too.
    let capacity = f64::from(capacity) * SERVICE.as_secs_f64() / (SERVICE + usually_late).as_secs_f64();
    assert!(goodput >= 0.9 * capacity, "{goodput:.0} of {capacity:.0} calls a second");
    let overhead = OVERHEAD + often_late;
    assert!(admitted_p99 <= 2 * (SERVICE + overhead), "admitted calls took {admitted_p99:?}");
    assert!(refused_p50 <= REFUSED_WITHIN + usually_late, "calls were refused after {refused_p50:?}");
    assert!(refused_p99 <= SERVICE + overhead, "some calls were refused after {refused_p99:?}");
    for replica in &scene.replicas {
        replica.behave(&json!({}));
    }
    scene.close_quiet().await;
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    assert!(!times.is_empty(), "expected some calls to be admitted, and some to be refused");
    times.sort_unstable();
    times[times.len() * percent / 100]
}
