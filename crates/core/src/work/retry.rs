//! Whether and when a task that failed is tried again.

use crate::balancer::random::mix;

/// Why an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// Something passing: no connection, no room, too busy.
    Transient,
    /// It took longer than it may.
    Timeout,
    /// The program ended with a code that says so.
    ExitCode,
    /// Another attempt would fail likewise: bad arguments, no such profile.
    Permanent,
    /// It was stopped because its end was wanted.
    Cancelled,
    /// Its worker or server died, or was not heard of until the lease ran out.
    Lost,
    /// Its server stopped in order, and ended it for that alone.
    GivenBack,
    /// A task that it has submitted did not succeed.
    Child,
}

impl Failure {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Transient,
        Self::Timeout,
        Self::ExitCode,
        Self::Permanent,
        Self::Cancelled,
        Self::Lost,
        Self::GivenBack,
        Self::Child,
    ];

    /// The word for it, in results and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Timeout => "timeout",
            Self::ExitCode => "exit_code",
            Self::Permanent => "permanent",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
            Self::GivenBack => "given_back",
            Self::Child => "child",
        }
    }

    /// The failure of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|failure| failure.as_str() == word)
    }
}

/// The attempts of a task, the one that has just failed among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tried {
    /// How many there were.
    pub attempts: u32,
    /// How many of them were lost.
    pub lost: u32,
    /// How many of them were given back.
    pub given_back: u32,
    /// How many there may be.
    pub max_attempts: u32,
    /// Whether somebody wants the task ended.
    pub cancel_wanted: bool,
}

/// What follows from a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Another attempt after a back-off of so many milliseconds.
    Retry {
        /// The back-off.
        after_ms: i64,
    },
    /// Another attempt at once.
    Requeue,
    /// None: it would fail likewise.
    Failed,
    /// None: there were as many as there may be.
    Dead,
    /// None: that was wanted.
    Cancelled,
}

/// Attempts that may be lost without counting against the task. One: a server that is killed costs no task an attempt, and a
/// task that kills its server each time comes to an end.
const LOST_FOR_FREE: u32 = 1;

/// Attempts that may be given back without counting against the task: a server that is stopped in order takes nothing from
/// it. Bounded, as each attempt leaves a row and events.
const GIVEN_BACK_FOR_FREE: u32 = 100;

/// What follows from a failure. `seed` chooses the jitter of the back-off: the same seed, the same verdict.
pub fn verdict(failure: Failure, tried: Tried, seed: u64) -> Verdict {
    if tried.cancel_wanted || failure == Failure::Cancelled {
        return Verdict::Cancelled;
    }
    if matches!(failure, Failure::Permanent | Failure::Child) {
        return Verdict::Failed;
    }
    let free = tried.lost.min(LOST_FOR_FREE) + tried.given_back.min(GIVEN_BACK_FOR_FREE);
    let counted = tried.attempts.saturating_sub(free);
    if counted >= tried.max_attempts {
        return Verdict::Dead;
    }
    if matches!(failure, Failure::Lost | Failure::GivenBack) {
        return Verdict::Requeue;
    }
    Verdict::Retry { after_ms: backoff_ms(failure, counted, seed) }
}

