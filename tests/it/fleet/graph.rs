//! Graphs of tasks: what runs when, and once.

use serde_json::{Value, json};

use super::{answer, call, home, init, log, nothing_is_left, over, submit, task, until};

#[test]
fn tasks_run_once_each_and_after_what_they_depend_on() {
    let home = home("echo \"$1\" >> log; echo out; echo err >&2; exit ${2:-0}");
    let server = home.start(&[]);
    let made = init(&home, &server, &json!([{ "profile": "script", "min": 1, "max": 3 }]));
    assert_eq!((&made["created"], made["workers"].as_array().unwrap().len()), (&json!(true), 1), "{made}");
    let again = init(&home, &server, &json!([{ "profile": "script", "min": 0, "max": 3 }]));
    assert_eq!(
        (&again["created"], &again["differs"][0]["what"]),
        (&json!(false), &json!("workers")),
        "{again}"
    );
    let one = |key: &str, needs: &[&str]| json!({ "key": key, "profile": "script", "args": { "what": key }, "depends_on": needs });
    let tasks = json!([one("d", &["b", "c"]), one("b", &["a"]), one("c", &["a"]), one("a", &[])]);
    let run = submit(&home, &server, &tasks);
    let said = over(&home, &server, &run);
    assert_eq!((&said["state"], &said["done"]), (&json!("done"), &json!(4)), "{said}");
    let lines = log(&home);
    assert_eq!((lines.len(), lines[0].as_str(), lines[3].as_str()), (4, "a", "d"), "{lines:?}");
    let detail = task(&home, &server, &run, 0);
    let result = &detail["attempts"][0]["result"];
    assert_eq!((&result["exit_code"], &result["stdout"]["head"]), (&json!(0), &json!("out\n")), "{detail}");
    assert_eq!(result["stderr"]["head"], "err\n");
    drop(server);
    nothing_is_left(&home);
}

#[test]
fn two_servers_on_one_store_run_each_task_once() {
    let home = home("echo \"$1\" >> log; sleep 0.1");
    let servers = [home.start(&[]), home.start(&[])];
    for server in &servers {
        init(&home, server, &json!([{ "profile": "script", "min": 2, "max": 2 }]));
    }
    let tasks: Vec<Value> = (0..20)
        .map(|n| json!({ "key": format!("t{n}"), "profile": "script", "args": { "what": n } }))
        .collect();
    let runs = servers.each_ref().map(|server| submit(&home, server, &json!(tasks)));
    for (server, run) in servers.iter().zip(&runs) {
        let said = over(&home, server, run);
        assert_eq!((&said["state"], &said["done"]), (&json!("done"), &json!(20)), "{said}");
    }
    assert_eq!(log(&home).len(), 40);
}

#[test]
fn stages_of_a_pipeline_begin_when_the_one_before_is_done() {
    let home = home("echo \"$1\" >> log; sleep 0.2");
    let server = home.start(&[]);
    let workers = json!([{ "profile": "script", "max": 2 }, { "profile": "short", "max": 2 }]);
    call(
        &home,
        &server,
        "qe_fleet_init",
        &json!({ "workers": workers, "topology": "pipeline", "max_concurrency": 4 }),
    );
    let one =
        |key: &str, profile: &str| json!({ "key": key, "profile": profile, "args": { "what": profile } });
    let run = submit(&home, &server, &json!([one("c", "short"), one("a", "script"), one("b", "script")]));
    let said = over(&home, &server, &run);
    assert_eq!(said["state"], "done", "{said}");
    assert_eq!(log(&home), ["script", "script", "short"]);
}

#[test]
fn a_task_that_submits_others_is_over_with_the_last_of_them() {
    let home = home("echo \"$1\" >> log; while [ ! -e go ]; do sleep 0.05; done; echo \"end $1\" >> log");
    let server = home.start(&[]);
    let workers = json!([{ "profile": "script", "max": 3 }]);
    let asked = json!({ "workers": workers, "topology": "hierarchical", "max_concurrency": 3 });
    call(&home, &server, "qe_fleet_init", &asked);
    let run = submit(&home, &server, &json!([{ "key": "p", "profile": "script", "args": { "what": "p" } }]));
    until("it has begun", || (!log(&home).is_empty()).then_some(()));
    let parent = format!("{run}.0");
    let tasks = json!([{ "key": "c", "profile": "script", "args": { "what": "c" } }]);
    let asked = json!({ "parent": parent, "tasks": tasks });
    let said = call(&home, &server, "qe_task_orchestrate", &asked);
    assert_eq!(said["created"], true, "{said}");
    let said = call(&home, &server, "qe_task_orchestrate", &asked);
    assert_eq!(said["created"], false, "the same from the same parent: {said}");
    home.write("go", "");
    let said = over(&home, &server, &run);
    assert_eq!((&said["state"], &said["done"]), (&json!("done"), &json!(2)), "{said}");
    let said = answer(&home, &server, "qe_task_orchestrate", &asked);
    assert_eq!(said["isError"], true, "a task that is over submits nothing: {said}");
}

#[test]
fn the_same_submission_twice_is_one_run() {
    let home = home("echo \"$1\" >> log");
    let server = home.start(&[]);
    init(&home, &server, &json!([{ "profile": "script" }]));
    let asked = json!({
        "tasks": [{ "key": "a", "profile": "script", "args": { "what": "a" } }],
        "idempotency_key": "k", "wait_ms": 20_000,
    });
    let first = call(&home, &server, "qe_task_orchestrate", &asked);
    let second = call(&home, &server, "qe_task_orchestrate", &asked);
    assert_eq!((&first["run_id"], &second["created"]), (&second["run_id"], &json!(false)), "{first}{second}");
    assert_eq!((log(&home).len(), &first["state"]), (1, &json!("done")));
}
