//! What is taken in, and in which order it is taken out.

use std::collections::HashSet;

use aqe_core::work::TaskState::{Done, Failed, Skipped};
use aqe_core::work::rank::AGEING_STEP_MS;
use aqe_core::work::{Dependency, Failure, GraphError, On, Priority, TaskState};

use super::words::{T0, Work, task};
use crate::StoreError;
use crate::contract::WorkStore;
use crate::work::{Claim, NewTask, Slots, Submission};

/// Of a submission with a fault nothing is there.
pub async fn a_submission_is_taken_whole_or_not_at_all(store: &dyn WorkStore) {
    let work = Work::new(store).await;
    let circle = vec![task("a", &["b"]), task("b", &["a"]), task("c", &[])];
    let error = store.submit(Work::submission("r1", circle)).await.unwrap_err();
    assert!(matches!(error, StoreError::Graph(GraphError::Cycle { .. })), "{error}");
    let elsewhere = Submission { fleet: "fleet-2".into(), ..Work::submission("r2", vec![task("a", &[])]) };
    assert_eq!(store.submit(elsewhere).await, Err(StoreError::NotFound { what: "fleet" }));
    let anothers = Submission { principal: "bob".into(), ..Work::submission("r3", vec![task("a", &[])]) };
    assert_eq!(store.submit(anothers).await, Err(StoreError::NotFound { what: "fleet" }));
    let long = NewTask { payload: "x".repeat(70_000), ..task("b", &[]) };
    let error = store.submit(Work::submission("r4", vec![task("a", &[]), long])).await.unwrap_err();
    assert!(matches!(error, StoreError::Limit { .. }), "{error}");
    for run in ["r1", "r2", "r3", "r4"] {
        assert_eq!(store.run(None, run.into()).await.unwrap(), None);
        assert_eq!(work.tasks(run).await, []);
    }
    assert_eq!(work.claim(9, T0).await, []);
    // An id that is taken is no new run.
    work.submit("r5", vec![task("a", &[])]).await;
    let taken = store.submit(Work::submission("r5", vec![task("b", &[]), task("c", &[])])).await;
    assert_eq!(taken, Err(StoreError::Taken { what: "run" }));
    assert_eq!(work.tasks("r5").await.len(), 1);
}

/// A repeated submission is answered with the first one's run.
pub async fn a_key_that_is_submitted_twice_is_one_run(store: &dyn WorkStore) {
    let work = Work::new(store).await;
    let keyed = |run: &str, payload: &str| {
        let tasks = vec![NewTask { payload: payload.into(), ..task("a", &[]) }];
        Submission { idempotency_key: Some("k".into()), ..Work::submission(run, tasks) }
    };
    let first = store.submit(keyed("r1", "1")).await.unwrap();
    assert!(first.is_new && first.is_same && first.run == "r1");
    let again = store.submit(keyed("r2", "1")).await.unwrap();
    assert!(!again.is_new && again.is_same && again.run == "r1" && again.tasks == 1, "{again:?}");
    let other = store.submit(keyed("r3", "2")).await.unwrap();
    assert!(!other.is_new && !other.is_same && other.run == "r1", "{other:?}");
    assert_eq!(work.claim(9, T0).await.len(), 1);
}

/// Dependencies are over, and as they must be, before a task is to be had.
pub async fn a_task_begins_after_what_it_depends_on(store: &dyn WorkStore) {
    let work = Work::new(store).await;
    let any = NewTask { needs: vec![Dependency { key: "b".into(), on: On::Done }], ..task("clean up", &[]) };
    work.submit("r", vec![task("d", &["b", "c"]), task("b", &["a"]), task("c", &["a"]), task("a", &[]), any])
        .await;
    assert_eq!(work.detail("r", 0).await.task.pending, 2);
    let a = work.one(T0).await;
    assert_eq!((a.key.as_str(), a.payload.as_str(), a.token), ("a", "{\"do\":\"a\"}", 1));
    work.complete(&a, T0 + 1).await;
    let both = work.claim(9, T0 + 2).await;
    assert_eq!(both.iter().map(|claimed| claimed.key.as_str()).collect::<Vec<_>>(), ["b", "c"]);
    work.complete(&both[1], T0 + 3).await;
    assert_eq!(work.claim(9, T0 + 3).await, []);
    work.fail(&both[0], Failure::Permanent, T0 + 4).await;
    let clean_up = work.one(T0 + 5).await;
    assert_eq!(clean_up.key, "clean up");
    work.complete(&clean_up, T0 + 6).await;
    assert_eq!(work.states("r").await, [Skipped, Failed, Done, Done, Done]);
    let run = store.run(None, "r".into()).await.unwrap().unwrap();
    assert_eq!((run.done, run.failed, run.cancelled, run.open, run.ended), (3, 1, 1, 0, Some(T0 + 6)));
}

/// That goes on through any number of tasks.
pub async fn what_depends_on_a_success_that_does_not_come_never_begins(store: &dyn WorkStore) {
    let work = Work::new(store).await;
    let last = NewTask { needs: vec![Dependency { key: "c".into(), on: On::Done }], ..task("last", &[]) };
    work.submit("r", vec![task("a", &[]), task("b", &["a"]), task("c", &["a", "b"]), last]).await;
    let a = work.one(T0).await;
    work.fail(&a, Failure::Permanent, T0).await;
    let last = work.one(T0).await;
    assert_eq!(last.key, "last", "what never begins is over, too");
    work.complete(&last, T0).await;
    assert_eq!(work.states("r").await, [Failed, Skipped, Skipped, Done]);
}

