//! Why no replica was chosen.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::replica::ReplicaId;
use crate::health::Reason;

/// Why no replica was chosen for a call.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum PickError {
    /// Those that may be used have as many calls in flight as they can take: the call can wait for the next to finish.
    #[error("All available replicas are at their capacity ({in_flight} calls in flight)")]
    Full {
        /// Calls in flight on all replicas together.
        in_flight: u32,
    },
    /// None may be used now.
    #[error(transparent)]
    NoAvailableReplicas(Box<NoAvailableReplicas>),
    /// The replica that the call is bound to is no longer there.
    #[error("the replica that holds this session is gone")]
    Gone,
}

/// None of the replicas may be used now: each, and why.
#[derive(Debug, Clone, PartialEq, Error)]
pub struct NoAvailableReplicas {
    /// Every replica that the call could have gone to.
    pub replicas: Vec<UnavailableReplica>,
}

impl NoAvailableReplicas {
    /// After what time the first of them may be tried again; `None` if none will by itself. Good for `Retry-After`.
    pub fn retry_after(&self) -> Option<Duration> {
        self.replicas.iter().filter_map(|replica| replica.why.again_in()).min()
    }
}

/// One replica that may not be used.
#[derive(Debug, Clone, PartialEq)]
pub struct UnavailableReplica {
    /// Which.
    pub id: ReplicaId,
    /// Its configured name.
    pub name: Arc<str>,
    /// Why not.
    pub why: Unavailable,
}

/// Why a replica may not be used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Unavailable {
    /// It was taken out.
    Ejected {
        /// Why.
        reason: Reason,
        /// When it will be tried again, from now; zero if that is due or under way.
        again_in: Duration,
    },
    /// It asked to be left alone.
    Resting {
        /// For how long from now.
        again_in: Duration,
    },
    /// This call was there already.
    AlreadyTried,
}

impl Unavailable {
    /// When it may be tried again, from now.
    pub fn again_in(&self) -> Option<Duration> {
        match self {
            Self::Ejected { again_in, .. } | Self::Resting { again_in } => Some(*again_in),
            Self::AlreadyTried => None,
        }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ejected { reason, again_in } if again_in.is_zero() => {
                write!(f, "{reason}; being tried again")
            }
            Self::Ejected { reason, again_in } => {
                write!(f, "{reason}; tried again in {:.1} s", again_in.as_secs_f64())
            }
            Self::Resting { again_in } => {
                write!(f, "asked for a rest; tried again in {:.1} s", again_in.as_secs_f64())
            }
            Self::AlreadyTried => f.write_str("already tried by this call"),
        }
    }
}

impl fmt::Display for NoAvailableReplicas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("No available replicas")?;
        for (n, replica) in self.replicas.iter().enumerate() {
            let before = if n == 0 { ": " } else { ", " };
            write!(f, "{before}{} ({})", replica.name, replica.why)?;
        }
        Ok(())
    }
}
