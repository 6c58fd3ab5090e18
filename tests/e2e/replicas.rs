//! Several replicas of one upstream under a steady load, while some of them fail: reliability.md F1 and F3.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aqe_testkit::client::{HttpSession, Message};
use aqe_testkit::process::{signal as kill, wait_until};
use rustix::process::Signal;

use crate::support::{Era, Gateway, Over, Plan, Upstream};

/// Clients that each send one call after the other.
const CLIENTS: usize = 8;

/// What became of the calls of a load.
#[derive(Debug, Default)]
struct Load {
    /// Read-only calls, and those among them that failed.
    asked: AtomicUsize,
    failed: Mutex<Vec<String>>,
    /// Calls that must not be made twice.
    told: AtomicUsize,
    wrong: AtomicUsize,
    over: AtomicBool,
}

impl Load {
    /// Calls until told to stop: read-only ones, each with a text of its own that must come back, and now and then
    /// one that must not be made twice.
    async fn run(self: Arc<Self>, session: HttpSession, client: usize) {
        let mut id = 0;
        while !self.over.load(Ordering::Relaxed) {
            id += 1;
            let mark = format!("{client}-{id}");
            let asks = Message::call(id, "received", &format!(r#"{{"mark":"{mark}"}}"#));
            let answer = session.request(&asks).await;
            self.asked.fetch_add(1, Ordering::Relaxed);
            if answer.is_error() {
                self.failed.lock().unwrap().push(answer.text);
            } else if !answer.text.contains(&mark) {
                self.wrong.fetch_add(1, Ordering::Relaxed);
            }
            if id % 10 == 0 {
                self.told.fetch_add(1, Ordering::Relaxed);
                let _ = session.request(&Message::call(id + 1_000_000, "bare", "{}")).await;
            }
        }
    }
}

struct Scene {
    gateway: Gateway,
    load: Arc<Load>,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

impl Scene {
    async fn open(replicas: usize) -> Self {
        let upstream = Upstream::replicas("up", replicas).with("session_scope = \"shared\"");
        let plan = Plan::new(Over::Http).upstream(upstream);
        let gateway = Gateway::start(plan).await;
        let load = Arc::<Load>::default();
        let mut clients = Vec::new();
        for client in 0..CLIENTS {
            let session = HttpSession::open(gateway.http(), Era::Modern.revision()).await;
            clients.push(tokio::spawn(Arc::clone(&load).run(session, client)));
        }
        let scene = Self { gateway, load, clients };
        wait_until(Duration::from_secs(10), "calls at every replica", || {
            (scene.pids().len() >= replicas).then_some(())
        })
        .await;
        scene
    }

    /// Every child that took a call.
    fn pids(&self) -> BTreeSet<u32> {
        let events = self.gateway.upstreams[0].events();
        let calls = events.iter().filter(|event| event.what == "request" && event.method == "tools/call");
        calls.map(|event| event.pid).collect()
    }

    async fn end(self) -> (Gateway, Arc<Load>) {
        self.load.over.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.expect("expected a client to end");
        }
        (self.gateway, self.load)
    }
}

fn assert_nothing_lost(gateway: &Gateway, load: &Load) {
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    assert!(count(&load.asked) > 500, "too little was asked to say anything: {load:?}");
    assert_eq!(*load.failed.lock().unwrap(), Vec::<String>::new());
    assert_eq!(count(&load.wrong), 0, "answers to other calls");
    // Each read-only call may have been sent again; none of the others.
    let bare = gateway.upstreams[0].count("tool", "bare");
    assert!(bare <= count(&load.told), "{bare} of {} calls arrived", count(&load.told));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_killed_costs_no_read_only_call_and_doubles_no_other() {
    let scene = Scene::open(3).await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let before = scene.pids();
        kill(*before.iter().next_back().expect("expected a child"), Signal::KILL);
        wait_until(Duration::from_secs(10), "another child in its place", || {
            (scene.pids().len() > before.len()).then_some(())
        })
        .await;
    }
    let (mut gateway, load) = scene.end().await;
    assert_nothing_lost(&gateway, &load);
    let figures = gateway.admin().get("/admin/metrics").await.json().await;
    let restarts = figures["replicas"].as_array().into_iter().flatten().map(|row| row["restarts"].as_u64());
    // One that was begun for the load, before an end was noticed, is growth; what it may replace later is not known yet.
    let restarts = restarts.sum::<Option<u64>>().expect("restarts of every replica");
    assert!((1..=3).contains(&restarts), "{:#}", figures["replicas"]);
    assert!(gateway.stop().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_read_only_calls_of_a_replica_that_hangs_are_moved_to_another() {
    let scene = Scene::open(3).await;
    let hung = *scene.pids().iter().next().expect("expected a child");
    kill(hung, Signal::STOP);
    let stopped = Instant::now();
    // All clients go on: those whose call hung were moved.
    let wait = async {
        loop {
            let before = scene.load.asked.load(Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(500)).await;
            let done = scene.load.asked.load(Ordering::Relaxed) - before;
            if done > 100 && stopped.elapsed() > Duration::from_secs(5) {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("expected the load to go on");
    let (mut gateway, load) = {
        // What is not read-only and hangs there waits for its own deadline; it is let go.
        kill(hung, Signal::CONT);
        scene.end().await
    };
    assert_nothing_lost(&gateway, &load);
    assert!(gateway.stop().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_call_that_takes_long_is_answered_by_a_second_replica_where_that_is_wanted() {
    let upstream = Upstream::replicas("up", 3).with("session_scope = \"shared\"\nstrategy = \"round-robin\"");
    // Nothing but hedging may help here.
    let balancer =
        "[balancer]\nhedge_budget_percent = 100\nejection = false\nhealth_check_interval_s = 600\n";
    let gateway = Gateway::start(Plan::new(Over::Http).sections(balancer).upstream(upstream)).await;
    let session = HttpSession::open(gateway.http(), Era::Modern.revision()).await;
    let ask = async |id| session.request(&Message::call(id, "received", "{}")).await;
    for id in 0..60 {
        assert!(!ask(id).await.is_error());
    }
    let pids: BTreeSet<u32> = gateway.upstreams[0].events().iter().map(|event| event.pid).collect();
    let hung = *pids.iter().next().expect("expected a child");
    kill(hung, Signal::STOP);
    for id in 100..106 {
        let asked = Instant::now();
        assert!(!ask(id).await.is_error());
        assert!(asked.elapsed() < Duration::from_secs(2), "call {id} took {:?}", asked.elapsed());
    }
    let told = gateway.ask("mcp balance status").await.expect("expected the figures");
    let hedges = told["upstreams"][0]["hedges"].as_u64();
    assert!(hedges.is_some_and(|hedges| hedges > 0), "{told}");
    kill(hung, Signal::CONT);
    let cancelled =
        || gateway.upstreams[0].kind("cancelled_unknown") + gateway.upstreams[0].kind("cancelled");
    wait_until(Duration::from_secs(5), "the slower calls to be cancelled", || {
        (cancelled() > 0).then_some(())
    })
    .await;
}
