//! Leases, fencing, and what becomes of workers that are not heard of.

use aqe_core::work::{Failure, TaskState};

use super::words::{T0, Work, accepted, task};
use crate::contract::WorkStore;
use crate::limits::LEASE_MAX_MS;
use crate::work::{Beat, Claim, Completion, EventKind, Fenced, Finish, NewTask, TaskId};

fn twice(key: &str) -> NewTask {
    NewTask { max_attempts: 2, ..task(key, &[]) }
}

/// Whoever holds an older token than the last changes nothing.
pub async fn a_late_finisher_is_refused(store: &dyn WorkStore) {
    let work = Work::new(store).await;
    work.submit("r", vec![twice("a")]).await;
    let first = work.one(T0).await;
    store.sweep(T0 + 10_000).await.unwrap();
    let not_running = Fenced::NotRunning { state: TaskState::Ready };
    assert_eq!(work.complete(&first, T0 + 10_001).await, Finish::Refused(not_running));
    assert_eq!(work.beat(&first, Some("half"), T0 + 10_001).await, Beat::Lost(not_running));
    let second = work.one(T0 + 10_002).await;
    assert_eq!((first.token, second.token), (1, 2));
    let superseded = Fenced::Superseded { token: 2 };
    assert_eq!(work.complete(&first, T0 + 10_003).await, Finish::Refused(superseded));
    assert_eq!(
        work.fail(&first, aqe_core::work::Failure::Permanent, T0 + 10_003).await,
        Finish::Refused(superseded)
    );
    assert_eq!(work.beat(&first, Some("half"), T0 + 10_003).await, Beat::Lost(superseded));
    assert_eq!(work.detail("r", 0).await.task.progress, None);
    assert_eq!(accepted(work.complete(&second, T0 + 10_004).await), TaskState::Done);
    let nothing = Completion {
        task: TaskId { run: "r".into(), number: 1 },
        token: 1,
        result: None,
        evidence: None,
        now: T0,
    };
    assert_eq!(store.complete(nothing).await, Ok(Finish::Refused(Fenced::Unknown)));
    assert_eq!(work.detail("r", 0).await.attempts.len(), 2);
}

/// The first answer may have been lost.
pub async fn the_same_end_said_twice_is_kept_once(store: &dyn WorkStore) {
    let work = Work::new(store).await;
    work.submit("r", vec![twice("a"), task("b", &["a"])]).await;
    let a = work.one(T0).await;
    let failure = aqe_core::work::Failure::Transient;
    let Finish::Accepted { retry_at: Some(retry_at), .. } = work.fail(&a, failure, T0 + 1).await else {
        panic!("it is tried again")
    };
    assert_eq!(work.fail(&a, failure, T0 + 2).await, Finish::Repeated { state: TaskState::Retrying });
    let not_running = Fenced::NotRunning { state: TaskState::Retrying };
    assert_eq!(work.complete(&a, T0 + 2).await, Finish::Refused(not_running), "another end");
    let a = work.one(retry_at).await;
    work.complete(&a, retry_at).await;
    assert_eq!(work.complete(&a, retry_at + 1).await, Finish::Repeated { state: TaskState::Done });
    let b = work.one(retry_at).await;
    assert_eq!(
        work.complete(&b, retry_at).await,
        Finish::Accepted { state: TaskState::Done, retry_at: None, run_over: true }
    );
}

/// With what is said of progress.
pub async fn a_heartbeat_extends_the_lease(store: &dyn WorkStore) {
    let work = Work::new(store).await;
    work.submit("r", vec![task("a", &[])]).await;
    let a = work.one(T0).await;
    assert_eq!(a.lease_until, T0 + 10_000);
    let extended = |lease_until| Beat::Extended { lease_until, cancel_wanted: None };
    assert_eq!(work.beat(&a, Some("half"), T0 + 8_000).await, extended(T0 + 18_000));
    assert_eq!(store.sweep(T0 + 17_999).await, Ok(Vec::new()));
    assert_eq!(work.beat(&a, None, T0 + 19_000).await, extended(T0 + 29_000), "nobody has noticed");
    let task = work.detail("r", 0).await.task;
    assert_eq!((task.progress.as_deref(), task.lease_until), (Some("half"), Some(T0 + 29_000)));
    let long = work.store.claim(Claim { lease_ms: i64::MAX, ..Work::wish(1, T0) });
    assert_eq!(long.await, Ok(Vec::new()));
    assert_eq!(
        accepted(work.complete(&a, T0 + 30_000).await),
        TaskState::Done,
        "late, but nobody has noticed"
    );
}

