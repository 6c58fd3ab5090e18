//! Fleets, with real processes: what is killed, cancelled or late, and what is true afterwards.
//!
//! # Layout
//! - `graph`: what runs when. `deaths`: what dies, one by one; `loops`: again and again, under load.
//! - `bounds`: what ends a task from outside. `work`: what tasks are. `agents`: started, kept, shown, removed. `clock`: times that jump.

mod agents;
mod bounds;
mod clock;
mod deaths;
mod graph;
mod loops;
mod work;

use std::fs;
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

[[fleet.profile]]
name = "small"
command = "sh"
args = ["work.sh", "{what}"]
params = { what = ["*"] }
memory_mb = 100
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

fn signal(pid: &Value, signal: Signal) {
    let pid = pid.as_u64().map(|pid| pid as i32).and_then(Pid::from_raw).unwrap();
    kill_process(pid, signal).unwrap();
}

/// The agents of the fleet, as they are shown.
fn agents(home: &Home, server: &Server) -> Vec<Value> {
    let status = call(home, server, "qe_fleet_status", &json!({ "fleet_id": "default" }));
    status["workers"].as_array().unwrap().clone()
}

/// How the attempts of a task ended.
fn outcomes(detail: &Value) -> Vec<&str> {
    detail["attempts"].as_array().unwrap().iter().map(|it| it["outcome"].as_str().unwrap()).collect()
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
