//! What was answered stays, whatever dies; two processes do nothing twice.
//!
//! The other process is this test binary again, running one of the ignored tests below.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::sync::Arc;

use aqe_core::work::TaskState;
use aqe_store::suite::work::{T0, Work};
use aqe_store::work::{
    AttemptOutcome, Claim, Claimed, Finish, NewTask, Run, RunQuery, Slots, Submission, TaskId, TaskQuery,
};
use aqe_store::{SqliteStore, Store as _, StoreError, WorkStore as _};

use tokio::task::JoinSet;

use crate::durability::{child, child_store};
use crate::support::{fresh, open};

/// Tasks of one run: two that begin, and a ladder above them.
const TASKS: usize = 12;

fn ladder() -> Vec<NewTask> {
    (0..TASKS)
        .map(|n| {
            let below = [n.checked_sub(1), n.checked_sub(2)].into_iter().flatten().filter(|_| n > 1);
            let needs = below
                .map(|n| aqe_core::work::Dependency { key: n.to_string(), on: aqe_core::work::On::Success });
            NewTask { needs: needs.collect(), max_attempts: 20, ..NewTask::new(n.to_string(), "p", "{}") }
        })
        .collect()
}

async fn submit(store: &SqliteStore, key: &str, run: &str) -> aqe_store::work::Submitted {
    let submission = Submission { idempotency_key: Some(key.into()), ..Work::submission(run, ladder()) };
    again(|| store.submit(submission.clone())).await
}

/// Another process may hold the file for a while.
async fn again<T, F>(mut operation: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, StoreError>>,
{
    loop {
        match operation().await {
            Err(error) if error.is_retryable() => {}
            other => return other.unwrap(),
        }
    }
}

async fn claim(store: &SqliteStore, server: &str, most: u32) -> Vec<Claimed> {
    let claim = Claim {
        server: server.into(),
        slots: vec![Slots { profile: "p".into(), free: most }],
        ..Work::wish(most, T0)
    };
    again(|| store.claim(claim.clone())).await
}

/// Says something to the parent process, at once.
fn say(words: std::fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "said {words}").unwrap();
    out.flush().unwrap();
}

/// Submits, claims and completes, and says so once it is answered, until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child of another test"]
async fn child_that_works_for_ever() {
    let store = child_store();
    let server = format!("server-{}", std::process::id());
    say(format_args!("server {server}"));
    let mut tasks: JoinSet<()> = JoinSet::new();
    for _ in 0..3 {
        let (store, server) = (Arc::clone(&store), server.clone());
        tasks.spawn(async move {
            loop {
                for claimed in claim(&store, &server, 3).await {
                    match (Work { store: &*store }).complete(&claimed, T0).await {
                        Finish::Accepted { .. } => {
                            say(format_args!("completed {} {}", claimed.task, claimed.token));
                        }
                        other => panic!("{other:?}"),
                    }
                }
            }
        });
    }
    tasks.spawn(async move {
        for n in 0_u32.. {
            let key = format!("{server}-{n}");
            let submitted = submit(&store, &key, &format!("run-{key}")).await;
            say(format_args!("submitted {} {}", key, submitted.run));
        }
    });
    // None of them ends but by a panic.
    tasks.join_next().await.unwrap().unwrap();
}

/// What the children have said before they were killed.
#[derive(Default)]
struct Said {
    /// Run by key.
    submitted: HashMap<String, String>,
    completed: Vec<(TaskId, u64)>,
    server: String,
}

