//! Random graphs with random mishaps, against a model that is a list.
//!
//! Workers crash, servers die, leases run out, finishers come late, the clock jumps. What the store answers to each step must be
//! what the model says; in the end every task is over, after what it depends on, and what was acknowledged was so once.

use std::collections::BTreeMap;
use std::path::Path;

use aqe_core::work::rank::rank;
use aqe_core::work::retry::{self, Failure, Tried, Verdict};
use aqe_core::work::{Dependency, On, Priority, TaskState};
use aqe_store::limits::LEASE_MAX_MS;
use aqe_store::suite::work::{T0, Work};
use aqe_store::work::{Beat, Claim, Claimed, FailureReport, Fenced, Finish, NewTask, Submission};
use aqe_store::{SqliteOptions, SqliteStore, WorkStore as _};
use proptest::prelude::*;

const LEASE: i64 = 10_000;

/// A task as it should be.
#[derive(Debug)]
struct Model {
    dependents: Vec<(usize, On)>,
    needs: Vec<(usize, On)>,
    priority: Priority,
    max_attempts: u32,
    state: TaskState,
    pending: usize,
    rank: i64,
    due: i64,
    attempts: u32,
    lost: u32,
    given_back: u32,
    lease_until: i64,
    server: usize,
    /// How its attempts ended.
    ends: BTreeMap<u64, Failure>,
    acknowledged: u32,
}

impl Model {
    fn tried(&self) -> Tried {
        let Self { attempts, lost, given_back, max_attempts, .. } = *self;
        Tried { attempts, lost, given_back, max_attempts, cancel_wanted: false }
    }
}

/// A fixed sequence of numbers by its seed (a linear congruential generator), so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound.max(1)
    }

    /// Milliseconds, fewer than so many.
    fn span(&mut self, bound: usize) -> i64 {
        i64::try_from(self.below(bound)).unwrap()
    }
}

/// An attempt with the server whose it is.
struct Held {
    task: usize,
    claimed: Claimed,
}

struct World<'a> {
    work: Work<'a>,
    tasks: Vec<Model>,
    random: Random,
    now: i64,
    /// Attempts whose workers live.
    held: Vec<Held>,
    /// Attempts whose workers are not heard of, though they may yet finish.
    silent: Vec<Held>,
    /// Generation of each of two servers.
    servers: [u32; 2],
}

fn graph(random: &mut Random, size: usize, edges: usize) -> (Vec<NewTask>, Vec<Model>) {
    let mut tasks: Vec<NewTask> = Vec::with_capacity(size);
    let mut models: Vec<Model> = Vec::with_capacity(size);
    for number in 0..size {
        let mut needs: Vec<(usize, On)> = Vec::new();
        for _ in 0..random.below(edges + 1).min(number) {
            // Near ones more often, so that there are long chains.
            let near = random.below(2) == 0;
            let need = if near { number - 1 - random.below(number.min(8)) } else { random.below(number) };
            if needs.iter().all(|&(other, _)| other != need) {
                needs.push((need, if random.below(3) == 0 { On::Done } else { On::Success }));
            }
        }
        for &(need, on) in &needs {
            models[need].dependents.push((number, on));
        }
        let priority = Priority::new(u8::try_from(random.below(10)).unwrap()).unwrap();
        let max_attempts = 1 + u32::try_from(random.below(3)).unwrap();
        let keys = needs.iter().map(|&(need, on)| Dependency { key: need.to_string(), on });
        tasks.push(NewTask {
            needs: keys.collect(),
            priority,
            max_attempts,
            ..NewTask::new(number.to_string(), "p", "{}")
        });
        models.push(Model {
            dependents: Vec::new(),
            pending: needs.len(),
            state: if needs.is_empty() { TaskState::Ready } else { TaskState::Blocked },
            needs,
            priority,
            max_attempts,
            rank: rank(T0, priority),
            due: 0,
            attempts: 0,
            lost: 0,
            given_back: 0,
            lease_until: 0,
            server: 0,
            ends: BTreeMap::new(),
            acknowledged: 0,
        });
    }
    (tasks, models)
}

