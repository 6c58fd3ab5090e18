//! The first level: the few entries that are asked for most.
//!
//! It does not hold more than the second level does, and no failures (`isError`); it holds the way to it. An entry is found here by the text of the
//! question as the client has written it, so that nothing is brought into canonical form, and read without a lock or
//! a counter that another thread writes to. A table of fixed size, in which each question has two slots: what was
//! asked for since the hand last came by stays (second chance).

use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use foldhash::fast::RandomState;

use super::entry::Entry;
use super::question::Question;

/// Largest entry that is taken in, bytes: what bounds the memory of this level.
pub const MAX_BYTES: u64 = 16 * 1024;
/// Slots of a question.
const WAYS: usize = 2;
/// Parts of a question.
const PARTS: usize = 5;

pub(super) struct Hot {
    slots: Box<[ArcSwapOption<Slot>]>,
    hash: RandomState,
}

impl fmt::Debug for Hot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hot").field("slots", &self.slots.len()).finish_non_exhaustive()
    }
}

struct Slot {
    hash: u64,
    /// The parts of the question, one behind the other.
    text: Box<[u8]>,
    lengths: [u32; PARTS],
    entry: Arc<Entry>,
    recent: AtomicBool,
}

impl Slot {
    fn is(&self, hash: u64, parts: &[&[u8]; PARTS]) -> bool {
        if self.hash != hash {
            return false;
        }
        let mut rest = &self.text[..];
        parts.iter().zip(self.lengths).all(|(part, length)| {
            let Some((own, after)) = rest.split_at_checked(length as usize) else { return false };
            rest = after;
            own == *part
        })
    }
}

impl Hot {
    /// A table of at least so many slots; with 0 it holds nothing.
    pub(super) fn new(slots: usize) -> Self {
        let slots = if slots == 0 { 0 } else { slots.max(WAYS).next_power_of_two() };
        Self { slots: (0..slots).map(|_| ArcSwapOption::empty()).collect(), hash: RandomState::default() }
    }

    pub(super) fn capacity(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn len(&self) -> usize {
        self.slots.iter().filter(|slot| slot.load().is_some()).count()
    }

    fn hash(&self, parts: &[&[u8]; PARTS]) -> u64 {
        let mut hasher = self.hash.build_hasher();
        for part in parts {
            hasher.write(part);
            hasher.write_usize(part.len());
        }
        hasher.finish()
    }

    fn ways(&self, hash: u64) -> &[ArcSwapOption<Slot>] {
        let sets = self.slots.len() / WAYS;
        if sets == 0 {
            return &[];
        }
        let set = hash as usize & (sets - 1);
        &self.slots[set * WAYS..][..WAYS]
    }

    /// What `with` makes of the entry that answers the question, if there is one. `with` runs without a lock; nothing is
    /// copied or counted for it.
    pub(super) fn get<T>(&self, question: &Question<'_>, with: impl FnOnce(&Arc<Entry>) -> T) -> Option<T> {
        if self.slots.is_empty() {
            return None;
        }
        let parts = question.parts();
        let hash = self.hash(&parts);
        for slot in self.ways(hash) {
            let found = slot.load();
            if let Some(found) = found.as_ref().filter(|slot| slot.is(hash, &parts)) {
                // Written only where it changes: a line that all threads read stays in all their caches.
                if !found.recent.load(Ordering::Relaxed) {
                    found.recent.store(true, Ordering::Relaxed);
                }
                return Some(with(&found.entry));
            }
        }
        None
    }

    /// Takes an entry in, in the place of one that was not asked for lately. `false` if there is none such, or the entry
    /// is too large.
    pub(super) fn put(&self, question: &Question<'_>, entry: &Arc<Entry>) -> bool {
        if entry.bytes > MAX_BYTES {
            return false;
        }
        let parts = question.parts();
        let hash = self.hash(&parts);
        let ways = self.ways(hash);
        let same = ways.iter().find(|slot| slot.load().as_ref().is_some_and(|slot| slot.is(hash, &parts)));
        let spare = || {
            ways.iter().find(|slot| {
                let held = slot.load();
                held.as_ref().is_none_or(|held| !held.recent.swap(false, Ordering::Relaxed))
            })
        };
        let Some(place) = same.or_else(spare) else { return false };
        let slot = Slot {
            hash,
            text: parts.concat().into(),
            lengths: parts.map(|part| part.len() as u32),
            entry: Arc::clone(entry),
            recent: AtomicBool::new(false),
        };
        place.store(Some(Arc::new(slot)));
        true
    }

    /// Takes out what `keep` does not want.
    pub(super) fn retain(&self, keep: impl Fn(&Entry) -> bool) {
        for slot in &self.slots {
            let held = slot.load();
            if held.as_ref().is_some_and(|held| !keep(&held.entry)) {
                // Somebody else's newer one stays.
                slot.compare_and_swap(&held, None);
            }
        }
    }
}
