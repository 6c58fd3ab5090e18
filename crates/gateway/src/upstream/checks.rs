//! Active health: the balancer's probes, sent and reported.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aqe_core::balancer::{BalancerConfigError, BalancerStatus, Change, Probe};
use aqe_core::health::{FailureKind, Outcome};
use aqe_core::pool::ReplicaHealth;

use super::supervisor::{Upstream, balancer_config};
use crate::settings::Balancing;
use crate::tasks;

/// How long a replica may take to answer a probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Failures to connect in a row from which a replica counts as down.
const FAILURES: u32 = 3;

impl Upstream {
    /// Lets the balancer look after its replicas; about once a second.
    pub fn tick(self: &Arc<Self>) {
        if self.settings.in_process().is_some() {
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
        for probe in tick.probes {
            let this = Arc::clone(self);
            tasks::spawn("health check", async move { this.check(probe).await });
        }
    }

    async fn check(self: &Arc<Self>, probe: Probe) {
        let Some(replica) = self.replicas.iter().find(|own| own.balancer == probe.replica()) else { return };
        let Some(id) = replica.pool.get() else { return };
        let open = self.pool.open_of(*id);
        let outcome = match open.first() {
            Some(live) => match live.probe(PROBE_TIMEOUT).await {
                Ok(()) => Outcome::Success,
                Err(error) => {
                    tracing::debug!(upstream = self.name(), %error, "a probe failed");
                    Outcome::Failure(if live.connection.is_open() {
                        FailureKind::Timeout
                    } else {
                        FailureKind::Closed
                    })
                }
            },
            None => {
                let status = self.pool.status();
                let own = status.replicas.iter().find(|status| status.id == *id);
                match own.map(|own| own.health) {
                    Some(ReplicaHealth::CrashLooping { .. }) => Outcome::Failure(FailureKind::Connect),
                    Some(ReplicaHealth::BackingOff { failures, .. }) if failures >= FAILURES => {
                        Outcome::Failure(FailureKind::Connect)
                    }
                    // Nobody has asked for it yet, and a probe is no reason to start it; or it is just starting again.
                    _ => Outcome::Cancelled,
                }
            }
        };
        let stalled = matches!(outcome, Outcome::Failure(FailureKind::Timeout));
        self.balance(|balancer, now| balancer.probed(probe, outcome, now));
        if stalled {
            for live in open {
                live.move_repeatable();
            }
        }
    }

    /// The figures of the balancer.
    pub fn balancer_status(&self) -> BalancerStatus {
        self.balance(aqe_core::balancer::Balancer::status)
    }

    /// Changes how calls are spread; calls under way go on.
    ///
    /// # Errors
    /// If the settings cannot be used; nothing is changed then.
    pub fn rebalance(&self, balancing: &Balancing) -> Result<(), BalancerConfigError> {
        let config = balancer_config(&self.settings, balancing);
        self.balance(|balancer, now: Instant| balancer.reconfigure(config, now))
    }
}
