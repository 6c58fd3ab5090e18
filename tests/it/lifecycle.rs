//! Signals, and what becomes of calls and children.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{Home, Ran, until};

#[test]
fn a_call_in_flight_is_answered_before_the_server_stops() {
    let home = Home::with_upstream();
    let mut server = home.start(&[]);
    until("the upstream's tools", || home.tools().contains(&"slow".to_owned()).then_some(()));
    let call =
        home.command(&["mcp", "tools", "call", "slow"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let call = call.unwrap();
    until("the call", || {
        let status = home.run(&["mcp", "status", "--json"]).json();
        let upstreams = status["upstreams"].as_array().unwrap();
        upstreams.iter().any(|upstream| upstream["calls_in_flight"] == 1).then_some(())
    });
    server.signal();
    let ran = Ran(call.wait_with_output().unwrap());
    let ended = server.ended();
    let told = format!("client: {}\nserver: {ended}, {}", ran.err(), server.stderr());
    assert_eq!((ran.code(), ran.out().as_str()), (Some(0), "at last\n"), "{told}");
    assert!(ended.success(), "{told}");
    assert!(!server.socket().exists());
    assert!(is_dead(&home));
}

#[test]
fn a_second_signal_ends_the_server_at_once_and_its_children_with_it() {
    let home = Home::with_upstream();
    let mut server = home.start(&[]);
    until("the upstream's tools", || home.tools().contains(&"never".to_owned()).then_some(()));
    let mut call = home
        .command(&["mcp", "tools", "call", "never"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the call", || home.path("project/called").exists().then_some(()));
    server.signal();
    std::thread::sleep(Duration::from_millis(300));
    let ended = server.child.try_wait().unwrap();
    assert!(ended.is_none(), "a call is in flight, but: {ended:?}, {}", server.stderr());
    let started = Instant::now();
    server.signal();
    assert_eq!(server.ended().code(), Some(130));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    until("the child's end", || is_dead(&home).then_some(()));
    assert_eq!(call.wait().unwrap().code(), Some(1));
}

#[test]
fn a_call_that_never_ends_delays_the_stop_no_longer_than_the_limit() {
    let home = Home::with_upstream();
    let file = std::fs::read_to_string(home.path("project/aqe.toml")).unwrap();
    home.write("aqe.toml", &format!("[server]\ndrain_timeout_ms = 200\n{file}"));
    let mut server = home.start(&[]);
    until("the upstream's tools", || home.tools().contains(&"never".to_owned()).then_some(()));
    let mut call = home
        .command(&["mcp", "tools", "call", "never"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    until("the call", || home.path("project/called").exists().then_some(()));
    server.signal();
    assert!(server.ended().success());
    assert_ne!(call.wait().unwrap().code(), Some(0));
    until("the child's end", || is_dead(&home).then_some(()));
}

/// Whether the shell that is the upstream has ended.
fn is_dead(home: &Home) -> bool {
    let pid = std::fs::read_to_string(home.path("project/pid")).unwrap();
    let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    rustix::process::test_kill_process(pid).is_err()
}
