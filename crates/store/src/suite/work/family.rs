//! Tasks that submit tasks.

use aqe_core::work::TaskState::{Cancelled, Running};
use aqe_core::work::{Failure, TaskState};

use super::words::{T0, Work, accepted, task};
use crate::StoreError;
use crate::contract::WorkStore;
use crate::limits::PARENTS_MAX;
use crate::work::{Cancel, Children, ChildrenAdded, Claimed, Fenced, Finish, NewTask, Target, TaskId};

async fn add(work: &Work<'_>, parent: &Claimed, tasks: Vec<NewTask>) -> Result<ChildrenAdded, StoreError> {
    let (task, token) = (parent.task.clone(), parent.token);
    work.store.submit_children(Children { parent: task, token, tasks, now: T0 }).await
}

fn id(number: u32) -> TaskId {
    TaskId { run: "r".into(), number }
}

/// What depends on the parent waits for them, too.
pub async fn a_parent_is_over_when_its_children_are(store: &dyn WorkStore) {
    let work = Work::new(store).await;
    work.submit("r", vec![task("parent", &[]), task("next", &["parent"])]).await;
    let parent = work.one(T0).await;
    let added = add(&work, &parent, vec![task("parent", &[]), task("b", &["parent"])]).await;
    assert_eq!(added, Ok(ChildrenAdded::Added(vec![id(2), id(3)])), "keys of their own");
    assert_eq!(accepted(work.complete(&parent, T0 + 1).await), TaskState::Waiting);
    assert_eq!(work.complete(&parent, T0 + 1).await, Finish::Repeated { state: TaskState::Waiting });
    let too_late = ChildrenAdded::Refused(Fenced::NotRunning { state: TaskState::Waiting });
    assert_eq!(add(&work, &parent, vec![task("c", &[])]).await, Ok(too_late));
    for (number, key) in [(2, "parent"), (3, "b")] {
        let child = work.one(T0 + 2).await;
        assert_eq!((&child.task, child.key.as_str()), (&id(number), key));
        assert_eq!(work.detail("r", number).await.task.parent, Some(id(0)));
        work.complete(&child, T0 + 3).await;
    }
    assert_eq!(work.state("r", 0).await, TaskState::Done);
    let next = work.one(T0 + 4).await;
    let finish = work.complete(&next, T0 + 5).await;
    assert!(matches!(finish, Finish::Accepted { run_over: true, .. }));
    assert_eq!(store.run(None, "r".into()).await.unwrap().unwrap().tasks, 4);
}

/// Whether they fail before its own work is done, or after.
pub async fn children_that_fail_fail_their_parent_unless_it_says_otherwise(store: &dyn WorkStore) {
    for (run, children_may_fail, parent_first) in
        [("r1", false, false), ("r2", false, true), ("r3", true, false), ("r4", true, true)]
    {
        let work = Work::new(store).await;
        work.submit(run, vec![NewTask { children_may_fail, ..task("parent", &[]) }]).await;
        let parent = work.one(T0).await;
        add(&work, &parent, vec![task("child", &[])]).await.unwrap();
        let child = work.one(T0).await;
        if parent_first {
            assert_eq!(accepted(work.complete(&parent, T0).await), TaskState::Waiting);
            work.fail(&child, Failure::Permanent, T0).await;
        } else {
            work.fail(&child, Failure::Permanent, T0).await;
            work.complete(&parent, T0).await;
        }
        let expected = if children_may_fail { TaskState::Done } else { TaskState::Failed };
        assert_eq!(work.state(run, 0).await, expected, "{run}");
        assert!(store.run(None, run.into()).await.unwrap().unwrap().ended.is_some());
    }
}

/// The tasks that its earlier attempt has submitted are not submitted again.
pub async fn a_parent_tried_again_finds_its_children(store: &dyn WorkStore) {
    let work = Work::new(store).await;
    work.submit("r", vec![NewTask { max_attempts: 2, ..task("parent", &[]) }]).await;
    let first = work.one(T0).await;
    let children = || vec![task("a", &[]), task("b", &[])];
    add(&work, &first, children()).await.unwrap();
    store.sweep(T0 + 60_000).await.unwrap();
    let refused = add(&work, &first, vec![task("c", &[])]).await.unwrap();
    assert!(matches!(refused, ChildrenAdded::Refused(_)), "{refused:?}");
    let claimed = work.claim(9, T0 + 60_000).await;
    let second = claimed.iter().find(|claimed| claimed.task == id(0)).expect("the parent again");
    assert_eq!(add(&work, second, children()).await, Ok(ChildrenAdded::Existing(vec![id(1), id(2)])));
    let mixed = add(&work, second, vec![task("a", &[]), task("c", &[])]).await.unwrap();
    assert_eq!(mixed, ChildrenAdded::Mixed { key: "a".into() });
    assert_eq!(work.tasks("r").await.len(), 3);
}

/// A failed or cancelled parent leaves nobody behind; and families are bounded.
pub async fn a_parents_end_ends_its_children(store: &dyn WorkStore) {
    let work = Work::new(store).await;
    work.submit("r", vec![task("parent", &[])]).await;
    let parent = work.one(T0).await;
    add(&work, &parent, vec![task("a", &[]), task("b", &[]), task("c", &["b"])]).await.unwrap();
    let a = work.claim(1, T0).await.remove(0);
    add(&work, &a, vec![task("grandchild", &[])]).await.unwrap();
    let cancel = Cancel { scope: None, target: Target::Task(id(0)), reason: "enough".into(), now: T0 + 1 };
    let cancelled = store.cancel(cancel).await.unwrap().unwrap();
    assert_eq!((cancelled.at_once, cancelled.wished), (3, vec![id(0), id(1)]));
    let states = [Running, Running, Cancelled, Cancelled, Cancelled];
    assert_eq!(work.states("r").await, states);
    work.fail(&a, Failure::Cancelled, T0 + 2).await;
    let last = work.fail(&parent, Failure::Cancelled, T0 + 3).await;
    assert_eq!(last, Finish::Accepted { state: Cancelled, retry_at: None, run_over: true });

    work.submit("deep", vec![task("0", &[])]).await;
    let mut depth = 0;
    let error = loop {
        let parent = work.one(T0).await;
        match add(&work, &parent, vec![task("child", &[])]).await {
            Ok(_) => depth += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Limit { .. }), "{error}");
    assert_eq!(depth, PARENTS_MAX);
}
