//! The settings of one upstream's balancer, as validated values.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use super::budget::BudgetConfig;
use crate::health::{HealthConfig, HealthConfigError};

/// Most replicas of one upstream: a choice looks at each of them.
pub const MAX_REPLICAS: usize = 256;

/// How a replica is chosen among those that may be used and have room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Strategy {
    /// Each in turn, as often as its weight says.
    RoundRobin,
    /// The one with the fewest calls in flight for its weight.
    #[default]
    LeastConnections,
    /// At random, the more often the lower its latency (peak average).
    ResponseTime,
    /// The best score of load, latency and category.
    Weighted,
    /// Of two at random the one with the lower latency times calls in flight ("power of two choices").
    P2c,
}

impl Strategy {
    /// All strategies.
    pub const ALL: [Self; 5] =
        [Self::RoundRobin, Self::LeastConnections, Self::ResponseTime, Self::Weighted, Self::P2c];

    /// The name in configuration, command line and status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RoundRobin => "round-robin",
            Self::LeastConnections => "least-connections",
            Self::ResponseTime => "response-time",
            Self::Weighted => "weighted",
            Self::P2c => "p2c",
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Strategy {
    type Err = BalancerConfigError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|strategy| strategy.as_str() == name)
            .ok_or_else(|| BalancerConfigError::Strategy(name.into()))
    }
}

/// What counts how much in [`Strategy::Weighted`]. Load and latency are those of the best candidate divided by the
/// replica's own, so that each part of the score lies within 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreWeights {
    /// Calls in flight for the replica's capacity and weight.
    pub load: f64,
    /// Peak average of the latency.
    pub response: f64,
    /// Whether the replica is meant for the tool's category.
    pub category: f64,
}

impl Default for ScoreWeights {
    fn default() -> Self {
        Self { load: 0.4, response: 0.4, category: 0.2 }
    }
}

/// One replica.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplicaConfig {
    /// What it is called in status and errors: its URL or command. Unique within the upstream; a replica keeps its
    /// counts and health across [`Balancer::reconfigure`](super::Balancer::reconfigure) by this name.
    pub name: Arc<str>,
    /// Most calls in flight.
    pub capacity: NonZeroU32,
    /// Share of the calls relative to the others, above 0.
    pub weight: f64,
    /// Tool categories that it is meant for, which [`Strategy::Weighted`] honours.
    pub categories: Vec<Box<str>>,
}

impl ReplicaConfig {
    /// A replica of weight 1 for all categories.
    pub fn new(name: &str, capacity: NonZeroU32) -> Self {
        Self { name: name.into(), capacity, weight: 1.0, categories: Vec::new() }
    }
}

/// All settings of the balancer of one upstream.
#[derive(Debug, Clone, PartialEq)]
pub struct BalancerConfig {
    /// How to choose.
    pub strategy: Strategy,
    /// What [`Strategy::Weighted`] looks at.
    pub score: ScoreWeights,
    /// The replicas, at least one.
    pub replicas: Vec<ReplicaConfig>,
    /// When a replica is taken out, and how it comes back.
    pub health: HealthConfig,
    /// How many calls may be sent again after a failure.
    pub retries: BudgetConfig,
    /// How many calls may be sent twice to cut the tail; off by default.
    pub hedges: BudgetConfig,
}

impl BalancerConfig {
    /// The defaults over the given replicas.
    pub fn new(replicas: Vec<ReplicaConfig>) -> Self {
        Self {
            strategy: Strategy::default(),
            score: ScoreWeights::default(),
            replicas,
            health: HealthConfig::default(),
            retries: BudgetConfig::RETRIES,
            hedges: BudgetConfig::OFF,
        }
    }

    /// Whether the settings can be used.
    ///
    /// # Errors
    /// The first that cannot.
    pub fn check(&self) -> Result<(), BalancerConfigError> {
        if !(1..=MAX_REPLICAS).contains(&self.replicas.len()) {
            return Err(BalancerConfigError::Count(self.replicas.len()));
        }
        let mut names: Vec<_> = self.replicas.iter().map(|replica| &replica.name).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(BalancerConfigError::Twice(Arc::clone(pair[0])));
        }
        let usable = |weight: f64| weight.is_finite() && weight > 0.0;
        if let Some(replica) = self.replicas.iter().find(|replica| !usable(replica.weight)) {
            let ReplicaConfig { name, weight, .. } = replica;
            return Err(BalancerConfigError::Weight { name: Arc::clone(name), weight: *weight });
        }
        let ScoreWeights { load, response, category } = self.score;
        let parts = [load, response, category];
        if parts.iter().any(|part| !part.is_finite() || *part < 0.0) || !usable(parts.iter().sum()) {
            return Err(BalancerConfigError::Score(self.score));
        }
        for share in [self.retries.share, self.hedges.share] {
            if !(0.0..=1.0).contains(&share) {
                return Err(BalancerConfigError::Budget(share));
            }
        }
        Ok(self.health.check()?)
    }
}

/// A setting of the balancer that cannot be used.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum BalancerConfigError {
    /// No such strategy.
    #[error(
        "strategy must be one of round-robin, least-connections, response-time, weighted, p2c, not {0:?}"
    )]
    Strategy(Box<str>),
    /// No replica, or too many.
    #[error("an upstream has 1 to {MAX_REPLICAS} replicas, not {0}")]
    Count(usize),
    /// Two replicas with one name.
    #[error("two replicas are called {0:?}")]
    Twice(Arc<str>),
    /// A weight that says nothing.
    #[error("the weight of replica {name:?} must be a number above 0, not {weight}")]
    Weight {
        /// Which replica.
        name: Arc<str>,
        /// What was given.
        weight: f64,
    },
    /// Score weights that say nothing.
    #[error("score weights must not be negative, nor all zero, not {0:?}")]
    Score(ScoreWeights),
    /// A budget that is not a share.
    #[error("a budget of extra calls is a share between 0 and 1 of the calls, not {0}")]
    Budget(f64),
    /// A setting of health.
    #[error(transparent)]
    Health(#[from] HealthConfigError),
}
