//! The settings of the pool (`[pool]` in the configuration) and of each replica, as values.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

/// Places in the waiting queue for each connection that the pool may have.
const WAITING_PER_CONNECTION: usize = 10;

/// Settings for the whole pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolConfig {
    /// Most connections of all replicas together, counting those that are being opened or closed. At least 1.
    pub max_connections: u32,
    /// Connections that are kept open per replica, as far as its own maximum and `max_connections` allow.
    pub min_connections: u32,
    /// Most connections that are being opened at one moment, over all replicas; one replica may have half of that, and
    /// one that fails has one, so that a replica that hangs does not hold up the others. At least 1.
    pub max_opening: u32,
    /// Longest wait for a connection; a call whose own deadline is earlier waits until that.
    pub acquire_timeout: Duration,
    /// How long a connection above the minimum may be idle before it is closed.
    pub idle_timeout: Duration,
    /// Calls after which a connection is replaced. At least 1.
    pub max_uses: u32,
    /// Age at which a connection is replaced, varied by 10 % either way so that they do not all go at once.
    pub max_lifetime: Duration,
    /// How often a connection on which no call succeeded meanwhile is probed, varied by 10 % either way.
    pub health_check_interval: Duration,
    /// How long a lane that has no connection waits for somebody else's to fall idle before one that is in use is
    /// drained in its favour.
    pub reclaim_after: Duration,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            max_connections: 50,
            min_connections: 5,
            max_opening: 8,
            acquire_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(300),
            max_uses: 1_000,
            max_lifetime: Duration::from_secs(3_600),
            health_check_interval: Duration::from_secs(30),
            reclaim_after: Duration::from_millis(500),
        }
    }
}

impl PoolConfig {
    /// Most calls that may wait for a connection: ten for each connection that there may be.
    pub fn max_waiting(&self) -> usize {
        self.max_connections as usize * WAITING_PER_CONNECTION
    }

    /// Most connections of one replica that are being opened at one moment.
    pub(super) fn max_opening_of_one(&self) -> u32 {
        self.max_opening.div_ceil(2)
    }

    /// Whether the settings can be used together.
    ///
    /// # Errors
    /// The first setting that cannot.
    pub fn check(&self) -> Result<(), PoolConfigError> {
        let zero = [
            ("max_connections", self.max_connections == 0),
            ("max_opening", self.max_opening == 0),
            ("max_uses", self.max_uses == 0),
            ("acquire_timeout", self.acquire_timeout.is_zero()),
            ("idle_timeout", self.idle_timeout.is_zero()),
            ("max_lifetime", self.max_lifetime.is_zero()),
            ("health_check_interval", self.health_check_interval.is_zero()),
        ];
        if let Some((setting, _)) = zero.into_iter().find(|(_, zero)| *zero) {
            return Err(PoolConfigError::Zero(setting));
        }
        if self.min_connections > self.max_connections {
            let (min, max) = (self.min_connections, self.max_connections);
            return Err(PoolConfigError::MinAboveMax { min, max });
        }
        Ok(())
    }
}

/// Settings of one replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaConfig {
    /// How errors and the status call it.
    pub name: Arc<str>,
    /// The variant (see [`Lane::variant`](super::Lane::variant)) in which connections are opened before anybody asks.
    pub variant: u8,
    /// Most connections of this replica (`workers`) in each variant, counting those that are being opened or closed. At
    /// least 1. While one that is not [`Self::stateful`] is replaced for its age or use, there may be one more.
    pub max_connections: u32,
    /// Connections that are kept open; `None` is the pool's `min_connections`. `max_connections` bounds both.
    pub min_connections: Option<u32>,
    /// Calls that one connection carries at once: 1 for an exclusive server. At least 1.
    pub max_calls: u32,
    /// Calls in flight on every open connection at which another is opened, while callers still share the open ones;
    /// `None` is `max_calls`: grow only when all are full. 1 suits several workers of a single-threaded server.
    pub grow_at: Option<u32>,
    /// Whether a connection that carried a call holds state that its users would miss. Such a connection is not
    /// replaced for its age or use, and is the last to make room for others.
    pub stateful: bool,
    /// Whether a connection is a process of its own: one that fails again and again is a crash loop then, and left alone
    /// for longer. A server that runs by itself may be back at any time.
    pub process: bool,
}

impl ReplicaConfig {
    /// A replica with one process at most that carries up to `max_calls` calls at once.
    pub fn new(name: impl Into<Arc<str>>, max_calls: u32) -> Self {
        Self {
            name: name.into(),
            variant: 0,
            max_connections: 1,
            min_connections: None,
            max_calls: max_calls.max(1),
            grow_at: None,
            stateful: false,
            process: true,
        }
    }

    /// Calls in flight at which a connection no longer counts as having time for another.
    pub(super) fn grow_at(&self) -> u32 {
        self.grow_at.unwrap_or(self.max_calls).clamp(1, self.max_calls)
    }

    /// Connections to keep open, given the pool's own setting.
    pub(super) fn min(&self, pool: &PoolConfig) -> u32 {
        self.min_connections.unwrap_or(pool.min_connections).min(self.max_connections)
    }

    /// Whether the settings can be used.
    ///
    /// # Errors
    /// [`PoolConfigError::Zero`] if a maximum is 0.
    pub fn check(&self) -> Result<(), PoolConfigError> {
        match (self.max_connections, self.max_calls) {
            (0, _) => Err(PoolConfigError::Zero("max_connections of a replica")),
            (_, 0) => Err(PoolConfigError::Zero("max_calls of a replica")),
            _ => Ok(()),
        }
    }
}

/// A setting of the pool that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PoolConfigError {
    /// A setting must be more than 0.
    #[error("{0} must be more than 0")]
    Zero(&'static str),
    /// More connections to keep open than there may be.
    #[error("min_connections ({min}) is above max_connections ({max})")]
    MinAboveMax {
        /// The least number that was asked for.
        min: u32,
        /// The largest number that was asked for.
        max: u32,
    },
    /// There is no such replica (any more).
    #[error("there is no such replica")]
    UnknownReplica,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        assert_eq!(PoolConfig::default().check(), Ok(()));
        let config = PoolConfig { max_connections: 4, ..PoolConfig::default() };
        assert_eq!(config.check(), Err(PoolConfigError::MinAboveMax { min: 5, max: 4 }));
        let config = PoolConfig { max_uses: 0, ..PoolConfig::default() };
        assert_eq!(config.check(), Err(PoolConfigError::Zero("max_uses")));
    }

    #[test]
    fn a_replica_keeps_no_more_open_than_it_may_have() {
        let replica = ReplicaConfig { max_connections: 3, ..ReplicaConfig::new("a", 1) };
        assert_eq!(replica.min(&PoolConfig::default()), 3);
        assert_eq!(ReplicaConfig { min_connections: Some(0), ..replica }.min(&PoolConfig::default()), 0);
    }
}
