//! Promises of learning from tasks.

use aqe_core::work::Failure;

use super::{RULE, T0, all, observe, of};
use crate::contract::{LearningStore, WorkStore};
use crate::learning::{Ended, Lesson, Observation};
use crate::limits;
use crate::work::{
    AttemptOutcome, Claim, Claimed, Completion, FailureReport, Fleet, NewTask, Policy, Slots, Submission,
};

/// Of each task a pattern of its own; a success after a failure is flaky, and what was cancelled teaches nothing.
fn lesson(ended: &Ended) -> Option<Lesson> {
    let (successes, failures, infrastructure) = match ended.outcome {
        AttemptOutcome::Done => (1, 0, 0),
        AttemptOutcome::Failed(Failure::Cancelled) => return None,
        AttemptOutcome::Failed(Failure::ExitCode) => (0, 1, 0),
        AttemptOutcome::Failed(_) => (0, 0, 1),
    };
    let observation = of(&format!("{} {}", ended.profile, ended.payload), successes, failures);
    let observation = observation.with(|trials| {
        trials.infrastructure = infrastructure;
        trials.flaky = u32::from(ended.failed_before && successes > 0);
        trials.evidence = Some(format!("{}#{}", ended.task, ended.token));
        trials.at = ended.at;
    });
    Some(Lesson { observation, shared: ended.profile.clone() })
}

async fn submit<S: WorkStore>(store: &S, run: &str, principal: &str, payloads: &[&str]) {
    let fleet = format!("fleet-{principal}");
    let made = Fleet {
        id: fleet.clone(),
        principal: principal.into(),
        name: "fleet".into(),
        settings: "{}".into(),
        max_running: 100,
        created: T0,
    };
    store.create_fleet(made).await.unwrap();
    let task = |payload: &&str| NewTask { max_attempts: 3, ..NewTask::new(*payload, "run", *payload) };
    let submission = Submission {
        run: run.into(),
        principal: principal.into(),
        fleet,
        tasks: payloads.iter().map(task).collect(),
        policy: Policy::Continue,
        idempotency_key: None,
        deadline: None,
        now: T0,
    };
    store.submit(submission).await.unwrap();
}

async fn claim<S: WorkStore>(store: &S, principal: &str, now: i64) -> Vec<Claimed> {
    let claim = Claim {
        fleet: format!("fleet-{principal}"),
        slots: vec![Slots { profile: "run".into(), free: 100 }],
        most: 100,
        worker: "worker".into(),
        server: "server".into(),
        lease_ms: 60_000,
        now,
    };
    store.claim(claim).await.unwrap()
}

async fn complete<S: WorkStore>(store: &S, task: &Claimed) {
    let (task, token) = (task.task.clone(), task.token);
    store.complete(Completion { task, token, result: None, evidence: None, now: T0 }).await.unwrap();
}

async fn fail<S: WorkStore>(store: &S, task: &Claimed, failure: Failure) {
    let (task, token, error) = (task.task.clone(), task.token, String::new());
    let (result, evidence) = (Some("{}".into()), None);
    let report = FailureReport { task, token, failure, error, result, evidence, seed: 1, now: T0 };
    store.fail(report).await.unwrap();
}

pub(super) async fn each_attempt_teaches_once<S: LearningStore + WorkStore>(store: &S) {
    let learn = async || store.learn_from_tasks(lesson, RULE).await.unwrap();
    assert_eq!(learn().await.attempts, 0);
    submit(store, "r", "alice", &["good", "flaky", "given up", "cancelled"]).await;
    submit(store, "s", "bob", &["good"]).await;
    for task in claim(store, "alice", T0).await {
        match task.key.as_str() {
            "good" => complete(store, &task).await,
            "flaky" => fail(store, &task, Failure::ExitCode).await,
            "cancelled" => fail(store, &task, Failure::Cancelled).await,
            _ => {}
        }
    }
    complete(store, &claim(store, "bob", T0).await[0]).await;
    assert_eq!(learn().await.attempts, 4);
    assert_eq!(learn().await.attempts, 0, "once");
    // The lease runs out; the flaky one's time has come.
    let later = T0 + 120_000;
    store.sweep(later).await.unwrap();
    for task in claim(store, "alice", later).await {
        complete(store, &task).await;
        complete(store, &task).await;
    }
    let lessons = learn().await;
    assert_eq!((lessons.attempts, lessons.lost), (3, 0), "what was given up, and two that ended well");
    let known = all(store, "alice").await;
    let seen = |title: &str| {
        let one = known.iter().find(|one| one.title == title).unwrap_or_else(|| panic!("{title}: {known:?}"));
        (one.seen.successes, one.seen.failures, one.seen.infrastructure, one.seen.flaky)
    };
    assert_eq!(seen("run good"), (1, 0, 0, 0));
    assert_eq!(seen("run flaky"), (1, 1, 0, 1));
    assert_eq!(seen("run given up"), (1, 0, 1, 0));
    assert!(known.iter().all(|one| one.measured == one.tally), "our own tools saw it");
    assert_eq!((known.len(), all(store, "bob").await.len()), (3, 1), "each for its own principal");
    assert_eq!(store.learned("alice".into()).await.unwrap().seen.flaky, 1);
    // Evidence that was counted before the lesson was learnt is no other trial.
    let evident =
        |ended: &Ended| lesson(ended).map(|one| Observation { levels: vec!["x".into()], ..one.observation });
    let ended = Ended {
        task: crate::work::TaskId { run: "r".into(), number: 0 },
        token: 1,
        profile: "run".into(),
        payload: "good".into(),
        outcome: AttemptOutcome::Done,
        has_result: true,
        failed_before: false,
        at: T0,
    };
    assert!(!observe(store, evident(&ended).unwrap()).await.counted);
}

pub(super) async fn tasks_leave_room_for_others<S: LearningStore + WorkStore>(store: &S) {
    let others = limits::PATTERNS_BEFORE_TASKS_SHARE - 1;
    let batch = (0..others).map(|number| of(&format!("p{number}"), 0, 0)).collect();
    store.observe("alice".into(), batch, RULE).await.unwrap();
    submit(store, "r", "alice", &["one", "two", "three"]).await;
    for task in claim(store, "alice", T0).await {
        complete(store, &task).await;
    }
    assert_eq!(store.learn_from_tasks(lesson, RULE).await.unwrap().lost, 0);
    let known = all(store, "alice").await;
    let known: Vec<_> = known.iter().filter(|one| one.title.starts_with("run")).collect();
    let titles: Vec<_> = known.iter().map(|one| (one.title.as_str(), one.seen.successes)).collect();
    assert_eq!(titles, [("run one", 1), ("run", 2)]);
}
