//! How calls end, and why replicas are taken out: the words that decisions, logs, metrics and status share.

use std::fmt;
use std::time::Duration;

/// How a call or a probe ended, as far as the replica's health is concerned. The caller classifies: an answer that is
/// the tool's or the client's business (a result with `isError`, `-32601`, `-32602`) is a [`Outcome::Success`] of the
/// replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The replica answered.
    Success,
    /// The replica failed.
    Failure(FailureKind),
    /// The caller gave up for reasons of its own: neither success nor failure.
    Cancelled,
    /// The replica asked to be left alone (HTTP 429, or 503 with `Retry-After`): it lives, and rests.
    Overloaded {
        /// For how long; `None` for [`Self::DEFAULT_REST`]. At most [`Self::MAX_REST`] is kept.
        retry_after: Option<Duration>,
    },
}

impl Outcome {
    /// Rest of a replica that said no time.
    pub const DEFAULT_REST: Duration = Duration::from_secs(1);
    /// Longest rest: a replica that asked for more is asked again then.
    pub const MAX_REST: Duration = Duration::from_secs(300);
}

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// No connection came about: the request never left.
    Connect,
    /// The connection ended before the answer.
    Closed,
    /// No answer within the deadline.
    Timeout,
    /// The answer was not what the protocol allows.
    Malformed,
    /// The replica answered that it failed (HTTP 5xx, `-32603`).
    ServerError,
}

impl FailureKind {
    /// A word for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Closed => "closed",
            Self::Timeout => "timeout",
            Self::Malformed => "malformed",
            Self::ServerError => "server_error",
        }
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "cannot connect",
            Self::Closed => "connection closed",
            Self::Timeout => "timed out",
            Self::Malformed => "malformed answer",
            Self::ServerError => "server error",
        })
    }
}

/// Why a replica was taken out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reason {
    /// So many calls failed with no success between them.
    Failures {
        /// How many.
        in_a_row: u32,
        /// How the last of them failed.
        last: FailureKind,
    },
    /// So many calls timed out with no success between them.
    Timeouts {
        /// How many.
        in_a_row: u32,
    },
    /// Too few of the calls of the last ten seconds succeeded.
    SuccessRate {
        /// Successes among them, from 0 to 1.
        rate: f64,
        /// How many calls.
        calls: u32,
    },
    /// Its calls take many times as long as those of the other replicas.
    Slow {
        /// Its typical latency.
        typical: Duration,
        /// The median of the typical latencies of the others.
        others: Duration,
    },
    /// Its health probe failed.
    Probe(FailureKind),
    /// The call that tried whether it is well again failed.
    Trial(FailureKind),
}

impl Reason {
    /// A word for metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Failures { .. } => "failures",
            Self::Timeouts { .. } => "timeouts",
            Self::SuccessRate { .. } => "success_rate",
            Self::Slow { .. } => "slow",
            Self::Probe(_) => "probe",
            Self::Trial(_) => "trial",
        }
    }

    /// Whether a call that tries the replica again must be expected to hang: then a probe goes first, whose time-out is
    /// short and which nobody waits for.
    pub(crate) fn may_hang(&self) -> bool {
        matches!(
            self,
            Self::Timeouts { .. }
                | Self::Probe(_)
                | Self::Trial(FailureKind::Timeout)
                | Self::Failures { last: FailureKind::Timeout, .. }
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failures { in_a_row, last } => write!(f, "{in_a_row} failures in a row, last: {last}"),
            Self::Timeouts { in_a_row } => write!(f, "{in_a_row} time-outs in a row"),
            Self::SuccessRate { rate, calls } => {
                write!(f, "only {:.0} % of the last {calls} calls succeeded", rate * 100.0)
            }
            Self::Slow { typical, others } => {
                write!(f, "typically takes {typical:.1?}, the others {others:.1?}")
            }
            Self::Probe(kind) => write!(f, "health probe failed: {kind}"),
            Self::Trial(kind) => write!(f, "failed when tried again: {kind}"),
        }
    }
}
