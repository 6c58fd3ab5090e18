//! What dies, and what follows.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::{
    HANGS_ONCE, agents, home, init, log, nothing_is_left, outcomes, over, processes, signal, submit, task,
    until,
};
use crate::support::Server;

#[test]
fn a_task_whose_agent_is_killed_is_run_by_another_and_nothing_of_the_first_is_left() {
    let home = home(HANGS_ONCE);
    let server = home.start(&[]);
    init(&home, &server, &json!([{ "profile": "script", "min": 1, "max": 2 }]));
    for round in 0..3 {
        let what = format!("r{round}");
        let run =
            submit(&home, &server, &json!([{ "key": what, "profile": "script", "args": { "what": what } }]));
        until("it has begun", || {
            log(&home).iter().any(|line| line.starts_with(&format!("start {what} "))).then_some(())
        });
        let agents = agents(&home, &server);
        let busy =
            agents.iter().find(|agent| agent["state"] == "busy").unwrap_or_else(|| panic!("{agents:?}"));
        signal(&busy["pid"], Signal::KILL);
        let said = over(&home, &server, &run);
        assert_eq!(said["state"], "done", "{said}");
        let detail = task(&home, &server, &run, 0);
        assert_eq!(outcomes(&detail), ["lost", "done"], "{detail}");
        assert!(!processes(&home).iter().any(|line| line.contains("sleep")), "{:?}", processes(&home));
    }
    assert_eq!(log(&home).iter().filter(|line| line.starts_with("end")).count(), 3);
}

#[test]
fn a_command_that_is_killed_fails_its_attempt_and_is_tried_again_as_often_as_may_be() {
    let home = home(HANGS_ONCE);
    let server = home.start(&[]);
    init(&home, &server, &json!([{ "profile": "script" }]));
    let tasks = json!([{ "key": "a", "profile": "script", "args": { "what": "a" }, "retries": 1 }]);
    let run = submit(&home, &server, &tasks);
    let pid = until("it has begun", || log(&home).first()?.split(' ').nth(2)?.parse::<u64>().ok());
    signal(&json!(pid), Signal::KILL);
    let said = over(&home, &server, &run);
    assert_eq!(said["state"], "done", "{said}");
    let detail = task(&home, &server, &run, 0);
    assert_eq!(outcomes(&detail), ["transient", "done"], "{detail}");
    assert!(!processes(&home).iter().any(|line| line.contains("sleep")), "{:?}", processes(&home));
}

#[test]
fn what_a_killed_server_leaves_is_ended_and_run_by_the_next() {
    let home = home(HANGS_ONCE);
    for round in 0..3 {
        let mut first = home.start(&[]);
        init(&home, &first, &json!([{ "profile": "script", "min": 1, "max": 2 }]));
        let what = format!("s{round}");
        let tasks = json!([
            { "key": "a", "profile": "script", "args": { "what": what } },
            { "key": "b", "profile": "script", "args": { "what": format!("{what}b") }, "depends_on": ["a"], "on": "done", "timeout_ms": 3000 },
        ]);
        let run = submit(&home, &first, &tasks);
        until("it has begun", || {
            log(&home).iter().any(|line| line.starts_with(&format!("start {what} "))).then_some(())
        });
        first.child.kill().unwrap();
        first.child.wait().unwrap();
        nothing_is_left(&home);
        let second = home.start(&[]);
        let said = over(&home, &second, &run);
        let detail = task(&home, &second, &run, 0);
        assert_eq!(
            (&detail["state"], &detail["attempts"][0]["outcome"]),
            (&json!("done"), &json!("lost")),
            "{detail}"
        );
        // The second hangs the first time, and has its time.
        assert_eq!(said["tasks"][1]["state"], "dead", "{said}");
        let starts = log(&home).iter().filter(|line| line.starts_with(&format!("start {what} "))).count();
        assert_eq!(starts, 2, "{:?}", log(&home));
    }
}

#[test]
fn a_server_that_stops_in_order_gives_its_tasks_back_and_takes_no_attempt_from_them() {
    let home = home("echo start >> log; while [ ! -e go ]; do sleep 0.05; done; echo end >> log");
    let mut run = String::new();
    for round in 1..=3 {
        let mut server = home.start(&[]);
        if run.is_empty() {
            init(&home, &server, &json!([{ "profile": "script" }]));
            let tasks = json!([{ "key": "a", "profile": "script", "args": { "what": "a" } }]);
            run = submit(&home, &server, &tasks);
        }
        until("it has begun", || (log(&home).len() == round).then_some(()));
        server.signal();
        assert!(server.ended().success());
        nothing_is_left(&home);
    }
    home.write("go", "");
    let server = home.start(&[]);
    assert_eq!(over(&home, &server, &run)["state"], "done");
    let detail = task(&home, &server, &run, 0);
    assert_eq!(outcomes(&detail), ["given_back", "given_back", "given_back", "done"], "{detail}");
    assert_eq!(detail["max_attempts"], 1);
    let events = detail["events"].as_array().unwrap().iter();
    assert_eq!(events.filter(|event| event["event"] == "given_back").count(), 3, "{detail}");
}

/// A server that is stopped for longer than its leases last is not dead, and comes back with an attempt that is another's.
#[test]
fn a_server_that_was_away_is_told_so_and_ends_what_it_still_runs() {
    let home = home(HANGS_ONCE);
    let servers = [home.start(&[]), home.start(&[])];
    for server in &servers {
        init(&home, server, &json!([{ "profile": "script", "min": 1, "max": 1 }]));
    }
    let tasks = json!([{ "key": "a", "profile": "script", "args": { "what": "a" } }]);
    let run = submit(&home, &servers[0], &tasks);
    until("it has begun", || (!log(&home).is_empty()).then_some(()));
    let is_busy = |server: &Server| agents(&home, server).iter().any(|agent| agent["state"] == "busy");
    let (away, other) = if is_busy(&servers[0]) { (0, 1) } else { (1, 0) };
    let pid = Pid::from_child(&servers[away].child);
    kill_process(pid, Signal::STOP).unwrap();
    let said = over(&home, &servers[other], &run);
    kill_process(pid, Signal::CONT).unwrap();
    assert_eq!(said["state"], "done", "{said}");
    until("its program has ended", || {
        (!processes(&home).iter().any(|line| line.contains("sleep"))).then_some(())
    });
    let detail = task(&home, &servers[other], &run, 0);
    assert_eq!((outcomes(&detail), &detail["state"]), (vec!["lost", "done"], &json!("done")), "{detail}");
    assert_eq!(log(&home).iter().filter(|line| line.starts_with("end")).count(), 1);
}
