//! The figures as JSON.

use aqe_load::load::Until;
use serde_json::{Value, json};

use super::report::Report;

/// All of it; the steps of a ladder as a list of such documents. Times are in the units that the names say; null is
/// unknown.
pub(super) fn document(reports: &[Report<'_>]) -> Value {
    match reports {
        [report] => step(report),
        steps => json!({ "steps": steps.iter().map(step).collect::<Vec<_>>() }),
    }
}

fn step(report: &Report<'_>) -> Value {
    let plan = &report.plan;
    let (seconds, calls) = match plan.round {
        Until::Elapsed(time) => (Some(time.as_secs_f64()), None),
        Until::Requests(calls) => (None, Some(calls)),
    };
    let targets = report.targets.iter().zip(report.calls).zip(&report.outcome.results);
    let targets: Vec<Value> = targets
        .map(|((target, call), figures)| {
            let arguments = call.tool.as_ref().map(|_| &call.arguments);
            json!({
                "target": target.place.name(),
                "transport": target.place.transport(),
                "era": target.era.name(),
                "revision": target.revision,
                "server": target.server,
                "tools": target.tools.len(),
                "request": { "method": call.method, "tool": call.tool, "arguments": arguments },
                "figures": figures,
            })
        })
        .collect();
    json!({
        "mode": if plan.drive.rate.is_some() { "open" } else { "closed" },
        "connections": plan.drive.connections,
        "payload_bytes": report.payload,
        "rate": plan.drive.rate,
        "seconds": seconds,
        "calls": calls,
        "rounds": plan.rounds,
        "warm_up_seconds": plan.warm_up.as_secs_f64(),
        "load_cpu_percent": report.outcome.load_cpu_percent,
        "targets": targets,
        "notes": report.notes(),
    })
}
