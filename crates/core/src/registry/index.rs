//! From a shown name to the position of its tool.

use super::config::IndexKind;
use super::table::NameTable;
use super::trie::Trie;

/// One of the two exact indexes.
#[derive(Debug)]
pub(super) enum ExactIndex {
    Hash(NameTable),
    Trie(Trie),
}

impl ExactIndex {
    /// Indexes unique names by their positions.
    pub(super) fn build(kind: IndexKind, names: &[&str]) -> Self {
        match kind {
            IndexKind::Hash => {
                let mut table = NameTable::with_capacity(names.len());
                for (id, name) in names.iter().enumerate() {
                    table.add(name.as_bytes(), id as u32);
                }
                Self::Hash(table)
            }
            IndexKind::Trie => Self::Trie(Trie::build(names)),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<u32> {
        match self {
            Self::Hash(table) => table.get(name.as_bytes()),
            Self::Trie(trie) => trie.get(name.as_bytes()),
        }
    }
}