/// Of its profiles, and no more of each than it says.
pub async fn a_claim_gets_what_it_has_room_for(store: &dyn WorkStore) {
    let work = Work::new(store).await;
    let of = |profile: &str, key: &str| NewTask { profile: profile.into(), ..task(key, &[]) };
    let tasks = ["p1", "p2", "p3", "q1", "q2", "x1"];
    work.submit("r", tasks.iter().map(|key| of(&key[..1], key)).collect()).await;
    let slots = |slots: &[(&str, u32)]| {
        slots.iter().map(|&(profile, free)| Slots { profile: profile.into(), free }).collect()
    };
    let claim = |most, pairs: &[(&str, u32)]| Claim { slots: slots(pairs), ..Work::wish(most, T0) };
    let keys = |claimed: Vec<crate::work::Claimed>| claimed.into_iter().map(|c| c.key).collect::<Vec<_>>();
    assert_eq!(keys(store.claim(claim(9, &[("p", 2), ("q", 0), ("y", 9)])).await.unwrap()), ["p1", "p2"]);
    assert_eq!(keys(store.claim(claim(2, &[("p", 9), ("q", 9)])).await.unwrap()), ["p3", "q1"]);
    let elsewhere = Claim { fleet: "fleet-2".into(), ..claim(9, &[("q", 9)]) };
    assert_eq!(keys(store.claim(elsewhere).await.unwrap()), [""; 0]);
    assert_eq!(keys(store.claim(claim(9, &[("q", 1), ("q", 1), ("x", 1)])).await.unwrap()), ["q2", "x1"]);
}

/// Whoever claims.
pub async fn a_fleet_runs_no_more_than_it_may(store: &dyn WorkStore) {
    let work = Work::of(store, 3).await;
    work.submit("r", (0..9).map(|n| task(&n.to_string(), &[])).collect()).await;
    assert_eq!(work.claim(2, T0).await.len(), 2);
    let last = work.claim(9, T0).await;
    assert_eq!(last.len(), 1);
    assert_eq!(work.claim(9, T0).await, []);
    work.complete(&last[0], T0).await;
    assert_eq!(work.claim(9, T0).await.len(), 1);
}

/// Priorities, the oldest first among equals, and ageing.
pub async fn the_more_urgent_comes_first_and_none_starves(store: &dyn WorkStore) {
    let work = Work::new(store).await;
    let of = |key: &str, priority| NewTask { priority: Priority::new(priority).unwrap(), ..task(key, &[]) };
    work.submit("r", vec![of("low", 0), of("middle 1", 5), of("middle 2", 5), of("high", 9)]).await;
    for key in ["high", "middle 1"] {
        assert_eq!(work.claim(1, T0).await[0].key, key);
    }
    // From now on there is always something most urgent.
    let mut claimed = Vec::new();
    for minute in 0..20 {
        let now = T0 + minute * AGEING_STEP_MS + 1;
        let fresh = Submission {
            now,
            ..Work::submission(&format!("f{minute}"), vec![of("fresh", 9), of("fresh 2", 9)])
        };
        store.submit(fresh).await.unwrap();
        claimed.extend(work.claim(2, now).await.into_iter().map(|claimed| (claimed.key, minute)));
    }
    let when = |key: &str| claimed.iter().find(|(claimed, _)| claimed == key).map(|(_, minute)| *minute);
    assert!(when("middle 2").is_some_and(|minute| (3..=5).contains(&minute)), "{:?}", when("middle 2"));
    assert!(when("low").is_some_and(|minute| (8..=10).contains(&minute)), "{:?}", when("low"));
}

/// A task is not to be had before, and is after.
pub async fn a_task_waits_for_its_time(store: &dyn WorkStore) {
    let work = Work::new(store).await;
    let at = |key: &str, needs: &[&str], run_at| NewTask { run_at: Some(run_at), ..task(key, needs) };
    work.submit(
        "r",
        vec![at("later", &[], T0 + 100), at("after", &["later"], T0 + 300), at("past", &[], T0)],
    )
    .await;
    assert_eq!(work.state("r", 0).await, TaskState::Scheduled);
    let past = work.one(T0 + 99).await;
    assert_eq!(past.key, "past");
    assert_eq!(store.wake_at().await.unwrap(), Some(T0 + 100));
    work.complete(&past, T0 + 99).await;
    let later = work.one(T0 + 100).await;
    work.complete(&later, T0 + 200).await;
    assert_eq!(work.state("r", 1).await, TaskState::Scheduled);
    assert_eq!(work.claim(9, T0 + 299).await, []);
    assert_eq!(work.one(T0 + 300).await.key, "after");
}

/// However many claim.
pub async fn claims_at_the_same_time_get_different_tasks(store: &dyn WorkStore) {
    let work = Work::new(store).await;
    work.submit("r", (0..200).map(|n| task(&n.to_string(), &[])).collect()).await;
    let four =
        || async { tokio::join!(work.claim(7, T0), work.claim(7, T0), work.claim(7, T0), work.claim(7, T0)) };
    let mut seen = HashSet::new();
    loop {
        let (a, b, c, d) = four().await;
        let claimed: Vec<_> = [a, b, c, d].concat();
        if claimed.is_empty() {
            break;
        }
        for one in claimed {
            assert!(seen.insert(one.task.clone()), "{} twice", one.task);
        }
    }
    assert_eq!(seen.len(), 200);
}
