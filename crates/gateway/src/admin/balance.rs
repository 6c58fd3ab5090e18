//! The load balancers, one for each upstream: shown and configured.

use std::sync::Arc;

use aqe_core::balancer::{BalancerConfig, BalancerConfigError, ReplicaStatus, ScoreWeights, Strategy};
use bytes::Bytes;
use serde_json::{Value, json};

use super::changes::Changes;
use super::{Refused, millis};
use crate::proxy::Gateway;
use crate::upstream::{Upstream, with_connections};

/// `GET /admin/balance`.
pub(super) fn status(gateway: &Gateway) -> Value {
    let upstreams: Vec<Value> =
        with_connections(&gateway.upstreams()).map(|upstream| one(upstream)).collect();
    json!({ "upstreams": upstreams })
}

/// `POST /admin/balance`: changes one upstream, or all, also those whose configuration has a strategy of its own. The
/// answer is that of `GET` for what was changed.
pub(super) fn configure(gateway: &Gateway, body: &Bytes) -> Result<Value, Refused> {
    let mut changes =
        Changes::read(body, &["upstream", "strategy", "load_weight", "response_weight", "category_weight"])?;
    let strategy: Option<Strategy> = match changes.text("strategy")? {
        Some(name) => Some(name.parse().map_err(|error| refused(&error))?),
        None => None,
    };
    let load = changes.real("load_weight")?;
    let response = changes.real("response_weight")?;
    let category = changes.real("category_weight")?;
    let name = changes.text("upstream")?;
    if strategy.is_none() && load.or(response).or(category).is_none() {
        return Err(Refused::bad("nothing to change: give \"strategy\" or a weight"));
    }
    let change = |config: &mut BalancerConfig| {
        config.strategy = strategy.unwrap_or(config.strategy);
        config.score = ScoreWeights {
            load: load.unwrap_or(config.score.load),
            response: response.unwrap_or(config.score.response),
            category: category.unwrap_or(config.score.category),
        };
    };
    let upstreams = gateway.upstreams();
    let balanced = || with_connections(&upstreams);
    let is_meant = |upstream: &&Arc<Upstream>| name.as_deref().is_none_or(|name| name == upstream.name());
    let meant: Vec<&Arc<Upstream>> = balanced().filter(is_meant).collect();
    if let Some(name) = name.as_deref().filter(|_| meant.is_empty()) {
        let known: Vec<&str> = balanced().map(|upstream| upstream.name()).collect();
        return Err(Refused::bad(format!("no upstream is called {name:?}; there are: {}", known.join(", "))));
    }
    // All or none: what one of them refuses, none gets.
    for upstream in &meant {
        let mut config = upstream.balancer_config();
        change(&mut config);
        config.check().map_err(|error| refused(&error))?;
    }
    for upstream in &meant {
        upstream.retune(change).map_err(|error| refused(&error))?;
        let strategy = upstream.balancer_config().strategy;
        tracing::info!(upstream = upstream.name(), %strategy, "balancer reconfigured");
    }
    let upstreams: Vec<Value> = meant.into_iter().map(|upstream| one(upstream)).collect();
    Ok(json!({ "upstreams": upstreams }))
}

fn refused(error: &BalancerConfigError) -> Refused {
    Refused::bad(error.to_string())
}

fn one(upstream: &Upstream) -> Value {
    let ScoreWeights { load, response, category } = upstream.balancer_config().score;
    let status = upstream.balancer_status();
    let replicas: Vec<Value> = status.replicas.iter().map(replica).collect();
    let leaving: Vec<Value> = status.leaving.iter().map(replica).collect();
    json!({
        "name": upstream.name(),
        "strategy": status.strategy.as_str(),
        "weights": { "load": load, "response": response, "category": category },
        "panic": status.panic,
        "retries": status.retries,
        "retries_left": status.retries_left,
        "hedges": status.hedges,
        "hedges_left": status.hedges_left,
        "pauses": status.pauses,
        "replicas": replicas,
        "leaving": leaving,
    })
}

fn replica(replica: &ReplicaStatus) -> Value {
    json!({
        "name": *replica.name,
        "state": replica.state.as_str(),
        "reason": replica.reason.map(|reason| reason.to_string()),
        "down": replica.down,
        "again_in_ms": replica.again_in.map(millis),
        "resting_ms": replica.resting.map(millis),
        "in_flight": replica.in_flight,
        "capacity": replica.capacity,
        "weight": replica.weight,
        "latency_ms": replica.latency.map(millis),
        "success_rate": replica.success_rate,
        "picks": replica.picks,
        "trials": replica.trials,
        "panic_picks": replica.panic_picks,
        "failures": replica.failures,
        "ejections": replica.ejections,
        "recoveries": replica.recoveries,
    })
}
