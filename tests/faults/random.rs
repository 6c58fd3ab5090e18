//! Faults at random, for a minute: what must always hold holds, and everything that should happen has happened.
//!
//! Four children and three servers are the replicas of one upstream. Every 200 to 800 ms something fails, or is mended;
//! nothing more while [`MOST_BROKEN`] replicas do not serve. `AQE_FAULT_SEED` repeats a run, `AQE_FAULT_SECONDS` makes it longer.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aqe_testkit::faults::{End, Fault};
use fastrand::Rng;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::scene::{Ended, Kind, Replica, Scene, Stage};
use crate::support::Over;

/// How long a run is, unless told otherwise.
const SECONDS: u64 = 60;
/// How many times as long a run may be until everything has failed once.
const LONGEST: u32 = 3;
/// Replicas that may not serve before nothing more is broken: a majority, so that panic is met as well.
const MOST_BROKEN: usize = 4;
/// Time between two changes.
const STEP_MS: std::ops::Range<u64> = 200..800;
/// How long a replica is broken.
const BROKEN_MS: std::ops::Range<u64> = 300..3000;
/// Calls that a replica takes at once. Few, so that slow ones are soon too much to do.
const AT_ONCE: u32 = 6;
/// Calls of replicas that are slow take so long.
const SLOW_MS: u64 = 150;
/// Connections that there may be, and how few there may be for a while: not one for each replica.
const CONNECTIONS: u64 = 16;
const FEW: std::ops::Range<u64> = 5..7;
/// Fast enough that a minute holds many ejections and recoveries.
const BALANCER: &str =
    "health_check_interval_s = 1\nbackoff_min_ms = 300\nbackoff_max_ms = 2000\nslow_start_ms = 500\n";
/// Longer than it takes to find out that a replica hangs.
const DEADLINE: Duration = Duration::from_secs(10);
/// Longer than a child is left alone that crashes again and again.
const PATIENCE: Duration = Duration::from_secs(45);
/// Most of the calls that only ask may fail (reliability.md section 5), those aside that are refused for overload.
const MOST_FAILED: f64 = 0.005;

/// What can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    Killed,
    Stopped,
    Slow,
    InternalError,
    Malformed,
    Silent,
    Exits,
    Status500,
    Busy,
    HalfABody,
    Refuses,
    Resets,
    ResetsWithin,
    HalfCloses,
    BlackHole,
    Distant,
    ByteBySecond,
    Forgets,
    /// All replicas are slow.
    Overload,
    /// The pool and the balancer get other settings, and fewer connections.
    Reconfigured,
}

impl Trouble {
    const ALL: [Self; 20] = [
        Self::Killed,
        Self::Stopped,
        Self::Slow,
        Self::InternalError,
        Self::Malformed,
        Self::Silent,
        Self::Exits,
        Self::Status500,
        Self::Busy,
        Self::HalfABody,
        Self::Refuses,
        Self::Resets,
        Self::ResetsWithin,
        Self::HalfCloses,
        Self::BlackHole,
        Self::Distant,
        Self::ByteBySecond,
        Self::Forgets,
        Self::Overload,
        Self::Reconfigured,
    ];

    fn is_for_all(self) -> bool {
        matches!(self, Self::Overload | Self::Reconfigured)
    }

    /// Whether a replica that is reached so can fail so.
    fn concerns(self, over: Over) -> bool {
        match self {
            Self::Killed
            | Self::Stopped
            | Self::Slow
            | Self::InternalError
            | Self::Malformed
            | Self::Silent => true,
            Self::Exits => over == Over::Stdio,
            _ => over == Over::Http,
        }
    }

    /// What the replica is told, for those that are a matter of conduct.
    fn conduct(self) -> Option<Value> {
        let bad = |mode: &str| Some(json!({ "bad": { "mode": mode } }));
        match self {
            Self::Slow => Some(json!({ "delay_ms": SLOW_MS })),
            Self::InternalError => Some(json!({ "error": { "code": -32603, "message": "out of order" } })),
            Self::Malformed => bad("garbage"),
            Self::Silent => bad("never"),
            Self::Exits => bad("exit-1"),
            Self::Status500 => bad("status-500"),
            Self::Busy => Some(json!({ "bad": { "mode": "status-429", "retry_after": "1" } })),
            Self::HalfABody => bad("truncated-body"),
            _ => None,
        }
    }

