//! Counts over the last ten seconds, in slots of one second.

use std::time::{Duration, Instant};

const SLOTS: usize = 10;

/// Counts of so many kinds of events. The newest slot is still filling, so that the window covers nine to ten seconds.
#[derive(Debug, Clone)]
pub(crate) struct Window<const KINDS: usize> {
    epoch: Instant,
    /// Seconds since `epoch` of the newest slot.
    second: u64,
    slots: [[u32; KINDS]; SLOTS],
    totals: [u32; KINDS],
}

impl<const KINDS: usize> Window<KINDS> {
    /// How far back it looks.
    pub(crate) const SPAN: Duration = Duration::from_secs(SLOTS as u64);

    pub(crate) fn new(now: Instant) -> Self {
        Self { epoch: now, second: 0, slots: [[0; KINDS]; SLOTS], totals: [0; KINDS] }
    }

    /// Counts one event of the kind with this number, below `KINDS`.
    pub(crate) fn add(&mut self, kind: usize, now: Instant) {
        self.advance(now);
        let slot = &mut self.slots[(self.second % SLOTS as u64) as usize][kind];
        let sum = slot.saturating_add(1);
        self.totals[kind] = self.totals[kind].saturating_add(sum - *slot);
        *slot = sum;
    }

    /// The counts of all kinds.
    pub(crate) fn totals(&mut self, now: Instant) -> [u32; KINDS] {
        self.advance(now);
        self.totals
    }

    /// Drops what is too old. A clock that steps back stays in the newest slot.
    fn advance(&mut self, now: Instant) {
        let second = now.saturating_duration_since(self.epoch).as_secs();
        if second <= self.second {
            return;
        }
        let passed = (second - self.second).min(SLOTS as u64);
        for expired in second + 1 - passed..=second {
            let slot = std::mem::replace(&mut self.slots[(expired % SLOTS as u64) as usize], [0; KINDS]);
            for (total, count) in self.totals.iter_mut().zip(slot) {
                *total -= count;
            }
        }
        self.second = second;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_count_for_ten_slots_and_no_longer() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut window = Window::<2>::new(start);
        window.add(0, at(0));
        window.add(1, at(3));
        window.add(1, at(3));
        assert_eq!(window.totals(at(9)), [1, 2]);
        assert_eq!(window.totals(at(10)), [0, 2]);
        assert_eq!(window.totals(at(12)), [0, 2]);
        assert_eq!(window.totals(at(13)), [0, 0]);
        window.add(0, at(1_000));
        assert_eq!(window.totals(at(0)), [1, 0], "a clock that steps back loses nothing");
    }
}
