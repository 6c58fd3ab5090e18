//! Work that goes on after its request was answered, and what came of it until that is forgotten: MCP tasks.
//!
//! A task belongs to the principal that asked for it and is unknown to everybody else. It is `working` until it has an
//! outcome or is cancelled, whichever comes first, and stays what it became. One that works is never forgotten: whoever
//! runs it bounds its time. Sources: SEP-2663 (`io.modelcontextprotocol/tasks`) and MCP 2025-11-25, "Tasks".

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;

/// Bounds on the tasks of a server.
#[derive(Debug, Clone, Copy)]
pub struct TaskLimits {
    /// Tasks of one principal that work at a time.
    pub max_working: usize,
    /// The same of all principals together.
    pub max_working_in_all: usize,
    /// Tasks of one principal that are known. For one more, the one that ended first is forgotten.
    pub max_known: usize,
    /// Bytes of all outcomes of one principal. For more, those that came first are forgotten.
    pub max_bytes: usize,
    /// Bytes of all outcomes.
    pub max_bytes_in_all: usize,
    /// How long an outcome can be fetched at least, unless the task was asked for with a shorter time to live.
    pub min_rest: Duration,
}

/// A point in time, by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// For distances.
    pub at: Instant,
    /// For people.
    pub wall: SystemTime,
}

/// What came of a task's work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered.
    Result {
        /// Raw JSON of the result, an object.
        json: Bytes,
        /// Whether that says `"isError":true`.
        is_error: bool,
    },
    /// It was answered with a JSON-RPC error.
    Error {
        /// Raw JSON of the error, an object.
        json: Bytes,
        /// The error's message.
        message: String,
    },
}

impl Outcome {
    /// Its length.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Result { json, .. } | Self::Error { json, .. } => json.len(),
        }
    }
}

/// How a task is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Its work goes on.
    Working,
    /// Its work has come to an end.
    Ended(Outcome),
    /// It was cancelled before that.
    Cancelled(Canceller),
}

/// Who has cancelled a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Canceller {
    /// Its client.
    Client,
    /// Whoever looks after the server.
    Operator,
    /// The end of the server.
    Stop,
}

/// A task at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its id.
    pub id: Arc<str>,
    /// How it is.
    pub state: State,
    /// How far its work is, for people.
    pub note: Option<Arc<str>>,
    /// When it was created.
    pub created: SystemTime,
    /// When its state or its note changed last.
    pub updated: SystemTime,
    /// How long after its creation it may be forgotten; grows when the work ends late.
    pub ttl: Duration,
    /// Its place in the order of creation.
    pub order: u64,
}

/// Why there is no more room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{working} tasks are working; more are not taken at a time")]
pub struct Full {
    /// How many work, of the principal or in all, whichever are too many.
    pub working: usize,
}

/// Why a task was not cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotCancelled {
    /// There is none of that id, or not any more, or it is somebody else's.
    Unknown,
    /// It is over.
    Over(Box<Seen>),
}

/// How many tasks there are, and what they hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TaskCounts {
    /// That work.
    pub working: usize,
    /// That are known, those that work with them.
    pub known: usize,
    /// Bytes of outcomes.
    pub bytes: usize,
}

/// All tasks. `W` is what ends a task's work.
#[derive(Debug)]
pub struct Tasks<W> {
    limits: TaskLimits,
    by_id: HashMap<Arc<str>, Task<W>>,
    next: u64,
}

/// Room for a task.
#[derive(Debug)]
pub struct Room<'a, W> {
    tasks: &'a mut Tasks<W>,
    owner: Arc<str>,
}

