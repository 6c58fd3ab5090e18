//! How often a call finds a connection open under steady load, and how long it waits for one.

use std::time::Duration;

use serde_json::Value;

use crate::Result;
use crate::calls::{Plan, WARM_UP, progress};
use crate::cases::forwarded;
use crate::echo::TOOLS;
use crate::load::{self, Until};
use crate::message::{Era, Request};
use crate::report::{Cell, Goal, Section};
use crate::serve::Serve;
use crate::stats::Spread;
use crate::subject::{Home, Running, Subject};

/// Least share of hits in percent (design.md 8).
const HITS: f64 = 99.9;

/// What the pool has counted.
#[derive(Debug, Clone, Copy)]
struct Counted {
    hits: f64,
    misses: f64,
    opened: f64,
    used_up: f64,
    total: f64,
}

/// Runs a load on each kind of upstream and reads what the pool counted meanwhile.
pub(crate) fn measure(subject: &Subject, plan: &Plan) -> Result<Section> {
    let web = Running::start(Serve::echo_http(TOOLS.len()).command()?, None)?;
    let child = Serve::EchoStdio { tools: TOOLS.len(), aside: true }.toml()?;
    let http = format!("url = {:?}", web.url());
    let cases = [
        ("HTTP", vec![Era::Modern], http.clone()),
        ("HTTP", vec![Era::Legacy], http.clone()),
        ("HTTP", vec![Era::Modern, Era::Legacy], http),
        ("stdio", vec![Era::Modern], child.clone()),
        ("stdio", vec![Era::Legacy], child.clone()),
        ("stdio", vec![Era::Modern, Era::Legacy], child.clone()),
        ("stdio, 4 workers", vec![Era::Modern], format!("workers = 4\n{child}")),
    ];
    let mut rows = Vec::new();
    for (name, eras, upstream) in cases {
        let names: Vec<_> = eras.iter().map(|era| era.name()).collect();
        let name = format!("{name}, {}", names.join(" and "));
        progress(&format!("pool: {name}"));
        rows.push(row(&name, &eras, &upstream, subject, plan).map_err(|error| format!("{name}: {error}"))?);
    }
    Ok(Section {
        title: format!(
            "Connection pool, {} connections to the gateway, {} rounds of {:?} of calls of 0.2 KB; waits are those of all \
             calls since the start, most of which waited not at all",
            plan.connections, plan.rounds, plan.round
        ),
        columns: vec![
            "upstream",
            "hits_percent",
            "goal",
            "calls_per_s",
            "misses",
            "opened",
            "used_up",
            "open_now",
            "wait_p99_ms",
            "wait_max_ms",
        ],
        rows,
    })
}

fn row(name: &str, eras: &[Era], upstream: &str, subject: &Subject, plan: &Plan) -> Result<Vec<Cell>> {
    let home = Home::with(&format!("[[upstream]]\nname = \"up\"\n{upstream}\n"))?;
    let mut running = Running::start(subject.http(&home), Some(home))?;
    running.server.initialize()?;
    let (tool, size) = TOOLS[0];
    let requests: Vec<Request> =
        eras.iter().map(|era| running.server.request(&forwarded(*era, tool, size))).collect();
    let clients = plan.connections.div_ceil(requests.len());
    // All eras at once.
    let load = |time: Duration| -> Result<f64> {
        std::thread::scope(|scope| {
            let run = |request| {
                scope.spawn(move || load::run(running.server.address, request, clients, Until::Elapsed(time)))
            };
            let loads: Vec<_> = requests.iter().map(run).collect();
            let done = loads.into_iter().map(|load| load.join().map_err(|_| "a load has panicked")?);
            Ok(done.collect::<Result<Vec<_>>>()?.iter().map(load::Done::rate).sum())
        })
    };
    load(WARM_UP)?;
    let before = Counted::read(&running.admin()?.get("/admin/pool")?)?;
    let rates = (0..plan.rounds).map(|_| load(plan.round)).collect::<Result<Vec<_>>>()?;
    let status = running.admin()?.get("/admin/pool")?;
    let after = Counted::read(&status)?;
    let (hits, misses) = (after.hits - before.hits, after.misses - before.misses);
    let percent = 100.0 * hits / (hits + misses);
    let figure = |value: f64, digits| Cell::Figure(Spread::exactly(value), digits);
    let wait = |name: &str| {
        let wait = status["all"]["wait_ms"][name].as_f64();
        wait.map(|ms| figure(ms, 2)).ok_or_else(|| format!("no wait_ms.{name}"))
    };
    Ok(vec![
        Cell::text(name),
        figure(percent, 4),
        Cell::Goal(Some(Goal::AtLeast(percent, HITS))),
        Cell::Figure(Spread::of(rates).ok_or("no rounds")?, 0),
        figure(misses, 0),
        figure(after.opened - before.opened, 0),
        figure(after.used_up - before.used_up, 0),
        figure(after.total, 0),
        wait("p99")?,
        wait("max")?,
    ])
}

impl Counted {
    fn read(status: &Value) -> Result<Self> {
        let all = &status["all"];
        let count = |name: &str| all[name].as_f64().ok_or_else(|| format!("no {name} in {all}"));
        Ok(Self {
            hits: count("hits")?,
            misses: count("misses")?,
            opened: count("opened")?,
            // Reasons that never came up are not listed.
            used_up: all["retired"]["max-uses"].as_f64().unwrap_or(0.0),
            total: count("total")?,
        })
    }
}
