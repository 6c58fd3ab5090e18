//! What is learnt from tasks: each attempt that is over is a trial of what it ran.

use super::Observation;
use crate::UnixMillis;
use crate::work::{AttemptOutcome, TaskId};

/// An attempt that is over and from which nothing was learnt yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub task: TaskId,
    /// Its number among the attempts of the task, from 1.
    pub token: u64,
    pub profile: String,
    /// What was to be done: JSON text.
    pub payload: String,
    pub outcome: AttemptOutcome,
    /// Whether anything came of it: what was never begun has no result.
    pub has_result: bool,
    /// Whether an earlier attempt of the task ended with a code that means failure.
    pub failed_before: bool,
    pub at: UnixMillis,
}

/// What an attempt teaches.
#[derive(Debug, Clone, PartialEq)]
pub struct Lesson {
    pub observation: Observation,
    /// The title that it counts under once there are
    /// [`PATTERNS_BEFORE_TASKS_SHARE`](crate::limits::PATTERNS_BEFORE_TASKS_SHARE) patterns and none of its own.
    pub shared: String,
}

/// What came of learning from tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lessons {
    /// Attempts that were looked at; fewer than [`LESSONS_MAX`](crate::limits::LESSONS_MAX): there are no more.
    pub attempts: u32,
    /// Those of them that could not be counted, and will not be.
    pub lost: u32,
}
