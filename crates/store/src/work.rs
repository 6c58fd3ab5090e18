//! Durable work: fleets, runs and tasks.
//!
//! - A **fleet** is a queue of its own with a bound on how many of its tasks run at a time.
//! - A **run** is what was submitted at once: tasks and the dependencies among them. It is over when all of them are.
//! - A **task** is a unit of work for a worker that can do its profile. `aqe_core::work` says how it goes on.
//! - An **attempt** is one lease of a task. Its number is the task's *fencing token*: whoever holds a smaller one than the
//!   task's last is told so, and nothing of what it says is taken.
//!
//! # Layout
//! - `submission`: what comes in. `lease`: what workers ask and say. `reading`: what others are told.

mod lease;
mod reading;
mod submission;

use std::fmt;
use std::str::FromStr;

pub(crate) use lease::lease_until;
pub use lease::{
    Beat, Claim, Claimed, Completion, FailureReport, Fenced, Finish, Heartbeat, Requeued, Slots,
};
pub use reading::{
    Attempt, AttemptOutcome, Cancel, Cancelled, Counts, Event, EventKind, EventQuery, Page, Pruned,
    Retention, Run, RunQuery, Target, Task, TaskDetail, TaskQuery,
};
pub use submission::{Children, ChildrenAdded, NewTask, Policy, Submission, Submitted};

use crate::UnixMillis;

/// Whose: one principal's, or everybody's (the operator's view).
pub type Scope = Option<String>;

/// Names a task: the run and its number in it, from 0. As a text: `run.number`. Nobody can guess it who cannot guess the run's id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId {
    /// The run's id.
    pub run: String,
    /// Its number in the run, in the order of submission.
    pub number: u32,
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.run, self.number)
    }
}

/// A text that names no task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no task id: those have the form run.number")]
pub struct NoTaskId;

impl FromStr for TaskId {
    type Err = NoTaskId;

    fn from_str(text: &str) -> Result<Self, NoTaskId> {
        let (run, digits) = text.rsplit_once('.').ok_or(NoTaskId)?;
        let number = digits.parse().map_err(|_| NoTaskId)?;
        // One text for each task: neither +1 nor 01.
        if run.is_empty() || format!("{number}") != digits {
            return Err(NoTaskId);
        }
        Ok(Self { run: run.to_owned(), number })
    }
}

/// A queue with a bound on what runs at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fleet {
    /// Identifies it for ever; chosen by the caller.
    pub id: String,
    /// Who may submit to it and see it.
    pub principal: String,
    /// Its name, of which a principal has one fleet.
    pub name: String,
    /// What the caller keeps with it: JSON text.
    pub settings: String,
    /// Tasks that may run at a time, whoever claims them.
    pub max_running: u32,
    /// When it was made.
    pub created: UnixMillis,
}

/// A fleet that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetCreated {
    /// As it is: the one that was there already, if there was one of that name.
    pub fleet: Fleet,
    /// Whether it was made just now.
    pub is_new: bool,
}

/// What became of a wish to remove a fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FleetRemoved {
    /// It is gone, with its runs.
    Removed,
    /// There is none.
    Absent,
    /// It has tasks that are not over; nothing was done.
    Busy {
        /// How many.
        open: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_id_has_one_text() {
        let id = TaskId { run: "r.1".into(), number: 12 };
        assert_eq!((id.to_string().as_str(), id.to_string().parse()), ("r.1.12", Ok(id)));
        for text in ["", "r", ".1", "r.", "r.01", "r.+1", "r.-1", "r.4294967296"] {
            assert_eq!(text.parse::<TaskId>(), Err(NoTaskId), "{text:?}");
        }
    }
}
