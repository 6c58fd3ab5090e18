//! A replica of an upstream, as the pool, the balancer and the monitor know it.

use std::sync::{Arc, OnceLock};

use aqe_core::monitor::Series;
use aqe_core::{balancer, pool};
use arc_swap::ArcSwapOption;

use super::handshake::Peer;

/// One replica as the pool and the balancer know it.
pub(super) struct Replica {
    /// Set when the upstream is started.
    pub(super) pool: OnceLock<pool::ReplicaId>,
    pub(super) balancer: balancer::ReplicaId,
    /// What the server said last.
    pub(super) peer: ArcSwapOption<Peer>,
    pub(super) name: Arc<ReplicaName>,
    /// The calls that were sent to it.
    pub(super) series: Arc<Series>,
}

/// Which replica of which upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaName {
    /// The upstream.
    pub upstream: Arc<str>,
    /// The replica.
    pub replica: Arc<str>,
}