    /// What the network before it does, for those that are a matter of that.
    fn network(self) -> Option<Fault> {
        let (latency, jitter) = (Duration::from_millis(SLOW_MS), Duration::from_millis(SLOW_MS / 2));
        match self {
            Self::Refuses => Some(Fault::Refuse),
            Self::Resets => Some(Fault::Reset),
            Self::ResetsWithin => Some(Fault::LimitData { bytes: 50, end: End::Reset }),
            Self::HalfCloses => Some(Fault::LimitData { bytes: 50, end: End::HalfClose }),
            Self::BlackHole => Some(Fault::Blackhole),
            Self::Distant => Some(Fault::Latency { latency, jitter }),
            Self::ByteBySecond => Some(Fault::Bandwidth { bytes_per_s: 1 }),
            _ => None,
        }
    }

    async fn begin(self, replica: &Replica) {
        if let Some(conduct) = self.conduct() {
            replica.behave(&conduct);
        } else if let Some(fault) = self.network() {
            replica.network(fault).await;
        } else {
            match self {
                Self::Killed => replica.kill().await,
                Self::Stopped => replica.signal(Signal::STOP),
                _ => replica.forget_sessions(),
            }
        }
    }

    async fn end(self, replica: &mut Replica) {
        if self.conduct().is_some() {
            replica.behave(&json!({}));
        } else if self.network().is_some() {
            replica.network(Fault::None).await;
        } else {
            match self {
                Self::Killed => replica.start_again().await,
                Self::Stopped => replica.signal(Signal::CONT),
                _ => {}
            }
        }
    }
}

/// A replica that is broken, or all of them.
#[derive(Debug)]
struct Broken {
    trouble: Trouble,
    replica: usize,
    until: Instant,
}

/// What goes on.
#[derive(Debug)]
struct Chaos {
    random: Rng,
    /// Troubles that are still to come, in their order, before each comes again.
    bag: Vec<Trouble>,
    broken: Vec<Broken>,
    happened: BTreeMap<Trouble, usize>,
    /// What began and ended when, to understand a failure by.
    story: Vec<String>,
    started: Instant,
    /// The figures of the balancer at the last look.
    seen: Value,
}

impl Chaos {
    fn new(seed: u64) -> Self {
        Self {
            random: Rng::with_seed(seed),
            bag: Vec::new(),
            broken: Vec::new(),
            happened: BTreeMap::new(),
            story: Vec::new(),
            started: Instant::now(),
            seen: Value::Null,
        }
    }

