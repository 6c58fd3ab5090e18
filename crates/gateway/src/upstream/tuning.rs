//! What the admin API reads and changes of an upstream's replicas.

use std::time::Instant;

use aqe_core::balancer::{BalancerConfig, BalancerConfigError};
use aqe_core::pool::ReplicaId;

use super::Upstream;

impl Upstream {
    /// Its replicas as the pool knows them, in the order of the configuration; `None` before the upstream is started.
    pub fn pool_replicas(&self) -> impl Iterator<Item = Option<ReplicaId>> + '_ {
        self.replicas.iter().map(|replica| replica.pool.get().copied())
    }

    /// How its calls are spread at this moment.
    pub fn balancer_config(&self) -> BalancerConfig {
        self.balance(|balancer, _| balancer.config().clone())
    }

    /// Changes some of the settings of its balancer; calls under way go on.
    ///
    /// # Errors
    /// If the changed settings cannot be used; nothing is changed then.
    pub fn retune(&self, change: impl FnOnce(&mut BalancerConfig)) -> Result<(), BalancerConfigError> {
        self.balance(|balancer, now: Instant| {
            let mut config = balancer.config().clone();
            change(&mut config);
            balancer.reconfigure(config, now)
        })
    }
}
