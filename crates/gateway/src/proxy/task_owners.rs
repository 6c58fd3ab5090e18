//! Which upstream runs a task and for whom, so that later requests about it reach the one and come from the other alone.
//!
//! Ids are the upstreams' own, so that two of them may use the same: what a principal has been told last is what it means.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Tasks that are remembered; for one more, the one that was begun first is forgotten.
const MAX_TASKS: usize = 10_000;
/// Longest id that is remembered, in bytes.
const MAX_ID: usize = 1024;
/// How long a task is remembered from the answer on that has named it.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// Which upstream runs a task, and for whom.
#[derive(Debug, Default)]
pub(super) struct TaskOwners {
    state: Mutex<Owners>,
}

#[derive(Debug, Default)]
struct Owners {
    by_id: HashMap<Arc<str>, Vec<Owner>>,
    /// In the order of time, each as often as it was told of.
    order: VecDeque<(Arc<str>, Instant)>,
}

#[derive(Debug)]
struct Owner {
    principal: Arc<str>,
    place: Place,
    session: Option<u64>,
    told: Instant,
}

impl Owners {
    fn forget_oldest(&mut self) {
        let Some((id, told)) = self.order.pop_front() else { return };
        let Some(owners) = self.by_id.get_mut(&id) else { return };
        owners.retain(|owner| owner.told > told);
        if owners.is_empty() {
            self.by_id.remove(&id);
        }
    }

    fn sweep(&mut self, now: Instant) {
        let over = |told: &Instant| now.saturating_duration_since(*told) >= REMEMBERED;
        while self.order.len() > MAX_TASKS || self.order.front().is_some_and(|(_, told)| over(told)) {
            self.forget_oldest();
        }
    }
}

impl TaskOwners {
    /// Remembers a task that an upstream runs for a principal, in this client session if it has one.
    pub(super) fn remember(
        &self,
        task: &str,
        place: Place,
        principal: &Arc<str>,
        session: Option<u64>,
        now: Instant,
    ) {
        if task.len() > MAX_ID {
            tracing::debug!(bytes = task.len(), "a task with a longer id than is remembered");
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let id: Arc<str> = task.into();
        let owners = state.by_id.entry(Arc::clone(&id)).or_default();
        owners.retain(|owner| owner.principal != *principal);
        owners.push(Owner { principal: Arc::clone(principal), place, session, told: now });
        state.order.push_back((id, now));
        state.sweep(now);
    }

    /// The upstream of a task, unless it is somebody else's.
    pub(super) fn find(&self, task: &str, principal: &str, now: Instant) -> TaskOwner {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.sweep(now);
        let Some(owners) = state.by_id.get(task) else { return TaskOwner::Unknown };
        let own = owners.iter().find(|owner| *owner.principal == *principal);
        own.map_or(TaskOwner::Foreign, |owner| TaskOwner::Here(owner.place))
    }

    /// The client sessions that an upstream runs tasks of this id for.
    pub(super) fn sessions(&self, task: &str, upstream: usize) -> Vec<u64> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let owners = state.by_id.get(task).into_iter().flatten();
        owners.filter(|owner| owner.place.upstream == upstream).filter_map(|owner| owner.session).collect()
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
    /// It was not begun through this process, or so long ago that it is forgotten.
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Place = Place { upstream: 1, replica: 0 };
    const THERE: Place = Place { upstream: 2, replica: 0 };

    #[test]
    fn the_same_id_means_to_each_principal_what_it_was_told_last() {
        let (owners, now) = (TaskOwners::default(), Instant::now());
        let (ann, bob) = (Arc::from("ann"), Arc::from("bob"));
        assert_eq!(owners.find("1", "ann", now), TaskOwner::Unknown);
        owners.remember("1", HERE, &ann, Some(7), now);
        assert_eq!(owners.find("1", "bob", now), TaskOwner::Foreign);
        owners.remember("1", THERE, &bob, Some(8), now);
        assert_eq!(owners.find("1", "ann", now), TaskOwner::Here(HERE));
        assert_eq!(owners.find("1", "bob", now), TaskOwner::Here(THERE));
        assert_eq!((owners.sessions("1", 1), owners.sessions("1", 2)), (vec![7], vec![8]));
        owners.remember("1", THERE, &ann, None, now);
        assert_eq!(owners.find("1", "ann", now), TaskOwner::Here(THERE));
        assert!(owners.sessions("1", 1).is_empty());
    }

    #[test]
    fn a_task_is_remembered_for_a_day_from_when_it_was_told_of_last() {
        let (owners, start) = (TaskOwners::default(), Instant::now());
        let ann = Arc::from("ann");
        owners.remember("1", HERE, &ann, None, start);
        owners.remember("1", HERE, &ann, None, start + REMEMBERED / 2);
        owners.remember("2", HERE, &ann, None, start + REMEMBERED / 2);
        assert_eq!(owners.find("1", "ann", start + REMEMBERED), TaskOwner::Here(HERE));
        let over = start + REMEMBERED * 3 / 2;
        assert_eq!(owners.find("1", "ann", over), TaskOwner::Unknown);
        let state = owners.state.lock().unwrap();
        assert!(state.by_id.is_empty() && state.order.is_empty());
    }

    #[test]
    fn so_many_are_remembered_and_no_id_of_any_length() {
        let (owners, now) = (TaskOwners::default(), Instant::now());
        let ann = Arc::from("ann");
        for task in 0..=MAX_TASKS {
            owners.remember(&task.to_string(), HERE, &ann, None, now + Duration::from_millis(task as u64));
        }
        let later = now + Duration::from_secs(60);
        assert_eq!(owners.find("0", "ann", later), TaskOwner::Unknown);
        assert_eq!(owners.find("1", "ann", later), TaskOwner::Here(HERE));
        assert_eq!(owners.state.lock().unwrap().by_id.len(), MAX_TASKS);
        owners.remember(&"x".repeat(MAX_ID + 1), HERE, &ann, None, later);
        assert_eq!(owners.state.lock().unwrap().by_id.len(), MAX_TASKS);
    }
}
