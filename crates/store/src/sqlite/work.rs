//! Fleets, runs and tasks as tables.
//!
//! What is written at each step of a task (`task`) is kept apart from what is written once (`task_input`, `attempt`). A task is in
//! three small indices: of what is open, by fleet, state, profile and rank, which is the order in which tasks are claimed; of when
//! it is due; of when its lease ends.
//!
//! # Layout
//! - `fleet`, `submit`, `claim`, `finish`, `cancel`, `requeue`, `prune`: the writes. `settle`: what follows when tasks are over.
//! - `read`, `lists`: the reads. `row`: from rows to values.

mod cancel;
mod claim;
mod finish;
mod fleet;
mod lists;
mod prune;
mod read;
mod requeue;
mod row;
mod settle;
mod submit;

pub(super) use read::outcome;

use super::SqliteStore;
use crate::UnixMillis;
use crate::contract::{StoreFuture, WorkStore};
use crate::work::{
    Beat, Cancel, Cancelled, Children, ChildrenAdded, Claim, Claimed, Completion, Counts, Event, EventQuery,
    FailureReport, Finish, Fleet, FleetCreated, FleetRemoved, Heartbeat, Page, Pruned, Requeued, Retention,
    Run, RunQuery, Scope, Submission, Submitted, Task, TaskDetail, TaskId, TaskQuery,
};

