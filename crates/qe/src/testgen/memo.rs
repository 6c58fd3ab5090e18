//! What searches found, as long as nothing changes that they depend on: the files of the project that are copied, those
//! outside of it that were read, the interpreter, the arguments.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use super::candidates::{Found, Verdicts};
use super::interpreter::{Interpreters, Stamp};

/// Searches that are kept, and bytes of all of them, about.
const KEPT_MAX: usize = 64;
const KEPT_BYTES: usize = 32 << 20;

/// What is known from earlier calls.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    pub(super) interpreters: Interpreters,
    /// The one that was used last comes last.
    searches: Mutex<Vec<Entry>>,
}

/// What a search found, and how that did in fresh processes.
#[derive(Debug, Clone)]
pub(super) struct Searched {
    pub(super) found: Found,
    pub(super) runs: Vec<Vec<Verdicts>>,
}

impl Searched {
    fn bytes(&self) -> usize {
        let blocks = self.found.blocks.iter().map(|block| {
            block.strong.len()
                + block.weak.as_ref().map_or(0, String::len)
                + 24 * block.lines.len()
                + 24 * block.branches.len()
                + 300
        });
        blocks.sum::<usize>() + 24 * self.found.universe.branches.len()
    }
}

#[derive(Debug)]
struct Entry {
    /// A hash of all that is known beforehand.
    key: [u8; 32],
    outside: Vec<(PathBuf, Stamp)>,
    searched: Arc<Searched>,
    bytes: usize,
}

impl Memo {
    /// What a search with this key found, if the files outside of the project are still the same.
    pub(super) fn known(&self, key: &[u8; 32]) -> Option<Arc<Searched>> {
        let mut searches = self.searches.lock().unwrap_or_else(PoisonError::into_inner);
        let place = searches.iter().position(|entry| entry.key == *key)?;
        let entry = searches.remove(place);
        if entry.outside.iter().any(|(path, stamp)| Stamp::of(path) != Some(*stamp)) {
            return None;
        }
        let searched = Arc::clone(&entry.searched);
        searches.push(entry);
        Some(searched)
    }

    /// Keeps what was found since `began`; not if the clock had a part in it, or if a file outside was written so lately
    /// that nobody could tell its next change.
    pub(super) fn keep(&self, key: [u8; 32], searched: &Arc<Searched>, began: SystemTime) {
        let seconds = began.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed());
        let stamps = searched.found.outside.iter().filter_map(|path| {
            // What is not there now was not read, but looked for; or it is gone.
            Stamp::of(Path::new(path)).map(|stamp| (PathBuf::from(path), stamp))
        });
        let outside: Vec<_> = stamps.collect();
        if searched.found.late || outside.iter().any(|(_, stamp)| !stamp.is_settled(seconds)) {
            return;
        }
        let bytes = searched.bytes();
        if bytes > KEPT_BYTES / 4 {
            return;
        }
        let mut searches = self.searches.lock().unwrap_or_else(PoisonError::into_inner);
        searches.retain(|entry| entry.key != key);
        searches.push(Entry { key, outside, searched: Arc::clone(searched), bytes });
        while searches.len() > KEPT_MAX
            || searches.iter().map(|entry| entry.bytes).sum::<usize>() > KEPT_BYTES
        {
            searches.remove(0);
        }
    }
}
