//! What others than workers ask, want, and are told.

use aqe_core::work::{Dependency, Failure, Priority, TaskState};

use super::{Policy, Scope, TaskId};
use crate::UnixMillis;

/// Part of a list, in the order of its places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; `None`: this is the last.
    pub next: Option<u64>,
}

/// What was submitted at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub principal: String,
    /// The fleet's id.
    pub fleet: String,
    /// What a failed task means for the others.
    pub policy: Policy,
    /// When it was submitted.
    pub created: UnixMillis,
    /// What is not over by then is cancelled.
    pub deadline: Option<UnixMillis>,
    /// When the last of its tasks was over; `None`: it is not.
    pub ended: Option<UnixMillis>,
    /// Its tasks, those that running ones have added among them.
    pub tasks: u64,
    /// Tasks that are not over.
    pub open: u64,
    /// Tasks that succeeded.
    pub done: u64,
    /// Tasks that failed, for good or in all attempts.
    pub failed: u64,
    /// Tasks that were cancelled or never begun.
    pub cancelled: u64,
}

/// Which runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunQuery {
    /// Whose.
    pub scope: Scope,
    /// Of which fleet, by id; `None`: of any.
    pub fleet: Option<String>,
    /// Those before this place: [`Page::next`].
    pub before: Option<u64>,
    /// How many at most, the newest first.
    pub most: u32,
}

/// A task, as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// Its key in the submission.
    pub key: String,
    /// What it is.
    pub profile: String,
    /// How it is.
    pub state: TaskState,
    /// How urgent it was submitted as.
    pub priority: Priority,
    /// How many tasks it still waits for.
    pub pending: u32,
    /// How many attempts there were.
    pub attempts: u32,
    /// How many there may be.
    pub max_attempts: u32,
    /// The task that submitted it.
    pub parent: Option<TaskId>,
    /// Tasks that it has submitted and that are not over.
    pub open_children: u32,
    /// Who has it, or had it last.
    pub worker: Option<String>,
    /// When its last attempt began.
    pub started: Option<UnixMillis>,
    /// Until when its lease lasts.
    pub lease_until: Option<UnixMillis>,
    /// When it may begin, while it waits for that.
    pub due: Option<UnixMillis>,
    /// Why it is to end, if somebody wants that.
    pub cancel_wanted: Option<String>,
    /// How far its last attempt is, or was.
    pub progress: Option<String>,
    /// Why its last attempt failed, or why it was cancelled or never begun.
    pub error: Option<String>,
    /// How long an attempt may take.
    pub timeout_ms: Option<u64>,
    /// When it was submitted.
    pub created: UnixMillis,
    /// When it was over.
    pub ended: Option<UnixMillis>,
}

/// Which tasks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskQuery {
    /// Whose.
    pub scope: Scope,
    /// Of which run; then in the order of submission.
    pub run: Option<String>,
    /// Of which fleet, by id. Without a run the newest come first.
    pub fleet: Option<String>,
    /// In which of these states; none: in any.
    pub states: Vec<TaskState>,
    /// From where on: [`Page::next`].
    pub from: Option<u64>,
    /// How many at most.
    pub most: u32,
}

/// A task with all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskDetail {
    /// What lists show.
    pub task: Task,
    /// What it is to do: JSON text.
    pub payload: String,
    /// What it depends on.
    pub needs: Vec<Dependency>,
    /// Its attempts that are over, the first first.
    pub attempts: Vec<Attempt>,
    /// What happened to it, the newest last.
    pub events: Vec<Event>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// Well.
    Done,
    /// Otherwise.
    Failed(Failure),
}

/// An attempt that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its number, and fencing token.
    pub token: u64,
    /// Who made it.
    pub worker: String,
    /// When it began.
    pub started: UnixMillis,
    /// When it ended, or was given up.
    pub ended: UnixMillis,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// What went wrong.
    pub error: Option<String>,
    /// What came of it: JSON text.
    pub result: Option<String>,
    /// What shows it: JSON text.
    pub evidence: Option<String>,
}

