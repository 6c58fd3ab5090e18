//! What a forwarded call takes longer than the same call sent to the upstream itself: through the gateway, and through
//! the copying proxy.

use std::time::Duration;

use crate::Result;
use crate::calls::{Plan, WARM_UP, middle, progress, selected};
use crate::cases::{Baseline, Case, Route};
use crate::load::{self, Until};
use crate::report::{Cell, Section};
use crate::stats::Spread;
use crate::subject::Subject;

/// Measures on one connection, so that no call waits for another.
pub(crate) fn measure(subject: &Subject, plan: &Plan) -> Result<Section> {
    let mut rows = Vec::new();
    // The rows beside the parsing proxy are the same calls once more.
    let is_own = |case: &Case| case.route == Route::Http && case.baseline == Baseline::Proxy;
    for case in selected(plan).filter(is_own) {
        progress(&format!("latency: {}", case.name));
        rows.push(row(&case, subject, plan).map_err(|error| format!("{}: {error}", case.name))?);
    }
    Ok(Section {
        title: format!(
            "Latency over HTTP, one connection, {} rounds of {:?}: p50 in µs, and what it has above the upstream's own",
            plan.rounds, plan.round
        ),
        columns: vec!["case", "upstream_us", "proxy_us", "gateway_us", "proxy_added_us", "gateway_added_us"],
        rows,
    })
}

fn row(case: &Case, subject: &Subject, plan: &Plan) -> Result<Vec<Cell>> {
    let contest = case.start(subject, &|_, command| command)?;
    let upstream = contest.upstream.as_ref().ok_or("no upstream over HTTP")?;
    let direct = upstream.server.request(&case.direct());
    let p50 = |address, request| {
        let run = |time: Duration| load::run(address, request, 1, Until::Elapsed(time));
        run(WARM_UP)?;
        Ok::<f64, crate::Error>(run(plan.round)?.latency_us(0.50))
    };
    let (mut own, mut proxy, mut gateway) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        own.push(p50(upstream.server.address, &direct)?);
        proxy.push(p50(contest.baseline.running.server.address, &contest.baseline.request)?);
        gateway.push(p50(contest.subject.running.server.address, &contest.subject.request)?);
    }
    let added = |through: &[f64]| {
        let added = Spread::of(through.iter().zip(&own).map(|(through, own)| through - own));
        added.map(|added| Cell::Figure(added, 0)).ok_or("no rounds")
    };
    Ok(vec![
        Cell::text(&case.name),
        middle(&own, 0)?,
        middle(&proxy, 0)?,
        middle(&gateway, 0)?,
        added(&proxy)?,
        added(&gateway)?,
    ])
}
