//! Agents and servers that are killed again and again while many tasks run: each task ends once, who is late is refused, and
//! nothing is left.
//!
//! `AQE_FLEET_ROUNDS` says how many deaths there are of each kind.

#![allow(clippy::print_stderr, reason = "what a long run came to is of use where it passes, too")]

use std::collections::BTreeMap;

use aqe_core::work::{Failure, TaskState};
use aqe_store::work::{AttemptOutcome, Completion, EventKind, Fenced, Finish, TaskDetail, TaskId, TaskQuery};
use aqe_store::{SqliteOptions, SqliteStore, Store as _, WorkStore as _};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use super::{agents, home, init, log, nothing_is_left, over, processes, signal, submit, until};
use crate::support::{Home, Server};

/// Deaths of servers, unless told otherwise; and of agents, which take less time.
const SERVERS: u64 = 3;
const AGENTS: u64 = 5;

/// Tasks that are submitted in each round: the last third each after one of the first.
const TASKS: usize = 12;

/// Attempts beyond the first: more than any task loses here.
const RETRIES: u32 = 19;

/// Takes a while, with a grandchild in a session of its own; each attempt says when it begins and ends.
const TAKES_A_WHILE: &str = r#"
echo "start $1 $AQE_V3_ATTEMPT" >> log
setsid sleep 600 &
sleep 0.3
kill $!
echo "end $1 $AQE_V3_ATTEMPT" >> log
"#;

fn rounds(unless_told: u64) -> u64 {
    let told = std::env::var("AQE_FLEET_ROUNDS").ok();
    told.map_or(unless_told, |text| text.parse().unwrap_or_else(|error| panic!("AQE_FLEET_ROUNDS: {error}")))
}

/// A fleet under load, with a view of its store from outside.
struct Scene {
    home: Home,
    store: SqliteStore,
    runtime: Runtime,
    random: fastrand::Rng,
    runs: Vec<String>,
    /// Ends of attempts that came too late and were refused.
    refused: usize,
}

impl Scene {
    fn new() -> Self {
        let home = home(TAKES_A_WHILE);
        let server = home.start(&[]);
        init(&home, &server, &json!([{ "profile": "script", "min": 2, "max": 4 }]));
        drop(server);
        let store = SqliteStore::open(&home.path("data/aqe-v3/aqe.db"), &SqliteOptions::default()).unwrap();
        let runtime = Builder::new_current_thread().build().unwrap();
        let seed = fastrand::u64(..);
        eprintln!("seed {seed}");
        let random = fastrand::Rng::with_seed(seed);
        Self { home, store, runtime, random, runs: Vec::new(), refused: 0 }
    }

    fn submit(&mut self, server: &Server) {
        let round = self.runs.len();
        let key = |n: usize| format!("t{round}-{n}");
        let one = |n: usize| {
            let needs: Vec<String> = n.checked_sub(TASKS * 2 / 3).map(key).into_iter().collect();
            json!({
                "key": key(n), "profile": "script", "args": { "what": key(n) }, "depends_on": needs, "retries": RETRIES,
            })
        };
        let tasks: Vec<Value> = (0..TASKS).map(one).collect();
        self.runs.push(submit(&self.home, server, &json!(tasks)));
    }

    fn pause(&mut self) {
        std::thread::sleep(std::time::Duration::from_millis(self.random.u64(..150)));
    }

    fn detail(&self, task: &TaskId) -> TaskDetail {
        self.runtime.block_on(self.store.task(None, task.clone())).unwrap().unwrap()
    }

    /// Attempts that are under way, each a task with its fencing token.
    fn under_way(&self) -> Vec<(TaskId, u64)> {
        let query = TaskQuery { states: vec![TaskState::Running], most: 1_000, ..TaskQuery::default() };
        let page = self.runtime.block_on(self.store.tasks(query)).unwrap();
        page.items.into_iter().map(|task| (task.id, u64::from(task.attempts))).collect()
    }

    /// Says once an attempt is known to be over that it has succeeded, as a worker does that comes back too late.
    fn finish_late(&mut self, (task, token): (TaskId, u64)) {
        let outcome = until("the attempt is over", || {
            self.detail(&task).attempts.iter().find(|attempt| attempt.token == token).map(|it| it.outcome)
        });
        let late = Completion { task, token, result: Some("\"late\"".into()), evidence: None, now: 0 };
        match (outcome, self.runtime.block_on(self.store.complete(late)).unwrap()) {
            // It was quicker than its death.
            (AttemptOutcome::Done, Finish::Repeated { .. }) => {}
            (
                AttemptOutcome::Failed(Failure::Lost),
                Finish::Refused(Fenced::Superseded { .. } | Fenced::NotRunning { .. }),
            ) => self.refused += 1,
            other => panic!("{other:?}"),
        }
    }

