//! What follows when tasks are over: others are released or never begin, parents go on, the run may be over.

use std::collections::VecDeque;

use aqe_core::work::{Priority, TaskEvent, TaskState, rank};
use rusqlite::Connection;

use super::super::Fault;
use super::row::{self, Head};
use crate::UnixMillis;
use crate::work::EventKind;

/// Tasks of one run that were over in one transaction.
pub(super) struct Settling<'a> {
    connection: &'a Connection,
    run: i64,
    now: UnixMillis,
    /// Over, and what follows not yet done.
    over: VecDeque<(Head, TaskState)>,
    /// How many became done, failed, dead, cancelled, skipped.
    sums: [u32; 5],
    /// Tasks that are to stop, by their rows.
    wished: Vec<i64>,
}

/// What settling came to.
pub(super) struct Settled {
    /// Whether the run is over now.
    pub(super) run_over: bool,
    /// How many tasks were cancelled.
    pub(super) cancelled: u32,
    /// Tasks that run and are to stop, by their rows.
    pub(super) wished: Vec<i64>,
}

impl<'a> Settling<'a> {
    pub(super) fn new(connection: &'a Connection, run: i64, now: UnixMillis) -> Self {
        Self { connection, run, now, over: VecDeque::new(), sums: [0; 5], wished: Vec::new() }
    }

    /// Ends a task, if its state permits that event; what follows is done by [`finish`](Self::finish).
    pub(super) fn end(&mut self, task: Head, event: TaskEvent, why: Option<&str>) -> Result<(), Fault> {
        let Some(state) = task.state.after(event).filter(|state| state.is_over()) else { return Ok(()) };
        self.connection
            .prepare_cached(
                "UPDATE task SET state = ?2, ended = ?3, rank = NULL, due = NULL, lease_until = NULL,
                     error = coalesce(?4, error)
                 WHERE id = ?1",
            )?
            .execute((task.id, state.as_str(), self.now, why))?;
        let (place, kind) = match state {
            TaskState::Done => (0, EventKind::Done),
            TaskState::Failed => (1, EventKind::Failed),
            TaskState::Dead => (2, EventKind::Dead),
            TaskState::Skipped => (4, EventKind::Skipped),
            _ => (3, EventKind::Cancelled),
        };
        self.sums[place] += 1;
        row::tell(self.connection, (task.run, Some(task.number)), kind, why, self.now)?;
        self.over.push_back((task, state));
        Ok(())
    }

    /// Ends a task, or wishes the end of one that runs.
    pub(super) fn cancel(&mut self, task: Head, why: &str) -> Result<(), Fault> {
        if task.state != TaskState::Running {
            self.end(task, TaskEvent::CancelWanted, Some(why))?;
            return Ok(());
        }
        if task.cancel_wanted.is_none() {
            self.connection
                .prepare_cached("UPDATE task SET cancel_wanted = ?2 WHERE id = ?1")?
                .execute((task.id, why))?;
            let place = (task.run, Some(task.number));
            row::tell(self.connection, place, EventKind::CancelWanted, Some(why), self.now)?;
        }
        self.wished.push(task.id);
        // What it has submitted is not left to its worker, which may never answer.
        self.cancel_children(task.id, why)
    }

    /// Does all that follows.
    pub(super) fn finish(mut self) -> Result<Settled, Fault> {
        while let Some((task, state)) = self.over.pop_front() {
            self.release_dependents(&task, state)?;
            if let Some(parent) = task.parent {
                self.tell_parent(parent, state)?;
            }
            if state != TaskState::Done {
                self.cancel_children(task.id, "the task that submitted it is over")?;
            }
            if matches!(state, TaskState::Failed | TaskState::Dead) {
                self.stop_run(&task)?;
            }
        }
        let run_over = self.book()?;
        self.wished.sort_unstable();
        self.wished.dedup();
        Ok(Settled { run_over, cancelled: self.sums[3], wished: self.wished })
    }

