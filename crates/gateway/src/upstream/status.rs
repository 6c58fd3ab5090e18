//! The state of an upstream, for people.

use std::sync::Arc;

use aqe_core::monitor::Series;
use aqe_core::pool::{PoolStatus, ReplicaStatus};

use super::{Live, ReplicaName, StdioStatus, Upstream};

/// The state of an upstream for people.
#[derive(Debug, Clone)]
pub struct Status {
    /// `connected`, `idle` (not started yet), `failing`, `stopped` or `built-in`.
    pub state: &'static str,
    /// The last failure, while there is no connection.
    pub error: Option<String>,
    /// Era and revision once known.
    pub revision: Option<String>,
    /// Calls in flight.
    pub in_flight: usize,
}

/// Those of these upstreams that have connections: all but the tools in this process.
pub(crate) fn with_connections(upstreams: &[Arc<Upstream>]) -> impl Iterator<Item = &Arc<Upstream>> {
    upstreams.iter().filter(|upstream| upstream.in_process().is_none())
}

impl Upstream {
    /// Its replicas in the order of the configuration, which is the balancer's too, with what the pool knows of each;
    /// that is `None` before the upstream is started.
    pub(crate) fn pooled<'a>(
        &'a self,
        pool: &'a PoolStatus,
    ) -> impl Iterator<Item = (&'a Arc<ReplicaName>, Option<&'a ReplicaStatus>)> {
        self.replicas.iter().map(|replica| {
            let pooled = replica.pool.get().and_then(|id| pool.replicas.iter().find(|own| own.id == *id));
            (&replica.name, pooled)
        })
    }

    /// What is recorded of each replica.
    pub(crate) fn recorded(&self) -> impl Iterator<Item = (Arc<ReplicaName>, Arc<Series>)> + '_ {
        self.replicas.iter().map(|replica| (Arc::clone(&replica.name), Arc::clone(&replica.series)))
    }

    /// How the replica at this position is called.
    pub(crate) fn replica_name(&self, position: usize) -> Option<&Arc<ReplicaName>> {
        Some(&self.replicas.get(position)?.name)
    }

    /// The child processes of its replicas, by their process ids.
    pub(crate) fn children(&self) -> Vec<(Arc<ReplicaName>, u32)> {
        let child = |live: &Arc<Live>| {
            let replica = self.replicas.get(live.replica)?;
            Some((Arc::clone(&replica.name), live.connection.pid()?))
        };
        self.connections().iter().filter_map(child).collect()
    }

    /// What the child processes of its replicas say of themselves.
    pub(crate) fn child_statuses(&self) -> Vec<StdioStatus> {
        self.connections().iter().filter_map(|live| live.connection.child()).collect()
    }

    /// The state for people.
    pub fn status(&self) -> Status {
        let attempts = self.attempts();
        let live = self.current();
        let state = match (&live, attempts.stopped, &attempts.last_error) {
            _ if self.in_process().is_some() => "built-in",
            (Some(_), _, _) => "connected",
            (None, true, _) => "stopped",
            (None, false, None) => "idle",
            (None, false, Some(_)) => "failing",
        };
        let revision = live.as_ref().map(|live| live.peer.revision.clone());
        let revision = revision.or_else(|| self.manifest().map(|manifest| manifest.peer.revision.clone()));
        let error = attempts.last_error.clone().filter(|_| live.is_none());
        drop(attempts);
        let in_flight = self.connections().iter().map(|live| live.calls().len()).sum();
        Status { state, error, revision, in_flight }
    }
}
