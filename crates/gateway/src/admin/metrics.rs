//! What is known of the requests, the replicas and the process, in one answer.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use aqe_core::monitor::tokens::{self, estimate};
use aqe_core::monitor::verdict::{self, Reason};
use aqe_core::monitor::{Counts, ErrorKind, MAX_ERROR, Span, Totals};
use aqe_core::registry::ToolEntry;
use aqe_core::revision::Era;
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::changes::Changes;
use super::query::Query;
use super::{Refused, balance, cache, millis, moment, pool};
use crate::monitor::{Child, Figures, InFlight, Lookups, Monitor, Point};
use crate::proxy::Gateway;
use crate::tasks;
use crate::upstream::{Upstream, with_connections};

fn monitor(gateway: &Gateway) -> Result<&Monitor, Refused> {
    gateway.monitor.as_ref().ok_or_else(|| Refused {
        status: StatusCode::NOT_FOUND,
        message: "nothing is recorded: [monitoring] enabled is false".into(),
    })
}

/// `GET /admin/metrics`.
pub(super) async fn metrics(gateway: &Arc<Gateway>, query: &Query) -> Result<Bytes, Refused> {
    let span = span(query)?;
    let gateway = Arc::clone(gateway);
    // Hundreds of tools take some milliseconds.
    let text = tasks::aside(move || of(&gateway, span).to_string()).await;
    text.map(Bytes::from).ok_or_else(|| Refused {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        message: "the figures could not be read".into(),
    })
}

/// The window that a query asks for.
pub(super) fn span(query: &Query) -> Result<Span, Refused> {
    let name = query.get("window").unwrap_or(Span::Minute.as_str());
    Span::named(name).ok_or_else(|| {
        let names = Span::ALL.map(Span::as_str).join(", ");
        Refused::bad(format!("\"window\" is one of {names}"))
    })
}

/// The figures of a window.
pub(super) fn of(gateway: &Gateway, span: Span) -> Value {
    let catalog = gateway.catalog();
    let list = catalog.tools.list().len() as u64;
    let mut value = json!({
        "at": moment(SystemTime::now()),
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "uptime_ms": millis(gateway.uptime()),
        "startup_ms": gateway.monitor.as_ref().and_then(Monitor::startup).map(millis),
        "monitoring": gateway.monitor.is_some(),
        "dashboard_interval_ms": millis(gateway.settings.dashboard_interval),
        "histogram_error": MAX_ERROR,
        "token_estimator": tokens::ESTIMATOR,
        "lists": { "tools": {
            "entries": catalog.tools.tools().len(),
            "bytes": list,
            "estimated_tokens": estimate(list),
        } },
        "pool": pool::status(gateway),
        "balance": balance::status(gateway),
        "cache": cache::status(gateway).unwrap_or_default(),
        "sessions": gateway.session_count(),
        "alerts": gateway.alerts.open(),
    });
    let Some(monitor) = &gateway.monitor else {
        value["window"] = json!({ "name": span.as_str(), "covers_ms": null });
        for unknown in [
            "health",
            "all",
            "categories",
            "upstreams",
            "tools",
            "methods",
            "refused",
            "lookups",
            "replicas",
            "process",
            "calls",
        ] {
            value[unknown] = Value::Null;
        }
        return value;
    };
    let figures = monitor.figures(span);
    let seconds = figures.covers.as_secs_f64();
    let named =
        |(name, totals): &(String, Totals)| with(calls(totals, seconds), "name", name.as_str().into());
    let mut all = calls(&figures.all, seconds);
    all["in_flight"] = monitor.in_flight().into();
    value["window"] = json!({ "name": span.as_str(), "covers_ms": millis(figures.covers) });
    value["health"] = health(monitor);
    value["all"] = all;
    value["categories"] = figures.by(|tool| &tool.category).iter().map(named).collect();
    value["upstreams"] = figures.by(|tool| &tool.upstream.name).iter().map(named).collect();
    value["tools"] = figures.tools.iter().map(|(entry, totals)| tool(entry, totals, seconds)).collect();
    value["methods"] = figures
        .methods
        .iter()
        .map(|(name, totals)| with(calls(totals, seconds), "name", (*name).into()))
        .collect();
    value["refused"] = monitor
        .all_turned()
        .iter()
        .map(|(why, count)| (why.as_str().to_owned(), (*count).into()))
        .collect::<Map<_, _>>()
        .into();
    value["lookups"] = lookups(figures.lookups, seconds);
    value["replicas"] = replicas(gateway, monitor, &figures);
    value["process"] = process(monitor);
    value["calls"] = flights(gateway, monitor);
    value
}

