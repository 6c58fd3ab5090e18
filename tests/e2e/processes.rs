//! The gateway's end and its children's.

use std::time::{Duration, Instant};

use aqe_testkit::{
    client::Message,
    process::{Process, is_live, live_group, processes, signal as kill, wait_until},
};
use rustix::process::Signal;

use crate::support::{Client, Era, Gateway, Over, Plan, Upstream};

/// Children get their standard input closed, then SIGTERM, then SIGKILL; this is longer than all of it.
const GONE_WITHIN: Duration = Duration::from_secs(12);

/// A gateway with a child that has a grandchild, after a call of it.
async fn with_family(over: Over, flags: &[&str]) -> (Gateway, Client, Vec<u32>) {
    let flags = [&["--grandchild"], flags].concat();
    let upstream = Upstream::raw("up", Era::Legacy, Over::Stdio, &flags).await;
    let mut gateway = Gateway::start(Plan::new(over).upstream(upstream)).await;
    let mut client = gateway.connect(Era::Legacy.revision(), "{}").await;
    assert_eq!(client.call(1, "bare", "{}").await.content_text(), "bare");
    let child = gateway.upstreams[0].event(&["request"], "tools/call").await.pid;
    let family: Vec<u32> = live_group(child).iter().map(|process| process.pid).collect();
    assert_eq!(family.len(), 2, "expected a child and a grandchild");
    (gateway, client, family)
}

async fn gone(family: &[u32]) {
    wait_until(GONE_WITHIN, "the end of the children", || {
        (!family.iter().any(|pid| is_live(*pid))).then_some(())
    })
    .await;
}

#[tokio::test]
async fn killed_it_leaves_no_child_and_no_grandchild() {
    for over in [Over::Stdio, Over::Http] {
        let (gateway, _client, family) = with_family(over, &["--ignore-eof"]).await;
        kill(gateway.pid(), Signal::KILL);
        gone(&family).await;
    }
}

#[tokio::test]
async fn stopped_it_lets_a_call_in_flight_finish_and_ends_with_code_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let (mut gateway, mut client, family) = with_family(Over::Http, &[]).await;
        client.begin(&Message::call("\"last\"", "sleep", r#"{"ms":700}"#)).await;
        gateway.upstreams[0].event(&["request"], "tools/call").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        gateway.process().signal(signal);
        assert_eq!(client.finish("\"last\"").await.content_text(), "slept 700 ms");
        assert_eq!(gateway.process().wait().await.code(), Some(0));
        gone(&family).await;
        assert!(gateway.http().try_socket().await.is_err(), "somebody still listens");
    }
}

#[tokio::test]
async fn stopped_over_stdio_it_lets_a_call_in_flight_finish() {
    let (gateway, mut client, family) = with_family(Over::Stdio, &[]).await;
    client.begin(&Message::call("\"last\"", "sleep", r#"{"ms":700}"#)).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    kill(gateway.pid(), Signal::TERM);
    assert_eq!(client.finish("\"last\"").await.content_text(), "slept 700 ms");
    assert_eq!(client.process().wait().await.code(), Some(0));
    gone(&family).await;
}

#[tokio::test]
async fn an_open_stream_does_not_hold_up_its_end() {
    let (mut gateway, mut legacy, _) = with_family(Over::Http, &[]).await;
    legacy.listen("{}").await;
    let mut modern = gateway.connect(Era::Modern.revision(), "{}").await;
    modern.listen(r#"{"toolsListChanged":true}"#).await;
    let begun = Instant::now();
    assert_eq!(gateway.stop().await.code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn the_end_of_standard_input_ends_it_and_its_children() {
    for flags in [&[][..], &["--ignore-eof"]] {
        let (_gateway, mut client, family) = with_family(Over::Stdio, flags).await;
        client.process().close_stdin();
        client.process().set_deadline(GONE_WITHIN);
        assert_eq!(client.process().wait().await.code(), Some(0), "{flags:?}");
        gone(&family).await;
    }
}

#[tokio::test]
async fn what_was_asked_before_the_end_of_standard_input_is_answered() {
    let (_gateway, mut client, _) = with_family(Over::Stdio, &[]).await;
    client.begin(&Message::call("\"last\"", "sleep", r#"{"ms":500}"#)).await;
    client.process().close_stdin();
    assert_eq!(client.finish("\"last\"").await.content_text(), "slept 500 ms");
}

#[tokio::test]
async fn a_crashed_child_leaves_no_zombie_and_no_grandchild() {
    let (gateway, mut client, family) = with_family(Over::Http, &[]).await;
    assert!(client.call(2, "bad", r#"{"mode":"exit-1"}"#).await.is_error());
    gone(&family).await;
    assert_eq!(client.call(3, "bare", "{}").await.content_text(), "bare");
    wait_until(Duration::from_secs(3), "no zombie", || {
        let dead = |process: &Process| process.parent == gateway.pid() && !process.is_live();
        processes(dead).is_empty().then_some(())
    })
    .await;
}