    fn millis(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.random.u64(range))
    }

    async fn step(&mut self, scene: &mut Scene) {
        self.mend(scene, Instant::now()).await;
        self.look(scene).await;
        if self.not_well() < MOST_BROKEN {
            self.break_something(scene).await;
        }
        let pause = self.millis(STEP_MS);
        scene.play(pause).await;
    }

    /// Replicas that are broken, or were and do not serve again yet.
    fn not_well(&self) -> usize {
        let replicas = self.seen["replicas"].as_array().into_iter().flatten().enumerate();
        let not_well = replicas.filter(|(at, replica)| {
            self.broken.iter().any(|one| one.replica == *at)
                || is_out(replica)
                || !replica["resting_ms"].is_null()
        });
        not_well.count()
    }

    fn tell(&mut self, what: &str, trouble: Trouble, replica: usize) {
        let place = if trouble.is_for_all() { "all".to_owned() } else { format!("r{replica}") };
        self.story
            .push(format!("{:7.3} {trouble:?} {what} at {place}", self.started.elapsed().as_secs_f64()));
    }

    /// Ends what is over by then.
    async fn mend(&mut self, scene: &mut Scene, by: Instant) {
        let (over, still): (Vec<Broken>, Vec<Broken>) =
            self.broken.drain(..).partition(|one| one.until <= by);
        self.broken = still;
        for Broken { trouble, replica, .. } in over {
            self.tell("ends", trouble, replica);
            match trouble {
                Trouble::Overload => scene.replicas.iter().for_each(|replica| replica.behave(&json!({}))),
                Trouble::Reconfigured => {
                    let change = json!({ "max_connections": CONNECTIONS });
                    assert_eq!(scene.change("/admin/pool", &change).await.0, 200);
                }
                _ => trouble.end(&mut scene.replicas[replica]).await,
            }
        }
    }

    async fn break_something(&mut self, scene: &mut Scene) {
        if self.bag.is_empty() {
            self.bag = Trouble::ALL.to_vec();
            self.random.shuffle(&mut self.bag);
        }
        let Some(trouble) = self.bag.pop() else { return };
        let until = Instant::now() + self.millis(BROKEN_MS);
        let mut replica = 0;
        match trouble {
            Trouble::Reconfigured => self.reconfigure(scene).await,
            Trouble::Overload => {
                // Only if nobody's conduct is lost with that.
                let mut conducts = self.broken.iter().map(|one| one.trouble.conduct());
                if conducts.any(|conduct| conduct.is_some()) {
                    self.bag.insert(0, trouble);
                    return;
                }
                scene.replicas.iter().for_each(|replica| replica.behave(&json!({ "delay_ms": SLOW_MS })));
            }
            _ => {
                let alone = self.broken.iter().any(|one| one.trouble == Trouble::Overload);
                let well = |at: &usize| self.broken.iter().all(|one| one.replica != *at);
                let concerned = (0..scene.replicas.len())
                    .filter(|at| trouble.concerns(scene.replicas[*at].over()))
                    .filter(well);
                let concerned: Vec<usize> = concerned.collect();
                let Some(chosen) = self.random.choice(concerned).filter(|_| !alone) else {
                    self.bag.insert(0, trouble);
                    return;
                };
                replica = chosen;
                trouble.begin(&scene.replicas[replica]).await;
            }
        }
        *self.happened.entry(trouble).or_default() += 1;
        let replica = if trouble.is_for_all() { usize::MAX } else { replica };
        self.tell("begins", trouble, replica);
        self.broken.push(Broken { trouble, replica, until });
    }

    async fn reconfigure(&mut self, scene: &Scene) {
        let strategies = ["round-robin", "least-connections", "response-time", "weighted", "p2c"];
        let strategy = self.random.choice(strategies);
        assert_eq!(scene.change("/admin/balance", &json!({ "strategy": strategy })).await.0, 200);
        let change =
            json!({ "max_uses": self.random.u64(50..2000), "max_connections": self.random.u64(FEW) });
        assert_eq!(scene.change("/admin/pool", &change).await.0, 200);
    }

    /// What can be seen from outside at any time: no more connections than allowed (S2), and no call at a replica that
    /// is out but to try it, or in panic (S4).
    async fn look(&mut self, scene: &Scene) {
        let pool = scene.admin("/admin/pool").await;
        assert!(pool["all"]["total"].as_u64() <= Some(CONNECTIONS), "{pool:#}");
        let now = scene.balance().await;
        let replicas = |balance: &Value| balance["replicas"].as_array().cloned().unwrap_or_default();
        for (before, now) in replicas(&self.seen).iter().zip(replicas(&now)) {
            if is_out(before) && is_out(&now) && before["recoveries"] == now["recoveries"] {
                let since = |name: &str| now[name].as_u64().unwrap() - before[name].as_u64().unwrap();
                assert_eq!(since("picks"), since("trials") + since("panic_picks"), "{before:#}, now {now:#}");
            }
        }
        self.seen = now;
    }
}