fn with(mut value: Value, key: &str, member: Value) -> Value {
    value[key] = member;
    value
}

fn lookups(lookups: Lookups, seconds: f64) -> Value {
    json!({
        "exact": lookups.exact,
        "resolved": lookups.resolved,
        "unknown": lookups.unknown,
        "per_s": (seconds > 0.0).then(|| lookups.total() as f64 / seconds),
    })
}

/// What is well and what is not.
fn health(monitor: &Monitor) -> Value {
    let reasons = monitor.reasons();
    let each: Vec<Value> = reasons
        .iter()
        .map(|reason| {
            json!({
                "signal": reason.signal,
                "value": reason.value,
                "threshold": reason.threshold,
                "status": reason.verdict.as_str(),
                "text": text(reason),
            })
        })
        .collect();
    json!({ "status": verdict::verdict(&reasons).as_str(), "reasons": each })
}

fn text(reason: &Reason) -> String {
    let Reason { value, threshold, .. } = reason;
    let (value, threshold) = (value * 100.0, threshold * 100.0);
    match reason.signal {
        "error_rate" => {
            format!("{value:.1} % of the requests of the last minute failed (more than {threshold:.0} %)")
        }
        _ => format!(
            "{value:.1} % of the calls of the last minute found a connection (less than {threshold:.0} %)"
        ),
    }
}

fn calls(totals: &Totals, seconds: f64) -> Value {
    let kinds = ErrorKind::ALL.iter().map(|kind| (kind.as_str().to_owned(), totals.errors_of(*kind)));
    let kinds: Map<String, Value> =
        kinds.filter(|(_, count)| *count > 0).map(|(name, count)| (name, count.into())).collect();
    json!({
        "requests": totals.requests(),
        "per_s": (seconds > 0.0).then(|| totals.requests() as f64 / seconds),
        "errors": totals.errors(),
        "error_rate": totals.error_rate(),
        "errors_by_kind": kinds,
        "cancelled": totals.cancelled(),
        "from_cache": totals.from_cache(),
        "latency_ms": latency(&totals.latency),
        "upstream_ms": latency(&totals.upstream),
        "overhead_ms": latency(&totals.overhead),
        "request_bytes": totals.request_bytes(),
        "response_bytes": totals.response_bytes(),
        "estimated_tokens": estimate(totals.result_bytes()),
    })
}

/// `null` without values.
fn latency(counts: &Counts) -> Option<Value> {
    let quantile = |share| counts.quantile(share).map(millis);
    (counts.count() > 0).then(|| {
        json!({
            "count": counts.count(),
            "mean": counts.mean().map(millis),
            "p50": quantile(0.5),
            "p90": quantile(0.9),
            "p95": quantile(0.95),
            "p99": quantile(0.99),
            "max": counts.max().map(millis),
        })
    })
}

fn tool(entry: &ToolEntry, totals: &Totals, seconds: f64) -> Value {
    let mut value = calls(totals, seconds);
    let definition = entry.definition.len() as u64;
    value["name"] = (*entry.shown).into();
    value["upstream"] = (*entry.upstream.name).into();
    value["category"] = (*entry.category).into();
    value["total_requests"] = entry.usage.calls().into();
    value["definition_bytes"] = definition.into();
    value["definition_tokens"] = estimate(definition).into();
    value
}

fn replicas(gateway: &Gateway, monitor: &Monitor, figures: &Figures) -> Value {
    let children = monitor.children();
    let seconds = figures.covers.as_secs_f64();
    let pool = gateway.pool.status();
    let mut all = Vec::new();
    for upstream in with_connections(&gateway.upstreams()) {
        let balance = upstream.balancer_status();
        let said = upstream.child_statuses();
        for ((name, pooled), balanced) in upstream.pooled(&pool).zip(&balance.replicas) {
            let sent = figures.replicas.iter().find(|(of, _)| of == name).map(|(_, totals)| totals);
            let mut value = calls(sent.unwrap_or(&Totals::EMPTY), seconds);
            value["upstream"] = (*name.upstream).into();
            value["replica"] = (*name.replica).into();
            value["state"] = balanced.state.as_str().into();
            value["reason"] = balanced.reason.map(|reason| reason.to_string()).into();
            value["error"] = error(upstream, pooled);
            value["in_flight"] = balanced.in_flight.into();
            value["picks"] = balanced.picks.into();
            value["ejections"] = balanced.ejections.into();
            value["restarts"] = pooled.map(|pooled| pooled.figures.restarts).into();
            let own: Vec<&Child> = children.iter().filter(|child| child.replica == *name).collect();
            value["children"] = own.iter().map(|child| self::child(child)).collect();
            let said = said.iter().filter(|status| own.iter().any(|child| child.pid == status.pid));
            value["last_lines"] = said.flat_map(|status| &status.last_words).map(String::as_str).collect();
            all.push(value);
        }
    }
    all.into()
}

