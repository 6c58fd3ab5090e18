//! Failures, cancels, deadlines.

use aqe_core::work::{Failure, TaskState};

use super::words::{T0, Work, accepted, task};
use crate::contract::WorkStore;
use crate::work::{
    AttemptOutcome, Beat, Cancel, Cancelled, Finish, NewTask, Policy, Submission, Target, TaskId,
};

fn tried(key: &str, max_attempts: u32) -> NewTask {
    NewTask { max_attempts, ..task(key, &[]) }
}

fn cancel(scope: Option<&str>, target: Target, now: i64) -> Cancel {
    Cancel { scope: scope.map(str::to_owned), target, reason: "enough".into(), now }
}

fn one(run: &str, number: u32) -> Target {
    Target::Task(TaskId { run: run.into(), number })
}

/// After a back-off, as often as there may be attempts; what no attempt mends, never.
pub async fn failures_are_tried_again_by_their_kind(store: &dyn WorkStore) {
    let work = Work::new(store).await;
    work.submit("r", vec![tried("a", 3)]).await;
    let mut now = T0;
    for (failure, least) in [(Failure::Transient, 250), (Failure::Timeout, 5_000)] {
        let claimed = work.one(now).await;
        let Finish::Accepted { state, retry_at: Some(retry_at), run_over } =
            work.fail(&claimed, failure, now).await
        else {
            panic!("it is tried again")
        };
        assert_eq!((state, run_over), (TaskState::Retrying, false));
        assert!(retry_at >= now + least, "{}", retry_at - now);
        assert_eq!(store.wake_at().await, Ok(Some(retry_at)));
        assert_eq!(work.claim(9, retry_at - 1).await, []);
        now = retry_at;
    }
    let last = work.one(now).await;
    assert_eq!(last.token, 3);
    let dead = Finish::Accepted { state: TaskState::Dead, retry_at: None, run_over: true };
    assert_eq!(work.fail(&last, Failure::ExitCode, now).await, dead);
    let detail = work.detail("r", 0).await;
    let outcomes: Vec<_> = detail.attempts.iter().map(|attempt| attempt.outcome).collect();
    let expected = [Failure::Transient, Failure::Timeout, Failure::ExitCode].map(AttemptOutcome::Failed);
    assert_eq!(outcomes, expected);
    assert_eq!(detail.task.error.as_deref(), Some("it was exit_code"));

    work.submit("s", vec![tried("a", 3)]).await;
    let claimed = work.one(T0).await;
    assert_eq!(accepted(work.fail(&claimed, Failure::Permanent, T0).await), TaskState::Failed);
}

/// Whoever runs it is told, and what it says then is taken as it is.
pub async fn a_ready_task_is_cancelled_at_once_and_a_running_one_when_it_agrees(store: &dyn WorkStore) {
    let work = Work::new(store).await;
    work.submit("r", vec![tried("a", 3), tried("b", 3), tried("c", 3), tried("d", 3), task("e", &["c"])])
        .await;
    let running = work.claim(3, T0).await;
    let at_once = store.cancel(cancel(None, one("r", 3), T0 + 1)).await.unwrap().unwrap();
    assert_eq!(at_once, Cancelled { at_once: 1, wished: Vec::new() });
    for claimed in &running {
        let wish = store.cancel(cancel(Some("alice"), Target::Task(claimed.task.clone()), T0 + 2));
        assert_eq!(
            wish.await.unwrap().unwrap(),
            Cancelled { at_once: 0, wished: vec![claimed.task.clone()] }
        );
        let beat = work.beat(claimed, None, T0 + 3).await;
        assert!(
            matches!(&beat, Beat::Extended { cancel_wanted: Some(why), .. } if why == "enough"),
            "{beat:?}"
        );
    }
    assert_eq!(accepted(work.fail(&running[0], Failure::Cancelled, T0 + 4).await), TaskState::Cancelled);
    assert_eq!(accepted(work.fail(&running[1], Failure::Transient, T0 + 4).await), TaskState::Cancelled);
    assert_eq!(accepted(work.complete(&running[2], T0 + 4).await), TaskState::Done, "it was quicker");
    let last = work.one(T0 + 5).await;
    let over = store.cancel(cancel(None, one("r", 0), T0 + 5)).await.unwrap().unwrap();
    assert_eq!(over, Cancelled::default(), "over already");
    // One whose worker is gone is cancelled when that is noticed.
    store.cancel(cancel(None, Target::Task(last.task.clone()), T0 + 6)).await.unwrap();
    assert_eq!(store.abandon("s".into(), T0 + 7).await.unwrap()[0].state, TaskState::Cancelled);
    assert!(store.run(None, "r".into()).await.unwrap().unwrap().ended.is_some());
}

