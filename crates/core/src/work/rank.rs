//! The order in which ready tasks are taken, so that none starves.
//!
//! A ready task gains one priority in each [`AGEING_STEP_MS`]. As all tasks age alike, which of two comes first does not
//! depend on when it is asked: the order is that of one number that stands when a task becomes ready, and an index can hold it.

/// Milliseconds of waiting that are worth one priority.
pub const AGEING_STEP_MS: i64 = 60_000;

/// How urgent a task is: 0 is least, 9 most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Priority(u8);

impl Priority {
    /// The most urgent.
    pub const MAX: Self = Self(9);

    /// The priority of that number, if it is one.
    pub fn new(number: u8) -> Option<Self> {
        (number <= Self::MAX.0).then_some(Self(number))
    }

    /// Its number.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    /// The middle: room above and below.
    fn default() -> Self {
        Self(5)
    }
}

/// The place of a task in the order, the lowest first; `ready_at` is in milliseconds.
pub fn rank(ready_at: i64, priority: Priority) -> i64 {
    ready_at.saturating_sub(i64::from(priority.0) * AGEING_STEP_MS)
}

/// The `ready_at` that a rank was made of.
pub fn ready_at(rank: i64, priority: Priority) -> i64 {
    rank.saturating_add(i64::from(priority.0) * AGEING_STEP_MS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What ageing means: the priority, and one more for each step of waiting.
    fn effective(ready_at: i64, priority: u8, now: i64) -> f64 {
        f64::from(priority) + (now - ready_at) as f64 / AGEING_STEP_MS as f64
    }

    proptest! {
        #[test]
        fn the_rank_orders_as_aged_priorities_do_at_any_time(
            a in (0..10_000_000_i64, 0..=9_u8), b in (0..10_000_000_i64, 0..=9_u8), now in 10_000_000..20_000_000_i64,
        ) {
            let rank = |(at, priority)| rank(at, Priority::new(priority).unwrap());
            let (left, right) = (effective(a.0, a.1, now), effective(b.0, b.1, now));
            if (left - right).abs() > 1e-6 {
                prop_assert_eq!(rank(a) < rank(b), left > right);
            }
        }
    }

    #[test]
    fn the_least_urgent_task_comes_before_the_most_urgent_of_nine_steps_later() {
        let least = rank(0, Priority::new(0).unwrap());
        assert!(least > rank(9 * AGEING_STEP_MS - 1, Priority::MAX));
        assert!(least < rank(9 * AGEING_STEP_MS + 1, Priority::MAX));
    }

    #[test]
    fn a_priority_is_one_digit_and_a_rank_tells_since_when_a_task_is_ready() {
        assert_eq!(Priority::new(10), None);
        for number in 0..=9 {
            let priority = Priority::new(number).unwrap();
            assert_eq!((priority.get(), ready_at(rank(77, priority), priority)), (number, 77));
        }
    }
}
