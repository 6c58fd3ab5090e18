//! Short words for the promises.

use aqe_core::work::{Dependency, Failure, On, TaskState};

use crate::UnixMillis;
use crate::contract::WorkStore;
use crate::work::{
    Beat, Claim, Claimed, Completion, FailureReport, Finish, Fleet, Heartbeat, NewTask, Policy, Slots,
    Submission, Submitted, Task, TaskDetail, TaskId, TaskQuery,
};

/// A moment in 2026, so that nothing is near zero.
pub const T0: UnixMillis = 1_790_000_000_000;

/// A store with one fleet of one principal.
#[derive(Debug, Clone, Copy)]
pub struct Work<'a> {
    /// The store.
    pub store: &'a dyn WorkStore,
}

/// A fleet of `alice`.
pub(super) fn fleet(max_running: u32) -> Fleet {
    Fleet {
        id: "fleet-1".into(),
        principal: "alice".into(),
        name: "main".into(),
        settings: "{}".into(),
        max_running,
        created: T0,
    }
}

/// A task of profile `p`, after others that must succeed.
pub(super) fn task(key: &str, needs: &[&str]) -> NewTask {
    let needs = needs.iter().map(|&key| Dependency { key: key.into(), on: On::Success });
    NewTask { needs: needs.collect(), ..NewTask::new(key, "p", format!("{{\"do\":\"{key}\"}}")) }
}

/// What is dropped without an answer is no end.
pub(super) fn accepted(finish: Finish) -> TaskState {
    match finish {
        Finish::Accepted { state, .. } => state,
        other => panic!("not accepted: {other:?}"),
    }
}

impl<'a> Work<'a> {
    /// A fleet without a bound that matters.
    pub async fn new(store: &'a dyn WorkStore) -> Self {
        Self::of(store, 10_000).await
    }

    /// A fleet that runs so many at a time.
    pub async fn of(store: &'a dyn WorkStore, max_running: u32) -> Self {
        store.create_fleet(fleet(max_running)).await.unwrap();
        Self { store }
    }

    /// What is submitted as `run` at T0.
    pub fn submission(run: &str, tasks: Vec<NewTask>) -> Submission {
        Submission {
            run: run.into(),
            principal: "alice".into(),
            fleet: "fleet-1".into(),
            tasks,
            policy: Policy::Continue,
            idempotency_key: None,
            deadline: None,
            now: T0,
        }
    }

    /// Submits it.
    pub async fn submit(&self, run: &str, tasks: Vec<NewTask>) -> Submitted {
        self.store.submit(Self::submission(run, tasks)).await.unwrap()
    }

    /// A claim of tasks of profile `p`.
    pub fn wish(most: u32, now: UnixMillis) -> Claim {
        Claim {
            fleet: "fleet-1".into(),
            slots: vec![Slots { profile: "p".into(), free: most }],
            most,
            worker: "w".into(),
            server: "s".into(),
            lease_ms: 10_000,
            now,
        }
    }

    /// Claims tasks of profile `p`.
    pub async fn claim(&self, most: u32, now: UnixMillis) -> Vec<Claimed> {
        self.store.claim(Self::wish(most, now)).await.unwrap()
    }

    /// Claims the one task that is there to be had.
    pub async fn one(&self, now: UnixMillis) -> Claimed {
        let mut claimed = self.claim(2, now).await;
        assert_eq!(claimed.len(), 1, "{claimed:?}");
        claimed.remove(0)
    }

    /// Ends an attempt well.
    pub async fn complete(&self, claimed: &Claimed, now: UnixMillis) -> Finish {
        let (task, token) = (claimed.task.clone(), claimed.token);
        let result = Some("{\"ok\":true}".into());
        self.store.complete(Completion { task, token, result, evidence: None, now }).await.unwrap()
    }

    /// Ends an attempt otherwise.
    pub async fn fail(&self, claimed: &Claimed, failure: Failure, now: UnixMillis) -> Finish {
        let (task, token) = (claimed.task.clone(), claimed.token);
        let error = format!("it was {}", failure.as_str());
        let report =
            FailureReport { task, token, failure, error, result: None, evidence: None, seed: 7, now };
        self.store.fail(report).await.unwrap()
    }

    /// Says that it is at it.
    pub async fn beat(&self, claimed: &Claimed, progress: Option<&str>, now: UnixMillis) -> Beat {
        let (task, token) = (claimed.task.clone(), claimed.token);
        let progress = progress.map(str::to_owned);
        self.store.heartbeat(Heartbeat { task, token, lease_ms: 10_000, progress, now }).await.unwrap()
    }

    /// All that is known of a task.
    pub async fn detail(&self, run: &str, number: u32) -> TaskDetail {
        self.store.task(None, TaskId { run: run.into(), number }).await.unwrap().expect("the task is there")
    }

    /// How a task is.
    pub async fn state(&self, run: &str, number: u32) -> TaskState {
        self.detail(run, number).await.task.state
    }

    /// All tasks of a run, in the order of their numbers.
    pub async fn tasks(&self, run: &str) -> Vec<Task> {
        let mut tasks = Vec::new();
        let mut from = None;
        loop {
            let query = TaskQuery { run: Some(run.into()), from, most: 1_000, ..TaskQuery::default() };
            let page = self.store.tasks(query).await.unwrap();
            tasks.extend(page.items);
            from = page.next;
            if from.is_none() {
                return tasks;
            }
        }
    }

    /// The states of all tasks of a run, in the order of their numbers.
    pub async fn states(&self, run: &str) -> Vec<TaskState> {
        self.tasks(run).await.into_iter().map(|task| task.state).collect()
    }
}