    /// Waits until all is over, and looks whether it is as it should be.
    fn close(self, server: Server) {
        for run in &self.runs {
            let said = over(&self.home, &server, run);
            assert_eq!((&said["state"], &said["done"]), (&json!("done"), &json!(TASKS)), "{said}");
        }
        let mut lines: BTreeMap<String, usize> = BTreeMap::new();
        for line in log(&self.home) {
            *lines.entry(line).or_default() += 1;
        }
        let mut lost = 0;
        for run in &self.runs {
            for number in 0..TASKS as u32 {
                let detail = self.detail(&TaskId { run: run.clone(), number });
                let done: Vec<_> =
                    detail.attempts.iter().filter(|it| it.outcome == AttemptOutcome::Done).collect();
                assert_eq!(done.len(), 1, "acknowledged once: {detail:#?}");
                assert!(!done[0].result.as_deref().is_some_and(|it| it.contains("late")), "{detail:#?}");
                let others = detail.attempts.iter().filter(|it| it.outcome != AttemptOutcome::Done);
                for other in others {
                    assert_eq!(other.outcome, AttemptOutcome::Failed(Failure::Lost), "{detail:#?}");
                    lost += 1;
                }
                let ends = detail.events.iter().filter(|event| event.kind == EventKind::Done).count();
                assert_eq!(ends, 1, "{detail:#?}");
                let line = |word: &str, token: u64| format!("{word} {} {token}", detail.task.key);
                assert_eq!(lines.get(&line("end", done[0].token)), Some(&1), "its effect is there");
                assert!(
                    detail
                        .attempts
                        .iter()
                        .all(|it| lines.get(&line("start", it.token)).is_none_or(|n| *n == 1)),
                    "no attempt is made twice"
                );
            }
        }
        assert_eq!(self.runtime.block_on(self.store.check()).unwrap(), Vec::<String>::new());
        drop(server);
        nothing_is_left(&self.home);
        let tasks = self.runs.len() * TASKS;
        eprintln!("{tasks} tasks ended once each, {lost} attempts lost, {} late ends refused", self.refused);
        assert!(self.refused > 0, "nobody was killed at work");
    }
}

#[test]
fn agents_that_are_killed_again_and_again_end_no_task_twice_and_lose_none() {
    let mut scene = Scene::new();
    let server = scene.home.start(&[]);
    for _ in 0..rounds(AGENTS) {
        scene.submit(&server);
        scene.pause();
        let (pid, task) = until("an agent is at work", || {
            let busy = |agent: &&Value| agent["state"] == "busy";
            let agent = agents(&scene.home, &server).iter().find(busy)?.clone();
            // It says nothing more, so that what it works on now is what dies with it.
            signal(&agent["pid"], Signal::STOP);
            let now = agents(&scene.home, &server).into_iter().find(|it| it["pid"] == agent["pid"])?;
            let task = now["current_task"].as_str().map(|task| task.parse::<TaskId>().unwrap());
            if task.is_none() {
                signal(&agent["pid"], Signal::CONT);
            }
            Some((agent["pid"].clone(), task?))
        });
        let token = u64::from(scene.detail(&task).task.attempts);
        signal(&pid, Signal::KILL);
        scene.finish_late((task, token));
    }
    scene.close(server);
}

#[test]
fn servers_that_are_killed_again_and_again_end_no_task_twice_and_lose_none() {
    let mut scene = Scene::new();
    let mut server = scene.home.start(&[]);
    for _ in 0..rounds(SERVERS) {
        scene.submit(&server);
        until("tasks run", || (!scene.under_way().is_empty()).then_some(()));
        scene.pause();
        server.child.kill().unwrap();
        server.child.wait().unwrap();
        nothing_is_left(&scene.home);
        let left = scene.under_way();
        server = scene.home.start(&[]);
        for attempt in left {
            scene.finish_late(attempt);
        }
    }
    // That nothing was left says something only if what is there is seen.
    until("the agents of the last server are seen", || (!processes(&scene.home).is_empty()).then_some(()));
    scene.close(server);
}
