//! What a second thread gains the gateway, where nothing is tied to a processor.

use crate::Result;
use crate::calls::{Plan, Rounds, cell, middle, progress, round};
use crate::cases::{Contender, contender, forwarded, retrieve};
use crate::echo::TOOLS;
use crate::message::{Call, Era};
use crate::place::{Place, processors};
use crate::report::{Cell, Section};
use crate::serve::Serve;
use crate::stats::Spread;
use crate::subject::{Home, Running, Subject, Upstream};

/// Threads of the gateway. The first is what the others are compared with.
const THREADS: [u32; 2] = [1, 2];

/// All numbers of threads in turns, with each number of connections.
pub(crate) fn measure(subject: &Subject, plans: &[Plan]) -> Result<Section> {
    let upstream = Running::start_at(Place::Anywhere, Serve::echo_http(TOOLS.len()).command()?, None)?;
    let (tool, size) = TOOLS[0];
    let cases = [
        ("retrieve, absent", Upstream::None, retrieve(Era::Legacy)),
        ("HTTP→HTTP 0.2 KB", Upstream::Http(upstream.url()), forwarded(Era::Legacy, tool, size)),
        ("HTTP→stdio 0.2 KB", Upstream::Child { tools: TOOLS.len() }, forwarded(Era::Legacy, tool, size)),
    ];
    let mut rows = Vec::new();
    for (name, upstream, call) in &cases {
        let sides = THREADS.map(|threads| start(threads, upstream, call, subject));
        let sides = sides.into_iter().collect::<Result<Vec<Contender>>>()?;
        for plan in plans {
            progress(&format!("threads: {name}, {} connections", plan.connections));
            let mut all = vec![Rounds::default(); sides.len()];
            for _ in 0..plan.rounds {
                for (side, rounds) in sides.iter().zip(&mut all) {
                    round(side, plan, rounds)?;
                }
            }
            for (threads, rounds) in THREADS.iter().zip(&all) {
                let ratio = |own: &[f64], one: &[f64]| {
                    Spread::ratio(own, one).map(|ratio| Cell::Figure(ratio, 2)).ok_or("no rounds")
                };
                rows.push(vec![
                    Cell::text(format!("{name}, legacy")),
                    Cell::text(plan.connections.to_string()),
                    Cell::text(threads.to_string()),
                    cell(&rounds.rate, 0)?,
                    ratio(&rounds.rate, &all[0].rate)?,
                    cell(&rounds.cpu, 1)?,
                    ratio(&rounds.cpu, &all[0].cpu)?,
                    middle(&rounds.p50, 0)?,
                    middle(&rounds.p99, 0)?,
                ]);
            }
        }
    }
    Ok(Section {
        title: format!(
            "Threads of the gateway, not tied to a processor, on {} that the load and the upstream share with it; ratios are \
             to one thread",
            processors().len()
        ),
        columns: vec![
            "case",
            "connections",
            "threads",
            "calls_per_s",
            "ratio",
            "cpu_us",
            "cpu_ratio",
            "p50_us",
            "p99_us",
        ],
        rows,
    })
}

fn start(threads: u32, upstream: &Upstream, call: &Call, subject: &Subject) -> Result<Contender> {
    let home = Home::new(upstream)?;
    let mut command = subject.http_with_its_threads(&home);
    command.args(["--worker-threads", &threads.to_string()]);
    let mut running = Running::start_at(Place::Anywhere, command, Some(home))?;
    running.server.initialize()?;
    contender(running, call)
}