    fn release_dependents(&mut self, task: &Head, state: TaskState) -> Result<(), Fault> {
        let dependents = self
            .connection
            .prepare_cached("SELECT task, needs_success FROM task_dep WHERE dep = ?1")?
            .query_map([task.id], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<Vec<(i64, bool)>>>()?;
        for (dependent, needs_success) in dependents {
            if needs_success && state != TaskState::Done {
                let dependent = row::get(self.connection, dependent)?;
                let why = format!("task {} was {}", task.number, state.as_str());
                self.end(dependent, TaskEvent::DependencyFailed, Some(&why))?;
                continue;
            }
            let (current, pending, run_at, priority) = self
                .connection
                .prepare_cached(
                    "UPDATE task SET pending = pending - 1 WHERE id = ?1
                     RETURNING state, pending, run_at, priority",
                )?
                .query_row([dependent], |row| {
                    let run_at: Option<UnixMillis> = row.get(2)?;
                    Ok((row::state(row, 0)?, row.get::<_, u32>(1)?, run_at, row::priority(row, 3)?))
                })?;
            if pending == 0 {
                self.release(dependent, current, run_at, priority)?;
            }
        }
        Ok(())
    }

    fn release(
        &self,
        task: i64,
        current: TaskState,
        run_at: Option<UnixMillis>,
        priority: Priority,
    ) -> Result<(), Fault> {
        let start = Start::new(run_at, priority, self.now);
        let Some(state) = current.after(TaskEvent::Released { due: start.due.is_none() }) else {
            return Ok(());
        };
        self.connection
            .prepare_cached("UPDATE task SET state = ?2, rank = ?3, due = ?4 WHERE id = ?1")?
            .execute((task, state.as_str(), start.rank, start.due))?;
        Ok(())
    }

    /// A task that the parent has submitted is over.
    fn tell_parent(&mut self, parent: i64, state: TaskState) -> Result<(), Fault> {
        self.connection
            .prepare_cached(
                "UPDATE task SET open_children = open_children - 1, bad_children = bad_children + ?2 WHERE id = ?1",
            )?
            .execute((parent, u8::from(state != TaskState::Done)))?;
        let parent = row::get(self.connection, parent)?;
        if parent.state == TaskState::Waiting && parent.open_children == 0 {
            let (event, why) = parent.verdict_on_children();
            self.end(parent, event, why)?;
        }
        Ok(())
    }

    fn cancel_children(&mut self, parent: i64, why: &str) -> Result<(), Fault> {
        for child in row::select(self.connection, "parent = ?1 AND ended IS NULL", [parent])? {
            self.cancel(child, why)?;
        }
        Ok(())
    }

    /// Where the run is to fail fast: nothing more of it begins.
    fn stop_run(&mut self, task: &Head) -> Result<(), Fault> {
        let fails_fast: bool = self
            .connection
            .prepare_cached("SELECT fail_fast FROM run WHERE id = ?1")?
            .query_row([self.run], |row| row.get(0))?;
        if fails_fast {
            self.cancel_run(&format!("task {} failed, and the run fails fast", task.number))?;
        }
        Ok(())
    }

    /// Ends whatever of the run is not over.
    pub(super) fn cancel_run(&mut self, why: &str) -> Result<(), Fault> {
        for open in row::select(self.connection, "run = ?1 AND ended IS NULL", [self.run])? {
            // What was over through another in the meantime is not ended twice.
            let open = row::get(self.connection, open.id)?;
            self.cancel(open, why)?;
        }
        Ok(())
    }

    fn book(&self) -> Result<bool, Fault> {
        let over: u32 = self.sums.iter().sum();
        if over == 0 {
            return Ok(false);
        }
        let [done, failed, dead, cancelled, skipped] = self.sums;
        let (open, fleet): (u64, i64) = self
            .connection
            .prepare_cached(
                "UPDATE run SET open = open - ?2, done = done + ?3, failed = failed + ?4, dead = dead + ?5,
                     cancelled = cancelled + ?6, skipped = skipped + ?7 WHERE id = ?1 RETURNING open, fleet",
            )?
            .query_row((self.run, over, done, failed, dead, cancelled, skipped), |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        self.connection
            .prepare_cached("UPDATE fleet SET open = open - ?2 WHERE id = ?1")?
            .execute((fleet, over))?;
        if open > 0 {
            return Ok(false);
        }
        self.connection
            .prepare_cached("UPDATE run SET ended = ?2 WHERE id = ?1")?
            .execute((self.run, self.now))?;
        row::tell(self.connection, (self.run, None), EventKind::RunOver, None, self.now)?;
        Ok(true)
    }
}

impl Head {
    /// What its children's ends mean for it, once its own work is done and all of them are over.
    pub(super) fn verdict_on_children(&self) -> (TaskEvent, Option<&'static str>) {
        if self.bad_children == 0 || self.children_may_fail {
            (TaskEvent::ChildrenEnded, None)
        } else {
            (TaskEvent::FailedForGood, Some("a task that it has submitted did not succeed"))
        }
    }
}

/// When a task that nothing blocks begins: one of the two is set.
pub(super) struct Start {
    /// Its place in the order, if it is ready.
    pub(super) rank: Option<i64>,
    /// Its time, if that is still to come.
    pub(super) due: Option<UnixMillis>,
}

impl Start {
    pub(super) fn new(run_at: Option<UnixMillis>, priority: Priority, now: UnixMillis) -> Self {
        match run_at.filter(|&at| at > now) {
            Some(at) => Self { rank: None, due: Some(at) },
            None => Self { rank: Some(rank::rank(now, priority)), due: None },
        }
    }
}
