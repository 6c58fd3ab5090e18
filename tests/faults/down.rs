//! Most replicas are dead, then all (reliability.md F11).

use std::time::{Duration, Instant};

use aqe_testkit::client::{HttpSession, Message};

use crate::scene::{Ended, Kind, Stage};
use crate::support::{Era, Over};

/// Probes come every second here: two of them, and the time to see the second.
const RECOVERED_WITHIN: Duration = Duration::from_secs(3);
/// An error that needs nobody else comes at once; this is what a busy machine may make of it.
const AT_ONCE: Duration = Duration::from_millis(50);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_replica_serves_alone_and_when_none_is_left_each_is_named_with_its_reason() {
    let mut scene = Stage::new(Over::Http).alone().open().await;
    for at in [0, 1] {
        scene.play(Duration::from_millis(300)).await;
        scene.replicas[at].kill().await;
    }
    scene.until_serves(0, false).await;
    scene.until_serves(1, false).await;
    scene.play(Duration::from_millis(500)).await;
    let all_dead = Instant::now();
    scene.replicas[2].kill().await;
    scene.until_serves(2, false).await;
    for era in [Era::Modern, Era::Legacy] {
        let session = HttpSession::open(scene.gateway.http(), era.revision()).await;
        let (mut trials, mut id) = (0, 0);
        let (error, took) = loop {
            id += 1;
            let asked = Instant::now();
            let error = session.request(&Message::call(id, "received", "{}")).await.error();
            // Who comes when a replica has rested is the one who tries it, and is told what came of that.
            let is_trial = error["message"].as_str().is_some_and(|message| message.contains("not sent"));
            if !is_trial {
                break (error, asked.elapsed());
            }
            trials += 1;
            assert!(trials <= scene.replicas.len(), "each call is made to try: {error}");
        };
        let message = error["message"].as_str().expect("expected a message");
        for word in ["No available replicas", "r0 (", "r1 (", "r2 ("] {
            assert!(message.contains(word), "expected {word:?} in {message}");
        }
        assert_eq!(error["data"]["reason"], "upstream_unavailable", "{error}");
        assert!(took <= AT_ONCE, "{took:?}");
    }
    // Long enough that nobody is in a hurry to try again.
    scene.play(Duration::from_secs(3)).await;
    let back = Instant::now();
    scene.replicas[1].start_again().await;
    scene.until_serves(1, true).await;
    assert!(back.elapsed() <= RECOVERED_WITHIN, "back after {:?}", back.elapsed());
    scene.play(Duration::from_millis(100)).await;
    let served_again = Instant::now();
    for at in [0, 2] {
        scene.replicas[at].start_again().await;
    }
    let report = scene.close().await;
    report.assert_sound();
    let outside = report.calls.iter().filter(|call| {
        let between = call.sent + call.took >= all_dead && call.sent <= served_again;
        call.kind == Kind::Asks && !between && call.ended != Ended::Answered
    });
    assert_eq!(outside.count(), 0, "calls failed while a replica was left");
}
