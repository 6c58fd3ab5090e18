//! Search over the file: the documents of each namespace are read when they are first asked for, kept in memory, and brought
//! up to date by the namespace's counter, which every write raises, whichever process makes it.
//!
//! All of it is derived from the tables of entries: there is nothing to repair, and nothing that a crash leaves behind.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, Row};

use super::vector::tags_of;
use super::{Fault, open};
use crate::limits::{CANDIDATES_MAX, LOCK_WAIT, QUERY_MAX_BYTES, SEARCH_MEMORY_BYTES};
use crate::memory::{EntryId, limit};
use crate::search::rank::{Wanted, rank};
use crate::search::shelf::{Document, Shelf};
use crate::search::terms::Reader;
use crate::search::{Candidates, Embedder, Search, text};
use crate::{StoreError, UnixMillis};

/// What searches share.
#[derive(Debug)]
pub(super) struct Searcher {
    path: PathBuf,
    embedder: Option<Arc<dyn Embedder>>,
    state: Mutex<State>,
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
}

/// A namespace's row.
struct Namespace {
    id: i64,
    name: String,
    change: i64,
}

impl Searcher {
    pub(super) fn new(path: PathBuf, embedder: Option<Arc<dyn Embedder>>) -> Self {
        Self { path, embedder, state: Mutex::default(), vectors_missing_after: AtomicI64::new(-1) }
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
    pub(super) fn search(&self, search: &Search) -> Result<Candidates, Fault> {
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
        let mut missing = 0;
        let mut past = Vec::new();
        if search.at < search.now {
            for namespace in &namespaces {
                let mut shelf = self.empty();
                let of = Reading { namespace: namespace.id, since: 0, at: search.at, is_past: true };
                missing += self.read(&snapshot, &mut shelf, &mut state.reader, &of)?;
                past.push(shelf);
            }
        } else {
            for namespace in &namespaces {
                let shelved = state.shelves.entry(namespace.id).or_insert_with(|| self.shelved());
                shelved.used = state.searches;
                if shelved.shelf.is_worn() {
                    shelved.shelf = self.empty();
                }
                let since = shelved.shelf.change;
                if since != namespace.change {
                    let of = Reading { namespace: namespace.id, since, at: search.now, is_past: false };
                    missing += self.read(&snapshot, &mut shelved.shelf, &mut state.reader, &of)?;
                    shelved.shelf.change = namespace.change;
                }
            }
        }
        drop(snapshot);
        if missing > 0 {
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
            at: search.at,
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
        Ok(candidates)
    }

    fn empty(&self) -> Shelf {
        Shelf::new(self.embedder.as_ref().map_or(0, |embedder| embedder.dims()))
    }

    fn shelved(&self) -> Shelved {
        Shelved { shelf: self.empty(), used: 0 }
    }

    /// Puts what is new on a shelf; answers how many vectors had to be made.
    fn read(
        &self,
        connection: &Connection,
        shelf: &mut Shelf,
        reader: &mut Reader,
        of: &Reading,
    ) -> Result<u64, Fault> {
        let model = match &self.embedder {
            // A reader cannot give the model a number; one without has no vectors.
            Some(embedder) => connection
                .prepare_cached("SELECT coalesce(max(id), 0) FROM model WHERE key = ?1")?
                .query_row([embedder.key()], |row| row.get(0))?,
            None => 0_i64,
        };
        // Of the versions of an entry the highest in effect at the moment, and, for the present, those to come. (A version
        // that was overruled is never in effect again: a higher one stays the highest.)
        let mut find = connection.prepare_cached(
            "SELECT e.id, e.key, v.version, v.created, v.valid_from, v.expires, v.kind, v.importance, v.tags, v.source,
                    v.value, x.vector
             FROM entry e JOIN version v ON v.entry = e.id
             LEFT JOIN vector x ON x.entry = v.entry AND x.version = v.version AND x.model = ?5
             WHERE e.namespace = ?1 AND e.change > ?2 AND (?4 = 0 OR v.valid_from <= ?3)
               AND NOT EXISTS (SELECT 1 FROM version w WHERE w.entry = v.entry AND w.version > v.version
                               AND w.valid_from <= ?3)
             ORDER BY e.id, v.version DESC",
        )?;
        let mut rows = find.query((of.namespace, of.since, of.at, of.is_past, model))?;
        let mut missing = 0;
        let mut group: Vec<Document> = Vec::new();
        let mut superseded = UnixMillis::MAX;
        while let Some(row) = rows.next()? {
            let id = EntryId(row.get(0)?);
            if group.first().is_some_and(|first| first.id != id) {
                shelf.replace(group[0].id, std::mem::take(&mut group), reader);
            }
            if group.is_empty() {
                superseded = UnixMillis::MAX;
            }
            let mut document = document(row, id)?;
            document.until = document.until.min(superseded);
            superseded = superseded.min(document.from);
            let kept: Option<Vec<u8>> = row.get(11)?;
            document.vector = match (kept, &self.embedder) {
                (Some(bytes), _) => Some(bytes.into_iter().map(u8::cast_signed).collect()),
                (None, Some(embedder)) => {
                    missing += 1;
                    embedder.embed(&document.text)
                }
                (None, None) => None,
            };
            group.push(document);
        }
        if let Some(first) = group.first() {
            shelf.replace(first.id, group, reader);
        }
        Ok(missing)
    }
}

/// What is read of a namespace.
struct Reading {
    namespace: i64,
    /// Entries written after this state of the counter.
    since: i64,
    at: UnixMillis,
    /// Only what was in effect then, not what was to come.
    is_past: bool,
}

fn document(row: &Row<'_>, id: EntryId) -> rusqlite::Result<Document> {
    let (tags, source): (Option<String>, Option<String>) = (row.get(8)?, row.get(9)?);
    let tags = tags_of(tags.as_deref());
    let source: Option<serde_json::Value> = source.and_then(|json| serde_json::from_str(&json).ok());
    let text = text::of_entry(row.get_ref(1)?.as_str()?, &tags, row.get_ref(10)?.as_str()?);
    Ok(Document {
        id,
        version: row.get(2)?,
        from: row.get(4)?,
        until: row.get::<_, Option<UnixMillis>>(5)?.unwrap_or(UnixMillis::MAX),
        updated: row.get(3)?,
        importance: row.get(7)?,
        kind: row.get(6)?,
        tags,
        source_file: source.and_then(|source| source["file"].as_str().map(str::to_owned)),
        text,
        vector: None,
    })
}

/// The namespaces that a search goes over.
fn namespaces(connection: &Connection, search: &Search) -> Result<Vec<Namespace>, Fault> {
    let mut find = connection
        .prepare_cached("SELECT id, name, change FROM namespace WHERE principal = ?1 ORDER BY id")?;
    let rows = find.query_map([&search.principal], |row| {
        Ok(Namespace { id: row.get(0)?, name: row.get(1)?, change: row.get(2)? })
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
