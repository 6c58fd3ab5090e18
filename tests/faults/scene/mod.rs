//! A gateway, an upstream with replicas, and a load: opened, broken by the test, closed.

mod footprint;
mod load;
mod replica;
mod report;
mod witness;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use aqe_testkit::client::{HttpSession, Message};
use aqe_testkit::process::{is_live, live_children, wait_until};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinSet;

use crate::support::{Era, Gateway, Over, Plan, Upstream};

use footprint::Footprint;
use load::Load;
pub(crate) use load::{Call, Ended, Kind};
pub(crate) use replica::Replica;
use report::Marks;
pub(crate) use report::Report;
use witness::Witness;

/// Calls a second, where the machine has time for four times as many.
const PER_SECOND: u32 = 500;
/// The share of what the machine can do now that a load takes, and the fewest calls a second that show anything.
const SHARE: f64 = 0.25;
const FEWEST: u32 = 50;
/// How long it is measured what the machine can do.
const MEASURED: Duration = Duration::from_millis(500);
/// Clients of each era.
const CLIENTS_OF_EACH_ERA: usize = 4;
/// Longest wait for anything that the gateway does by itself, unless the test has more patience.
const SETTLED_WITHIN: Duration = Duration::from_secs(15);
/// Longest wait for the end of every process.
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// Scenes at one time: a load takes a quarter of a small machine.
const AT_ONCE: u32 = 2;
static TURNS: Semaphore = Semaphore::const_new(AT_ONCE as usize);

/// What a scene is to be.
#[derive(Debug)]
pub(crate) struct Stage {
    replicas: Vec<Over>,
    clients: usize,
    alone: bool,
    /// `None`: as many as the machine has time for, up to [`PER_SECOND`].
    per_second: Option<u32>,
    deadline: Duration,
    balancer: String,
    pool: String,
    upstream: String,
    flags: Vec<&'static str>,
}

/// A running scene.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) gateway: Gateway,
    pub(crate) replicas: Vec<Replica>,
    deadline: Duration,
    /// Longest wait for anything that the gateway does by itself.
    pub(crate) patience: Duration,
    load: Option<Load>,
    /// How late the machine is by itself.
    pub(crate) witness: Arc<Witness>,
    before: Footprint,
    /// Every child that the gateway was seen to have.
    children: BTreeSet<u32>,
    _folder: TempDir,
    _turn: SemaphorePermit<'static>,
}

impl Stage {
    /// Three replicas reached like this, and 500 calls a second, or fewer where the machine is busy with other things. Health is judged faster than by default, to keep tests
    /// short.
    pub(crate) fn new(over: Over) -> Self {
        Self {
            replicas: vec![over; 3],
            clients: CLIENTS_OF_EACH_ERA,
            alone: false,
            per_second: None,
            deadline: Duration::from_secs(3),
            balancer: "health_check_interval_s = 1\nbackoff_min_ms = 300\nslow_start_ms = 500\n".to_owned(),
            pool: String::new(),
            upstream: String::new(),
            flags: Vec::new(),
        }
    }

    /// Just these replicas.
    pub(crate) fn replicas(self, replicas: Vec<Over>) -> Self {
        Self { replicas, ..self }
    }

    /// So many clients of each era.
    pub(crate) fn clients(self, of_each_era: usize) -> Self {
        Self { clients: of_each_era, ..self }
    }

    /// With no other scene beside it, for what it measures takes the whole machine.
    pub(crate) fn alone(self) -> Self {
        Self { alone: true, ..self }
    }

    /// So many calls a second, whatever the machine has time for.
    pub(crate) fn per_second(self, per_second: u32) -> Self {
        Self { per_second: Some(per_second), ..self }
    }

    /// Another deadline of the calls.
    pub(crate) fn deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// `[balancer]` holds just these lines.
    pub(crate) fn balancer(self, lines: &str) -> Self {
        Self { balancer: lines.to_owned(), ..self }
    }

    /// `[pool]` holds these lines.
    pub(crate) fn pool(self, lines: &str) -> Self {
        Self { pool: lines.to_owned(), ..self }
    }

    /// The upstream's table holds these lines as well.
    pub(crate) fn upstream(self, lines: &str) -> Self {
        Self { upstream: lines.to_owned(), ..self }
    }

