//! Search over the file: the documents of each namespace are read when they are first asked for, kept in memory, and brought
//! up to date by the namespace's counter, which every write raises, whichever process makes it.
//!
//! All of it is derived from the tables of entries: there is nothing to repair. What took long to read is kept beside the
//! store for the next process, and read from the tables again wherever that is damaged, old or lost.
//!
//! # Layout
//! - `reading`: from the tables to a shelf; `images`: from the file beside the store, and into it.

mod asked;
pub(super) mod images;
mod reading;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

use super::{Fault, open};
use crate::limits::{
    CANDIDATES_MAX, IMAGE_AFTER_ENTRIES, IMAGE_AFTER_PERCENT, LOCK_WAIT, QUERY_MAX_BYTES, SEARCH_LATE_MAX_MS,
    SEARCH_MEMORY_BYTES,
};
use crate::memory::{EntryId, limit};
use crate::search::rank::{Wanted, rank};
use crate::search::shelf::Shelf;
use crate::search::terms::Reader;
use crate::search::{Candidates, Embedder, Search};
use crate::{StoreError, UnixMillis};
use images::{ImageName, Images};
use reading::{Reading, drop_removed, read};

/// What searches share.
#[derive(Debug)]
pub(super) struct Searcher {
    path: PathBuf,
    embedder: Option<Arc<dyn Embedder>>,
    state: Mutex<State>,
    images: Images,
    /// The entry behind which vectors are to be looked for that are missing in the file; negative: nowhere.
    vectors_missing_after: AtomicI64,
}

#[derive(Debug, Default)]
struct State {
    /// Opened by the first search: most processes never search.
    connection: Option<Connection>,
    reader: Reader,
    shelves: HashMap<i64, Shelved>,
    searches: u64,
}

#[derive(Debug)]
struct Shelved {
    shelf: Shelf,
    /// The search that used it last.
    used: u64,
    /// Entries that were read from the tables since its image was made or read.
    read: usize,
}

/// What a search came to.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) candidates: Candidates,
    /// Images that were made, by their namespaces, and are to be made known.
    pub(super) images: Vec<(i64, ImageName)>,
}

/// A namespace's row.
struct Namespace {
    id: i64,
    name: String,
    change: i64,
    entries: usize,
}

impl Searcher {
    pub(super) fn new(path: PathBuf, embedder: Option<Arc<dyn Embedder>>) -> Self {
        let images = Images::beside(&path, embedder.as_deref());
        Self { path, embedder, state: Mutex::default(), images, vectors_missing_after: AtomicI64::new(-1) }
    }

    pub(super) fn embedder(&self) -> Option<&Arc<dyn Embedder>> {
        self.embedder.as_ref()
    }

    /// Where vectors are to be made that the last searches did not find in the file.
    pub(super) fn vectors_missing_after(&self) -> Option<EntryId> {
        Some(EntryId(self.vectors_missing_after.load(Ordering::Relaxed))).filter(|id| id.0 >= 0)
    }

    pub(super) fn set_vectors_missing_after(&self, after: Option<EntryId>) {
        self.vectors_missing_after.store(after.map_or(-1, |id| id.0), Ordering::Relaxed);
    }

