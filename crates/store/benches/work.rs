//! What durable work costs: taking tasks in, and leasing and ending them, each answer on disk.
//!
//! `cargo bench -p aqe-store --bench work`; the file is where `TMPDIR` says.

// A benchmark may stop at once when what it needs cannot be made.
#![allow(clippy::expect_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aqe_store::work::{Claim, Completion, Finish, Fleet, NewTask, Policy, Slots, Submission};
use aqe_store::{SqliteOptions, SqliteStore, WorkStore as _};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

const NOW: i64 = 1_790_000_000_000;
/// Tasks of a submission.
const RUN: usize = 1_000;
/// So many times as many tasks wait in one store: a principal may have no more than 100,000 that are open.
const RUNS_OF_STORE: u64 = 64;
/// Submissions of one task that are under way at the same time.
const SUBMITTERS: usize = 128;
/// Workers' hosts, and tasks that each of them runs at a time.
const HOSTS: usize = 4;
const SLOTS: u32 = 64;

/// Numbers of runs.
static RUNS: AtomicU64 = AtomicU64::new(0);

fn submission(tasks: usize) -> Submission {
    let payload = format!("{{\"arguments\":\"{}\"}}", "x".repeat(100));
    Submission {
        run: format!("run-{}", RUNS.fetch_add(1, Ordering::Relaxed)),
        principal: "p".into(),
        fleet: "fleet".into(),
        tasks: (0..tasks).map(|n| NewTask::new(n.to_string(), "command", payload.clone())).collect(),
        policy: Policy::Continue,
        idempotency_key: None,
        deadline: None,
        now: NOW,
    }
}

/// A store with a fleet, in a folder that goes with it.
fn store(runtime: &Runtime) -> (tempfile::TempDir, Arc<SqliteStore>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store =
        SqliteStore::open(&folder.path().join("store.db"), &SqliteOptions::default()).expect("a store");
    let fleet = Fleet {
        id: "fleet".into(),
        principal: "p".into(),
        name: "fleet".into(),
        settings: "{}".into(),
        max_running: 100_000,
        created: NOW,
    };
    runtime.block_on(store.create_fleet(fleet)).expect("a fleet");
    (folder, Arc::new(store))
}

async fn submit_each(store: &Arc<SqliteStore>, runs: usize) {
    let mut under_way = JoinSet::new();
    for _ in 0..runs {
        if under_way.len() >= SUBMITTERS {
            under_way.join_next().await;
        }
        let store = Arc::clone(store);
        under_way.spawn(async move { store.submit(submission(1)).await.expect("taken in") });
    }
    under_way.join_all().await;
}

/// How long so many runs take, in stores that are as empty.
fn timed(runtime: &Runtime, runs: u64, submit: impl Fn(&Arc<SqliteStore>, u64)) -> Duration {
    let rest = std::iter::once(runs % RUNS_OF_STORE).filter(|&rest| rest > 0);
    let all = (0..runs / RUNS_OF_STORE).map(|_| RUNS_OF_STORE).chain(rest);
    all.map(|runs| {
        let (_folder, queue) = store(runtime);
        let began = Instant::now();
        submit(&queue, runs);
        began.elapsed()
    })
    .sum()
}

/// What one host does until there is nothing left: claims, and ends what it has claimed.
async fn work_off(store: Arc<SqliteStore>) -> u64 {
    let mut done = 0;
    loop {
        let claim = Claim {
            fleet: "fleet".into(),
            slots: vec![Slots { profile: "command".into(), free: SLOTS }],
            most: SLOTS,
            worker: "worker".into(),
            server: "server".into(),
            lease_ms: 30_000,
            now: NOW,
        };
        let claimed = store.claim(claim).await.expect("an answer");
        if claimed.is_empty() {
            return done;
        }
        let mut ends = JoinSet::new();
        for one in claimed {
            let store = Arc::clone(&store);
            let result = Some("{\"exit_code\":0}".to_owned());
            let end = Completion { task: one.task, token: one.token, result, evidence: None, now: NOW + 1 };
            ends.spawn(async move { store.complete(end).await.expect("an answer") });
        }
        let ends = ends.join_all().await;
        assert!(ends.iter().all(|end| matches!(end, Finish::Accepted { .. })));
        done += ends.len() as u64;
    }
}

fn work(c: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let mut group = c.benchmark_group("work");
    group.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));

    let (_folder, queue) = store(&runtime);
    group.throughput(Throughput::Elements(RUN as u64));
    group.bench_function(BenchmarkId::new("enqueue_one_run", RUN), |b| {
        b.iter_custom(|runs| {
            timed(&runtime, runs, |queue, runs| {
                for _ in 0..runs {
                    runtime.block_on(queue.submit(submission(RUN))).expect("taken in");
                }
            })
        });
    });
    group.bench_function(BenchmarkId::new("enqueue_runs_of_one", SUBMITTERS), |b| {
        b.iter_custom(|rounds| {
            timed(&runtime, rounds, |queue, rounds| {
                runtime.block_on(submit_each(queue, rounds as usize * RUN));
            })
        });
    });
    group.bench_function(BenchmarkId::new("claim_and_complete", HOSTS * SLOTS as usize), |b| {
        b.iter_custom(|runs| {
            for _ in 0..runs {
                runtime.block_on(queue.submit(submission(RUN))).expect("taken in");
            }
            let began = Instant::now();
            let hosts: JoinSet<u64> =
                (0..HOSTS).map(|_| work_off(Arc::clone(&queue))).fold(JoinSet::new(), |mut hosts, host| {
                    hosts.spawn_on(host, runtime.handle());
                    hosts
                });
            let done: u64 = runtime.block_on(hosts.join_all()).into_iter().sum();
            let took = began.elapsed();
            assert_eq!(done, runs * RUN as u64);
            took
        });
    });
    group.finish();
}

criterion_group!(benches, work);
criterion_main!(benches);
