//! Which upstream runs a task, so that later requests about it reach it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// Tasks that are remembered, so that later requests about one reach the upstream that runs it.
const MAX_TASKS: usize = 10_000;

/// Which upstream runs a task, and for whom.
#[derive(Debug, Default)]
pub(super) struct TaskOwners {
    state: Mutex<Owners>,
}

#[derive(Debug, Default)]
struct Owners {
    by_id: HashMap<String, (Place, Arc<str>)>,
    order: VecDeque<String>,
}

impl TaskOwners {
    /// Remembers a task; the oldest is forgotten when there are too many.
    pub(super) fn remember(&self, task: &str, place: Place, principal: &Arc<str>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.by_id.insert(task.to_owned(), (place, Arc::clone(principal))).is_none() {
            state.order.push_back(task.to_owned());
        }
        while state.order.len() > MAX_TASKS {
            if let Some(oldest) = state.order.pop_front() {
                state.by_id.remove(&oldest);
            }
        }
    }

    /// The upstream of a task, unless it is somebody else's.
    pub(super) fn find(&self, task: &str, principal: &str) -> TaskOwner {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.by_id.get(task) {
            Some((place, owner)) if **owner == *principal => TaskOwner::Here(*place),
            Some(_) => TaskOwner::Foreign,
            None => TaskOwner::Unknown,
        }
    }
}

/// Where a task runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) upstream: usize,
    pub(super) replica: usize,
}

/// What is known of a task id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TaskOwner {
    /// It runs here.
    Here(Place),
    /// It belongs to another principal.
    Foreign,
    /// It was not started through this process.
    Unknown,
}