/// The back-off after so many failures: it doubles with each up to a bound, and lies anywhere between half of that and the
/// whole, so that tasks that failed together are not tried together.
fn backoff_ms(failure: Failure, failures: u32, seed: u64) -> i64 {
    // First and longest back-off. What was too slow needs more air than what broke.
    let (first, longest): (i64, i64) = match failure {
        Failure::Timeout => (5_000, 300_000),
        Failure::ExitCode => (1_000, 60_000),
        _ => (500, 60_000),
    };
    let doubled = first << failures.saturating_sub(1).min(16);
    let whole = doubled.min(longest);
    let half = whole / 2;
    let share = (mix(seed.wrapping_add(1)) >> 32).cast_signed();
    half + (((whole - half) * share) >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(attempts: u32, lost: u32, max_attempts: u32) -> Tried {
        Tried { attempts, lost, given_back: 0, max_attempts, cancel_wanted: false }
    }

    #[test]
    fn there_are_as_many_attempts_as_there_may_be_whatever_fails() {
        for failure in [Failure::Transient, Failure::Timeout, Failure::ExitCode] {
            assert!(matches!(verdict(failure, tried(2, 0, 3), 1), Verdict::Retry { .. }));
            assert_eq!(verdict(failure, tried(3, 0, 3), 1), Verdict::Dead);
        }
    }

    #[test]
    fn what_another_attempt_would_not_mend_gets_none() {
        for failure in [Failure::Permanent, Failure::Child] {
            assert_eq!(verdict(failure, tried(1, 0, 9), 1), Verdict::Failed);
        }
    }

    #[test]
    fn an_attempt_that_was_lost_costs_nothing_once() {
        assert_eq!(verdict(Failure::Lost, tried(1, 1, 1), 1), Verdict::Requeue);
        assert_eq!(verdict(Failure::Lost, tried(2, 2, 1), 1), Verdict::Dead);
        assert_eq!(verdict(Failure::Lost, tried(2, 2, 2), 1), Verdict::Requeue);
        assert!(matches!(verdict(Failure::ExitCode, tried(2, 1, 2), 1), Verdict::Retry { .. }));
    }

    #[test]
    fn an_attempt_that_was_given_back_costs_nothing() {
        let given_back = |attempts, given_back| Tried { given_back, ..tried(attempts, 0, 1) };
        for times in 1..=GIVEN_BACK_FOR_FREE {
            assert_eq!(verdict(Failure::GivenBack, given_back(times, times), 1), Verdict::Requeue);
        }
        assert_eq!(verdict(Failure::ExitCode, given_back(4, 3), 1), Verdict::Dead, "its own failure counts");
        let times = GIVEN_BACK_FOR_FREE + 1;
        assert_eq!(verdict(Failure::GivenBack, given_back(times, times), 1), Verdict::Dead, "not for ever");
        let both = Tried { lost: 1, ..given_back(2, 1) };
        assert_eq!(verdict(Failure::Lost, both, 1), Verdict::Requeue);
    }

    #[test]
    fn a_task_that_somebody_wants_ended_is_not_tried_again() {
        for failure in Failure::ALL {
            let wanted = Tried { cancel_wanted: true, ..tried(1, 0, 9) };
            assert_eq!(verdict(failure, wanted, 1), Verdict::Cancelled, "{failure:?}");
        }
        assert_eq!(verdict(Failure::Cancelled, tried(1, 0, 9), 1), Verdict::Cancelled);
    }

    #[test]
    fn a_back_off_doubles_up_to_its_bound_and_is_spread_over_its_upper_half() {
        for (failure, first, longest) in [
            (Failure::Transient, 500, 60_000),
            (Failure::ExitCode, 1_000, 60_000),
            (Failure::Timeout, 5_000, 300_000),
        ] {
            for failures in 1..200_u32 {
                let whole = (first << (failures - 1).min(20)).min(longest);
                let delays: Vec<i64> = (0..200).map(|seed| backoff_ms(failure, failures, seed)).collect();
                let (least, most) = (delays.iter().min().unwrap(), delays.iter().max().unwrap());
                assert!(*least >= whole / 2 && *most <= whole, "{failure:?} {failures}: {least} to {most}");
                assert!(most - least > whole / 3, "{failure:?} {failures}: {least} to {most}");
            }
        }
        assert_eq!(backoff_ms(Failure::Timeout, 3, 42), backoff_ms(Failure::Timeout, 3, 42));
    }

    #[test]
    fn words_and_failures_are_one_to_one() {
        for failure in Failure::ALL {
            assert_eq!(Failure::parse(failure.as_str()), Some(failure));
        }
        assert_eq!(Failure::parse("bad luck"), None);
    }
}
