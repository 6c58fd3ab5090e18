//! Counting retrievals without making a write of each read.
//!
//! Counts gather in memory and are written when the writer is idle, or when many have gathered. Counting
//! is bounded: beyond [`HITS_PENDING_MAX`] entries at once (the file cannot be written, then) retrievals
//! of further ones go uncounted.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use crate::limits::HITS_PENDING_MAX;
use crate::memory::EntryId;

/// Retrievals by entry that are not written yet.
#[derive(Debug, Default)]
pub(super) struct Hits {
    pending: Mutex<HashMap<EntryId, u64>>,
}

/// What counting one retrieval came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Counted {
    /// The entry's retrievals that are not written yet, this one included.
    pub(super) pending: u64,
    /// Whether the writer should know: these are the first, or many.
    pub(super) flush_wanted: bool,
}

impl Hits {
    pub(super) fn count(&self, id: EntryId) -> Counted {
        let mut pending = self.lock();
        let entries = pending.len();
        if let Some(count) = pending.get_mut(&id) {
            *count += 1;
            return Counted { pending: *count, flush_wanted: false };
        }
        if entries < HITS_PENDING_MAX {
            pending.insert(id, 1);
        }
        Counted { pending: 1, flush_wanted: entries == 0 || entries + 1 == HITS_PENDING_MAX / 2 }
    }

    /// Whether it is time to write them, idle or not.
    pub(super) fn is_crowded(&self) -> bool {
        self.lock().len() >= HITS_PENDING_MAX / 2
    }

    pub(super) fn take(&self) -> HashMap<EntryId, u64> {
        std::mem::take(&mut *self.lock())
    }

    /// Undoes [`Hits::take`].
    pub(super) fn put_back(&self, counts: HashMap<EntryId, u64>) {
        let mut pending = self.lock();
        for (id, count) in counts {
            *pending.entry(id).or_default() += count;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<EntryId, u64>> {
        // Nothing in here can panic half way through a change.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds the counts to the entries' own.
pub(super) fn write(connection: &Connection, counts: &HashMap<EntryId, u64>) -> rusqlite::Result<()> {
    let mut add = connection.prepare_cached("UPDATE entry SET hits = hits + ?2 WHERE id = ?1")?;
    for (id, count) in counts {
        add.execute((id.0, count))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: usize) -> EntryId {
        EntryId(i64::try_from(n).unwrap())
    }

    #[test]
    fn the_writer_is_told_of_the_first_count_and_of_the_half_full_table_only() {
        let hits = Hits::default();
        let told: Vec<usize> = (0..HITS_PENDING_MAX).filter(|&n| hits.count(id(n)).flush_wanted).collect();
        assert_eq!(told, [0, HITS_PENDING_MAX / 2 - 1]);
    }

    #[test]
    fn counts_that_could_not_be_written_are_kept_and_the_table_stays_bounded() {
        let hits = Hits::default();
        assert_eq!(hits.count(EntryId(1)).pending, 1);
        let taken = hits.take();
        assert_eq!(hits.count(EntryId(1)).pending, 1);
        hits.put_back(taken);
        assert_eq!(hits.count(EntryId(1)).pending, 3);
        for n in 0..2 * HITS_PENDING_MAX {
            hits.count(id(n));
        }
        assert_eq!(hits.take().len(), HITS_PENDING_MAX);
    }
}