/// For another attempt at once, and not for ever.
pub async fn a_lease_that_ran_out_is_requeued(store: &dyn WorkStore) {
    let work = Work::new(store).await;
    work.submit("r", vec![task("a", &[]), task("b", &["a"])]).await;
    let first = work.one(T0).await;
    assert_eq!(store.sweep(T0 + 9_999).await, Ok(Vec::new()));
    let requeued = store.sweep(T0 + 10_000).await.unwrap();
    assert_eq!(requeued.len(), 1);
    let (task, token, worker) = (&requeued[0].task, requeued[0].token, requeued[0].worker.as_str());
    assert_eq!((task, token, worker, requeued[0].state), (&first.task, 1, "w", TaskState::Ready));
    assert_eq!(store.sweep(T0 + 10_000).await, Ok(Vec::new()));
    // The first is for free; a task that loses its worker each time comes to an end.
    work.one(T0 + 10_000).await;
    let requeued = store.sweep(T0 + 30_000).await.unwrap();
    assert_eq!(requeued[0].state, TaskState::Dead);
    assert_eq!(work.states("r").await, [TaskState::Dead, TaskState::Skipped]);
}

/// Only its own.
pub async fn a_dead_servers_tasks_are_requeued_once(store: &dyn WorkStore) {
    let work = Work::new(store).await;
    work.submit("r", (0..6).map(|n| task(&n.to_string(), &[])).collect()).await;
    let dead = work.claim(3, T0).await;
    let alive = store.claim(Claim { server: "other".into(), ..Work::wish(2, T0) }).await.unwrap();
    let requeued = store.abandon("s".into(), T0 + 1).await.unwrap();
    assert_eq!(
        requeued.iter().map(|one| &one.task).collect::<Vec<_>>(),
        dead.iter().map(|one| &one.task).collect::<Vec<_>>()
    );
    assert!(requeued.iter().all(|one| one.state == TaskState::Ready));
    assert_eq!(store.abandon("s".into(), T0 + 1).await, Ok(Vec::new()));
    for one in &alive {
        assert_eq!(accepted(work.complete(one, T0 + 2).await), TaskState::Done);
    }
    let again = work.claim(9, T0 + 3).await;
    assert_eq!(again.len(), 4);
    for one in &dead {
        assert!(matches!(work.complete(one, T0 + 4).await, Finish::Refused(Fenced::Superseded { token: 2 })));
    }
    for one in &again {
        assert_eq!(accepted(work.complete(one, T0 + 4).await), TaskState::Done);
    }
}

/// Whoever tells that a worker has died, the first such loss costs the task no attempt, and the second does.
pub async fn a_loss_that_is_reported_counts_as_one_that_is_noticed(store: &dyn WorkStore) {
    let work = Work::new(store).await;
    work.submit("r", vec![task("a", &[])]).await;
    let first = work.one(T0).await;
    assert_eq!(accepted(work.fail(&first, Failure::Lost, T0 + 1).await), TaskState::Ready);
    let second = work.one(T0 + 2).await;
    assert_eq!(accepted(work.fail(&second, Failure::Lost, T0 + 3).await), TaskState::Dead);
}

/// However often a server stops in order, the task has as many attempts as before, and its story says what happened.
pub async fn an_attempt_that_is_given_back_costs_nothing(store: &dyn WorkStore) {
    let work = Work::new(store).await;
    work.submit("r", vec![task("a", &[])]).await;
    for round in 1..=5 {
        let claimed = work.one(T0 + round).await;
        assert_eq!(accepted(work.fail(&claimed, Failure::GivenBack, T0 + round).await), TaskState::Ready);
        let again = work.fail(&claimed, Failure::GivenBack, T0 + round).await;
        assert_eq!(again, Finish::Repeated { state: TaskState::Ready });
    }
    let lost = work.one(T0 + 10).await;
    assert_eq!(accepted(work.fail(&lost, Failure::Lost, T0 + 10).await), TaskState::Ready);
    let last = work.one(T0 + 11).await;
    assert_eq!(last.token, 7);
    assert_eq!(accepted(work.fail(&last, Failure::ExitCode, T0 + 11).await), TaskState::Dead);
    let events = work.detail("r", 0).await.events;
    let count = |kind| events.iter().filter(|event| event.kind == kind).count();
    assert_eq!((count(EventKind::GivenBack), count(EventKind::Requeued)), (5, 1));
}

/// A lease that ends later than any can is worth nothing.
pub async fn a_clock_that_is_set_back_keeps_no_task_for_ever(store: &dyn WorkStore) {
    let work = Work::new(store).await;
    work.submit("r", vec![twice("a")]).await;
    let ahead = T0 + 30 * 24 * 3_600_000;
    let first = work.one(ahead).await;
    let requeued = store.sweep(T0).await.unwrap();
    assert_eq!((requeued.len(), requeued[0].state), (1, TaskState::Ready));
    let second = work.one(T0 + 1).await;
    assert!(matches!(work.complete(&first, T0 + 2).await, Finish::Refused(_)));
    // A worker that is heard of has a lease by the clock as it is now.
    work.beat(&second, None, T0 - LEASE_MAX_MS / 2).await;
    assert_eq!(store.sweep(T0 - LEASE_MAX_MS / 2).await, Ok(Vec::new()));
    assert_eq!(accepted(work.complete(&second, T0).await), TaskState::Done);
}
