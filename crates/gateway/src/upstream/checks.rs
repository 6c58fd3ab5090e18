//! Active health: the balancer's probes, sent and reported.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aqe_core::balancer::{BalancerStatus, Change, Probe};
use aqe_core::health::{FailureKind, Outcome};
use aqe_core::pool::{ReplicaHealth, ReplicaId};

use super::CallError;
use super::live::Live;
use super::supervisor::Upstream;
use crate::tasks;

/// How long a replica may take to answer a probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Failures to connect in a row from which a replica counts as down.
const FAILURES: u32 = 3;

impl Upstream {
    /// Lets the balancer look after its replicas; about once a second.
    pub fn tick(self: &Arc<Self>) {
        if self.in_process().is_some() {
            return;
        }
        let tick = self.balance(aqe_core::balancer::Balancer::tick);
        for change in tick.changes {
            match change {
                Change::Ejected { name, reason, again_in, .. } => {
                    tracing::warn!(upstream = self.name(), replica = %name, %reason, ?again_in, "replica taken out");
                }
                Change::Recovered { name, .. } => {
                    tracing::info!(upstream = self.name(), replica = %name, "replica back in use");
                }
            }
        }
        // A replica that came back, or has had its rest, has room.
        self.hand_out();
        for probe in tick.probes {
            let this = Arc::clone(self);
            tasks::spawn("health check", async move { this.check(probe).await });
        }
    }

    async fn check(self: &Arc<Self>, probe: Probe) {
        let Some(replica) = self.replicas.iter().find(|own| own.balancer == probe.replica()) else { return };
        let Some(id) = replica.pool.get() else { return };
        let open = self.pool.open_of(*id);
        let outcome = if let Some(live) = open.first() {
            self.ask_for_life(live).await
        } else {
            self.pool.try_again(*id);
            self.outcome_unconnected(*id)
        };
        let stalled = matches!(outcome, Outcome::Failure(FailureKind::Timeout));
        self.balance(|balancer, now| balancer.probed(probe, outcome, now));
        if stalled {
            for live in open {
                live.move_repeatable();
            }
        }
    }

    async fn ask_for_life(&self, live: &Arc<Live>) -> Outcome {
        let asked = Instant::now();
        let Err(error) = live.probe(PROBE_TIMEOUT).await else { return Outcome::Success };
        tracing::debug!(upstream = self.name(), %error, "a probe failed");
        if live.connection.is_open() && asked.elapsed() >= PROBE_TIMEOUT {
            return Outcome::Failure(FailureKind::Timeout);
        }
        if error == CallError::SessionLost {
            self.retire(live);
        }
        error.outcome(self.replicas.len())
    }

    /// What is known of a replica without a connection.
    fn outcome_unconnected(&self, replica: ReplicaId) -> Outcome {
        if self.replicas.len() == 1 {
            // The pool tries again by itself, and there is nobody to turn to meanwhile.
            return Outcome::Cancelled;
        }
        let status = self.pool.status();
        let health = status.replicas.iter().find(|status| status.id == replica).map(|status| status.health);
        match health {
            Some(ReplicaHealth::CrashLooping { .. }) => Outcome::Failure(FailureKind::Connect),
            Some(ReplicaHealth::BackingOff { failures, .. }) if failures >= FAILURES => {
                Outcome::Failure(FailureKind::Connect)
            }
            // Nobody has asked for it yet, and a probe is no reason to start it; or it is just starting again.
            _ => Outcome::Cancelled,
        }
    }

    /// The figures of the balancer.
    pub fn balancer_status(&self) -> BalancerStatus {
        self.balance(aqe_core::balancer::Balancer::status)
    }
}
