//! Counters that many threads add to at once.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Cells of a counter: more than there are threads that add at the same moment.
const CELLS: usize = 8;

#[derive(Debug, Default)]
#[repr(align(64))]
struct Cell(AtomicU64);

/// A sum whose parts lie in cache lines of their own, so that a hit on one thread does not wait for one on another.
#[derive(Debug, Default)]
pub(super) struct Counter([Cell; CELLS]);

thread_local! {
    static OWN_CELL: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed) % CELLS
    };
}

impl Counter {
    pub(super) fn add(&self, number: u64) {
        // A thread that is ending has no cell any more.
        let cell = OWN_CELL.try_with(|cell| *cell).unwrap_or_default();
        self.0[cell].0.fetch_add(number, Ordering::Relaxed);
    }

    pub(super) fn one(&self) {
        self.add(1);
    }

    pub(super) fn sum(&self) -> u64 {
        self.0.iter().map(|cell| cell.0.load(Ordering::Relaxed)).sum()
    }
}
