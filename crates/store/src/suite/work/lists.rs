//! What others than workers are told, fleets, and what goes.

use aqe_core::work::{Failure, On, TaskState};

use super::words::{T0, Work, fleet, task};
use crate::StoreError;
use crate::contract::WorkStore;
use crate::work::{
    AttemptOutcome, Counts, EventKind, EventQuery, Fleet, FleetRemoved, NewTask, Pruned, Retention, RunQuery,
    Submission, TaskQuery,
};

/// Also while something changes.
pub async fn lists_come_in_pages_that_miss_and_repeat_nothing(store: &dyn WorkStore) {
    let work = Work::new(store).await;
    for run in 0..5 {
        work.submit(&format!("r{run}"), (0..11).map(|n| task(&n.to_string(), &[])).collect()).await;
    }
    let mut keys = Vec::new();
    let mut query = TaskQuery { run: Some("r2".into()), most: 4, ..TaskQuery::default() };
    loop {
        let page = store.tasks(query.clone()).await.unwrap();
        keys.extend(page.items.into_iter().map(|task| task.id.number));
        work.claim(1, T0).await;
        let Some(next) = page.next else { break };
        query.from = Some(next);
    }
    assert_eq!(keys, (0..11).collect::<Vec<_>>());

    let mut seen = Vec::new();
    let mut query = TaskQuery { fleet: Some("fleet-1".into()), most: 7, ..TaskQuery::default() };
    loop {
        let page = store.tasks(query.clone()).await.unwrap();
        seen.extend(page.items.into_iter().map(|task| task.id));
        let Some(next) = page.next else { break };
        query.from = Some(next);
    }
    assert_eq!((seen.len(), seen[0].run.as_str(), seen[54].run.as_str()), (55, "r4", "r0"), "newest first");
    let states = vec![TaskState::Running, TaskState::Done];
    let running = store.tasks(TaskQuery { states, most: 100, ..TaskQuery::default() }).await.unwrap().items;
    assert_eq!(running.len(), 3);
    let nowhere = TaskQuery { fleet: Some("none".into()), most: 9, ..TaskQuery::default() };
    assert!(store.tasks(nowhere).await.unwrap().items.is_empty());

    let mut runs = Vec::new();
    let mut query = RunQuery { most: 2, ..RunQuery::default() };
    loop {
        let page = store.runs(query.clone()).await.unwrap();
        runs.extend(page.items.into_iter().map(|run| run.id));
        let Some(next) = page.next else { break };
        query.before = Some(next);
    }
    assert_eq!(runs, ["r4", "r3", "r2", "r1", "r0"]);

    let mut events = Vec::new();
    let mut query = EventQuery { scope: None, run: None, after: 0, most: 3 };
    loop {
        let page = store.events(query.clone()).await.unwrap();
        events.extend(page.items);
        let Some(next) = page.next else { break };
        query.after = next;
    }
    assert!(events.windows(2).all(|pair| pair[0].place < pair[1].place));
    assert_eq!(events.len(), 5 + 3);
}

