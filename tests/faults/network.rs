//! The network before a replica fails.

use std::time::Duration;

use aqe_testkit::faults::{End, Fault};

use crate::scene::{Report, Stage};
use crate::support::Over;

/// Less than any answer has.
const A_FEW_BYTES: u64 = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_refuses_connections_costs_no_call_that_only_asks() {
    broken(Fault::Refuse).await.assert_no_ask_failed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_reset_at_once_cost_no_call_that_only_asks() {
    broken(Fault::Reset).await.assert_no_ask_failed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_within_each_answer_costs_no_call_that_only_asks() {
    broken(Fault::LimitData { bytes: A_FEW_BYTES, end: End::Reset }).await.assert_no_ask_failed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_within_each_answer_costs_no_call_that_only_asks() {
    broken(Fault::LimitData { bytes: A_FEW_BYTES, end: End::HalfClose }).await.assert_no_ask_failed();
}

async fn broken(fault: Fault) -> Report {
    let mut scene = Stage::new(Over::Http).open().await;
    scene.play(Duration::from_millis(300)).await;
    scene.replicas[1].network(fault).await;
    scene.until_serves(1, false).await;
    scene.play(Duration::from_secs(1)).await;
    scene.replicas[1].network(Fault::None).await;
    scene.until_serves(1, true).await;
    scene.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_in_small_pieces_are_whole_answers() {
    let mut scene = Stage::new(Over::Http).open().await;
    for replica in &scene.replicas {
        replica.network(Fault::Slicer { bytes: 100, pause: Duration::from_millis(1) }).await;
    }
    scene.play(Duration::from_secs(1)).await;
    for replica in &scene.replicas {
        replica.network(Fault::None).await;
    }
    scene.close().await.assert_none_failed();
}
