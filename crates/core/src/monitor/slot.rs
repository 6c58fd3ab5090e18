//! Which memory a thread adds to.
//!
//! Two threads that add to the same counter fight over its cache line, and an atomic addition costs five times a plain
//! one even without a fight. So each thread takes a slot of its own as long as there are some, and in a series each slot
//! has its own counters. Whoever owns a slot is the only one to write there and needs no atomic addition; threads beyond
//! [`OWNED`] share the last slot and add atomically. Readers sum over all slots.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Slots that belong to one thread at a time.
pub const OWNED: usize = 32;

/// All slots: those and the shared one.
pub const COUNT: usize = OWNED + 1;

static TAKEN: [AtomicBool; OWNED] = [const { AtomicBool::new(false) }; OWNED];

/// The slot of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot(u8);

impl Slot {
    /// For all who have none of their own.
    const SHARED: Self = Self(OWNED as u8);

    /// The slot of the thread that asks.
    #[inline]
    pub fn own() -> Self {
        thread_local! {
            static OWN: Owner = Owner::new();
        }
        // A thread that is ending has given its slot back.
        OWN.try_with(|owner| owner.0).unwrap_or(Self::SHARED)
    }

    /// Its position, below [`COUNT`].
    #[inline]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// Whether no other thread writes there.
    #[inline]
    pub fn is_owned(self) -> bool {
        self.index() < OWNED
    }
}

/// Holds a thread's slot until the thread ends.
struct Owner(Slot);

impl Owner {
    fn new() -> Self {
        let free = TAKEN.iter().position(|taken| {
            // Acquire: what its former owner has written there is seen.
            taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
        });
        Self(free.map_or(Slot::SHARED, |at| Slot(at as u8)))
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        if let Some(taken) = TAKEN.get(self.0.index()) {
            taken.store(false, Ordering::Release);
        }
    }
}

/// A counter that belongs to a slot.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Nothing counted.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Adds to it. With `SOLE`, the counter is of the [own](Slot::own) slot of the calling thread, and that is
    /// [owned](Slot::is_owned); decided once for all counters of a call.
    #[inline]
    pub fn add<const SOLE: bool>(&self, count: u64) {
        if SOLE {
            // The only writer: nothing can come between the two.
            self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
        } else {
            self.0.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Its value.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Some counters, for each slot its own.
#[derive(Debug)]
pub struct Tally<const N: usize>([OnceLock<Box<[Counter; N]>>; COUNT]);

impl<const N: usize> Default for Tally<N> {
    fn default() -> Self {
        Self([const { OnceLock::new() }; COUNT])
    }
}

impl<const N: usize> Tally<N> {
    /// Counts one more at this position.
    ///
    /// # Panics
    /// If there is no such position.
    pub fn count(&self, at: usize) {
        let slot = Slot::own();
        let counters = self.0[slot.index()].get_or_init(|| Box::new([const { Counter::new() }; N]));
        if slot.is_owned() { counters[at].add::<true>(1) } else { counters[at].add::<false>(1) }
    }

    /// All counts.
    pub fn read(&self) -> [u64; N] {
        let mut sums = [0; N];
        for counters in self.0.iter().filter_map(OnceLock::get) {
            for (sum, counter) in sums.iter_mut().zip(&**counters) {
                *sum += counter.get();
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::{Barrier, Mutex};

    use super::*;

    #[test]
    fn no_two_threads_that_live_at_the_same_time_own_the_same_slot() {
        let owned = Mutex::new(Vec::new());
        let all_there = Barrier::new(OWNED + 8);
        std::thread::scope(|scope| {
            for _ in 0..OWNED + 8 {
                scope.spawn(|| {
                    owned.lock().unwrap().push(Slot::own());
                    all_there.wait();
                });
            }
        });
        let owned: Vec<u8> =
            owned.into_inner().unwrap().iter().filter(|slot| slot.is_owned()).map(|slot| slot.0).collect();
        let distinct: HashSet<u8> = owned.iter().copied().collect();
        assert_eq!(distinct.len(), owned.len());
    }

    #[test]
    fn a_slot_is_given_back_when_its_thread_ends() {
        for _ in 0..OWNED * 4 {
            let slot = std::thread::spawn(Slot::own).join().unwrap();
            // Other tests run meanwhile, but not that many threads.
            assert!(slot.index() < COUNT);
        }
    }

    #[test]
    fn no_addition_is_lost_however_many_threads_add() {
        const THREADS: usize = OWNED + 16;
        let tally = Tally::<2>::default();
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        tally.count(1);
                    }
                });
            }
        });
        assert_eq!(tally.read(), [0, THREADS as u64 * 10_000]);
    }
}