    /// Each replica is started with these flags.
    pub(crate) fn flags(self, flags: &[&'static str]) -> Self {
        Self { flags: flags.to_vec(), ..self }
    }

    /// Waits for its turn, starts everything, and returns when the load runs.
    pub(crate) async fn open(self) -> Scene {
        let turn =
            TURNS.acquire_many(if self.alone { AT_ONCE } else { 1 }).await.expect("expected turns for ever");
        let folder = tempfile::tempdir().expect("expected a temporary folder");
        let mut replicas = Vec::new();
        for (at, over) in self.replicas.into_iter().enumerate() {
            replicas.push(Replica::new(over, at, folder.path(), &self.flags).await);
        }
        let entries: Vec<String> = replicas.iter().map(Replica::entry).collect();
        let mut table = format!("[[upstream]]\nname = \"up\"\nreplicas = [{}]\n", entries.join(", "));
        // Writing to a string cannot fail.
        let _ = writeln!(table, "request_timeout_ms = {}\n{}", self.deadline.as_millis(), self.upstream);
        let plan = Plan::new(Over::Http)
            .server("worker_threads = 2")
            .registry("start = \"eager\"\nprefix = \"never\"")
            .sections(&format!("[pool]\n{}[balancer]\n{}", self.pool, self.balancer))
            .upstream(Upstream::with_table(table));
        let gateway = Gateway::start(plan).await;
        let before = Footprint::of(gateway.pid());
        let mut scene = Scene {
            gateway,
            replicas,
            deadline: self.deadline,
            patience: SETTLED_WITHIN,
            load: None,
            witness: Arc::new(Witness::start()),
            before,
            children: BTreeSet::new(),
            _folder: folder,
            _turn: turn,
        };
        scene.reach_all().await;
        scene.settle().await;
        scene.before = Footprint::of(scene.gateway.pid());
        let sessions = scene.sessions(self.clients).await;
        let per_second = match self.per_second {
            Some(per_second) => per_second,
            None => affordable(&sessions).await,
        };
        scene.load = Some(Load::start(sessions, per_second, self.deadline));
        scene
    }
}

impl Scene {
    /// Clients of both eras.
    async fn sessions(&self, of_each_era: usize) -> Vec<HttpSession> {
        let mut sessions = Vec::new();
        for _ in 0..of_each_era {
            for era in [Era::Modern, Era::Legacy] {
                sessions.push(HttpSession::open(self.gateway.http(), era.revision()).await);
            }
        }
        sessions
    }

    /// `GET` of the admin API.
    pub(crate) async fn admin(&self, path: &str) -> Value {
        self.gateway.admin().get(path).await.json().await
    }

    /// `POST` to the admin API: the status and the answer.
    pub(crate) async fn change(&self, path: &str, change: &Value) -> (u16, Value) {
        let mut response = self.gateway.admin().at(path).post(&[], change.to_string().as_bytes()).await;
        (response.status, response.json().await)
    }

    /// The balancer's figures of the upstream.
    pub(crate) async fn balance(&self) -> Value {
        self.admin("/admin/balance").await["upstreams"][0].clone()
    }

    /// One figure of each replica.
    pub(crate) async fn figures(&self, name: &str) -> Vec<Value> {
        let balance = self.balance().await;
        let replicas = balance["replicas"].as_array().expect("expected replicas");
        replicas.iter().map(|replica| replica[name].clone()).collect()
    }