/// `gone`: on its way out, not to be seen any more.
pub(super) const SCHEMA: &str = "
    CREATE TABLE fleet (
        id          INTEGER PRIMARY KEY AUTOINCREMENT,
        name        TEXT NOT NULL UNIQUE,
        principal   TEXT NOT NULL,
        title       TEXT,
        settings    TEXT NOT NULL,
        max_running INTEGER NOT NULL,
        created     INTEGER NOT NULL,
        open        INTEGER NOT NULL DEFAULT 0,
        gone        INTEGER NOT NULL DEFAULT 0,
        UNIQUE (principal, title)
    ) STRICT;
    CREATE TABLE run (
        id          INTEGER PRIMARY KEY AUTOINCREMENT,
        name        TEXT NOT NULL UNIQUE,
        fleet       INTEGER NOT NULL REFERENCES fleet (id),
        principal   TEXT NOT NULL,
        idem_key    TEXT,
        fingerprint TEXT NOT NULL,
        fail_fast   INTEGER NOT NULL,
        created     INTEGER NOT NULL,
        deadline    INTEGER,
        ended       INTEGER,
        submitted   INTEGER NOT NULL,
        tasks       INTEGER NOT NULL,
        open        INTEGER NOT NULL,
        done        INTEGER NOT NULL DEFAULT 0,
        failed      INTEGER NOT NULL DEFAULT 0,
        dead        INTEGER NOT NULL DEFAULT 0,
        cancelled   INTEGER NOT NULL DEFAULT 0,
        skipped     INTEGER NOT NULL DEFAULT 0,
        gone        INTEGER NOT NULL DEFAULT 0,
        UNIQUE (principal, idem_key)
    ) STRICT;
    CREATE INDEX run_fleet ON run (fleet, id);
    CREATE INDEX run_principal ON run (principal, id);
    CREATE INDEX run_open ON run (deadline) WHERE ended IS NULL;
    CREATE INDEX run_ended ON run (ended) WHERE ended IS NOT NULL;
    CREATE TABLE task (
        id                INTEGER PRIMARY KEY AUTOINCREMENT,
        run               INTEGER NOT NULL REFERENCES run (id),
        number            INTEGER NOT NULL,
        fleet             INTEGER NOT NULL,
        state             TEXT NOT NULL,
        profile           TEXT NOT NULL,
        priority          INTEGER NOT NULL,
        rank              INTEGER,
        due               INTEGER,
        lease_until       INTEGER,
        pending           INTEGER NOT NULL,
        attempts          INTEGER NOT NULL DEFAULT 0,
        lost              INTEGER NOT NULL DEFAULT 0,
        max_attempts      INTEGER NOT NULL,
        open_children     INTEGER NOT NULL DEFAULT 0,
        bad_children      INTEGER NOT NULL DEFAULT 0,
        children_may_fail INTEGER NOT NULL,
        parent            INTEGER REFERENCES task (id),
        run_at            INTEGER,
        timeout_ms        INTEGER,
        created           INTEGER NOT NULL,
        started           INTEGER,
        ended             INTEGER,
        key               TEXT NOT NULL,
        worker            TEXT,
        server            TEXT,
        cancel_wanted     TEXT,
        progress          TEXT,
        error             TEXT,
        UNIQUE (run, number)
    ) STRICT;
    CREATE INDEX task_open ON task (fleet, state, profile, rank, id, priority) WHERE ended IS NULL;
    CREATE INDEX task_due ON task (due) WHERE due IS NOT NULL;
    CREATE INDEX task_lease ON task (lease_until) WHERE lease_until IS NOT NULL;
    CREATE INDEX task_child ON task (parent, key) WHERE parent IS NOT NULL;
    CREATE TABLE task_input (
        task    INTEGER PRIMARY KEY REFERENCES task (id),
        payload TEXT NOT NULL
    ) STRICT;
    CREATE TABLE task_dep (
        dep           INTEGER NOT NULL,
        task          INTEGER NOT NULL,
        needs_success INTEGER NOT NULL,
        PRIMARY KEY (dep, task)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX task_needs ON task_dep (task);
    CREATE TABLE attempt (
        task     INTEGER NOT NULL REFERENCES task (id),
        number   INTEGER NOT NULL,
        worker   TEXT NOT NULL,
        started  INTEGER NOT NULL,
        ended    INTEGER NOT NULL,
        outcome  TEXT NOT NULL,
        error    TEXT,
        result   TEXT,
        evidence TEXT,
        PRIMARY KEY (task, number)
    ) STRICT;
    CREATE TABLE event (
        id     INTEGER PRIMARY KEY AUTOINCREMENT,
        run    INTEGER NOT NULL REFERENCES run (id),
        task   INTEGER,
        at     INTEGER NOT NULL,
        kind   TEXT NOT NULL,
        detail TEXT
    ) STRICT;
    CREATE INDEX event_run ON event (run, task, id);";

impl WorkStore for SqliteStore {
    fn create_fleet(&self, fleet: Fleet) -> StoreFuture<'_, FleetCreated> {
        Box::pin(async move {
            fleet::check(&fleet)?;
            self.writer.write_through(move |connection| fleet::create(connection, &fleet)).await
        })
    }

    fn update_fleet(&self, fleet: Fleet) -> StoreFuture<'_, Option<Fleet>> {
        Box::pin(async move {
            fleet::check(&fleet)?;
            self.writer.write_through(move |connection| fleet::update(connection, &fleet)).await
        })
    }

    fn swap_settings(&self, fleet: String, from: String, to: String) -> StoreFuture<'_, bool> {
        Box::pin(async move {
            fleet::check_settings(&to)?;
            self.writer
                .write_through(move |connection| fleet::swap_settings(connection, &fleet, &from, &to))
                .await
        })
    }

    fn fleets(&self, scope: Scope) -> StoreFuture<'_, Vec<Fleet>> {
        Box::pin(self.look(move |connection| fleet::list(connection, scope.as_deref())))
    }

    fn remove_fleet(&self, scope: Scope, id: String) -> StoreFuture<'_, FleetRemoved> {
        Box::pin(
            self.writer.write_through(move |connection| fleet::remove(connection, scope.as_deref(), &id)),
        )
    }

    fn submit(&self, submission: Submission) -> StoreFuture<'_, Submitted> {
        Box::pin(async move {
            let graph = submission.check()?;
            let fingerprint = submission.fingerprint();
            self.writer
                .write_through(move |connection| {
                    submit::submit(connection, &submission, &graph, &fingerprint)
                })
                .await
        })
    }

    fn submit_children(&self, children: Children) -> StoreFuture<'_, ChildrenAdded> {
        Box::pin(async move {
            let graph = children.check()?;
            self.writer
                .write_through(move |connection| submit::submit_children(connection, &children, &graph))
                .await
        })
    }

    fn claim(&self, claim: Claim) -> StoreFuture<'_, Vec<Claimed>> {
        Box::pin(async move {
            claim.check()?;
            self.writer.write(move |connection| claim::claim(connection, &claim)).await
        })
    }

    fn heartbeat(&self, heartbeat: Heartbeat) -> StoreFuture<'_, Beat> {
        Box::pin(async move {
            heartbeat.check()?;
            self.writer.write(move |connection| claim::heartbeat(connection, &heartbeat)).await
        })
    }

    fn complete(&self, completion: Completion) -> StoreFuture<'_, Finish> {
        Box::pin(async move {
            completion.check()?;
            self.writer.write_through(move |connection| finish::complete(connection, &completion)).await
        })
    }

    fn fail(&self, report: FailureReport) -> StoreFuture<'_, Finish> {
        Box::pin(async move {
            report.check()?;
            self.writer.write_through(move |connection| finish::fail(connection, &report)).await
        })
    }

    fn cancel(&self, cancel: Cancel) -> StoreFuture<'_, Option<Cancelled>> {
        Box::pin(self.writer.write_through(move |connection| cancel::cancel(connection, &cancel)))
    }

    fn sweep(&self, now: UnixMillis) -> StoreFuture<'_, Vec<Requeued>> {
        Box::pin(self.writer.write(move |connection| requeue::sweep(connection, now)))
    }

    fn abandon(&self, server: String, now: UnixMillis) -> StoreFuture<'_, Vec<Requeued>> {
        Box::pin(self.writer.write(move |connection| requeue::abandon(connection, &server, now)))
    }

    fn wake_at(&self) -> StoreFuture<'_, Option<UnixMillis>> {
        Box::pin(self.look(requeue::wake_at))
    }

    fn run(&self, scope: Scope, id: String) -> StoreFuture<'_, Option<Run>> {
        Box::pin(self.look(move |connection| read::run(connection, scope.as_deref(), &id)))
    }

    fn runs(&self, query: RunQuery) -> StoreFuture<'_, Page<Run>> {
        Box::pin(self.look(move |connection| lists::runs(connection, &query)))
    }

    fn tasks(&self, query: TaskQuery) -> StoreFuture<'_, Page<Task>> {
        Box::pin(self.look(move |connection| lists::tasks(connection, &query)))
    }

    fn task(&self, scope: Scope, id: TaskId) -> StoreFuture<'_, Option<TaskDetail>> {
        Box::pin(self.look(move |connection| read::task(connection, scope.as_deref(), &id)))
    }

    fn events(&self, query: EventQuery) -> StoreFuture<'_, Page<Event>> {
        Box::pin(self.look(move |connection| lists::events(connection, &query)))
    }

    fn counts(&self, scope: Scope, fleet: Option<String>, now: UnixMillis) -> StoreFuture<'_, Counts> {
        Box::pin(
            self.look(move |connection| read::counts(connection, scope.as_deref(), fleet.as_deref(), now)),
        )
    }

    fn prune(&self, retention: Retention) -> StoreFuture<'_, Pruned> {
        Box::pin(self.writer.write(move |connection| prune::prune(connection, &retention)))
    }
}
