//! What each strategy of the balancer makes of one replica of three that is slower than its siblings.

use std::time::Duration;

use serde_json::Value;

use crate::Result;
use crate::calls::{Plan, middle, progress};
use crate::cases::{contender, forwarded};
use crate::echo::TOOLS;
use crate::load::{self, Done};
use crate::message::{Era, Request};
use crate::report::{Cell, Goal, Section};
use crate::serve::Serve;
use crate::stats::Spread;
use crate::subject::{Home, Running, Subject};

const STRATEGIES: [&str; 5] = ["round-robin", "least-connections", "response-time", "weighted", "p2c"];
/// How long a replica takes, and how long the slow one does.
const USUAL_MS: u64 = 4;
const SLOW_MS: u64 = 40;
/// Requests per second: some nine in flight when all is well, so that load means something to those who look at it.
const RATE: f64 = 1_500.0;
/// Requests before a round, in which the balancer finds out: what was taken out is tried again while others have
/// their turns and nothing is sent here, which no server under a steady load meets.
const LEARN: Duration = Duration::from_secs(1);
/// Greatest ratio of the 99th percentile to that of equal replicas, once the slow one is out (reliability.md F10).
const P99: f64 = 2.0;

/// Which replicas, and whether the slow one may be taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scene {
    Equal,
    Slow,
    SlowAndEjected,
}

impl Scene {
    const ALL: [Self; 3] = [Self::Equal, Self::Slow, Self::SlowAndEjected];

    fn name(self) -> &'static str {
        match self {
            Self::Equal => "all equal",
            Self::Slow => "one slow",
            Self::SlowAndEjected => "one slow, ejection",
        }
    }
}

/// A gateway before three replicas.
struct Side {
    strategy: &'static str,
    scene: Scene,
    running: Running,
    request: Request,
    p50: Vec<f64>,
    p95: Vec<f64>,
    p99: Vec<f64>,
    /// Calls that the last replica got, and all.
    taken: (f64, f64),
}

/// Runs all strategies in all scenes, in turns.
pub(crate) fn measure(subject: &Subject, plan: &Plan) -> Result<Section> {
    let start = |delay_ms| {
        let echo = Serve::EchoHttp { tools: TOOLS.len(), port: 0, delay_ms };
        Running::start(echo.command()?, None)
    };
    let usual = (0..3).map(|_| start(USUAL_MS)).collect::<Result<Vec<_>>>()?;
    let slow = start(SLOW_MS)?;
    let mut sides = Vec::new();
    for strategy in STRATEGIES {
        for scene in Scene::ALL {
            let last = if scene == Scene::Equal { &usual[2] } else { &slow };
            sides.push(Side::start(strategy, scene, [&usual[0], &usual[1], last], subject)?);
        }
    }
    for round in 1..=plan.rounds {
        progress(&format!("strategies, round {round} of {}", plan.rounds));
        for side in &mut sides {
            side.run(LEARN)?;
            let before = side.picks()?;
            let done = side.run(plan.round)?;
            let after = side.picks()?;
            side.taken.0 += after.0 - before.0;
            side.taken.1 += after.1 - before.1;
            for (quantile, all) in [(0.50, &mut side.p50), (0.95, &mut side.p95), (0.99, &mut side.p99)] {
                all.push(done.latency_us(quantile) / 1_000.0);
            }
        }
    }
    let rows = sides.iter().map(|side| side.row(&sides)).collect::<Result<Vec<_>>>()?;
    Ok(Section {
        title: format!(
            "Strategies: three HTTP replicas that take {USUAL_MS} ms, the last of them {SLOW_MS} ms where one is slow; \
             {RATE} calls a second whatever the answers take, latency from when a call was due, {} rounds of {:?}; \
             ratios are to all equal",
            plan.rounds, plan.round
        ),
        columns: vec![
            "strategy",
            "replicas",
            "last_gets_percent",
            "p50_ms",
            "p95_ms",
            "p99_ms",
            "p50_ratio",
            "p95_ratio",
            "p99_ratio",
            "p99_goal",
        ],
        rows,
    })
}

impl Side {
    fn start(
        strategy: &'static str,
        scene: Scene,
        replicas: [&Running; 3],
        subject: &Subject,
    ) -> Result<Self> {
        let replicas = replicas.map(|replica| format!("{{ url = {:?} }}", replica.url())).join(", ");
        let home = Home::with(&format!(
            "[balancer]\nstrategy = {strategy:?}\nejection = {}\n\n[[upstream]]\nname = \"up\"\nreplicas = [{replicas}]\n",
            scene == Scene::SlowAndEjected
        ))?;
        let (tool, size) = TOOLS[0];
        let running = Running::start(subject.http(&home), Some(home))?;
        let gateway = contender(running, &forwarded(Era::Modern, tool, size))?;
        let (running, request) = (gateway.running, gateway.request);
        let (p50, p95, p99) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { strategy, scene, running, request, p50, p95, p99, taken: (0.0, 0.0) })
    }

    fn run(&self, time: Duration) -> Result<Done> {
        load::at_rate(self.running.server.address, &self.request, RATE, time)
            .map_err(|error| format!("{}, {}: {error}", self.strategy, self.scene.name()).into())
    }

    /// Calls that the last replica has got so far, and all.
    fn picks(&self) -> Result<(f64, f64)> {
        let status = self.running.admin()?.get("/admin/balance")?;
        let replicas =
            status["upstreams"][0]["replicas"].as_array().ok_or("no replicas in /admin/balance")?;
        let picks = |replica: &Value| {
            let picks = replica["picks"].as_f64().unwrap_or(0.0);
            picks + replica["trials"].as_f64().unwrap_or(0.0)
        };
        Ok((replicas.last().map_or(0.0, picks), replicas.iter().map(picks).sum()))
    }

    fn row(&self, all: &[Self]) -> Result<Vec<Cell>> {
        let equal = all.iter().find(|side| side.strategy == self.strategy && side.scene == Scene::Equal);
        let equal = equal.ok_or("nothing to compare with")?;
        let ratio = |own: &[f64], equal: &[f64]| Spread::ratio(own, equal).ok_or("no rounds");
        let p99 = ratio(&self.p99, &equal.p99)?;
        Ok(vec![
            Cell::text(self.strategy),
            Cell::text(self.scene.name()),
            Cell::Figure(Spread::exactly(100.0 * self.taken.0 / self.taken.1), 1),
            middle(&self.p50, 1)?,
            middle(&self.p95, 1)?,
            middle(&self.p99, 1)?,
            Cell::Figure(ratio(&self.p50, &equal.p50)?, 2),
            Cell::Figure(ratio(&self.p95, &equal.p95)?, 2),
            Cell::Figure(p99, 2),
            Cell::Goal((self.scene == Scene::SlowAndEjected).then_some(Goal::AtMost(p99.median, P99))),
        ])
    }
}