    /// Waits until the balancer's figures are as wanted.
    pub(crate) async fn until(&mut self, what: &str, mut wanted: impl FnMut(&Value) -> bool) {
        let start = tokio::time::Instant::now();
        loop {
            self.look_at_children();
            let balance = self.balance().await;
            if wanted(&balance) {
                return;
            }
            assert!(start.elapsed() < self.patience, "expected {what} in time, got {balance:#}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until every replica is in use, or just the others if `but` names one.
    pub(crate) async fn until_all_serve(&mut self) {
        self.until("every replica in use", |balance| {
            let mut replicas = balance["replicas"].as_array().into_iter().flatten();
            replicas.all(|replica| serves(replica) && replica["resting_ms"].is_null())
        })
        .await;
    }

    /// Waits until a replica is in use, or is not.
    pub(crate) async fn until_serves(&mut self, at: usize, wanted: bool) {
        let what = format!("r{at} {}", if wanted { "in use" } else { "out of use" });
        self.until(&what, |balance| serves(&balance["replicas"][at]) == wanted).await;
    }

    /// Lets the load run for a while.
    pub(crate) async fn play(&mut self, time: Duration) {
        let end = tokio::time::Instant::now() + time;
        while tokio::time::Instant::now() < end {
            self.look_at_children();
            tokio::time::sleep_until(end.min(tokio::time::Instant::now() + Duration::from_millis(100))).await;
        }
    }

    /// Calls that have ended so far.
    pub(crate) fn ended(&self) -> Vec<Call> {
        self.load.as_ref().expect("expected a running load").ended()
    }

    /// How many calls arrived at each replica since then, in microseconds of the epoch.
    pub(crate) fn arrived(&self, since_us: u64) -> Vec<usize> {
        let calls = |replica: &Replica| {
            let events = replica.events().into_iter();
            events.filter(|event| event.what == "tool" && event.at_us >= since_us).count()
        };
        self.replicas.iter().map(calls).collect()
    }

    /// Waits until every call has ended that was sent before.
    pub(crate) async fn until_ended_so_far(&self) {
        self.load.as_ref().expect("expected a running load").until_ended_so_far().await;
    }

    fn look_at_children(&mut self) {
        self.children.extend(live_children(self.gateway.pid()).iter().map(|child| child.pid));
    }

    /// Sends calls of both eras, one after the other, until each replica has taken some of each.
    async fn reach_all(&mut self) {
        let mut sessions = Vec::new();
        for era in [Era::Modern, Era::Legacy] {
            sessions.push(HttpSession::open(self.gateway.http(), era.revision()).await);
        }
        for session in sessions {
            let before = self.picks().await;
            let start = tokio::time::Instant::now();
            loop {
                for id in 0..10 {
                    session.request(&Message::call(id, "bare", "{}")).await;
                }
                let now = self.picks().await;
                if now.iter().zip(&before).all(|(now, before)| now > before) {
                    break;
                }
                assert!(start.elapsed() < SETTLED_WITHIN, "expected calls at every replica, got {now:?}");
            }
        }
    }

    async fn picks(&self) -> Vec<u64> {
        self.figures("picks").await.iter().map(|picks| picks.as_u64().unwrap_or_default()).collect()
    }

    /// Brings the gateway's connections to what they are without load: those that lie idle from a busier time are ended
    /// at the other side, and found out by a few calls.
    async fn settle(&mut self) {
        for replica in &self.replicas {
            replica.disconnect().await;
        }
        self.reach_all().await;
    }

    /// Ends the load, and demands what must hold of its calls and of what the gateway is left with. Everything must be
    /// mended.
    pub(crate) async fn close(mut self) -> Report {
        // The load helps to find out what is well again.
        self.until_all_serve().await;
        let report = self.end_load().await;
        self.close_quiet().await;
        report
    }

    /// As [`Scene::close`], when the load has ended.
    pub(crate) async fn close_quiet(mut self) {
        self.until_all_serve().await;
        // One after the other, calls reach all.
        assert_eq!(self.change("/admin/balance", &json!({ "strategy": "round-robin" })).await.0, 200);
        let start = tokio::time::Instant::now();
        loop {
            self.settle().await;
            let (before, now) = (&self.before, Footprint::of(self.gateway.pid()));
            if now.is_like(before) {
                break;
            }
            assert!(
                start.elapsed() < SETTLED_WITHIN,
                "expected nothing left behind: {before:?}, now {now:?}"
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        self.look_at_children();
        assert!(self.gateway.stop().await.success());
        self.assert_gone().await;
    }

    /// Ends the load alone.
    pub(crate) async fn end_load(&mut self) -> Report {
        let load = self.load.take().expect("expected a running load");
        let calls = load.stop(&self.witness).await;
        let (mut told, mut arrived) = (Marks::new(), Marks::new());
        for event in self.replicas.iter().flat_map(Replica::events).filter(|event| !event.mark.is_empty()) {
            let marks = if event.what == "told" { &mut told } else { &mut arrived };
            *marks.entry(event.mark).or_default() += 1;
        }
        Report::new(calls, told, arrived, self.deadline, Arc::clone(&self.witness))
    }

    /// Waits for the end of every child that the gateway was seen to have.
    pub(crate) async fn assert_gone(&self) {
        wait_until(GONE_WITHIN, "the end of every child", || {
            (!self.children.iter().any(|pid| is_live(*pid))).then_some(())
        })
        .await;
    }
}

/// How many calls a second take their share of what the machine can do now: a load that it cannot carry would show what
/// becomes of calls on an overloaded machine, and nothing of what fails.
async fn affordable(sessions: &[HttpSession]) -> u32 {
    let began = tokio::time::Instant::now();
    let mut clients = JoinSet::new();
    for session in sessions {
        let session = session.clone();
        clients.spawn(async move {
            let mut calls = 0_u32;
            while began.elapsed() < MEASURED {
                session.request(&Message::call(calls, "received", "{}")).await;
                calls += 1;
            }
            calls
        });
    }
    let calls: u32 = clients.join_all().await.iter().sum();
    let possible = f64::from(calls) / began.elapsed().as_secs_f64();
    let per_second = ((possible * SHARE) as u32).clamp(FEWEST, PER_SECOND);
    if per_second < PER_SECOND {
        eprintln!("{per_second} calls a second: the machine has time for {possible:.0}");
    }
    per_second
}

/// Whether a replica's figures say that it is in use.
fn serves(replica: &Value) -> bool {
    matches!(replica["state"].as_str(), Some("closed" | "slow-start"))
}
