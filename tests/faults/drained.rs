//! The gateway stops while calls run.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::scene::{Ended, Kind, Stage};
use crate::support::Over;

/// A call sent so long before the end has arrived.
const ON_ITS_WAY: Duration = Duration::from_millis(50);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_drain_it_answers_every_call_that_it_has_taken() {
    stopped(Over::Http, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn told_to_drain_it_answers_every_call_of_its_children() {
    stopped(Over::Stdio, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terminated_it_answers_every_call_that_it_has_taken() {
    stopped(Over::Http, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terminated_it_answers_every_call_of_its_children() {
    stopped(Over::Stdio, true).await;
}

async fn stopped(over: Over, by_signal: bool) {
    let mut scene = Stage::new(over).open().await;
    for replica in &scene.replicas {
        // So that many calls are under way.
        replica.behave(&json!({ "delay_ms": 100 }));
    }
    scene.play(Duration::from_millis(500)).await;
    let end = Instant::now();
    if by_signal {
        scene.gateway.process().signal(Signal::TERM);
    } else {
        assert_eq!(scene.change("/admin/drain", &json!({})).await.0, 200);
    }
    assert_eq!(scene.gateway.process().wait().await.code(), Some(0));
    scene.assert_gone().await;
    let report = scene.end_load().await;
    for call in &report.calls {
        match &call.ended {
            Ended::Answered => {}
            Ended::Lost(_) | Ended::Failed(_) if call.sent + ON_ITS_WAY > end => {
                let told = report.times_told(&call.mark);
                assert!(call.kind == Kind::Asks || told == 0, "done, and not answered: {call:?}");
            }
            _ => panic!("taken, and not answered: {call:?}, stopped at {end:?}"),
        }
    }
}
