//! The same load with `--optimized=false`: a connection for each call, none kept, names looked for one by one.

use crate::Result;
use crate::calls::{Plan, WARM_UP, cell, middle, progress};
use crate::cases::{Contender, contender, forwarded};
use crate::echo::TOOLS;
use crate::load::{self, Until};
use crate::message::{Call, Era};
use crate::report::{Cell, Section};
use crate::serve::Serve;
use crate::stats::Spread;
use crate::subject::{Home, Running, Subject, Upstream};

/// Tools of an upstream with many; the one that is called is listed after all others.
const MANY: usize = 10_000;

/// The rounds of one side.
#[derive(Debug, Default)]
struct Rounds {
    rate: Vec<f64>,
    p50: Vec<f64>,
    p95: Vec<f64>,
}

/// Measures both in turns.
pub(crate) fn measure(subject: &Subject, plan: &Plan) -> Result<Section> {
    let few = Running::start(Serve::echo_http(TOOLS.len()).command()?, None)?;
    let many = Running::start(Serve::echo_http(MANY).command()?, None)?;
    let (tool, size) = TOOLS[0];
    let (http, child) = (Upstream::Http(few.url()), Upstream::Child { tools: TOOLS.len() });
    let cases = [
        ("HTTP→HTTP", &http, forwarded(Era::Modern, tool, size)),
        ("HTTP→HTTP", &http, forwarded(Era::Legacy, tool, size)),
        ("HTTP→HTTP, 10,000 tools", &Upstream::Http(many.url()), forwarded(Era::Modern, tool, size)),
        ("HTTP→stdio", &child, forwarded(Era::Modern, tool, size)),
    ];
    let mut rows = Vec::new();
    for (name, upstream, call) in cases {
        let name = format!("{name}, {}", call.era.name());
        progress(&format!("optimized: {name}"));
        rows.push(row(&name, upstream, &call, subject, plan).map_err(|error| format!("{name}: {error}"))?);
    }
    Ok(Section {
        title: format!(
            "Before and after: --optimized=false and the default, {} connections, {} rounds of {:?}, calls of 0.2 KB; \
             ratios are default to plain",
            plan.connections, plan.rounds, plan.round
        ),
        columns: vec![
            "case",
            "calls_per_s",
            "plain_calls_per_s",
            "rate_ratio",
            "p50_us",
            "plain_p50_us",
            "p50_ratio",
            "p95_us",
            "plain_p95_us",
            "p95_ratio",
        ],
        rows,
    })
}

fn row(name: &str, upstream: &Upstream, call: &Call, subject: &Subject, plan: &Plan) -> Result<Vec<Cell>> {
    let usual = start(true, upstream, call, subject)?;
    let plain = start(false, upstream, call, subject)?;
    let (mut ours, mut theirs) = (Rounds::default(), Rounds::default());
    for _ in 0..plan.rounds {
        theirs.run(&plain, plan)?;
        ours.run(&usual, plan)?;
    }
    let ratio = |ours: &[f64], theirs: &[f64]| {
        Spread::ratio(ours, theirs).map(|ratio| Cell::Figure(ratio, 3)).ok_or("no rounds")
    };
    Ok(vec![
        Cell::text(name),
        cell(&ours.rate, 0)?,
        cell(&theirs.rate, 0)?,
        ratio(&ours.rate, &theirs.rate)?,
        middle(&ours.p50, 0)?,
        middle(&theirs.p50, 0)?,
        ratio(&ours.p50, &theirs.p50)?,
        middle(&ours.p95, 0)?,
        middle(&theirs.p95, 0)?,
        ratio(&ours.p95, &theirs.p95)?,
    ])
}

fn start(optimized: bool, upstream: &Upstream, call: &Call, subject: &Subject) -> Result<Contender> {
    let home = Home::new(upstream)?;
    let mut command = subject.http(&home);
    command.arg(format!("--optimized={optimized}"));
    let mut running = Running::start(command, Some(home))?;
    if call.era == Era::Legacy {
        running.server.initialize()?;
    }
    // So that what the upstream offers is known.
    running.server.ask(&Call::method(call.era, "tools/list"))?;
    contender(running, call)
}

impl Rounds {
    fn run(&mut self, side: &Contender, plan: &Plan) -> Result<()> {
        let run = |time| {
            load::run(side.running.server.address, &side.request, plan.connections, Until::Elapsed(time))
        };
        run(WARM_UP)?;
        let done = run(plan.round)?;
        self.rate.push(done.rate());
        self.p50.push(done.latency_us(0.50));
        self.p95.push(done.latency_us(0.95));
        Ok(())
    }
}
