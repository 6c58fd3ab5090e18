//! The figures as JSON.

use serde_json::{Value, json};

use super::Report;

/// All of it. Times are in the units that the names say; null is unknown.
pub(super) fn document(report: &Report<'_>) -> Value {
    let plan = report.plan;
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
        "rate": plan.drive.rate,
        "seconds": plan.round.as_secs_f64(),
        "rounds": plan.rounds,
        "warm_up_seconds": plan.warm_up.as_secs_f64(),
        "load_cpu_percent": report.outcome.load_cpu_percent,
        "targets": targets,
        "notes": report.notes(),
    })
}
