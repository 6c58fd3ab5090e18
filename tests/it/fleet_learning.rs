//! What tasks teach, with real processes: each attempt once, however it ends and whoever dies.

use serde_json::{Value, json};

use crate::support::{Home, Server, until};

const CONFIG: &str = r#"
[[fleet.profile]]
name = "script"
command = "sh"
args = ["work.sh", "{what}"]
params = { what = ["*"] }
"#;

/// `flaky` fails once, `bad` always, `slow` waits the first time.
const SCRIPT: &str = r#"
echo "start $1 $$" >> log
first=$(grep -c "start $1 " log)
case $1 in
    bad) exit 3 ;;
    flaky) [ "$first" -gt 1 ] ;;
    slow) [ "$first" -gt 1 ] || exec sleep 600 ;;
esac
"#;

#[track_caller]
fn call(home: &Home, server: &Server, tool: &str, arguments: &Value) -> Value {
    let socket = server.socket().to_str().unwrap().to_owned();
    let ran =
        home.run(&["mcp", "tools", "call", tool, &arguments.to_string(), "--json", "--socket", &socket]);
    let said: Value =
        serde_json::from_str(&ran.out()).unwrap_or_else(|_| panic!("{}{}", ran.out(), ran.err()));
    assert_ne!(said["isError"], true, "{said}");
    said["structuredContent"].clone()
}

fn task(what: &str, retries: u32) -> Value {
    json!({ "key": what, "profile": "script", "args": { "what": what }, "retries": retries })
}

/// Of each pattern: successes, failures, infrastructure, flaky.
fn learnt(home: &Home, server: &Server) -> Vec<(String, [u64; 4])> {
    let all = call(home, server, "qe_learn_pattern", &json!({ "action": "export" }));
    let one = |pattern: &Value| {
        let count = |name: &str| pattern["trials"][name].as_u64().unwrap();
        assert_eq!(count("asserted"), 0, "{pattern}");
        let title = pattern["title"].as_str().unwrap().to_owned();
        (title, ["successes", "failures", "infrastructure", "flaky"].map(count))
    };
    let mut found: Vec<_> = all["patterns"].as_array().unwrap().iter().map(one).collect();
    found.sort();
    found
}

#[test]
fn each_attempt_of_a_task_is_learnt_once_also_if_the_server_is_killed_between() {
    let home = Home::new();
    home.write("aqe.toml", CONFIG);
    home.write("work.sh", SCRIPT);
    let server = home.start(&[]);
    call(&home, &server, "qe_fleet_init", &json!({ "workers": [{ "profile": "script", "max": 2 }] }));
    let tasks = json!([task("good", 0), task("bad", 1), task("flaky", 1), task("slow", 0)]);
    let run = call(&home, &server, "qe_task_orchestrate", &json!({ "tasks": tasks }))["run_id"].clone();
    let expected: Vec<(String, [u64; 4])> = [
        ("task script: what=bad", [0, 2, 0, 0]),
        ("task script: what=flaky", [1, 1, 0, 1]),
        ("task script: what=good", [1, 0, 0, 0]),
    ]
    .map(|(title, counts)| (title.to_owned(), counts))
    .to_vec();
    until("all but the slow one are learnt", || (learnt(&home, &server) == expected).then_some(()));
    until("the slow one has begun", || {
        let log = std::fs::read_to_string(home.path("project").join("log")).unwrap_or_default();
        log.contains("start slow ").then_some(())
    });
    // While one runs, the server is killed: what it had is given back, and the next one ends it.
    drop(server);
    let server = home.start(&[]);
    until("the run is over", || {
        let said = call(&home, &server, "qe_fleet_status", &json!({ "run_id": run }));
        (said["state"] != "running").then_some(())
    });
    let mut expected = expected;
    expected.push(("task script: what=slow".to_owned(), [1, 0, 1, 0]));
    until("the slow one is learnt", || (learnt(&home, &server) == expected).then_some(()));
    drop(server);
    // A third server finds nothing that was not learnt.
    let server = home.start(&[]);
    let known = call(&home, &server, "qe_learn_status", &json!({}));
    assert_eq!(known["observations"]["kept"], 7, "{known}");
    assert_eq!(learnt(&home, &server), expected);
}
