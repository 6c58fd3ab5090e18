//! What ends a task from outside, and what is never begun.

use serde_json::json;

use super::{answer, call, home, init, log, over, processes, submit, task, until};

#[test]
fn a_cancelled_task_ends_with_all_that_it_has_started() {
    let home =
        home("echo start >> log; setsid sleep 600 & sleep 600 & trap '' TERM; while :; do sleep 1; done");
    let server = home.start(&[]);
    init(&home, &server, &json!([{ "profile": "script" }]));
    let tasks = json!([
        { "key": "a", "profile": "script", "args": { "what": "a" } },
        { "key": "b", "profile": "script", "args": { "what": "b" }, "depends_on": ["a"] },
    ]);
    let run = submit(&home, &server, &tasks);
    until("it has begun", || (!log(&home).is_empty()).then_some(()));
    let said = call(&home, &server, "qe_task_orchestrate", &json!({ "action": "cancel", "run_id": run }));
    assert_eq!(said["stopping"], 1, "{said}");
    let said = over(&home, &server, &run);
    assert_eq!((&said["state"], &said["cancelled"]), (&json!("cancelled"), &json!(2)), "{said}");
    assert!(!processes(&home).iter().any(|line| line.contains("sleep")), "{:?}", processes(&home));
}

#[test]
fn a_task_that_takes_too_long_is_stopped_and_says_so() {
    let home = home("echo early; sleep 600");
    let server = home.start(&[]);
    init(&home, &server, &json!([{ "profile": "short" }]));
    let run = submit(&home, &server, &json!([{ "key": "a", "profile": "short" }]));
    let said = over(&home, &server, &run);
    assert_eq!(said["state"], "failed", "{said}");
    let attempt = &task(&home, &server, &run, 0)["attempts"][0];
    assert_eq!(
        (&attempt["outcome"], &attempt["result"]["stdout"]["head"]),
        (&json!("timeout"), &json!("early\n"))
    );
    assert!(!processes(&home).iter().any(|line| line.contains("sleep")), "{:?}", processes(&home));
}

#[test]
fn what_a_profile_does_not_allow_is_never_run() {
    let home = home("echo ran >> log");
    let server = home.start(&[]);
    init(&home, &server, &json!([{ "profile": "script" }]));
    for (task, word) in [
        (json!({ "key": "a", "profile": "script", "args": { "what": "-x" } }), "`-`"),
        (json!({ "key": "a", "profile": "script", "args": { "argv": "x" } }), "no argument `argv`"),
        (json!({ "key": "a", "profile": "script", "args": { "what": ["a", {}] } }), "`what`"),
        (json!({ "key": "a", "profile": "agent", "args": { "prompt": "x" } }), "off"),
        (json!({ "key": "a", "profile": "bash" }), "no profile"),
        (json!({ "key": "a", "profile": "pytest" }), "no workers"),
        (json!({ "key": "a", "profile": "script", "depends_on": ["a"] }), "circle"),
        (json!({ "key": "a", "profile": "script", "argv": ["sh"] }), "argv"),
    ] {
        let said = answer(&home, &server, "qe_task_orchestrate", &json!({ "tasks": [task] }));
        let text = said["content"][0]["text"].as_str().unwrap_or_default();
        assert!(said["isError"] == true && text.contains(word), "{task}: {said}");
    }
    let said = answer(&home, &server, "qe_fleet_init", &json!({ "name": "x", "topology": "mesh" }));
    assert!(said["isError"] == true && said.to_string().contains("mesh"), "{said}");
    assert!(log(&home).is_empty());
}

/// The same program with and without a bound; only the bound makes the difference.
#[test]
fn a_task_that_takes_more_memory_than_its_profile_gives_ends_and_says_so() {
    let home = home("dd if=/dev/zero of=/dev/null bs=\"$1\" count=1");
    let server = home.start(&[]);
    init(&home, &server, &json!([{ "profile": "small" }, { "profile": "script" }]));
    let one = |key: &str, profile: &str, what: &str| json!({ "key": key, "profile": profile, "args": { "what": what } });
    let run = submit(
        &home,
        &server,
        &json!([one("much", "small", "300M"), one("free", "script", "300M"), one("little", "small", "1M")]),
    );
    let said = over(&home, &server, &run);
    let states: Vec<_> = said["tasks"].as_array().unwrap().iter().map(|task| &task["state"]).collect();
    assert_eq!(states, ["dead", "done", "done"], "{said}");
    let error = said["tasks"][0]["error"].as_str().unwrap();
    assert!(
        error.contains("exit code 1") && error.contains("100 MiB") && error.contains("memory"),
        "{error}"
    );
    assert_eq!(task(&home, &server, &run, 0)["attempts"][0]["outcome"], "exit_code");
}