impl<W> Room<'_, W> {
    /// A new task, which can be found when this returns; `id` is unlike any other, and nobody can guess it. `note` says how
    /// far its work is, if it has begun.
    pub fn create(self, id: Arc<str>, ttl: Duration, note: Option<Arc<str>>, work: W, now: Moment) -> Seen {
        let Self { tasks, owner } = self;
        let task = Task {
            owner: Arc::clone(&owner),
            order: tasks.next,
            created: now,
            updated: now.wall,
            ttl,
            note,
            work: Some(work),
            state: State::Working,
        };
        tasks.next += 1;
        let seen = task.seen(&id);
        tasks.by_id.insert(id, task);
        tasks.trim(Some(&owner), tasks.limits.max_known, tasks.limits.max_bytes);
        seen
    }
}

#[derive(Debug)]
struct Task<W> {
    owner: Arc<str>,
    order: u64,
    created: Moment,
    updated: SystemTime,
    ttl: Duration,
    note: Option<Arc<str>>,
    /// `Some` as long as it works.
    work: Option<W>,
    state: State,
}

impl<W> Task<W> {
    fn is_working(&self) -> bool {
        self.state == State::Working
    }

    fn bytes(&self) -> usize {
        match &self.state {
            State::Ended(outcome) => outcome.bytes(),
            State::Working | State::Cancelled(_) => 0,
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        !self.is_working() && now.saturating_duration_since(self.created.at) >= self.ttl
    }

    fn seen(&self, id: &Arc<str>) -> Seen {
        Seen {
            id: Arc::clone(id),
            state: self.state.clone(),
            note: self.note.clone(),
            created: self.created.wall,
            updated: self.updated,
            ttl: self.ttl,
            order: self.order,
        }
    }

    /// It becomes what it stays. Whoever comes for the outcome has `min_rest` for that, if it was not meant to live shorter.
    fn become_final(&mut self, state: State, min_rest: Duration, now: Moment) -> Option<W> {
        let age = now.at.saturating_duration_since(self.created.at);
        self.ttl = self.ttl.max(age + min_rest.min(self.ttl));
        self.updated = now.wall;
        self.state = state;
        self.work.take()
    }
}

impl<W> Tasks<W> {
    /// No tasks yet.
    pub fn new(limits: TaskLimits) -> Self {
        Self { limits, by_id: HashMap::new(), next: 1 }
    }

    /// Room for one more task of `owner`.
    ///
    /// # Errors
    /// If too many work.
    pub fn room(&mut self, owner: &Arc<str>, now: Moment) -> Result<Room<'_, W>, Full> {
        self.sweep(now.at);
        let working = self.by_id.values().filter(|task| task.is_working());
        let (own, all) =
            working.fold((0, 0), |(own, all), task| (own + usize::from(task.owner == *owner), all + 1));
        if own >= self.limits.max_working {
            return Err(Full { working: own });
        }
        if all >= self.limits.max_working_in_all {
            return Err(Full { working: all });
        }
        Ok(Room { owner: Arc::clone(owner), tasks: self })
    }

    /// Says how far a task's work is; nothing happens once it is over.
    pub fn note(&mut self, id: &str, note: &str, now: Moment) {
        if let Some(task) = self.by_id.get_mut(id).filter(|task| task.is_working()) {
            task.note = Some(note.into());
            task.updated = now.wall;
        }
    }

    /// The work of a task has ended. `None`: it was cancelled before.
    pub fn end(&mut self, id: &str, outcome: Outcome, now: Moment) -> Option<Seen> {
        let min_rest = self.limits.min_rest;
        let (id, _) = self.by_id.get_key_value(id)?;
        let id = Arc::clone(id);
        let task = self.by_id.get_mut(&id).filter(|task| task.is_working())?;
        task.become_final(State::Ended(outcome), min_rest, now);
        let (seen, owner) = (task.seen(&id), Arc::clone(&task.owner));
        self.trim(Some(&owner), self.limits.max_known, self.limits.max_bytes);
        self.trim(None, usize::MAX, self.limits.max_bytes_in_all);
        Some(seen)
    }

