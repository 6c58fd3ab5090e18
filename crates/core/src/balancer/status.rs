//! What to show of a balancer, at one moment.

use std::sync::Arc;
use std::time::Duration;

use super::config::Strategy;
use super::replica::ReplicaId;
use crate::health::{BreakerState, Reason};

/// The figures of a balancer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BalancerStatus {
    /// How it chooses.
    pub strategy: Strategy,
    /// So few replicas are healthy that ejected ones serve as well.
    pub panic: bool,
    /// Retries that could be sent now.
    pub retries_left: u32,
    /// Hedges that could be sent now.
    pub hedges_left: u32,
    /// Retries that were sent, ever.
    pub retries: u64,
    /// Hedges that were sent, ever.
    pub hedges: u64,
    /// Times that this process was found to have been stopped for a while.
    pub pauses: u32,
    /// The replicas, in the order of the configuration.
    pub replicas: Vec<ReplicaStatus>,
    /// Replicas that are no longer configured, with calls that are not yet finished.
    pub leaving: Vec<ReplicaStatus>,
}

/// The figures of one replica.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ReplicaStatus {
    /// Which.
    pub id: ReplicaId,
    /// Its configured name.
    pub name: Arc<str>,
    /// The state of its circuit breaker.
    pub state: BreakerState,
    /// Why it is out; `None` if it is not.
    pub reason: Option<Reason>,
    /// A probe said that it is down, so that it serves not even in panic.
    pub down: bool,
    /// When it will be tried again, from now; `None` if it is not out.
    pub again_in: Option<Duration>,
    /// For how long from now it asked to be left alone.
    pub resting: Option<Duration>,
    /// Calls that are not yet finished.
    pub in_flight: u32,
    /// Most calls in flight.
    pub capacity: u32,
    /// Share of the calls relative to the others.
    pub weight: f64,
    /// Peak average of the latency; `None` before the first answer since it came (back) into use.
    pub latency: Option<Duration>,
    /// Successes among the finished calls of the last ten seconds, from 0 to 1; `None` without calls.
    pub success_rate: Option<f64>,
    /// Calls that were sent to it, ever.
    pub picks: u64,
    /// Those of them that tried whether it is well again.
    pub trials: u64,
    /// Those of them that were sent in panic, though it was out.
    pub panic_picks: u64,
    /// Calls that failed, ever.
    pub failures: u64,
    /// Times that it was taken out.
    pub ejections: u32,
    /// Times that it came back.
    pub recoveries: u32,
}