/// Neither by a guess nor by a list.
pub async fn nobody_cancels_or_sees_what_is_anothers(store: &dyn WorkStore) {
    let work = Work::new(store).await;
    work.submit("r", vec![task("a", &[])]).await;
    let bob = || Some("bob".to_owned());
    for target in [Target::Run("r".into()), one("r", 0), one("r", 9), Target::Run("q".into())] {
        assert_eq!(store.cancel(cancel(Some("bob"), target, T0)).await, Ok(None));
    }
    assert_eq!(store.run(bob(), "r".into()).await, Ok(None));
    assert_eq!(store.task(bob(), TaskId { run: "r".into(), number: 0 }).await, Ok(None));
    let query = crate::work::TaskQuery { scope: bob(), most: 9, ..crate::work::TaskQuery::default() };
    assert!(store.tasks(query).await.unwrap().items.is_empty());
    let query = crate::work::EventQuery { scope: bob(), run: Some("r".into()), after: 0, most: 9 };
    assert!(store.events(query).await.unwrap().items.is_empty());
    assert_eq!(store.counts(bob(), None, T0).await, Ok(crate::work::Counts::default()));
    assert_eq!(store.fleets(bob()).await, Ok(Vec::new()));
    assert_eq!(work.state("r", 0).await, TaskState::Ready);
    assert!(store.run(Some("alice".into()), "r".into()).await.unwrap().is_some());
}

/// What runs is to stop. With the other policy the rest goes on.
pub async fn a_run_that_fails_fast_begins_nothing_more(store: &dyn WorkStore) {
    use TaskState::{Cancelled, Failed, Ready, Running};
    let work = Work::new(store).await;
    let tasks = || vec![task("a", &[]), task("b", &[]), task("c", &[]), task("d", &["b"])];
    let fast = Submission { policy: Policy::FailFast, ..Work::submission("fast", tasks()) };
    store.submit(fast).await.unwrap();
    let two = work.claim(2, T0).await;
    work.fail(&two[0], Failure::Permanent, T0 + 1).await;
    assert_eq!(work.states("fast").await, [Failed, Running, Cancelled, Cancelled]);
    let beat = work.beat(&two[1], None, T0 + 2).await;
    assert!(matches!(beat, Beat::Extended { cancel_wanted: Some(_), .. }));
    let finish = work.fail(&two[1], Failure::Cancelled, T0 + 3).await;
    assert!(matches!(finish, Finish::Accepted { run_over: true, .. }), "{finish:?}");

    work.submit("slow", tasks()).await;
    let two = work.claim(2, T0).await;
    work.fail(&two[0], Failure::Permanent, T0 + 1).await;
    assert_eq!(work.states("slow").await, [Failed, Running, Ready, TaskState::Blocked]);
}

/// As if somebody had cancelled it then.
pub async fn a_run_ends_by_its_deadline(store: &dyn WorkStore) {
    let work = Work::new(store).await;
    let tasks = vec![task("a", &[]), task("b", &[]), task("c", &["a"])];
    store.submit(Submission { deadline: Some(T0 + 500), ..Work::submission("r", tasks) }).await.unwrap();
    let a = work.claim(1, T0).await.remove(0);
    assert_eq!(store.wake_at().await, Ok(Some(T0 + 500)));
    store.sweep(T0 + 499).await.unwrap();
    assert_eq!(work.state("r", 1).await, TaskState::Ready);
    store.sweep(T0 + 500).await.unwrap();
    assert_eq!(work.states("r").await, [TaskState::Running, TaskState::Cancelled, TaskState::Cancelled]);
    assert!(matches!(work.beat(&a, None, T0 + 501).await, Beat::Extended { cancel_wanted: Some(_), .. }));
    work.fail(&a, Failure::Cancelled, T0 + 502).await;
    assert_eq!(store.run(None, "r".into()).await.unwrap().unwrap().ended, Some(T0 + 502));
}