/// Whether a replica's figures say that it is out of use.
fn is_out(replica: &Value) -> bool {
    matches!(replica["state"].as_str(), Some("open" | "half-open"))
}

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_fails_each_call_has_its_own_answer_in_time_and_nothing_is_done_twice() {
    let seed = variable("AQE_FAULT_SEED").unwrap_or_else(|| fastrand::u64(..));
    let time = Duration::from_secs(variable("AQE_FAULT_SECONDS").unwrap_or(SECONDS));
    eprintln!("AQE_FAULT_SEED={seed} AQE_FAULT_SECONDS={}", time.as_secs());
    let replicas = [[Over::Stdio; 4].as_slice(), &[Over::Http; 3]].concat();
    let mut scene = Stage::new(Over::Stdio)
        .replicas(replicas)
        .clients(8)
        .per_second(500)
        .alone()
        .deadline(DEADLINE)
        .balancer(BALANCER)
        .pool(&format!("max_connections = {CONNECTIONS}\nmin_connections = 1\nacquire_timeout_ms = 500\n"))
        .upstream(&format!(
            "max_concurrent_calls = {AT_ONCE}\nmax_connections = 2\nsession_scope = \"shared\"\n"
        ))
        .open()
        .await;
    scene.patience = PATIENCE;
    let mut chaos = Chaos::new(seed);
    let start = Instant::now();
    // Replicas take longer to be well again on a busy machine, and until then nothing more fails.
    let all_met = |chaos: &Chaos| chaos.happened.len() == Trouble::ALL.len();
    while start.elapsed() < time || (!all_met(&chaos) && start.elapsed() < LONGEST * time) {
        chaos.step(&mut scene).await;
    }
    chaos.mend(&mut scene, Instant::now() + Duration::from_millis(BROKEN_MS.end)).await;
    scene.until_all_serve().await;
    let (balance, pool) = (scene.balance().await, scene.admin("/admin/pool").await);
    let lasted = start.elapsed().as_secs_f64();
    let report = scene.close().await;
    report.assert_sound();
    let asks = report.calls.iter().filter(|call| call.kind == Kind::Asks);
    let (mut refused, mut others) = (0, Vec::new());
    for call in asks.clone() {
        match &call.ended {
            Ended::Failed(error) if error.contains(r#""reason":"overloaded""#) => refused += 1,
            Ended::Failed(error) => {
                let at = call.sent.duration_since(chaos.started).as_secs_f64();
                others.push(format!("{at:7.3} {error}"));
            }
            _ => {}
        }
    }
    let share = others.len() as f64 / asks.count() as f64;
    if share > MOST_FAILED {
        chaos.story.append(&mut others);
        chaos.story.sort();
        panic!("{:.2} % of the calls failed: {:#?}", share * 100.0, chaos.story);
    }
    let retries_allowed = 0.2 * report.calls.len() as f64 + 10.0 * (lasted + 10.0);
    assert!(report.retries() as f64 <= retries_allowed, "{} of {retries_allowed} retries", report.retries());
    // Each thing that should be met now and then.
    let sum = |name: &str| {
        let replicas = balance["replicas"].as_array().into_iter().flatten();
        replicas.map(|replica| replica[name].as_u64().unwrap_or_default()).sum::<u64>()
    };
    let mut met: BTreeMap<String, u64> = Trouble::ALL
        .iter()
        .map(|trouble| {
            (format!("{trouble:?}"), chaos.happened.get(trouble).copied().unwrap_or_default() as u64)
        })
        .collect();
    met.insert("ejection".to_owned(), sum("ejections"));
    met.insert("recovery".to_owned(), sum("recoveries"));
    met.insert("retry".to_owned(), report.retries() as u64);
    met.insert("refusal for overload".to_owned(), refused);
    met.insert("eviction".to_owned(), pool["all"]["evictions"].as_u64().unwrap_or_default());
    eprintln!(
        "{met:#?}, {}, {} trials, {} picks in panic",
        pool["all"]["retired"],
        sum("trials"),
        sum("panic_picks")
    );
    let never: Vec<&String> = met.iter().filter(|(_, times)| **times == 0).map(|(what, _)| what).collect();
    assert!(never.is_empty(), "never happened: {never:?}");
}