    /// Cancels a task of `owner`; what ends its work comes with it.
    ///
    /// # Errors
    /// If there is none that works.
    pub fn cancel(&mut self, owner: &str, id: &str, now: Moment) -> Result<(Seen, Option<W>), NotCancelled> {
        let seen = self.get(owner, id, now.at).ok_or(NotCancelled::Unknown)?;
        self.cancel_working(id, Canceller::Client, now).ok_or_else(|| NotCancelled::Over(Box::new(seen)))
    }

    /// Cancels a task that works, whoever's it is; `None` if it does not.
    pub fn cancel_working(&mut self, id: &str, by: Canceller, now: Moment) -> Option<(Seen, Option<W>)> {
        let min_rest = self.limits.min_rest;
        let (id, _) = self.by_id.get_key_value(id)?;
        let id = Arc::clone(id);
        let task = self.by_id.get_mut(&id).filter(|task| task.is_working())?;
        let work = task.become_final(State::Cancelled(by), min_rest, now);
        Some((task.seen(&id), work))
    }

    /// How far the work of a task is, whoever's it is.
    pub fn note_of(&self, id: &str) -> Option<Arc<str>> {
        self.by_id.get(id)?.note.clone()
    }

    /// A task of `owner`; `None` if there is none of that id, not any more, or it is somebody else's.
    pub fn get(&self, owner: &str, id: &str, now: Instant) -> Option<Seen> {
        let (id, task) = self.by_id.get_key_value(id)?;
        (*task.owner == *owner && !task.is_over(now)).then(|| task.seen(id))
    }

    /// At most `most` tasks of `owner` that were created after the one whose [`Seen::order`] is `after`, the oldest first,
    /// and whether there are more.
    pub fn list(&self, owner: &str, after: u64, most: usize, now: Instant) -> (Vec<Seen>, bool) {
        let own = self
            .by_id
            .iter()
            .filter(|(_, task)| *task.owner == *owner && task.order > after && !task.is_over(now));
        let mut own: Vec<Seen> = own.map(|(id, task)| task.seen(id)).collect();
        own.sort_unstable_by_key(|seen| seen.order);
        let more = own.len() > most;
        own.truncate(most);
        (own, more)
    }

    /// Forgets what has had its time.
    pub fn sweep(&mut self, now: Instant) {
        self.by_id.retain(|_, task| !task.is_over(now));
    }

    /// Cancels everything that works, because the server ends; what ends the work comes of it.
    pub fn cancel_all(&mut self, now: Moment) -> Vec<W> {
        let min_rest = self.limits.min_rest;
        let working = self.by_id.values_mut().filter(|task| task.is_working());
        working
            .filter_map(|task| task.become_final(State::Cancelled(Canceller::Stop), min_rest, now))
            .collect()
    }

    /// How many there are, and what they hold.
    pub fn counts(&self) -> TaskCounts {
        let known = self.by_id.values();
        known.fold(TaskCounts::default(), |counts, task| TaskCounts {
            working: counts.working + usize::from(task.is_working()),
            known: counts.known + 1,
            bytes: counts.bytes + task.bytes(),
        })
    }

    /// Forgets the oldest that are over, of `owner` or of all, until so many with so many bytes are left.
    fn trim(&mut self, owner: Option<&str>, most: usize, most_bytes: usize) {
        let is_meant = |task: &Task<W>| owner.is_none_or(|owner| *task.owner == *owner);
        loop {
            let meant = self.by_id.iter().filter(|(_, task)| is_meant(task));
            let (count, bytes) =
                meant.clone().fold((0, 0), |(count, bytes), (_, task)| (count + 1, bytes + task.bytes()));
            if count <= most && bytes <= most_bytes {
                return;
            }
            let over = meant.filter(|(_, task)| !task.is_working());
            let Some(oldest) = over.min_by_key(|(_, task)| task.order).map(|(id, _)| Arc::clone(id)) else {
                return;
            };
            self.by_id.remove(&oldest);
        }
    }
}
