//! What the pool and the balancer are to know of an upstream's replicas.

use std::num::NonZeroU32;

use aqe_core::balancer::{self, BalancerConfig};
use aqe_core::pool;
use aqe_core::revision::Era;

use super::handshake::Peer;
use super::live::variant_of;
use super::supervisor::UpstreamError;
use crate::settings::{Balancing, Endpoint, SessionScope, Start, UpstreamSettings};

/// What the pool is to know of a replica. A lazy one keeps no connection until the first was opened.
pub(super) fn pool_config(
    settings: &UpstreamSettings,
    replica: usize,
    peer: Option<&Peer>,
    start: Start,
    optimized: bool,
) -> pool::ReplicaConfig {
    let replica = &settings.replicas[replica];
    let era = settings.era.or(peer.map(|peer| peer.era)).unwrap_or(Era::Modern);
    let stateful = match settings.session_scope {
        Some(SessionScope::Shared | SessionScope::PerRequest) => false,
        Some(SessionScope::PerPrincipal | SessionScope::PerClientSession) => true,
        None => optimized && era == Era::Legacy,
    };
    let known = peer.is_some();
    pool::ReplicaConfig {
        name: format!("{}/{}", settings.name, replica.name).into(),
        variant: variant_of(era),
        max_connections: replica.max_connections,
        min_connections: match start {
            // Only the one that lists are fetched over.
            _ if !optimized => Some(1),
            Start::Lazy if known => Some(0),
            Start::Lazy => Some(1),
            Start::Eager => replica.min_connections,
        },
        max_calls: replica.max_calls,
        grow_at: replica.grow_at,
        stateful,
        process: matches!(replica.endpoint, Endpoint::Child(_)),
    }
}

/// What the balancer is to know, if that and what the pool is to know can be used.
pub(crate) fn check_settings(
    settings: &UpstreamSettings,
    balancing: &Balancing,
) -> Result<BalancerConfig, UpstreamError> {
    let config = balancer_config(settings, balancing);
    let name = || settings.name.clone();
    config.check().map_err(|fault| UpstreamError::Balancer { name: name(), fault })?;
    for replica in 0..settings.replicas.len() {
        let config = pool_config(settings, replica, None, Start::Eager, true);
        config.check().map_err(|fault| UpstreamError::Pool { name: name(), fault })?;
    }
    Ok(config)
}

fn balancer_config(settings: &UpstreamSettings, balancing: &Balancing) -> BalancerConfig {
    let replicas = settings.replicas.iter().map(|replica| {
        let capacity = replica.max_connections.saturating_mul(replica.max_calls);
        let capacity = NonZeroU32::new(capacity).unwrap_or(NonZeroU32::MIN);
        balancer::ReplicaConfig {
            weight: replica.weight,
            categories: replica.categories.clone(),
            ..balancer::ReplicaConfig::new(&replica.name, capacity)
        }
    });
    BalancerConfig {
        strategy: settings.strategy.unwrap_or(balancing.strategy),
        score: balancing.score,
        health: balancing.health.clone(),
        retries: balancing.retries,
        hedges: balancing.hedges,
        ..BalancerConfig::new(replicas.collect())
    }
}