/// From its submission to its end.
pub async fn a_task_tells_its_story(store: &dyn WorkStore) {
    let work = Work::new(store).await;
    let b = NewTask { max_attempts: 2, timeout_ms: Some(900), ..task("b", &["a"]) };
    work.submit("r", vec![task("a", &[]), b]).await;
    let a = work.one(T0 + 1).await;
    work.complete(&a, T0 + 2).await;
    let b = work.one(T0 + 3).await;
    assert_eq!(b.timeout_ms, Some(900));
    let crate::work::Finish::Accepted { retry_at: Some(at), .. } =
        work.fail(&b, Failure::ExitCode, T0 + 4).await
    else {
        panic!("it is tried again")
    };
    let b = work.one(at).await;
    work.beat(&b, Some("half"), at + 1).await;
    work.complete(&b, at + 2).await;
    let detail = work.detail("r", 1).await;
    assert_eq!((detail.needs[0].key.as_str(), detail.needs[0].on), ("a", On::Success));
    assert_eq!(detail.payload, "{\"do\":\"b\"}");
    let [first, second] = &detail.attempts[..] else { panic!("{:?}", detail.attempts) };
    assert_eq!((first.token, first.started, first.ended), (1, T0 + 3, T0 + 4));
    assert_eq!(first.outcome, AttemptOutcome::Failed(Failure::ExitCode));
    assert_eq!(first.error.as_deref(), Some("it was exit_code"));
    assert_eq!((second.outcome, second.result.as_deref()), (AttemptOutcome::Done, Some("{\"ok\":true}")));
    let kinds: Vec<_> = detail.events.iter().map(|event| event.kind).collect();
    let [claimed, retrying] = [EventKind::Claimed, EventKind::Retrying];
    assert_eq!(kinds, [claimed, retrying, claimed, EventKind::Done]);
    let task = detail.task;
    assert_eq!((task.progress.as_deref(), task.ended, task.attempts), (Some("half"), Some(at + 2), 2));
    assert_eq!((task.lease_until, task.due, task.worker.as_deref()), (None, None, Some("w")));
}

/// By state, with the age of what waits longest.
pub async fn counts_are_of_what_is_there(store: &dyn WorkStore) {
    let work = Work::new(store).await;
    let later = NewTask { run_at: Some(T0 + 5_000), ..task("later", &[]) };
    let tried = NewTask { max_attempts: 2, ..task("c", &[]) };
    work.submit("r", vec![task("a", &[]), task("b", &["a"]), tried, task("d", &[]), later, task("e", &[])])
        .await;
    let two = work.claim(2, T0).await;
    let [a, c] = &two[..] else { panic!("two") };
    work.fail(c, Failure::Transient, T0).await;
    let mut counts =
        Counts { blocked: 1, scheduled: 1, ready: 2, running: 1, retrying: 1, ..Counts::default() };
    counts.oldest_ready_ms = Some(70);
    for (scope, of) in [(None, None), (Some("alice"), Some("fleet-1")), (None, Some("fleet-1"))] {
        let asked = store.counts(scope.map(str::to_owned), of.map(str::to_owned), T0 + 70);
        assert_eq!(asked.await, Ok(counts));
    }
    work.fail(a, Failure::Permanent, T0).await;
    let counts = store.counts(None, None, T0).await.unwrap();
    assert_eq!((counts.failed, counts.skipped, counts.blocked, counts.running), (1, 1, 0, 0));
    assert_eq!(store.counts(None, Some("none".into()), T0).await, Ok(Counts::default()));
}

