//! What is submitted, and what is checked of it before anything is kept.

use aqe_core::work::{Dependency, Graph, Priority};
use sha2::{Digest as _, Sha256};

use super::TaskId;
use crate::limits::{
    ATTEMPTS_MAX, IDEMPOTENCY_KEY_MAX_BYTES, PAYLOAD_MAX_BYTES, PRINCIPAL_MAX_BYTES, PROFILE_MAX_BYTES,
    SUBMISSION_MAX_BYTES, TASK_KEY_MAX_BYTES, WORK_ID_MAX_BYTES,
};
use crate::memory::{limit, name};
use crate::work::Fenced;
use crate::{StoreError, UnixMillis};

/// What a failed task means for the others of its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// Only those that depend on its success are not run.
    #[default]
    Continue,
    /// Nothing more is begun, and what runs is to stop.
    FailFast,
}

impl Policy {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::FailFast => "fail_fast",
        }
    }
}

/// A task to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTask {
    /// Its name among those submitted with it.
    pub key: String,
    /// What a worker must be able to do to take it.
    pub profile: String,
    /// What the worker is to do: JSON text.
    pub payload: String,
    /// What it depends on, by key.
    pub needs: Vec<Dependency>,
    /// How urgent it is.
    pub priority: Priority,
    /// When it may begin at the earliest; `None`: at once.
    pub run_at: Option<UnixMillis>,
    /// How often it is tried, from 1 to [`ATTEMPTS_MAX`].
    pub max_attempts: u32,
    /// How long an attempt may take, for the worker to keep.
    pub timeout_ms: Option<u64>,
    /// Whether it succeeds even if tasks that it submits do not.
    pub children_may_fail: bool,
}

impl NewTask {
    /// A task with no dependency that is tried once.
    pub fn new(key: impl Into<String>, profile: impl Into<String>, payload: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            profile: profile.into(),
            payload: payload.into(),
            needs: Vec::new(),
            priority: Priority::default(),
            run_at: None,
            max_attempts: 1,
            timeout_ms: None,
            children_may_fail: false,
        }
    }
}

/// Tasks that are submitted at once, all or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Id of the run to be; unlike any other, and such that nobody can guess it.
    pub run: String,
    /// Who submits.
    pub principal: String,
    /// Id of a fleet of that principal.
    pub fleet: String,
    /// The tasks.
    pub tasks: Vec<NewTask>,
    /// What a failed one means for the others.
    pub policy: Policy,
    /// Of two submissions of a principal with one key the second is not made: it is answered with the first's run.
    pub idempotency_key: Option<String>,
    /// What is not over by then is cancelled.
    pub deadline: Option<UnixMillis>,
    /// The time of the submission.
    pub now: UnixMillis,
}

/// What a submission came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    /// The run: new, or the one that was submitted before with the same key.
    pub run: String,
    /// How many tasks were submitted to it; their numbers are those of their places.
    pub tasks: u32,
    /// Whether it was made just now.
    pub is_new: bool,
    /// Whether what was submitted before is what was submitted now (always, if it is new).
    pub is_same: bool,
}

/// Tasks that a running task submits to its own run. It is over once they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Children {
    /// The running task.
    pub parent: TaskId,
    /// Its fencing token.
    pub token: u64,
    /// The tasks; their keys differ from each other, not from those of other tasks of the run.
    pub tasks: Vec<NewTask>,
    /// The time of the submission.
    pub now: UnixMillis,
}

/// What a submission of children came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChildrenAdded {
    /// They are there, in the order of the submission.
    Added(Vec<TaskId>),
    /// An earlier attempt of the parent has submitted tasks of all these keys: they are the ones.
    Existing(Vec<TaskId>),
    /// Of some keys there are tasks already and of others there are none. Nothing was added.
    Mixed {
        /// A key that is there.
        key: String,
    },
    /// The parent is not the submitter's to run any more. Nothing was added.
    Refused(Fenced),
}

impl Submission {
    /// Checks names, sizes and the graph. Every implementation calls it before anything else.
    ///
    /// # Errors
    /// [`StoreError::BadName`], [`StoreError::Limit`], [`StoreError::Graph`].
    pub fn check(&self) -> Result<Graph, StoreError> {
        name("run", "run id in bytes", &self.run, WORK_ID_MAX_BYTES)?;
        name("principal", "principal in bytes", &self.principal, PRINCIPAL_MAX_BYTES)?;
        if let Some(key) = &self.idempotency_key {
            name("idempotency key", "idempotency key in bytes", key, IDEMPOTENCY_KEY_MAX_BYTES)?;
        }
        check_tasks(&self.tasks)
    }

    /// A digest of what is submitted, for the comparison with what was submitted before with the same key.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        };
        add(&self.fleet);
        add(self.policy.as_str());
        for task in &self.tasks {
            add(&task.key);
            add(&task.profile);
            add(&task.payload);
            add(&task.needs.len().to_string());
            for need in &task.needs {
                add(&need.key);
                add(need.on.as_str());
            }
            let NewTask { priority, run_at, max_attempts, timeout_ms, children_may_fail, .. } = task;
            add(&format!("{} {run_at:?} {max_attempts} {timeout_ms:?} {children_may_fail}", priority.get()));
        }
        hash.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
            }
            text
        })
    }
}

impl Children {
    /// Checks names, sizes and the graph. Every implementation calls it before anything else.
    ///
    /// # Errors
    /// As [`Submission::check`].
    pub fn check(&self) -> Result<Graph, StoreError> {
        check_tasks(&self.tasks)
    }
}

fn check_tasks(tasks: &[NewTask]) -> Result<Graph, StoreError> {
    let mut bytes = 0;
    for task in tasks {
        name("task key", "task key in bytes", &task.key, TASK_KEY_MAX_BYTES)?;
        name("profile", "profile in bytes", &task.profile, PROFILE_MAX_BYTES)?;
        limit("payload in bytes", task.payload.len(), PAYLOAD_MAX_BYTES)?;
        limit("number of attempts", task.max_attempts as usize, ATTEMPTS_MAX as usize)?;
        bytes += task.payload.len();
    }
    limit("payloads of a submission in bytes", bytes, SUBMISSION_MAX_BYTES)?;
    let nodes: Vec<_> = tasks.iter().map(|task| (task.key.as_str(), task.needs.as_slice())).collect();
    Ok(Graph::check(&nodes)?)
}
