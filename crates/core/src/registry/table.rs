//! A hash table from names to positions, with the names beside it in one piece.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// Names and the positions of their tools. A hit touches the slot and the name and nothing else.
///
/// The hasher is seeded per table, so that no upstream can choose names that fall together; nothing that can be
/// observed depends on the seed.
#[derive(Debug, Default)]
pub(super) struct NameTable {
    slots: HashTable<Slot>,
    text: Vec<u8>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Slot {
    start: u32,
    len: u32,
    id: u32,
}

impl Slot {
    fn name<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        &text[self.start as usize..][..self.len as usize]
    }
}

impl NameTable {
    /// Makes room for so many names.
    pub(super) fn with_capacity(names: usize) -> Self {
        Self { slots: HashTable::with_capacity(names), ..Self::default() }
    }

    /// Adds a name, also one that is there already.
    pub(super) fn add(&mut self, name: &[u8], id: u32) {
        let Self { slots, text, hasher } = self;
        let slot = Slot { start: text.len() as u32, len: name.len() as u32, id };
        text.extend_from_slice(name);
        slots.insert_unique(hasher.hash_one(name), slot, |slot| hasher.hash_one(slot.name(text)));
    }

    /// The position of a name that was added once.
    pub(super) fn get(&self, name: &[u8]) -> Option<u32> {
        let hash = self.hasher.hash_one(name);
        self.slots.find(hash, |slot| slot.name(&self.text) == name).map(|slot| slot.id)
    }

    /// All positions of a name, in no order.
    pub(super) fn all(&self, name: &[u8]) -> impl Iterator<Item = u32> {
        let hash = self.hasher.hash_one(name);
        self.slots.iter_hash(hash).filter(move |slot| slot.name(&self.text) == name).map(|slot| slot.id)
    }
}
