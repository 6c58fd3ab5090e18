//! The connection pool: shown and configured.

use aqe_core::monitor::Counts;
use aqe_core::pool::{CloseReason, PoolConfig, PoolFigures, ReplicaHealth, ReplicaStatus, WaitTimes};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::changes::Changes;
use super::{Refused, millis};
use crate::proxy::Gateway;
use crate::upstream::{ReplicaName, with_connections};

/// Most connections that the pool can be told to have.
pub const MOST_CONNECTIONS: u32 = 100_000;

/// `GET /admin/pool`.
pub(super) fn status(gateway: &Gateway) -> Value {
    let (status, waits) = gateway.pool.status_and_waits();
    let config = gateway.pool.config();
    let mut replicas = Vec::new();
    for upstream in with_connections(&gateway.upstreams()) {
        let known = upstream.pooled(&status).filter_map(|(name, own)| Some((name, own?)));
        replicas.extend(known.map(|(name, own)| replica(name, own, waits.of(own.id), &config)));
    }
    json!({
        "settings": settings(&config),
        "draining": status.draining,
        "max_waiting": config.max_waiting(),
        "all": figures(&status.all, Some(&waits.all)),
        "replicas": replicas,
    })
}

/// `POST /admin/pool`: the settings after the change.
pub(super) fn configure(gateway: &Gateway, body: &Bytes) -> Result<Value, Refused> {
    let mut changes = Changes::read(
        body,
        &[
            "min_connections",
            "max_connections",
            "idle_timeout_ms",
            "max_uses",
            "max_lifetime_ms",
            "health_check_interval_ms",
            "acquire_timeout_ms",
        ],
    )?;
    let now = gateway.pool.config();
    let config = PoolConfig {
        min_connections: changes
            .number("min_connections", 0, MOST_CONNECTIONS)?
            .unwrap_or(now.min_connections),
        max_connections: changes
            .number("max_connections", 1, MOST_CONNECTIONS)?
            .unwrap_or(now.max_connections),
        idle_timeout: changes.millis("idle_timeout_ms")?.unwrap_or(now.idle_timeout),
        max_uses: changes.number("max_uses", 1, u32::MAX)?.unwrap_or(now.max_uses),
        max_lifetime: changes.millis("max_lifetime_ms")?.unwrap_or(now.max_lifetime),
        health_check_interval: changes
            .millis("health_check_interval_ms")?
            .unwrap_or(now.health_check_interval),
        acquire_timeout: changes.millis("acquire_timeout_ms")?.unwrap_or(now.acquire_timeout),
        ..now
    };
    gateway.pool.reconfigure(config.clone()).map_err(|error| Refused::bad(error.to_string()))?;
    tracing::info!(?config, "pool reconfigured");
    Ok(json!({ "settings": settings(&config) }))
}

fn settings(config: &PoolConfig) -> Value {
    json!({
        "max_connections": config.max_connections,
        "min_connections": config.min_connections,
        "max_opening": config.max_opening,
        "idle_timeout_ms": millis(config.idle_timeout),
        "max_uses": config.max_uses,
        "max_lifetime_ms": millis(config.max_lifetime),
        "health_check_interval_ms": millis(config.health_check_interval),
        "acquire_timeout_ms": millis(config.acquire_timeout),
    })
}

fn replica(name: &ReplicaName, status: &ReplicaStatus, waits: Option<&Counts>, config: &PoolConfig) -> Value {
    let mut value = figures(&status.figures, waits);
    value["upstream"] = (*name.upstream).into();
    value["replica"] = (*name.replica).into();
    value["min_connections"] = status.min_connections.into();
    // A replica without a limit of its own has that of the pool.
    value["max_connections"] = status.max_connections.min(config.max_connections).into();
    value["health"] = health(status.health);
    value["last_error"] = status.last_error.as_deref().map_or(Value::Null, Value::from);
    value
}

fn health(health: ReplicaHealth) -> Value {
    let (failures, retry_in) = match health {
        ReplicaHealth::BackingOff { failures, retry_in }
        | ReplicaHealth::CrashLooping { failures, retry_in } => (failures, Some(retry_in)),
        _ => (0, None),
    };
    json!({ "state": health.as_str(), "failures": failures, "retry_in_ms": retry_in.map(millis) })
}

fn figures(figures: &PoolFigures, waits: Option<&Counts>) -> Value {
    let retired: Map<String, Value> = figures
        .retirements()
        .filter(|(_, count)| *count > 0)
        .map(|(reason, count)| (reason.as_str().to_owned(), count.into()))
        .collect();
    let connections = figures.connections;
    json!({
        "available": connections.available,
        "idle": connections.idle,
        "in_use": connections.in_use,
        "opening": connections.opening,
        "draining": connections.draining,
        "closing": connections.closing,
        "total": connections.total,
        "calls_in_flight": figures.calls_in_flight,
        "waiting": figures.waiting,
        "hits": figures.hits,
        "misses": figures.misses,
        "hit_rate": figures.hit_rate(),
        "timeouts": figures.timeouts,
        "refused": figures.refused,
        "cancelled": figures.cancelled,
        "opened": figures.opened,
        "open_failures": figures.open_failures,
        "evictions": figures.retired(CloseReason::Evicted),
        // By reason; a reason that never came up is not listed.
        "retired": retired,
        "wait_ms": waits.and_then(WaitTimes::of).map(|waits| {
            json!({
                "p50": millis(waits.p50),
                "p95": millis(waits.p95),
                "p99": millis(waits.p99),
                "max": millis(waits.max),
            })
        }),
    })
}
