//! What tasks are: programs, built-in tools, tools of upstreams; from the command line too.

use std::path::Path;

use serde_json::{Value, json};

use super::{call, home, init, over, submit, task};

#[test]
fn the_command_line_runs_tasks_and_shows_what_they_wrote() {
    let home = home("echo \"hello $1\"; exit 3");
    let _server = home.start(&[]);
    let ran = home.run(&["fleet", "init", "--worker", "script:0:1"]);
    assert!(ran.code() == Some(0) && ran.out().contains("made"), "{}{}", ran.out(), ran.err());
    let ran = home.run(&["fleet", "run", "script", "what=you", "--wait", "60", "--json"]);
    let said: Value = serde_json::from_str(&ran.out()).unwrap_or_else(|_| panic!("{}", ran.err()));
    assert_eq!((ran.code(), &said["state"]), (Some(1), &json!("failed")), "{said}");
    let ran = home.run(&["fleet", "logs", said["tasks"][0]["id"].as_str().unwrap()]);
    assert_eq!(ran.out(), "hello you\n");
    assert!(home.run(&["fleet", "status"]).out().contains("script"));
    let ran = home.run(&["fleet", "status", "nothing"]);
    assert!(ran.code() == Some(1) && ran.err().contains("no fleet"), "{}", ran.err());
}

#[test]
fn a_built_in_tool_is_a_task_too() {
    let home = home("");
    home.write("half.py", "def half(n):\n    return n // 2\n");
    let server = home.start(&[]);
    let profile = "builtin:qe_quality_metrics";
    init(&home, &server, &json!([{ "profile": profile }]));
    let run =
        submit(&home, &server, &json!([{ "key": "m", "profile": profile, "args": { "group_by": "file" } }]));
    let said = over(&home, &server, &run);
    assert_eq!(said["state"], "done", "{said}");
    let detail = task(&home, &server, &run, 0);
    assert!(detail["attempts"][0]["result"].to_string().contains("half.py"), "{detail}");
}

#[test]
fn a_tool_that_the_gateway_serves_is_a_task_too() {
    let home = home("");
    let server = home.start(&[]);
    init(&home, &server, &json!([{ "profile": "tool" }]));
    let one = |key: &str, tool: &str| {
        let arguments = json!({ "namespace": "n", "key": "k", "value": 7 });
        json!({ "key": key, "profile": "tool", "args": { "tool": tool, "arguments": arguments } })
    };
    let run =
        submit(&home, &server, &json!([one("a", "qe_memory_store"), one("b", "no_such_tool_anywhere")]));
    let said = over(&home, &server, &run);
    let states: Vec<_> = said["tasks"].as_array().unwrap().iter().map(|task| &task["state"]).collect();
    assert_eq!(states, ["done", "failed"], "{said}");
    let kept = call(&home, &server, "qe_memory_retrieve", &json!({ "namespace": "n", "key": "k" }));
    assert!(kept.to_string().contains('7'), "{kept}");
}

/// Only where there is a pytest, as on the machines that check changes.
#[test]
fn a_real_pytest_says_in_a_fleet_what_it_says_by_hand() {
    let home = home("");
    home.write("test_good.py", "def test_a():\n    assert 1\n");
    home.write("test_bad.py", "def test_b():\n    assert 0\n");
    let by_hand = |file: &str| {
        let output = std::process::Command::new("pytest")
            .args(["-q", file])
            .current_dir(home.path("project"))
            .output();
        output.ok().and_then(|output| output.status.code())
    };
    let Some(good) = by_hand("test_good.py") else { return };
    let codes = [good, by_hand("test_bad.py").unwrap()];
    let server = home.start(&[]);
    init(&home, &server, &json!([{ "profile": "pytest", "max": 2 }]));
    let run = submit(
        &home,
        &server,
        &json!([
            { "key": "good", "profile": "pytest", "args": { "paths": ["test_good.py"] } },
            { "key": "bad", "profile": "pytest", "args": { "paths": "test_bad.py" }, "depends_on": ["good"], "on": "done" },
        ]),
    );
    over(&home, &server, &run);
    for (number, code) in (0..).zip(codes) {
        let detail = task(&home, &server, &run, number);
        assert_eq!(detail["attempts"][0]["result"]["exit_code"], code, "{detail}");
    }
    let path: &Path = &home.path("project");
    assert_eq!(task(&home, &server, &run, 1)["attempts"][0]["evidence"]["cwd"], path.to_str().unwrap());
}