impl Said {
    /// Answers whether the line said something of this.
    fn hear(&mut self, line: &str) -> bool {
        // The test harness may have begun the line.
        let Some((_, words)) = line.split_once("said ") else { return false };
        match words.split(' ').collect::<Vec<_>>()[..] {
            ["server", server] => self.server = server.to_owned(),
            ["submitted", key, run] => {
                self.submitted.insert(key.to_owned(), run.to_owned());
            }
            ["completed", task, token] => {
                self.completed.push((task.parse().unwrap(), token.parse().unwrap()));
            }
            _ => return false,
        }
        true
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_survives_sigkill_and_no_run_is_half_there() {
    let (directory, store) = fresh();
    let path = directory.path().join("store.db");
    Work::new(&store).await;
    let mut said = Said::default();
    for round in 0..8 {
        let mut child = child("work::crash::child_that_works_for_ever", &path);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut heard = 0;
        while heard < 30 * round + 3 {
            heard += usize::from(said.hear(&lines.next().expect("the child goes on").unwrap()));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before it died holds, too. The last line may be cut off.
        let mut rest: Vec<String> = lines.map_while(Result::ok).collect();
        rest.pop();
        for line in rest {
            said.hear(&line);
        }
        let requeued = again(|| store.abandon(said.server.clone(), T0)).await;
        assert!(requeued.iter().all(|one| one.state == TaskState::Ready));
        assert_eq!(again(|| store.abandon(said.server.clone(), T0)).await, [], "once");
    }
    drop(store);
    let store = open(&path);
    check(&store, &said).await;
    // What was left is worked off; then everything was done once.
    let work = Work { store: &store };
    loop {
        let claimed = claim(&store, "last", 100).await;
        if claimed.is_empty() {
            break;
        }
        for one in &claimed {
            assert!(matches!(work.complete(one, T0).await, Finish::Accepted { .. }));
        }
    }
    let counts = store.counts(None, None, T0).await.unwrap();
    assert_eq!(counts.done, runs(&store).await.iter().map(|run| run.tasks).sum::<u64>());
    assert_eq!((counts.ready, counts.blocked, counts.running, counts.dead), (0, 0, 0, 0));
    check(&store, &said).await;
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    eprintln!("{} submissions and {} completions answered", said.submitted.len(), said.completed.len());
    assert!(said.submitted.len() + said.completed.len() > 200);
}

async fn runs(store: &SqliteStore) -> Vec<Run> {
    let mut all = Vec::new();
    let mut query = RunQuery { most: 100, ..RunQuery::default() };
    loop {
        let page = store.runs(query.clone()).await.unwrap();
        all.extend(page.items);
        query.before = page.next;
        if page.next.is_none() {
            return all;
        }
    }
}

async fn check(store: &SqliteStore, said: &Said) {
    let work = Work { store };
    for (key, run) in &said.submitted {
        assert!(store.run(None, run.clone()).await.unwrap().is_some(), "{key} was lost");
        let again = submit(store, key, "another").await;
        assert!(!again.is_new && again.is_same && again.run == *run, "{again:?}");
    }
    for run in runs(store).await {
        let tasks = work.tasks(&run.id).await;
        assert_eq!((tasks.len(), run.tasks), (TASKS, TASKS as u64), "{} is half there", run.id);
    }
    for (task, token) in &said.completed {
        let detail = store.task(None, task.clone()).await.unwrap().expect("it is there");
        assert_eq!(detail.task.state, TaskState::Done, "{task}");
        let done = detail.attempts.iter().filter(|attempt| attempt.outcome == AttemptOutcome::Done);
        assert_eq!(done.map(|attempt| attempt.token).collect::<Vec<_>>(), [*token], "{task}");
    }
}

/// Claims and completes what there is, and says what it got.
async fn work_off(store: &SqliteStore, server: &str) -> Vec<Claimed> {
    let mut all = Vec::new();
    loop {
        let claimed = claim(store, server, 5).await;
        if claimed.is_empty() {
            return all;
        }
        for one in claimed {
            let finish = loop {
                let completion = aqe_store::work::Completion {
                    task: one.task.clone(),
                    token: one.token,
                    result: None,
                    evidence: None,
                    now: T0,
                };
                match store.complete(completion).await {
                    Err(error) if error.is_retryable() => {}
                    other => break other.unwrap(),
                }
            };
            assert!(matches!(finish, Finish::Accepted { .. }), "{finish:?}");
            all.push(one);
        }
    }
}

#[tokio::test]
#[ignore = "the child of another test"]
async fn child_that_works_off() {
    for claimed in work_off(&child_store(), "child").await {
        say(format_args!("completed {} {}", claimed.task, claimed.token));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_on_one_file_claim_different_tasks() {
    const ALL: usize = 1_000;
    let (directory, store) = fresh();
    let work = Work::new(&store).await;
    work.submit("r", (0..ALL).map(|n| NewTask::new(n.to_string(), "p", "{}")).collect()).await;
    let mut child = child("work::crash::child_that_works_off", &directory.path().join("store.db"));
    let ours = work_off(&store, "parent").await;
    let mut said = Said::default();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        said.hear(&line.unwrap());
    }
    assert!(child.wait().unwrap().success());
    let theirs = said.completed.into_iter().map(|(task, _)| task);
    let all: Vec<_> = ours.into_iter().map(|claimed| claimed.task).chain(theirs).collect();
    assert_eq!(all.len(), ALL);
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), ALL, "none twice");
    let done = TaskQuery { states: vec![TaskState::Done], most: 1_000, ..TaskQuery::default() };
    assert_eq!(store.tasks(done).await.unwrap().items.len(), ALL);
}
