//! The states of a task, and what leads from one to another.

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TaskState {
    /// It waits for tasks that it depends on.
    Blocked,
    /// It waits for the time before which it may not begin.
    Scheduled,
    /// It may be claimed.
    Ready,
    /// A worker has it, on lease.
    Running,
    /// An attempt failed; the next begins after a back-off.
    Retrying,
    /// Its own work is done; it waits for the tasks that it has submitted.
    Waiting,
    /// It succeeded.
    Done,
    /// It failed in a way that no further attempt would mend.
    Failed,
    /// It failed in every attempt that it had.
    Dead,
    /// It was ended from outside.
    Cancelled,
    /// It never began, because a task did not succeed whose success it depends on.
    Skipped,
}

/// What happens to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskEvent {
    /// What it depended on is over and as it must be; `due`: its time has come, too.
    Released {
        /// Whether it may begin at once.
        due: bool,
    },
    /// The time that it waited for has come.
    Due,
    /// A worker takes it.
    Claimed,
    /// Its work succeeded; `children_open`: tasks that it has submitted are not over yet.
    Succeeded {
        /// Whether it has to wait for others.
        children_open: bool,
    },
    /// An attempt failed and another follows after a back-off.
    TriedAgain,
    /// An attempt was lost with its worker, and another may begin at once.
    Requeued,
    /// It failed for good.
    FailedForGood,
    /// The last of its attempts failed.
    Exhausted,
    /// The tasks that it has submitted are over, as it must be.
    ChildrenEnded,
    /// Somebody wants it ended. A running task goes on until its worker says that it has stopped.
    CancelWanted,
    /// Its worker has stopped because of that wish.
    Stopped,
    /// A task did not succeed whose success it depends on.
    DependencyFailed,
}

impl TaskState {
    /// All states, in the order of a task's life.
    pub const ALL: [Self; 11] = [
        Self::Blocked,
        Self::Scheduled,
        Self::Ready,
        Self::Running,
        Self::Retrying,
        Self::Waiting,
        Self::Done,
        Self::Failed,
        Self::Dead,
        Self::Cancelled,
        Self::Skipped,
    ];

    /// The state after `event`; `None` if that cannot happen to a task in this state, which then stays as it is.
    pub fn after(self, event: TaskEvent) -> Option<Self> {
        use TaskEvent as E;
        match (self, event) {
            (Self::Blocked, E::Released { due: true })
            | (Self::Scheduled | Self::Retrying, E::Due)
            | (Self::Running, E::Requeued) => Some(Self::Ready),
            (Self::Blocked, E::Released { due: false }) => Some(Self::Scheduled),
            (Self::Ready, E::Claimed) | (Self::Running, E::CancelWanted) => Some(Self::Running),
            (Self::Running, E::TriedAgain) => Some(Self::Retrying),
            (Self::Running, E::Succeeded { children_open: true }) => Some(Self::Waiting),
            (Self::Running, E::Succeeded { children_open: false }) | (Self::Waiting, E::ChildrenEnded) => {
                Some(Self::Done)
            }
            (Self::Running | Self::Waiting, E::FailedForGood) => Some(Self::Failed),
            (Self::Running, E::Exhausted) => Some(Self::Dead),
            (Self::Running, E::Stopped)
            | (
                Self::Blocked | Self::Scheduled | Self::Ready | Self::Retrying | Self::Waiting,
                E::CancelWanted,
            ) => Some(Self::Cancelled),
            (Self::Blocked, E::DependencyFailed) => Some(Self::Skipped),
            _ => None,
        }
    }

    /// Whether nothing happens to it any more.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Dead | Self::Cancelled | Self::Skipped)
    }

    /// The word for it, in results and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Scheduled => "scheduled",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
        }
    }

    /// The state of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [TaskEvent; 14] = [
        TaskEvent::Released { due: true },
        TaskEvent::Released { due: false },
        TaskEvent::Due,
        TaskEvent::Claimed,
        TaskEvent::Succeeded { children_open: true },
        TaskEvent::Succeeded { children_open: false },
        TaskEvent::TriedAgain,
        TaskEvent::Requeued,
        TaskEvent::FailedForGood,
        TaskEvent::Exhausted,
        TaskEvent::ChildrenEnded,
        TaskEvent::CancelWanted,
        TaskEvent::Stopped,
        TaskEvent::DependencyFailed,
    ];

    #[test]
    fn a_task_that_is_over_stays_what_it_became() {
        for state in TaskState::ALL.into_iter().filter(|state| state.is_over()) {
            for event in EVENTS {
                assert_eq!(state.after(event), None, "{state:?} {event:?}");
            }
        }
    }

    #[test]
    fn every_open_task_can_be_cancelled_and_only_a_running_one_has_to_agree() {
        for state in TaskState::ALL.into_iter().filter(|state| !state.is_over()) {
            let after = state.after(TaskEvent::CancelWanted).unwrap();
            assert_eq!(after == TaskState::Cancelled, state != TaskState::Running, "{state:?}");
        }
        assert_eq!(TaskState::Running.after(TaskEvent::Stopped), Some(TaskState::Cancelled));
    }

    #[test]
    fn every_state_is_reached_from_a_new_task_and_leads_to_an_end() {
        let mut reached = vec![TaskState::Blocked];
        let mut next = 0;
        while let Some(&state) = reached.get(next) {
            next += 1;
            for after in EVENTS.into_iter().filter_map(|event| state.after(event)) {
                if !reached.contains(&after) {
                    reached.push(after);
                }
            }
        }
        assert_eq!(reached.len(), TaskState::ALL.len());
    }

    #[test]
    fn work_begins_by_a_claim_of_a_ready_task_alone() {
        for state in TaskState::ALL {
            for event in EVENTS {
                let begins = state != TaskState::Running && state.after(event) == Some(TaskState::Running);
                assert_eq!(begins, state == TaskState::Ready && event == TaskEvent::Claimed);
            }
        }
    }

    #[test]
    fn a_task_succeeds_by_its_own_work_alone() {
        for state in TaskState::ALL {
            for event in EVENTS.into_iter().filter(|&event| state.after(event) == Some(TaskState::Done)) {
                assert!(
                    matches!(
                        (state, event),
                        (TaskState::Running, TaskEvent::Succeeded { children_open: false })
                            | (TaskState::Waiting, TaskEvent::ChildrenEnded)
                    ),
                    "{state:?} {event:?}"
                );
            }
        }
    }

    #[test]
    fn words_and_states_are_one_to_one() {
        for state in TaskState::ALL {
            assert_eq!(TaskState::parse(state.as_str()), Some(state));
        }
        assert_eq!(TaskState::parse("finished"), None);
    }
}