    /// Searches on this thread, which may block.
    pub(super) fn search(&self, search: &Search) -> Result<Found, Fault> {
        limit("query in bytes", search.query.len(), QUERY_MAX_BYTES)?;
        limit("number of candidates", search.most, CANDIDATES_MAX)?;
        let vector = self.embedder.as_ref().and_then(|embedder| embedder.embed(&search.query));
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        if state.connection.is_none() {
            let connection = open::reader(&self.path)?;
            connection.busy_timeout(LOCK_WAIT)?;
            state.connection = Some(connection);
        }
        let Some(connection) = &state.connection else { return Err(StoreError::Closed.into()) };
        state.searches += 1;
        // One state of the file for all that is read.
        let snapshot = connection.unchecked_transaction()?;
        let namespaces = namespaces(&snapshot, search)?;
        let (mut made, mut at) = (0, search.at);
        let mut past = Vec::new();
        let mut images = Vec::new();
        if search.at < search.now {
            for namespace in &namespaces {
                let mut shelf = self.empty();
                let of = Reading { namespace: namespace.id, since: 0, at: search.at, is_past: true };
                let embedder = self.embedder.as_deref();
                made += read(&snapshot, embedder, &mut shelf, &mut state.reader, &of)?.made;
                past.push(shelf);
            }
        } else {
            for namespace in &namespaces {
                let shelved = state.shelves.entry(namespace.id).or_insert_with(|| self.shelved());
                shelved.used = state.searches;
                made += self.update(&snapshot, shelved, &mut state.reader, namespace, search.now)?;
                // A search that comes late sees what the one before it saw, and no gap between two versions.
                at = at.max(shelved.shelf.read_at);
                if shelved.read >= IMAGE_AFTER_ENTRIES
                    && shelved.read * 100 >= shelved.shelf.documents.len() * IMAGE_AFTER_PERCENT
                {
                    shelved.read = 0;
                    let name = self.images.keep(namespace.id, &shelved.shelf, search.now);
                    images.extend(name.map(|name| (namespace.id, name)));
                }
            }
        }
        drop(snapshot);
        if made > 0 {
            self.set_vectors_missing_after(Some(EntryId(0)));
        }
        let shelves: Vec<(&str, &Shelf)> = if past.is_empty() {
            let shelf = |namespace: &Namespace| Some(&state.shelves.get(&namespace.id)?.shelf);
            namespaces.iter().filter_map(|one| Some((one.name.as_str(), shelf(one)?))).collect()
        } else {
            namespaces.iter().map(|one| one.name.as_str()).zip(&past).collect()
        };
        let terms = state.reader.of_query(&search.query);
        let wanted = Wanted {
            terms: &terms,
            vector: vector.as_deref(),
            filters: &search.filters,
            at,
            most: search.most,
        };
        let ranked = rank(&shelves, &wanted);
        make_room(&mut state.shelves);
        let candidates = Candidates {
            candidates: ranked.candidates,
            searched: ranked.searched,
            matched: ranked.matched,
            model: self.embedder.as_ref().map(|embedder| embedder.key().to_owned()),
            change: namespaces.iter().fold(0, |sum: u64, one| sum.wrapping_add(one.change.cast_unsigned())),
        };
        Ok(Found { candidates, images })
    }

    /// Brings a shelf up to date; answers how many vectors had to be made.
    fn update(
        &self,
        snapshot: &Connection,
        shelved: &mut Shelved,
        reader: &mut Reader,
        namespace: &Namespace,
        now: UnixMillis,
    ) -> Result<u64, Fault> {
        if shelved.shelf.change == 0
            && let Some(shelf) = self.images.find(snapshot, namespace.id, self.dims(), now)?
        {
            shelved.shelf = shelf;
        }
        // Where the clock was set back, something that is in effect again may have been left out.
        if shelved.shelf.read_at.saturating_sub(SEARCH_LATE_MAX_MS) > now {
            shelved.shelf = self.empty();
        } else if shelved.shelf.is_worn() {
            shelved.shelf = shelved.shelf.compacted().unwrap_or_else(|| self.empty());
        }
        let since = shelved.shelf.change;
        let mut made = 0;
        if since != namespace.change {
            let of = Reading { namespace: namespace.id, since, at: now, is_past: false };
            let done = read(snapshot, self.embedder.as_deref(), &mut shelved.shelf, reader, &of)?;
            shelved.shelf.change = namespace.change;
            shelved.shelf.read_at = now.max(shelved.shelf.read_at);
            shelved.read += done.entries;
            made = done.made;
        }
        if shelved.shelf.entries() > namespace.entries {
            drop_removed(snapshot, &mut shelved.shelf, namespace.id)?;
        }
        Ok(made)
    }

    fn dims(&self) -> usize {
        self.embedder.as_ref().map_or(0, |embedder| embedder.dims())
    }

    fn empty(&self) -> Shelf {
        Shelf::new(self.dims())
    }

    fn shelved(&self) -> Shelved {
        Shelved { shelf: self.empty(), used: 0, read: 0 }
    }
}

/// The namespaces that a search goes over.
fn namespaces(connection: &Connection, search: &Search) -> Result<Vec<Namespace>, Fault> {
    let mut find = connection
        .prepare_cached("SELECT id, name, change, entries FROM namespace WHERE principal = ?1 ORDER BY id")?;
    let rows = find.query_map([&search.principal], |row| {
        Ok(Namespace { id: row.get(0)?, name: row.get(1)?, change: row.get(2)?, entries: row.get(3)? })
    })?;
    let mut all = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    all.retain(|one| search.namespaces.is_empty() || search.namespaces.contains(&one.name));
    Ok(all)
}

/// Lets go of the shelves that were not used for longest until the rest fits.
fn make_room(shelves: &mut HashMap<i64, Shelved>) {
    let mut bytes: usize = shelves.values().map(|shelved| shelved.shelf.bytes()).sum();
    while bytes > SEARCH_MEMORY_BYTES {
        let oldest = shelves.iter().min_by_key(|(_, shelved)| shelved.used).map(|(&id, _)| id);
        let Some(shelved) = oldest.and_then(|id| shelves.remove(&id)) else { return };
        bytes -= shelved.shelf.bytes();
    }
}
