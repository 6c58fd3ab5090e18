//! The writer's thread.

use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::super::desk::Desk;
use super::super::{Shared, hits};
use super::Command;
use super::job::Job;
use crate::StoreError;
use crate::limits::{HITS_FLUSH_AFTER, WRITES_PER_COMMIT};

pub(super) struct Worker {
    pub(super) desk: Arc<Mutex<Desk>>,
    pub(super) shared: Arc<Shared>,
    pub(super) commands: Receiver<Command>,
    /// Taken from the queue while gathering a batch that it does not belong to.
    pub(super) next: Option<Command>,
    pub(super) hits_waiting: bool,
}

impl Worker {
    pub(super) fn run(mut self) {
        loop {
            let command = self.wait();
            let desk = Arc::clone(&self.desk);
            // Whoever panicked there may have left a write half done: the store is closed.
            let Ok(mut desk) = desk.lock() else { return };
            match command {
                Ok(Command::Write(job)) => self.commit(&mut desk, job),
                Ok(Command::Read(read)) => read(desk.connection()),
                Ok(Command::HitsWaiting) => self.hits_waiting = true,
                Ok(Command::Checkpoint) => {}
                Err(RecvTimeoutError::Timeout) => self.flush_hits(&mut desk),
                Err(RecvTimeoutError::Disconnected) => return self.flush_hits(&mut desk),
            }
            if self.shared.hits.is_crowded() {
                self.flush_hits(&mut desk);
            }
            if desk.wants_checkpoint() {
                desk.checkpoint();
            }
        }
    }

    /// Waits for work; with counted retrievals to write, only for a while.
    fn wait(&mut self) -> Result<Command, RecvTimeoutError> {
        if let Some(command) = self.next.take() {
            return Ok(command);
        }
        if self.hits_waiting {
            return self.commands.recv_timeout(HITS_FLUSH_AFTER);
        }
        self.commands.recv().map_err(|_| RecvTimeoutError::Disconnected)
    }

    /// Commits `first` and what else is waiting, then answers all.
    fn commit(&mut self, desk: &mut Desk, first: Box<dyn Job>) {
        let (begun, is_through) = (Instant::now(), first.is_through());
        let mut jobs = Vec::new();
        let outcome = self.transaction(desk, first, &mut jobs);
        if jobs.len() == 1 && !is_through {
            self.shared.pace.took(begun.elapsed());
        }
        for job in jobs {
            job.answer(outcome.clone());
        }
    }

    fn transaction(
        &mut self,
        desk: &mut Desk,
        first: Box<dyn Job>,
        jobs: &mut Vec<Box<dyn Job>>,
    ) -> Result<(), StoreError> {
        let is_through = first.is_through();
        let begun = desk.begin(is_through);
        let mut next = Some(first);
        if let Err(error) = begun {
            jobs.extend(next);
            return Err(error);
        }
        while let Some(mut job) = next {
            let applied = apply(desk, job.as_mut(), &self.shared);
            jobs.push(job);
            if applied.is_err() {
                desk.roll_back();
                return applied;
            }
            next = if jobs.len() < WRITES_PER_COMMIT { self.gather(is_through) } else { None };
        }
        desk.commit()
    }

    /// The next write, if one is waiting already that may go with a commit which waits for the disk, or does not.
    fn gather(&mut self, is_through: bool) -> Option<Box<dyn Job>> {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Write(job)) if job.is_through() && !is_through => {
                    self.next = Some(Command::Write(job));
                    return None;
                }
                Ok(Command::Write(job)) => return Some(job),
                Ok(Command::HitsWaiting) => self.hits_waiting = true,
                Ok(Command::Checkpoint) => {}
                Ok(read @ Command::Read(_)) => {
                    self.next = Some(read);
                    return None;
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return None,
            }
        }
    }

    /// Writes the counted retrievals; keeps the count if that fails.
    fn flush_hits(&mut self, desk: &mut Desk) {
        self.hits_waiting = false;
        let counts = self.shared.hits.take();
        if counts.is_empty() {
            return;
        }
        let begun = desk.begin(false);
        let written = begun.and_then(|()| desk.one(|connection| Ok(hits::write(connection, &counts)?)));
        if written.is_err() {
            self.shared.hits.put_back(counts);
        }
    }
}

/// One write in its savepoint. Its own failure stays with the job; an error here is the transaction's.
fn apply(desk: &Desk, job: &mut dyn Job, shared: &Shared) -> Result<(), StoreError> {
    if job.is_cancelled() {
        return Ok(());
    }
    desk.execute("SAVEPOINT job")?;
    if let Err(error) = job.apply(desk.connection(), shared) {
        if desk.connection().is_autocommit() {
            // Disk full, I/O error: the engine has undone the whole transaction.
            return Err(error);
        }
        desk.execute("ROLLBACK TO job")?;
    }
    desk.execute("RELEASE job")
}