impl World<'_> {
    fn is_over(&self) -> bool {
        self.tasks.iter().all(|task| task.state.is_over())
    }

    fn server(&self, which: usize) -> String {
        format!("s{which}-{}", self.servers[which])
    }

    /// A task is over, with what follows.
    fn end(&mut self, task: usize, state: TaskState) {
        let mut over = vec![(task, state)];
        while let Some((task, state)) = over.pop() {
            self.tasks[task].state = state;
            for (dependent, on) in self.tasks[task].dependents.clone() {
                let now = self.now;
                let dependent_task = &mut self.tasks[dependent];
                if on == On::Success && state != TaskState::Done {
                    if dependent_task.state == TaskState::Blocked {
                        dependent_task.state = TaskState::Skipped;
                        over.push((dependent, TaskState::Skipped));
                    }
                    continue;
                }
                dependent_task.pending -= 1;
                if dependent_task.pending == 0 && dependent_task.state == TaskState::Blocked {
                    dependent_task.state = TaskState::Ready;
                    dependent_task.rank = rank(now, dependent_task.priority);
                }
            }
        }
    }

    /// What the model says to the end of an attempt; `None`: it ended well.
    fn expect_end(&mut self, held: &Held, failure: Option<Failure>, seed: u64) -> Finish {
        let now = self.now;
        let task = &mut self.tasks[held.task];
        if u64::from(task.attempts) != held.claimed.token {
            return Finish::Refused(Fenced::Superseded { token: u64::from(task.attempts) });
        }
        if task.state != TaskState::Running {
            let repeated = failure.is_some() && task.ends.get(&held.claimed.token).copied() == failure;
            let state = task.state;
            return if repeated {
                Finish::Repeated { state }
            } else {
                Finish::Refused(Fenced::NotRunning { state })
            };
        }
        let (state, retry_at) = match failure {
            None => {
                task.acknowledged += 1;
                (TaskState::Done, None)
            }
            Some(failure) => {
                task.ends.insert(held.claimed.token, failure);
                task.given_back += u32::from(failure == Failure::GivenBack);
                match retry::verdict(failure, task.tried(), seed) {
                    Verdict::Requeue => {
                        task.state = TaskState::Ready;
                        task.rank = rank(now, task.priority);
                        return Finish::Accepted { state: TaskState::Ready, retry_at: None, run_over: false };
                    }
                    Verdict::Failed => (TaskState::Failed, None),
                    Verdict::Dead => (TaskState::Dead, None),
                    Verdict::Retry { after_ms } => (TaskState::Retrying, Some(now + after_ms)),
                    verdict @ Verdict::Cancelled => panic!("{verdict:?}"),
                }
            }
        };
        if let Some(at) = retry_at {
            task.state = state;
            task.due = at;
        } else {
            self.end(held.task, state);
        }
        Finish::Accepted { state, retry_at, run_over: self.is_over() }
    }

    async fn finish(&mut self, held: Held) {
        let failure = match self.random.below(10) {
            0 => Some(Failure::Transient),
            1 => Some(Failure::ExitCode),
            2 if self.random.below(3) == 0 => Some(Failure::Permanent),
            3 => Some(Failure::GivenBack),
            _ => None,
        };
        let seed = self.random.below(1_000) as u64;
        let expected = self.expect_end(&held, failure, seed);
        let answer = match failure {
            None => self.work.complete(&held.claimed, self.now).await,
            Some(failure) => {
                let report = FailureReport {
                    task: held.claimed.task.clone(),
                    token: held.claimed.token,
                    failure,
                    error: "mishap".into(),
                    result: None,
                    evidence: None,
                    seed,
                    now: self.now,
                };
                self.work.store.fail(report).await.unwrap()
            }
        };
        assert_eq!(answer, expected, "task {} token {}", held.task, held.claimed.token);
    }

    async fn claim(&mut self, most: u32) {
        let now = self.now;
        let which = self.random.below(2);
        let claim = Claim { server: self.server(which), ..Work::wish(most, now) };
        let claimed = self.work.store.claim(claim).await.unwrap();
        for task in &mut self.tasks {
            if task.state == TaskState::Retrying && task.due <= now {
                task.state = TaskState::Ready;
                task.rank = rank(task.due, task.priority);
            }
        }
        let mut ready: Vec<(i64, usize)> = (self.tasks.iter().enumerate())
            .filter(|(_, task)| task.state == TaskState::Ready)
            .map(|(number, task)| (task.rank, number))
            .collect();
        ready.sort_unstable();
        ready.truncate(most as usize);
        assert_eq!(
            claimed.iter().map(|claimed| claimed.task.number as usize).collect::<Vec<_>>(),
            ready.iter().map(|&(_, number)| number).collect::<Vec<_>>()
        );
        for claimed in claimed {
            let number = claimed.task.number as usize;
            for &(need, on) in &self.tasks[number].needs {
                let state = self.tasks[need].state;
                assert!(if on == On::Success { state == TaskState::Done } else { state.is_over() });
            }
            let task = &mut self.tasks[number];
            task.state = TaskState::Running;
            task.attempts += 1;
            task.lease_until = now + LEASE;
            task.server = which;
            assert_eq!(claimed.token, u64::from(task.attempts));
            self.held.push(Held { task: number, claimed });
        }
    }

    /// The model gives up running tasks; answers with what the store should say.
    fn lose(&mut self, is_lost: impl Fn(&Model) -> bool) -> BTreeMap<usize, TaskState> {
        let mut lost = BTreeMap::new();
        for number in 0..self.tasks.len() {
            let task = &mut self.tasks[number];
            if task.state != TaskState::Running || !is_lost(task) {
                continue;
            }
            task.lost += 1;
            task.ends.insert(u64::from(task.attempts), Failure::Lost);
            match retry::verdict(Failure::Lost, task.tried(), 0) {
                Verdict::Requeue => {
                    task.state = TaskState::Ready;
                    task.rank = rank(self.now, task.priority);
                    lost.insert(number, TaskState::Ready);
                }
                Verdict::Dead => {
                    self.end(number, TaskState::Dead);
                    lost.insert(number, TaskState::Dead);
                }
                other => panic!("{other:?}"),
            }
        }
        lost
    }

    async fn sweep(&mut self) {
        let now = self.now;
        let expected = self.lose(|task| task.lease_until <= now || task.lease_until > now + LEASE_MAX_MS);
        let mut given_up = BTreeMap::new();
        loop {
            let some = self.work.store.sweep(now).await.unwrap();
            if some.is_empty() {
                break;
            }
            given_up.extend(some.into_iter().map(|one| (one.task.number as usize, one.state)));
        }
        assert_eq!(given_up, expected);
    }

    async fn kill_server(&mut self) {
        let which = self.random.below(2);
        let expected = self.lose(|task| task.server == which);
        let given_up = self.work.store.abandon(self.server(which), self.now).await.unwrap();
        let given_up = given_up.into_iter().map(|one| (one.task.number as usize, one.state));
        assert_eq!(given_up.collect::<BTreeMap<_, _>>(), expected);
        self.servers[which] += 1;
    }

    async fn beat(&mut self) {
        for place in 0..self.held.len().min(20) {
            let Held { task, claimed } = &self.held[place];
            let model = &mut self.tasks[*task];
            let is_holder = model.state == TaskState::Running && u64::from(model.attempts) == claimed.token;
            match self.work.beat(claimed, None, self.now).await {
                Beat::Extended { lease_until, .. } => {
                    assert!(is_holder);
                    model.lease_until = lease_until;
                }
                Beat::Lost(_) => assert!(!is_holder),
            }
        }
    }

    async fn step(&mut self, most: u32) {
        match self.random.below(100) {
            0..25 => {
                let most = 1 + u32::try_from(self.random.below(most as usize)).unwrap();
                self.claim(most).await;
            }
            25..75 if !self.held.is_empty() => {
                for _ in 0..=self.random.below(most as usize).min(self.held.len() - 1) {
                    let held = self.held.swap_remove(self.random.below(self.held.len()));
                    self.finish(held).await;
                }
            }
            75..80 if !self.held.is_empty() => {
                let held = self.held.swap_remove(self.random.below(self.held.len()));
                self.silent.push(held);
            }
            80..85 if !self.silent.is_empty() => {
                let held = self.silent.swap_remove(self.random.below(self.silent.len()));
                self.finish(held).await;
            }
            85..88 => self.beat().await,
            88..96 => {
                self.now += self.random.span(4_000);
                self.sweep().await;
            }
            96 => self.now += 600_000,
            97 if self.random.below(50) == 0 => self.now -= self.random.span(8_000_000),
            98 => self.kill_server().await,
            _ => self.now += 1,
        }
    }

    async fn compare(&self) {
        let states: Vec<_> = self.tasks.iter().map(|task| task.state).collect();
        assert_eq!(self.work.states("r").await, states);
    }
}

