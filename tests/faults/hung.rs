//! A replica that takes requests and answers nothing: a process that is stopped, a connection that nobody is behind any
//! more, a link that carries a byte a second.

use std::time::Duration;

use aqe_testkit::faults::Fault;
use rustix::process::Signal;

use crate::scene::{Scene, Stage};
use crate::support::Over;

/// Longer than it takes to find out that a replica hangs: its calls are to be moved, not to time out.
const DEADLINE: Duration = Duration::from_secs(10);

async fn opened(over: Over) -> Scene {
    let mut scene = Stage::new(over).deadline(DEADLINE).open().await;
    scene.play(Duration::from_millis(500)).await;
    scene
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_calls_of_a_server_that_is_stopped_are_moved_to_another() {
    stopped(Over::Http).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_calls_of_a_child_that_is_stopped_are_moved_to_another() {
    stopped(Over::Stdio).await;
}

async fn stopped(over: Over) {
    let mut scene = opened(over).await;
    scene.replicas[0].signal(Signal::STOP);
    scene.until_serves(0, false).await;
    scene.play(Duration::from_millis(500)).await;
    scene.replicas[0].signal(Signal::CONT);
    scene.until_serves(0, true).await;
    scene.close().await.assert_no_ask_failed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_calls_on_connections_that_nobody_is_behind_any_more_are_moved() {
    silent(Fault::Blackhole).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_calls_of_a_server_that_sends_a_byte_a_second_are_moved() {
    silent(Fault::Bandwidth { bytes_per_s: 1 }).await;
}

async fn silent(fault: Fault) {
    let mut scene = opened(Over::Http).await;
    scene.replicas[2].network(fault).await;
    scene.until_serves(2, false).await;
    scene.play(Duration::from_millis(500)).await;
    scene.replicas[2].network(Fault::None).await;
    scene.until_serves(2, true).await;
    scene.close().await.assert_no_ask_failed();
}