/// A name is one fleet, and nothing is lost by asking again.
pub async fn fleets_are_made_once_changed_and_removed(store: &dyn WorkStore) {
    let work = Work::new(store).await;
    let again = store.create_fleet(Fleet { id: "fleet-9".into(), max_running: 1, ..fleet(1) }).await.unwrap();
    assert!(!again.is_new && again.fleet == fleet(10_000), "{again:?}");
    let anothers = Fleet { id: "fleet-2".into(), principal: "bob".into(), ..fleet(1) };
    assert!(store.create_fleet(anothers.clone()).await.unwrap().is_new);
    let changed = Fleet { settings: "{\"a\":1}".into(), ..fleet(1) };
    assert_eq!(store.update_fleet(changed.clone()).await, Ok(Some(changed.clone())));
    assert_eq!(store.update_fleet(Fleet { principal: "bob".into(), ..changed.clone() }).await, Ok(None));
    assert_eq!(store.fleets(None).await, Ok(vec![changed.clone(), anothers.clone()]));
    let elsewhere = Fleet { name: "elsewhere".into(), ..changed };
    assert_eq!(store.create_fleet(elsewhere).await, Err(StoreError::Taken { what: "fleet" }));
    let swap = |id: &str, from: &str| store.swap_settings(id.into(), from.into(), "{\"a\":2}".into());
    let (first, second) = tokio::join!(swap("fleet-1", "{\"a\":1}"), swap("fleet-1", "{\"a\":1}"));
    assert_eq!([first, second].map(Result::unwrap).into_iter().filter(|is_swapped| *is_swapped).count(), 1);
    assert_eq!(swap("fleet-7", "{}").await, Ok(false));
    assert_eq!(store.fleets(None).await.unwrap()[0].settings, "{\"a\":2}");
    assert_eq!(store.fleets(Some("bob".into())).await, Ok(vec![anothers]));

    work.submit("r", vec![task("a", &[])]).await;
    let remove = |scope: Option<&str>| store.remove_fleet(scope.map(str::to_owned), "fleet-1".into());
    assert_eq!(remove(Some("bob")).await, Ok(FleetRemoved::Absent));
    assert_eq!(remove(None).await, Ok(FleetRemoved::Busy { open: 1 }));
    let a = work.one(T0).await;
    work.complete(&a, T0).await;
    assert_eq!(remove(Some("alice")).await, Ok(FleetRemoved::Removed));
    assert_eq!(remove(None).await, Ok(FleetRemoved::Absent));
    assert_eq!(store.run(None, "r".into()).await, Ok(None));
    assert!(store.create_fleet(Fleet { id: "fleet-3".into(), ..fleet(1) }).await.unwrap().is_new);
    while store.prune(Retention { ended_before: None, keep: None }).await.unwrap().is_more {}
    assert_eq!(store.fleets(None).await.unwrap().len(), 2);
}

/// By age and by number, with all that belongs to them; their keys are free again.
pub async fn runs_that_are_over_go_and_others_stay(store: &dyn WorkStore) {
    let work = Work::new(store).await;
    for run in 0..6_i64 {
        let tasks = (0..700).map(|n| task(&n.to_string(), if n == 0 { &[] } else { &["0"] })).collect();
        let submission = Work::submission(&format!("r{run}"), tasks);
        store.submit(Submission { idempotency_key: Some(format!("k{run}")), ..submission }).await.unwrap();
        if run < 5 {
            // The rest never begins.
            let first = work.one(T0).await;
            work.fail(&first, Failure::Permanent, T0 + run).await;
        }
    }
    let left = || async {
        let page = store.runs(RunQuery { most: 9, ..RunQuery::default() }).await.unwrap();
        page.items.into_iter().map(|run| run.id).collect::<Vec<_>>()
    };
    let none = Retention { ended_before: None, keep: None };
    assert_eq!(store.prune(none).await, Ok(Pruned::default()));
    let mut removed = store.prune(Retention { ended_before: Some(T0 + 2), ..none }).await.unwrap();
    assert!(removed.is_more, "one call takes a bounded time: {removed:?}");
    assert_eq!(left().await, ["r5", "r4", "r3", "r2"], "half removed is not seen");
    while removed.is_more {
        let more = store.prune(none).await.unwrap();
        removed = Pruned { runs: removed.runs + more.runs, tasks: removed.tasks + more.tasks, ..more };
    }
    assert_eq!((removed.runs, removed.tasks), (2, 1_400));
    while store.prune(Retention { keep: Some(1), ..none }).await.unwrap().is_more {}
    assert_eq!(left().await, ["r5", "r4"]);
    let again =
        Submission { idempotency_key: Some("k0".into()), ..Work::submission("again", vec![task("a", &[])]) };
    assert!(store.submit(again).await.unwrap().is_new);
    let events = store.events(EventQuery { scope: None, run: None, after: 0, most: 1_000 }).await.unwrap();
    assert!(events.items.iter().all(|event| ["r5", "r4", "again"].contains(&event.run.as_str())));
    let counts = store.counts(None, None, T0).await.unwrap();
    assert_eq!((counts.blocked, counts.ready, counts.skipped, counts.failed), (699, 2, 699, 1));
}
