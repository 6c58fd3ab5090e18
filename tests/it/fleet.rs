//! Fleets, with real processes: what is killed, cancelled or late, and what is true afterwards.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{Home, PATIENCE, Server};

/// Profiles over a script that each test writes.
const CONFIG: &str = r#"
[[fleet.profile]]
name = "script"
command = "sh"
args = ["work.sh", "{what}"]
params = { what = ["*"] }

[[fleet.profile]]
name = "short"
command = "sh"
args = ["work.sh", "{what}"]
params = { what = ["*"] }
timeout_s = 1
"#;

fn home(script: &str) -> Home {
    let home = Home::new();
    home.write("aqe.toml", CONFIG);
    home.write("work.sh", script);
    home
}

#[track_caller]
fn call(home: &Home, server: &Server, tool: &str, arguments: &Value) -> Value {
    let said = answer(home, server, tool, arguments);
    assert_ne!(said["isError"], true, "{said}");
    said["structuredContent"].clone()
}

fn answer(home: &Home, server: &Server, tool: &str, arguments: &Value) -> Value {
    let socket = server.socket().to_str().unwrap().to_owned();
    let arguments = arguments.to_string();
    let ran = home.run(&["mcp", "tools", "call", tool, &arguments, "--json", "--socket", &socket]);
    serde_json::from_str(&ran.out()).unwrap_or_else(|_| panic!("{}{}", ran.out(), ran.err()))
}

fn init(home: &Home, server: &Server, workers: &Value) -> Value {
    call(home, server, "qe_fleet_init", &json!({ "workers": workers, "max_concurrency": 4 }))
}

fn submit(home: &Home, server: &Server, tasks: &Value) -> String {
    let said = call(home, server, "qe_task_orchestrate", &json!({ "tasks": tasks }));
    said["run_id"].as_str().unwrap().to_owned()
}

/// Looks at something until it is as wanted.
#[track_caller]
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE * 2, "not within the time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[track_caller]
fn over(home: &Home, server: &Server, run: &str) -> Value {
    until("the run is over", || {
        let said = call(home, server, "qe_fleet_status", &json!({ "run_id": run }));
        (said["state"] != "running").then_some(said)
    })
}

fn task(home: &Home, server: &Server, run: &str, number: u32) -> Value {
    call(home, server, "qe_fleet_status", &json!({ "task_id": format!("{run}.{number}") }))
}

/// Lines of the file that the script writes to.
fn log(home: &Home) -> Vec<String> {
    let text = fs::read_to_string(home.path("project").join("log")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn kill(pid: &Value) {
    let pid = pid.as_u64().map(|pid| pid as i32).and_then(Pid::from_raw).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

/// Agents and what they have started, of this home: what carries an agent's mark and works for its project.
fn processes(home: &Home) -> Vec<String> {
    let own = format!("HOME={}", home.path("").display());
    let own = own.trim_end_matches('/').as_bytes().to_vec();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let variables = fs::read(entry.path().join("environ")).unwrap_or_default();
        let variables: Vec<&[u8]> = variables.split(|byte| *byte == 0).collect();
        let is_agents = variables.iter().any(|it| it.starts_with(b"AQE_V3_AGENT="));
        if is_agents && variables.contains(&own.as_slice()) {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            found.push(String::from_utf8_lossy(&line).replace('\0', " "));
        }
    }
    found
}

#[track_caller]
fn nothing_is_left(home: &Home) {
    until("nothing is left", || processes(home).is_empty().then_some(()));
}

/// The first attempt hangs with a grandchild of a session of its own; the second ends.
const HANGS_ONCE: &str = r#"
echo "start $1 $$" >> log
if [ "$(grep -c "start $1 " log)" -lt 2 ]; then
    setsid sleep 600 &
    sleep 600
fi
echo "end $1" >> log
"#;

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
        let status = call(&home, &server, "qe_fleet_status", &json!({ "fleet_id": "default" }));
        let workers = status["workers"].as_array().unwrap();
        let busy =
            workers.iter().find(|agent| agent["state"] == "busy").unwrap_or_else(|| panic!("{status}"));
        kill(&busy["pid"]);
        let said = over(&home, &server, &run);
        assert_eq!(said["state"], "done", "{said}");
        let detail = task(&home, &server, &run, 0);
        let outcomes: Vec<_> =
            detail["attempts"].as_array().unwrap().iter().map(|it| &it["outcome"]).collect();
        assert_eq!(outcomes, ["lost", "done"], "{detail}");
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
    kill(&json!(pid));
    let said = over(&home, &server, &run);
    assert_eq!(said["state"], "done", "{said}");
    let detail = task(&home, &server, &run, 0);
    let outcomes: Vec<_> = detail["attempts"].as_array().unwrap().iter().map(|it| &it["outcome"]).collect();
    assert_eq!(outcomes, ["transient", "done"], "{detail}");
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
fn a_server_that_stops_in_order_gives_its_tasks_back() {
    let home = home(HANGS_ONCE);
    let mut first = home.start(&[]);
    init(&home, &first, &json!([{ "profile": "script" }]));
    let run = submit(&home, &first, &json!([{ "key": "a", "profile": "script", "args": { "what": "a" } }]));
    until("it has begun", || (!log(&home).is_empty()).then_some(()));
    first.signal();
    assert!(first.ended().success());
    nothing_is_left(&home);
    let second = home.start(&[]);
    let said = over(&home, &second, &run);
    assert_eq!(said["state"], "done", "{said}");
}

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
    let is_busy = |server: &Server| {
        let said = call(&home, server, "qe_fleet_status", &json!({ "fleet_id": "default" }));
        said["workers"].as_array().unwrap().iter().any(|agent| agent["state"] == "busy")
    };
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
    let outcomes: Vec<_> = detail["attempts"].as_array().unwrap().iter().map(|it| &it["outcome"]).collect();
    assert_eq!(
        (outcomes, &detail["state"]),
        (vec![&json!("lost"), &json!("done")], &json!("done")),
        "{detail}"
    );
    assert_eq!(log(&home).iter().filter(|line| line.starts_with("end")).count(), 1);
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
fn agents_are_started_before_they_are_needed_as_far_as_may_be() {
    let home = home("true");
    let server = home.start(&[]);
    init(&home, &server, &json!([{ "profile": "script", "max": 2 }]));
    let said =
        call(&home, &server, "qe_agent_spawn", &json!({ "profile": "script", "count": 3, "ttl_s": 1 }));
    assert_eq!(
        (said["agents"].as_array().unwrap().len(), &said["refused"]["count"]),
        (2, &json!(1)),
        "{said}"
    );
    for agent in said["agents"].as_array().unwrap() {
        assert!(Path::new(&format!("/proc/{}", agent["pid"])).exists(), "{agent}");
    }
    nothing_is_left(&home);
    let said = call(&home, &server, "qe_fleet_status", &json!({ "fleet_id": "default" }));
    assert_eq!(said["workers"], json!([]), "idle ones end: {said}");
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
