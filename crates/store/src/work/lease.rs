//! What workers ask and say.

use aqe_core::work::{Failure, TaskState};

use super::TaskId;
use crate::limits::{
    CLAIM_MAX, ERROR_MAX_BYTES, LEASE_MAX_MS, LEASE_MIN_MS, PROFILES_PER_CLAIM, PROGRESS_MAX_BYTES,
    RESULT_MAX_BYTES, WORK_ID_MAX_BYTES,
};
use crate::memory::{limit, name};
use crate::{StoreError, UnixMillis};

/// Room for tasks of one profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slots {
    /// The profile.
    pub profile: String,
    /// How many more the claimant can run.
    pub free: u32,
}

/// Asks for tasks to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Id of the fleet.
    pub fleet: String,
    /// What the claimant can do, and how much of it.
    pub slots: Vec<Slots>,
    /// How many it takes at most in all.
    pub most: u32,
    /// Who will run them: shown, and kept with the attempt.
    pub worker: String,
    /// The process that answers for the worker; see [`WorkStore::abandon`](crate::contract::WorkStore::abandon).
    pub server: String,
    /// How long the lease lasts without a heartbeat.
    pub lease_ms: i64,
    /// The time.
    pub now: UnixMillis,
}

/// A task on lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The task.
    pub task: TaskId,
    /// Fencing token: the number of the attempt, from 1.
    pub token: u64,
    /// Its key in the submission.
    pub key: String,
    /// Whose it is.
    pub principal: String,
    /// What it is.
    pub profile: String,
    /// What to do: JSON text.
    pub payload: String,
    /// How long the attempt may take.
    pub timeout_ms: Option<u64>,
    /// Until when the lease lasts.
    pub lease_until: UnixMillis,
}

/// Says that a worker is at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    /// The task.
    pub task: TaskId,
    /// The fencing token.
    pub token: u64,
    /// How long the lease lasts from now on.
    pub lease_ms: i64,
    /// How far the work is; `None`: as was said before.
    pub progress: Option<String>,
    /// The time.
    pub now: UnixMillis,
}

/// What a heartbeat is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beat {
    /// The lease goes on.
    Extended {
        /// Until when.
        lease_until: UnixMillis,
        /// Why the work is to stop, if somebody wants that.
        cancel_wanted: Option<String>,
    },
    /// It is not the worker's any more: stop, and say nothing.
    Lost(Fenced),
}

/// Why what a worker says of a task is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fenced {
    /// There is no such task, or not any more.
    Unknown,
    /// A later attempt has begun.
    Superseded {
        /// Its token.
        token: u64,
    },
    /// No attempt is under way.
    NotRunning {
        /// How the task is.
        state: TaskState,
    },
}

/// Says that an attempt succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// The task.
    pub task: TaskId,
    /// The fencing token.
    pub token: u64,
    /// What came of it: JSON text.
    pub result: Option<String>,
    /// What shows it (exit code, digests, times): JSON text.
    pub evidence: Option<String>,
    /// The time.
    pub now: UnixMillis,
}

/// Says that an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureReport {
    /// The task.
    pub task: TaskId,
    /// The fencing token.
    pub token: u64,
    /// Why; decides whether there is another attempt.
    pub failure: Failure,
    /// What to tell people.
    pub error: String,
    /// What came of it all the same: JSON text.
    pub result: Option<String>,
    /// What shows it: JSON text.
    pub evidence: Option<String>,
    /// Chooses the jitter of the back-off.
    pub seed: u64,
    /// The time.
    pub now: UnixMillis,
}

/// What the end of an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// It is kept.
    Accepted {
        /// How the task is now.
        state: TaskState,
        /// When the next attempt may begin, if there is one.
        retry_at: Option<UnixMillis>,
        /// Whether the run is over with it.
        run_over: bool,
    },
    /// The same end of the same attempt was kept before. Nothing was changed.
    Repeated {
        /// How the task is.
        state: TaskState,
    },
    /// It comes too late. Nothing was changed.
    Refused(Fenced),
}

/// A task whose attempt was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requeued {
    /// The task.
    pub task: TaskId,
    /// The token that is worth nothing any more.
    pub token: u64,
    /// Who had it.
    pub worker: String,
    /// How the task is now: ready again, dead, or cancelled.
    pub state: TaskState,
}

impl Claim {
    /// Checks sizes. Every implementation calls it before anything else.
    ///
    /// # Errors
    /// [`StoreError::BadName`], [`StoreError::Limit`].
    pub fn check(&self) -> Result<(), StoreError> {
        name("worker", "worker in bytes", &self.worker, WORK_ID_MAX_BYTES)?;
        name("server", "server in bytes", &self.server, WORK_ID_MAX_BYTES)?;
        limit("number of profiles in a claim", self.slots.len(), PROFILES_PER_CLAIM)?;
        limit("number of tasks in a claim", self.most as usize, CLAIM_MAX as usize)
    }
}

impl Heartbeat {
    /// Checks sizes. Every implementation calls it before anything else.
    ///
    /// # Errors
    /// [`StoreError::Limit`].
    pub fn check(&self) -> Result<(), StoreError> {
        limit("progress in bytes", self.progress.as_ref().map_or(0, String::len), PROGRESS_MAX_BYTES)
    }
}

/// A lease's end: not so short that a slow disk ends it, not so long that a dead worker keeps a task for ever.
pub(crate) fn lease_until(now: UnixMillis, lease_ms: i64) -> UnixMillis {
    now.saturating_add(lease_ms.clamp(LEASE_MIN_MS, LEASE_MAX_MS))
}

fn check_outcome(result: Option<&String>, evidence: Option<&String>) -> Result<(), StoreError> {
    limit("result in bytes", result.map_or(0, String::len), RESULT_MAX_BYTES)?;
    limit("evidence in bytes", evidence.map_or(0, String::len), RESULT_MAX_BYTES)
}

impl Completion {
    /// Checks sizes. Every implementation calls it before anything else.
    ///
    /// # Errors
    /// [`StoreError::Limit`]: the worker has to leave something out.
    pub fn check(&self) -> Result<(), StoreError> {
        check_outcome(self.result.as_ref(), self.evidence.as_ref())
    }
}

impl FailureReport {
    /// Checks sizes. Every implementation calls it before anything else.
    ///
    /// # Errors
    /// [`StoreError::Limit`]: the worker has to leave something out.
    pub fn check(&self) -> Result<(), StoreError> {
        limit("error in bytes", self.error.len(), ERROR_MAX_BYTES)?;
        check_outcome(self.result.as_ref(), self.evidence.as_ref())
    }
}
