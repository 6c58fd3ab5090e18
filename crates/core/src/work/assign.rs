//! Which worker takes a task: the one with the smallest share of its capacity in use; of those that are loaded alike, the one
//! that has served least.

use std::cmp::Ordering;

/// How busy a worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Tasks that it can run at a time.
    pub capacity: u32,
    /// Tasks that it runs.
    pub running: u32,
    /// Tasks that it has run.
    pub served: u64,
}

impl Load {
    /// Tasks that it can take.
    pub fn free(self) -> u32 {
        self.capacity.saturating_sub(self.running)
    }

    /// Less loaded is less; of two that are loaded alike, the one that can take more, then the one that has served less.
    fn compare(self, other: Self) -> Ordering {
        let share = |load: Self, of: Self| u64::from(load.running) * u64::from(of.capacity);
        let load = share(self, other).cmp(&share(other, self));
        load.then_with(|| other.free().cmp(&self.free())).then_with(|| self.served.cmp(&other.served))
    }
}

/// The least loaded worker that has room; of two alike, the first.
pub fn least_loaded<W>(workers: impl Iterator<Item = (W, Load)>) -> Option<W> {
    let able = workers.filter(|(_, load)| load.free() > 0);
    able.min_by(|(_, left), (_, right)| left.compare(*right)).map(|(worker, _)| worker)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn load(capacity: u32, running: u32, served: u64) -> Load {
        Load { capacity, running, served }
    }

    fn chosen(workers: &[Load]) -> Option<usize> {
        least_loaded(workers.iter().copied().enumerate())
    }

    #[test]
    fn the_least_loaded_is_so_by_its_share_and_not_by_its_count() {
        assert_eq!(chosen(&[load(2, 1, 0), load(10, 3, 9), load(4, 4, 0)]), Some(1));
        assert_eq!(chosen(&[load(2, 1, 0), load(4, 4, 0)]), Some(0));
        assert_eq!(chosen(&[load(4, 4, 0), load(0, 0, 0)]), None, "full");
        assert_eq!(chosen(&[load(1, 0, 0), load(8, 0, 9)]), Some(1), "more room");
        assert_eq!(chosen(&[load(1, 0, 7), load(1, 0, 5), load(1, 0, 5)]), Some(1), "served less");
        assert_eq!(chosen(&[]), None);
    }

    proptest! {
        #[test]
        fn nobody_is_given_more_than_it_can_take_and_no_task_waits_while_somebody_has_room(
            workers in proptest::collection::vec((0..5_u32, 0..5_u32), 0..6), tasks in 0..30_usize,
        ) {
            let mut loads: Vec<Load> =
                workers.iter().map(|&(capacity, running)| load(capacity, running, 0)).collect();
            for _ in 0..tasks {
                match chosen(&loads) {
                    Some(worker) => {
                        prop_assert!(loads[worker].free() > 0);
                        loads[worker].running += 1;
                    }
                    None => prop_assert!(loads.iter().all(|load| load.free() == 0)),
                }
            }
        }
    }
}