/// What the last failure to connect said, where there is no connection.
fn error(upstream: &Upstream, pooled: Option<&aqe_core::pool::ReplicaStatus>) -> Value {
    let connected = pooled.is_some_and(|pooled| pooled.figures.connections.total > 0);
    let last = pooled.and_then(|pooled| pooled.last_error.as_deref().map(str::to_owned));
    last.or_else(|| upstream.status().error).filter(|_| !connected).into()
}

fn child(child: &Child) -> Value {
    json!({
        "pid": child.pid,
        "cpu_percent": child.cpu_percent,
        "rss_bytes": child.rss_bytes,
        "cpu_seconds": child.cpu.map(|cpu| cpu.as_secs_f64()),
        "uptime_ms": child.uptime.map(millis),
    })
}

fn process(monitor: &Monitor) -> Value {
    monitor.process().map_or(Value::Null, |process| {
        json!({
            "rss_bytes": process.rss_bytes,
            "cpu_seconds": process.cpu.as_secs_f64(),
            "cpu_percent": process.cpu_percent,
            "threads": process.threads,
            "open_files": process.open_files,
        })
    })
}

/// `GET /admin/metrics/history`.
pub(super) fn history(gateway: &Gateway) -> Result<Value, Refused> {
    Ok(points(&monitor(gateway)?.history()))
}

pub(super) fn points(points: &[Point]) -> Value {
    let points: Vec<Value> = points.iter().map(point).collect();
    json!({ "step_ms": 1000, "points": points })
}

fn point(point: &Point) -> Value {
    let at = point.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let [p50, p95, p99] = [0, 1, 2].map(|at| point.latency.map(|latency| millis(latency[at])));
    let [in_use, total, most] = point.pool;
    let [hot, memory, disk] = point.cache_hits;
    json!({
        "at": at.as_millis() as u64,
        "requests": point.requests,
        "errors": point.errors,
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "in_flight": point.in_flight,
        "pool_in_use": in_use,
        "pool_total": total,
        "pool_max": most,
        "pool_hits": point.pool_hits[0],
        "pool_misses": point.pool_hits[1],
        "rss_bytes": point.rss_bytes,
        "cache_hits": { "hot": hot, "memory": memory, "disk": disk },
        "cache_misses": point.cache_misses,
        "lookups": point.lookups,
    })
}

/// `GET /admin/calls`.
pub(super) fn in_flight(gateway: &Gateway) -> Result<Value, Refused> {
    Ok(flights(gateway, monitor(gateway)?))
}

fn flights(gateway: &Gateway, monitor: &Monitor) -> Value {
    let now = Instant::now();
    monitor.calls().iter().map(|call| flight(gateway, call, now)).collect()
}

fn flight(gateway: &Gateway, call: &InFlight, now: Instant) -> Value {
    let tool = call.tool.as_deref();
    // Neither the id of a task nor whose it is: those two together are what its result is fetched by.
    let task = call.task.as_deref();
    let task = task.map(|id| json!({ "status": "working", "message": gateway.task_note(id).as_deref() }));
    let principal = task.is_none().then_some(&*call.principal);
    json!({
        "call": call.call,
        "method": call.method,
        "tool": tool.map(|tool| &*tool.shown),
        "upstream": tool.map(|tool| &*tool.upstream.name),
        "era": match call.era { Era::Legacy => "legacy", Era::Modern => "modern" },
        "principal": principal,
        "task": task,
        "running_ms": millis(now.saturating_duration_since(call.began)),
    })
}

/// `POST /admin/calls/cancel`.
pub(super) fn cancel(gateway: &Arc<Gateway>, body: &Bytes) -> Result<Value, Refused> {
    let call = Changes::read(body, &["call"])?.text("call")?;
    let call =
        call.ok_or_else(|| Refused::bad(r#"the body must be {"call": "…"}, as in GET /admin/calls"#))?;
    if !monitor(gateway)?.cancel(&call) {
        let message = format!("no call {call:?} is in flight; it may have ended");
        return Err(Refused { status: StatusCode::NOT_FOUND, message });
    }
    tracing::info!(call, "call cancelled by an operator");
    Ok(json!({ "cancelled": call }))
}
