//! What this server is, and how its upstreams are.

use serde_json::{Value, json};

use super::{About, millis, moment};
use crate::catalog::Catalog;
use crate::proxy::Gateway;
use crate::settings::Endpoint;
use crate::upstream::Upstream;

/// `GET /admin/info`.
pub(super) fn info(gateway: &Gateway) -> Value {
    let About { folder, config, url, dashboard, sockets, stdio, started_at } = &gateway.settings.about;
    json!({
        "name": "aqe-v3",
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "folder": folder,
        "config": config,
        "url": url,
        "dashboard": dashboard,
        "sockets": sockets,
        "stdio": stdio,
        "started_at": started_at.map(moment),
    })
}

/// How the server and its upstreams are: the value that `GET /admin/status` answers with.
pub fn status(gateway: &Gateway) -> Value {
    let catalog = gateway.catalog();
    let tools = tools_by_upstream(&catalog);
    let upstreams: Vec<Value> =
        catalog.upstreams.iter().zip(tools).map(|(upstream, tools)| one(upstream, tools)).collect();
    let tasks = gateway.task_counts();
    json!({
        "pid": std::process::id(),
        "folder": gateway.settings.about.folder,
        "url": gateway.settings.about.url,
        "uptime_ms": millis(gateway.uptime()),
        "http_sessions": gateway.sessions.all().len(),
        "total_tools": catalog.tools.total_tools(),
        "upstreams": upstreams,
        "tasks": { "working": tasks.working, "kept": tasks.known - tasks.working, "result_bytes": tasks.bytes },
        "telemetry": gateway.settings.telemetry.status(),
    })
}

/// How an upstream is reached, in a word.
pub(super) fn transport(upstream: &Upstream) -> &'static str {
    let settings = upstream.settings();
    let mut kinds = settings.replicas.iter().map(|replica| match replica.endpoint {
        Endpoint::Child(_) => "stdio",
        Endpoint::Http(_) => "http",
        Endpoint::InProcess(_) => "built-in",
    });
    let first = kinds.next().unwrap_or("none");
    if kinds.all(|kind| kind == first) { first } else { "mixed" }
}

/// Whether it is known what the upstream offers.
pub(super) fn is_listed(upstream: &Upstream) -> bool {
    upstream.in_process().is_some() || upstream.manifest().is_some()
}

fn one(upstream: &Upstream, tools: usize) -> Value {
    let status = upstream.status();
    let builtin = upstream.in_process().is_some();
    json!({
        "name": upstream.name(),
        "transport": transport(upstream),
        "state": status.state,
        "error": status.error,
        "revision": status.revision,
        // Calls of built-in tools have no connection on which they could be counted.
        "calls_in_flight": (!builtin).then_some(status.in_flight),
        "tools": is_listed(upstream).then_some(tools),
    })
}

/// The number of tools that are shown of each upstream, by its position.
fn tools_by_upstream(catalog: &Catalog) -> Vec<usize> {
    let mut counts = vec![0; catalog.upstreams.len()];
    for tool in catalog.tools.tools() {
        if let Some(count) = counts.get_mut(tool.upstream.index as usize) {
            *count += 1;
        }
    }
    counts
}
