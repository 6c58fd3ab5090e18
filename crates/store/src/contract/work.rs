//! What any store promises of durable work.

use std::fmt;

use super::StoreFuture;
use crate::UnixMillis;
use crate::work::{
    Beat, Cancel, Cancelled, Children, ChildrenAdded, Claim, Claimed, Completion, Counts, Event, EventQuery,
    FailureReport, Finish, Fleet, FleetCreated, FleetRemoved, Heartbeat, Page, Pruned, Requeued, Retention,
    Run, RunQuery, Scope, Submission, Submitted, Task, TaskDetail, TaskId, TaskQuery,
};

/// Fleets, runs and tasks. Several processes may work on one store: of two that claim, each gets other tasks.
///
/// **Durable** in the sense of [`Store`](super::Store) is each answer to a change of fleets, a submission, a completion, a
/// failure, a cancel, a removal: it survives a power failure. Claims, heartbeats and what is requeued survive
/// the end of the process alone; if the machine dies with them, so have the workers, and the task is ready again.
///
/// `aqe_core::work` decides; an implementation keeps. Each method is one transaction.
pub trait WorkStore: Send + Sync + fmt::Debug {
    /// Makes a fleet, or answers with the one of that principal and name, which stays as it is.
    ///
    /// # Errors
    /// [`StoreError::Limit`](crate::StoreError::Limit), [`StoreError::BadName`](crate::StoreError::BadName),
    /// [`StoreError::Taken`](crate::StoreError::Taken) if another fleet has that id, or what the medium does, as everywhere below.
    fn create_fleet(&self, fleet: Fleet) -> StoreFuture<'_, FleetCreated>;

    /// Changes settings and bound of a fleet, found by id and principal; `None`: there is none.
    fn update_fleet(&self, fleet: Fleet) -> StoreFuture<'_, Option<Fleet>>;

    /// Changes what the caller keeps with a fleet if it still is `from`; whether it was. Of several that want to change the same,
    /// one does.
    fn swap_settings(&self, fleet: String, from: String, to: String) -> StoreFuture<'_, bool>;

    /// All fleets of a principal or of everybody, in the order in which they were made.
    fn fleets(&self, scope: Scope) -> StoreFuture<'_, Vec<Fleet>>;

    /// Removes a fleet with its runs, if all of them are over.
    fn remove_fleet(&self, scope: Scope, id: String) -> StoreFuture<'_, FleetRemoved>;

    /// Takes in tasks, all or none. Those that depend on nothing are ready or wait for their time, the others are blocked.
    ///
    /// # Errors
    /// [`StoreError::Graph`](crate::StoreError::Graph), [`StoreError::NotFound`](crate::StoreError::NotFound) for the fleet,
    /// [`StoreError::Limit`](crate::StoreError::Limit), also if the principal has too many open tasks;
    /// [`StoreError::Taken`](crate::StoreError::Taken) if another run has that id.
    fn submit(&self, submission: Submission) -> StoreFuture<'_, Submitted>;

    /// Takes in tasks that a running task submits, all or none.
    ///
    /// # Errors
    /// As [`submit`](Self::submit), also if the run has too many tasks.
    fn submit_children(&self, children: Children) -> StoreFuture<'_, ChildrenAdded>;

    /// Leases ready tasks, in the order of [`aqe_core::work::rank`], no more than the fleet may run at a time. Whose time has
    /// come is ready with it. An unknown fleet has no tasks.
    fn claim(&self, claim: Claim) -> StoreFuture<'_, Vec<Claimed>>;

    /// Extends a lease. A lease that has run out goes on if nobody has noticed.
    fn heartbeat(&self, heartbeat: Heartbeat) -> StoreFuture<'_, Beat>;

    /// Ends an attempt well. A lease that has run out is no hindrance if nobody has noticed.
    fn complete(&self, completion: Completion) -> StoreFuture<'_, Finish>;

    /// Ends an attempt otherwise.
    fn fail(&self, report: FailureReport) -> StoreFuture<'_, Finish>;

    /// Ends what does not run, and wishes the end of what does. `None`: there is no such thing in that scope.
    fn cancel(&self, cancel: Cancel) -> StoreFuture<'_, Option<Cancelled>>;

    /// Gives up the attempts whose leases have run out, or end impossibly late because the clock was set back, and cancels the
    /// runs whose deadline is past. Takes at most [`SWEEP_MAX`](crate::limits::SWEEP_MAX) leases at a time.
    fn sweep(&self, now: UnixMillis) -> StoreFuture<'_, Vec<Requeued>>;

    /// Gives up all attempts of a server that is dead. A second time there are none.
    fn abandon(&self, server: String, now: UnixMillis) -> StoreFuture<'_, Vec<Requeued>>;

    /// The next time at which a task becomes due or a lease runs out.
    fn wake_at(&self) -> StoreFuture<'_, Option<UnixMillis>>;

    /// A run.
    fn run(&self, scope: Scope, id: String) -> StoreFuture<'_, Option<Run>>;

    /// Runs, page by page, the newest first.
    fn runs(&self, query: RunQuery) -> StoreFuture<'_, Page<Run>>;

    /// Tasks, page by page.
    fn tasks(&self, query: TaskQuery) -> StoreFuture<'_, Page<Task>>;

    /// A task with all that is known of it; its newest events only, [`EVENTS_SHOWN`](crate::limits::EVENTS_SHOWN).
    fn task(&self, scope: Scope, id: TaskId) -> StoreFuture<'_, Option<TaskDetail>>;

    /// Events, page by page, the oldest first.
    fn events(&self, query: EventQuery) -> StoreFuture<'_, Page<Event>>;

    /// Tasks by state, of a fleet or of all in that scope.
    fn counts(&self, scope: Scope, fleet: Option<String>, now: UnixMillis) -> StoreFuture<'_, Counts>;

    /// Removes runs that are over, with all that belongs to them, a bounded number of tasks at a time. A run that is half
    /// removed is not seen any more.
    fn prune(&self, retention: Retention) -> StoreFuture<'_, Pruned>;
}
