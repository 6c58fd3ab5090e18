//! Times that jump, and the order of what waits for long: the engine in this process, with a clock of its own and real agents.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use aqe_core::inprocess::{Caller, InProcess};
use aqe_core::work::Priority;
use aqe_core::work::rank::AGEING_STEP_MS;
use aqe_qe::fleet::{Command, Profile, TIMEOUT, Work};
use aqe_store::work::{NewTask, Policy, Submission};
use aqe_store::{SqliteOptions, SqliteStore, WorkStore as _};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::until;

const T0: i64 = 1_790_000_000_000;
const DAY_MS: i64 = 24 * 3_600_000;

struct Scene {
    folder: tempfile::TempDir,
    store: Arc<SqliteStore>,
    clock: Arc<AtomicI64>,
    runtime: Runtime,
}

impl Scene {
    fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("work.sh"), script).unwrap();
        let store = SqliteStore::open(&folder.path().join("aqe.db"), &SqliteOptions::default()).unwrap();
        let clock = Arc::new(AtomicI64::new(T0));
        Self { folder, store: Arc::new(store), clock, runtime: Runtime::new().unwrap() }
    }

    /// The tools of a server that has just begun.
    fn tools(&self) -> Arc<dyn InProcess> {
        let command = Command {
            program: "sh".into(),
            args: vec!["work.sh".into(), "{what}".into()],
            params: [("what".to_owned(), vec!["*".to_owned()])].into(),
            success_codes: vec![0],
            ..Command::default()
        };
        let work = Work::Command(command);
        let profile = Profile { name: "script".into(), is_enabled: true, work, timeout: TIMEOUT, retries: 0 };
        let executable = PathBuf::from(env!("CARGO_BIN_EXE_aqe-v3"));
        let settings = aqe_qe::Settings {
            roots: vec![self.folder.path().to_owned()],
            fleet: Some(aqe_qe::fleet::Settings { profiles: vec![profile], executable }),
            ..aqe_qe::Settings::default()
        };
        let _runtime = self.runtime.enter();
        let clock = Arc::clone(&self.clock);
        aqe_qe::builtin(Arc::clone(&self.store) as _, &settings, move || clock.load(Ordering::Relaxed))
    }

    fn call(&self, tools: &Arc<dyn InProcess>, name: &str, arguments: &Value) -> Value {
        let deadline = Instant::now() + Duration::from_secs(60);
        let caller = Caller { principal: "p", deadline, progress: None };
        let arguments = arguments.to_string();
        let result = self.runtime.block_on(tools.call(name, &arguments, caller)).unwrap();
        let said: Value = serde_json::from_slice(&result.json).unwrap();
        assert!(!result.is_error, "{said}");
        said["structuredContent"].clone()
    }

    fn log(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

fn workers(max: u32) -> Value {
    json!({ "workers": [{ "profile": "script", "max": max }], "max_concurrency": max })
}

#[test]
fn a_clock_that_jumps_ends_no_task_twice_and_keeps_none_for_ever() {
    let scene = Scene::new("sleep 0.3; echo \"$1\" >> log");
    let tools = scene.tools();
    scene.call(&tools, "qe_fleet_init", &workers(3));
    let tasks: Vec<Value> = (0..24)
        .map(|n| json!({ "key": format!("t{n}"), "profile": "script", "args": { "what": n }, "retries": 19 }))
        .collect();
    let run = scene.call(&tools, "qe_task_orchestrate", &json!({ "tasks": tasks }));
    let run = run["run_id"].as_str().unwrap();
    let mut jumps = [DAY_MS, -2 * DAY_MS, 3_600_000, -60_000, DAY_MS].into_iter();
    let said = until("all is over", || {
        scene.clock.fetch_add(jumps.next().unwrap_or(200), Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(200));
        let said = scene.call(&tools, "qe_fleet_status", &json!({ "run_id": run }));
        (said["state"] != "running").then_some(said)
    });
    assert_eq!((&said["state"], &said["done"]), (&json!("done"), &json!(24)), "{said}");
    for number in 0..24 {
        let detail = scene.call(&tools, "qe_fleet_status", &json!({ "task_id": format!("{run}.{number}") }));
        let attempts = detail["attempts"].as_array().unwrap();
        assert_eq!(attempts.iter().filter(|it| it["outcome"] == "done").count(), 1, "{detail}");
        assert!(attempts.iter().all(|it| it["outcome"] == "done" || it["outcome"] == "lost"), "{detail}");
        assert!(scene.log().contains(&number.to_string()));
    }
    scene.runtime.block_on(tools.stop());
}

/// One agent, and each minute something more urgent comes than what waits already.
#[test]
fn what_is_least_urgent_runs_before_what_comes_nine_minutes_later() {
    let scene = Scene::new("echo \"$1\" >> log");
    let tools = scene.tools();
    let fleet = scene.call(&tools, "qe_fleet_init", &workers(1));
    scene.runtime.block_on(tools.stop());
    let submit = |what: &str, priority: u8, minute: i64| {
        let payload = json!({ "args": { "what": what } }).to_string();
        let priority = Priority::new(priority).unwrap();
        let submission = Submission {
            run: format!("run-{what}"),
            principal: "p".into(),
            fleet: fleet["fleet_id"].as_str().unwrap().to_owned(),
            tasks: vec![NewTask { priority, ..NewTask::new(what, "script", payload) }],
            policy: Policy::Continue,
            idempotency_key: None,
            deadline: None,
            now: T0 + minute * AGEING_STEP_MS,
        };
        scene.runtime.block_on(scene.store.submit(submission)).unwrap();
    };
    submit("low", 0, 0);
    for minute in 1..=12 {
        submit(&format!("urgent {minute}"), 9, minute);
    }
    scene.clock.store(T0 + 13 * AGEING_STEP_MS, Ordering::Relaxed);
    let tools = scene.tools();
    until("all have run", || (scene.log().len() == 13).then_some(()));
    let urgent = |minutes: std::ops::RangeInclusive<i64>| minutes.map(|minute| format!("urgent {minute}"));
    let wanted: Vec<String> = urgent(1..=8).chain(["low".to_owned()]).chain(urgent(9..=12)).collect();
    assert_eq!(scene.log(), wanted);
    scene.runtime.block_on(tools.stop());
}
