//! What the configuration and the admin API read and change of an upstream while it runs.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use aqe_core::balancer::{BalancerConfig, BalancerConfigError};

use super::membership::{check_settings, pool_config};
use super::{Upstream, UpstreamError};
use crate::settings::{Balancing, Start, UpstreamSettings};

impl Upstream {
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

    /// Has the pool keep a connection open from now on, if it kept none.
    pub(crate) fn keep_one(&self) {
        let lazy = self.lazy.load(Ordering::Relaxed);
        self.limit(Start::Eager, lazy.then_some(1));
    }

    /// Tells the pool what the settings say of the replicas' connections.
    fn limit(&self, start: Start, least: Option<u32>) {
        let settings = self.settings();
        for (at, replica) in self.replicas.iter().enumerate() {
            let Some(id) = replica.pool.get() else { continue };
            let peer = replica.peer.load();
            let mut config = pool_config(&settings, at, peer.as_deref(), start, self.optimized);
            config.min_connections = least.or(config.min_connections);
            // The settings were checked.
            let _ = self.pool.configure_replica(*id, config);
        }
    }

    /// Other settings for the connections that there are; see [`UpstreamSettings::keeps_connections`].
    ///
    /// # Errors
    /// If the settings cannot be used; nothing is changed then.
    pub(crate) fn reconfigure(
        &self,
        settings: UpstreamSettings,
        balancing: &Balancing,
    ) -> Result<(), UpstreamError> {
        let config = check_settings(&settings, balancing)?;
        self.balance(|balancer, now| balancer.reconfigure(config, now))
            .map_err(|fault| UpstreamError::Balancer { name: self.name().to_owned(), fault })?;
        self.hedging.store(!balancing.hedges.is_off(), Ordering::Relaxed);
        self.settings.store(Arc::new(settings));
        match (self.lazy.load(Ordering::Relaxed), self.current()) {
            (true, None) => self.limit(Start::Lazy, None),
            _ => self.keep_one(),
        }
        Ok(())
    }

    /// Opens no more connections, and closes those that there are.
    pub(crate) fn remove(&self) {
        self.stop();
        for replica in &self.replicas {
            if let Some(id) = replica.pool.get() {
                self.pool.remove(*id);
            }
        }
    }
}
