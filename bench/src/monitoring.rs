//! What recording costs: the same load with `[monitoring] enabled = false`.

use crate::Result;
use crate::calls::{Plan, Rounds, cell, middle, progress, round};
use crate::cases::{Contender, contender, forwarded, retrieve};
use crate::echo::TOOLS;
use crate::message::{Call, Era};
use crate::report::{Cell, Section};
use crate::serve::Serve;
use crate::stats::Spread;
use crate::subject::{Home, Running, Subject, Upstream};

/// Measures both in turns.
pub(crate) fn measure(subject: &Subject, plan: &Plan) -> Result<Section> {
    let upstream = Running::start(Serve::echo_http(TOOLS.len()).command()?, None)?;
    let (tool, size) = TOOLS[0];
    let http = Upstream::Http(upstream.url());
    let child = Upstream::Child { tools: TOOLS.len() };
    let cases = [
        ("retrieve, absent, legacy", &Upstream::None, retrieve(Era::Legacy)),
        ("HTTP→HTTP 0.2 KB, legacy", &http, forwarded(Era::Legacy, tool, size)),
        ("HTTP→HTTP 0.2 KB, modern", &http, forwarded(Era::Modern, tool, size)),
        ("HTTP→stdio 0.2 KB, modern", &child, forwarded(Era::Modern, tool, size)),
    ];
    let mut rows = Vec::new();
    for (name, upstream, call) in cases {
        progress(&format!("monitoring: {name}"));
        let [on, off] = [true, false].map(|enabled| start(enabled, upstream, &call, subject));
        let (on, off) = (on?, off?);
        let (mut with, mut without) = (Rounds::default(), Rounds::default());
        for _ in 0..plan.rounds {
            round(&off, plan, &mut without)?;
            round(&on, plan, &mut with)?;
        }
        let ratio = |with: &[f64], without: &[f64]| {
            Spread::ratio(with, without).map(|ratio| Cell::Figure(ratio, 3)).ok_or("no rounds")
        };
        rows.push(vec![
            Cell::text(name),
            cell(&with.rate, 0)?,
            cell(&without.rate, 0)?,
            ratio(&with.rate, &without.rate)?,
            cell(&with.cpu, 1)?,
            cell(&without.cpu, 1)?,
            ratio(&with.cpu, &without.cpu)?,
            middle(&with.p99, 0)?,
            middle(&without.p99, 0)?,
        ]);
    }
    Ok(Section {
        title: format!(
            "Monitoring on and off, {} connections, {} rounds of {:?}; ratios are on to off",
            plan.connections, plan.rounds, plan.round
        ),
        columns: vec![
            "case",
            "calls_per_s",
            "off_calls_per_s",
            "rate_ratio",
            "cpu_us",
            "off_cpu_us",
            "cpu_ratio",
            "p99_us",
            "off_p99_us",
        ],
        rows,
    })
}

fn start(enabled: bool, upstream: &Upstream, call: &Call, subject: &Subject) -> Result<Contender> {
    let home = Home::with(&format!("[monitoring]\nenabled = {enabled}\n{}", upstream.table()?))?;
    let mut running = Running::start(subject.http(&home), Some(home))?;
    if call.era == Era::Legacy {
        running.server.initialize()?;
    }
    contender(running, call)
}
