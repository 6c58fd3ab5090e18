//! The gateway itself is stopped for a while, or short of descriptors (reliability.md F19, F20).

use std::net::TcpStream;
use std::time::Duration;

use aqe_testkit::client::{HttpSession, Message};
use aqe_testkit::process::{signal, wait_until};
use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};

use crate::scene::{Scene, Stage};
use crate::support::{Era, Over};

/// Descriptors that the gateway may have when there is no shortage.
const MOST: u64 = 4096;

async fn answers(session: &HttpSession, id: usize) -> bool {
    let answer = session.request(&Message::call(id, "received", "{}")).await;
    !answer.is_error()
}

/// Connections opened so far, of all replicas.
async fn opened(scene: &Scene) -> u64 {
    scene.admin("/admin/pool").await["all"]["opened"].as_u64().expect("expected a number")
}

async fn session(scene: &Scene) -> HttpSession {
    HttpSession::open(scene.gateway.http(), Era::Modern.revision()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_was_stopped_for_a_while_blames_nobody_else() {
    for over in [Over::Stdio, Over::Http] {
        let mut scene = Stage::new(over).open().await;
        scene.play(Duration::from_millis(500)).await;
        scene.end_load().await.assert_none_failed();
        let before = opened(&scene).await;
        signal(scene.gateway.pid(), Signal::STOP);
        // Longer than the interval and the time-out of a probe together.
        tokio::time::sleep(Duration::from_secs(6)).await;
        signal(scene.gateway.pid(), Signal::CONT);
        let session = session(&scene).await;
        for id in 0..30 {
            assert!(answers(&session, id).await);
        }
        scene.play(Duration::from_secs(2)).await;
        let balance = scene.balance().await;
        assert!(balance["pauses"].as_u64().is_some_and(|pauses| pauses > 0), "{balance:#}");
        for replica in balance["replicas"].as_array().expect("expected replicas") {
            assert_eq!((&replica["ejections"], &replica["failures"]), (&0.into(), &0.into()), "{balance:#}");
        }
        assert_eq!(opened(&scene).await, before, "connections were replaced for nothing");
        scene.close_quiet().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_descriptors_those_who_are_connected_go_on_and_later_everybody_does() {
    let mut scene = Stage::new(Over::Stdio).clients(1).per_second(50).open().await;
    scene.play(Duration::from_millis(300)).await;
    scene.end_load().await.assert_none_failed();
    let connected = session(&scene).await;
    assert!(answers(&connected, 0).await);
    let pid = Pid::from_raw(scene.gateway.pid().cast_signed());
    let used = std::fs::read_dir(format!("/proc/{}/fd", scene.gateway.pid())).expect("expected a process");
    let limit = Rlimit { current: Some(used.count() as u64 + 40), maximum: Some(MOST) };
    prlimit(pid, Resource::Nofile, limit).expect("expected to set a limit");
    let address = scene.gateway.url.trim_start_matches("http://").trim_end_matches("/mcp").to_owned();
    let crowd: Vec<TcpStream> =
        (0..100).map(|_| TcpStream::connect(&address).expect("expected a place in the backlog")).collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    for id in 1..50 {
        assert!(answers(&connected, id).await, "call {id} of one who was connected");
    }
    // Its successor cannot be started now.
    scene.replicas[0].kill().await;
    for id in 50..100 {
        assert!(answers(&connected, id).await, "call {id} while a child is missing");
    }
    drop(crowd);
    let newcomer = session(&scene).await;
    assert!(answers(&newcomer, 1).await);
    wait_until(Duration::from_secs(10), "the child to be started", || {
        (!scene.replicas[0].pids().is_empty()).then_some(())
    })
    .await;
    let limit = Rlimit { current: Some(MOST), maximum: Some(MOST) };
    prlimit(pid, Resource::Nofile, limit).expect("expected to set a limit");
    scene.close_quiet().await;
}