/// Durability is not in question here: in memory, where there is such a place.
fn quick() -> (tempfile::TempDir, SqliteStore) {
    let memory = Path::new("/dev/shm");
    let directory = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let directory = directory.unwrap();
    let store = SqliteStore::open(&directory.path().join("store.db"), &SqliteOptions::default()).unwrap();
    (directory, store)
}

async fn live_through(seed: u64, size: usize, edges: usize, most: u32, compare_each: usize) {
    let (_directory, store) = quick();
    let mut random = Random(seed);
    let (tasks, models) = graph(&mut random, size, edges);
    let work = Work::new(&store).await;
    store.submit(Submission { now: T0, ..Work::submission("r", tasks) }).await.unwrap();
    let mut world =
        World { work, tasks: models, random, now: T0, held: Vec::new(), silent: Vec::new(), servers: [0; 2] };
    for step in 1.. {
        world.step(most).await;
        if step % compare_each == 0 {
            world.compare().await;
        }
        if world.is_over() {
            break;
        }
        assert!(
            step < 100 * size + 10_000,
            "it comes to no end: {:?}",
            store.counts(None, None, world.now).await
        );
    }
    world.compare().await;
    for held in std::mem::take(&mut world.silent) {
        world.finish(held).await;
    }
    for (number, task) in world.tasks.iter().enumerate() {
        assert_eq!(task.acknowledged, u32::from(task.state == TaskState::Done), "task {number}");
    }
    let run = store.run(None, "r".into()).await.unwrap().unwrap();
    assert_eq!((run.open, run.done + run.failed + run.cancelled), (0, size as u64));
    assert!(run.ended.is_some());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn any_graph_with_any_mishaps_ends_in_order_with_each_effect_once(
        seed in any::<u64>(), size in 1..80_usize, edges in 0..5_usize, most in 1..8_u32,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(live_through(seed, size, edges, most, 20));
    }
}

#[tokio::test]
async fn ten_thousand_tasks_with_mishaps_end_in_order_with_each_effect_once() {
    live_through(20_261_122, 10_000, 3, 200, 400).await;
}