/// What happened to a run or a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// The run was submitted.
    Submitted,
    /// A running task submitted tasks.
    Added,
    /// A worker took it.
    Claimed,
    /// Another attempt follows a failed one.
    Retrying,
    /// An attempt was lost, and another may begin.
    Requeued,
    /// A server that stopped in order gave the attempt back, and another may begin.
    GivenBack,
    /// Somebody wants it ended.
    CancelWanted,
    /// The task's own work is done.
    Waiting,
    /// It succeeded.
    Done,
    /// It failed for good.
    Failed,
    /// It failed in all its attempts.
    Dead,
    /// It was cancelled.
    Cancelled,
    /// It will never begin.
    Skipped,
    /// All tasks of the run are over.
    RunOver,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Submitted,
        Self::Added,
        Self::Claimed,
        Self::Retrying,
        Self::Requeued,
        Self::GivenBack,
        Self::CancelWanted,
        Self::Waiting,
        Self::Done,
        Self::Failed,
        Self::Dead,
        Self::Cancelled,
        Self::Skipped,
        Self::RunOver,
    ];

    /// The word for it, in results and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::Added => "added",
            Self::Claimed => "claimed",
            Self::Retrying => "retrying",
            Self::Requeued => "requeued",
            Self::GivenBack => "given_back",
            Self::CancelWanted => "cancel_wanted",
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::RunOver => "run_over",
        }
    }

    /// The kind of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// Something that happened. Events are only ever added; they go with their run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place in the order of all events.
    pub place: u64,
    /// The run.
    pub run: String,
    /// The task's number in it; `None`: it happened to the run.
    pub task: Option<u32>,
    /// When.
    pub at: UnixMillis,
    /// What.
    pub kind: EventKind,
    /// Who or why, in short.
    pub detail: Option<String>,
}

/// Which events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventQuery {
    /// Whose.
    pub scope: Scope,
    /// Of which run; `None`: of all.
    pub run: Option<String>,
    /// Those after this place; 0: from the first on.
    pub after: u64,
    /// How many at most, the oldest first.
    pub most: u32,
}

/// Tasks by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// That wait for others.
    pub blocked: u64,
    /// That wait for their time.
    pub scheduled: u64,
    /// That may be claimed.
    pub ready: u64,
    /// That are run.
    pub running: u64,
    /// That wait for another attempt.
    pub retrying: u64,
    /// That wait for tasks which they have submitted.
    pub waiting: u64,
    /// That succeeded, of the runs that are kept.
    pub done: u64,
    /// That failed for good.
    pub failed: u64,
    /// That failed in all their attempts.
    pub dead: u64,
    /// That were cancelled.
    pub cancelled: u64,
    /// That never began.
    pub skipped: u64,
    /// For how long the longest-waiting ready task has been ready, in milliseconds.
    pub oldest_ready_ms: Option<u64>,
}

/// What is to be cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A run, with all its tasks.
    Run(String),
    /// A task, with those that it has submitted.
    Task(TaskId),
}

/// A wish to end something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancel {
    /// Whose it must be.
    pub scope: Scope,
    /// What.
    pub target: Target,
    /// Why, in short.
    pub reason: String,
    /// The time.
    pub now: UnixMillis,
}

/// What a wish to end something came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cancelled {
    /// Tasks that were over at once, those that depended on them and now never begin not counted.
    pub at_once: u32,
    /// Tasks that run, and whose workers are told with their next heartbeat.
    pub wished: Vec<TaskId>,
}

/// Which runs that are over may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Those that were over before.
    pub ended_before: Option<UnixMillis>,
    /// Those beyond so many newer ones that are over.
    pub keep: Option<u32>,
}

/// What went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Runs.
    pub runs: u32,
    /// Tasks.
    pub tasks: u32,
    /// Whether there is more to remove: one call takes a bounded time.
    pub is_more: bool,
}
