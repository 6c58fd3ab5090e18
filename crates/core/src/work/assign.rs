//! Which worker takes a task: the one with the smallest share of its capacity in use.

use std::cmp::Ordering;

/// How busy a worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Tasks that it can run at a time.
    pub capacity: u32,
    /// Tasks that it runs.
    pub running: u32,
}

impl Load {
    /// Tasks that it can take.
    pub fn free(self) -> u32 {
        self.capacity.saturating_sub(self.running)
    }

    /// Less loaded is less; of two that are loaded alike, the one that can take more.
    fn compare(self, other: Self) -> Ordering {
        let share = |load: Self, of: Self| u64::from(load.running) * u64::from(of.capacity);
        share(self, other).cmp(&share(other, self)).then_with(|| other.free().cmp(&self.free()))
    }
}

/// The place of the least loaded worker that is able to and has room; of two alike, the first.
pub fn least_loaded(workers: &[Load], is_able: impl Fn(usize) -> bool) -> Option<usize> {
    let able = workers.iter().enumerate().filter(|&(place, load)| load.free() > 0 && is_able(place));
    able.min_by(|(_, left), (_, right)| left.compare(**right)).map(|(place, _)| place)
}

/// The worker of each task, one task after another, `None` where nobody has room; what is assigned counts for the next.
/// `is_able(task, worker)`.
pub fn assign(workers: &[Load], tasks: usize, is_able: impl Fn(usize, usize) -> bool) -> Vec<Option<usize>> {
    let mut workers = workers.to_vec();
    (0..tasks)
        .map(|task| {
            let chosen = least_loaded(&workers, |worker| is_able(task, worker))?;
            workers[chosen].running += 1;
            Some(chosen)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn load(capacity: u32, running: u32) -> Load {
        Load { capacity, running }
    }

    #[test]
    fn the_least_loaded_is_so_by_its_share_and_not_by_its_count() {
        let workers = [load(2, 1), load(10, 3), load(4, 4)];
        assert_eq!(least_loaded(&workers, |_| true), Some(1));
        assert_eq!(least_loaded(&workers, |place| place != 1), Some(0));
        assert_eq!(least_loaded(&workers, |place| place == 2), None, "full");
        assert_eq!(least_loaded(&[load(1, 0), load(8, 0)], |_| true), Some(1), "more room");
        assert_eq!(least_loaded(&[], |_| true), None);
    }

    proptest! {
        #[test]
        fn nobody_is_given_more_than_it_can_take_and_no_task_waits_while_somebody_able_has_room(
            workers in proptest::collection::vec((0..5_u32, 0..5_u32), 0..6), tasks in 0..30_usize, skill in 1..4_usize,
        ) {
            let loads: Vec<Load> = workers.iter().map(|&(capacity, running)| load(capacity, running)).collect();
            let is_able = |task: usize, worker: usize| task % skill == worker % skill;
            let mut after = loads.clone();
            for (task, chosen) in assign(&loads, tasks, is_able).into_iter().enumerate() {
                match chosen {
                    Some(worker) => {
                        prop_assert!(is_able(task, worker) && after[worker].free() > 0);
                        after[worker].running += 1;
                    }
                    None => prop_assert!((0..after.len()).all(|w| !is_able(task, w) || after[w].free() == 0)),
                }
            }
        }
    }
}
