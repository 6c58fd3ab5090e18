//! What a store promises of finding memory entries.

use super::StoreFuture;
use crate::UnixMillis;
use crate::memory::{Entry, EntryId};
use crate::search::{Candidates, Search};

/// Finding entries by what they say.
pub trait MemorySearch: Send + Sync {
    /// The entries that fit a question best, by words and by meaning, each with both scores. Sees every write that was
    /// answered before, by whichever process.
    ///
    /// # Errors
    /// [`StoreError::Limit`](crate::StoreError::Limit) for a query beyond
    /// [`QUERY_MAX_BYTES`](crate::limits::QUERY_MAX_BYTES) or more candidates than
    /// [`CANDIDATES_MAX`](crate::limits::CANDIDATES_MAX), or what the medium does.
    fn candidates(&self, search: Search) -> StoreFuture<'_, Candidates>;

    /// Versions that [`candidates`](Self::candidates) named, in the order asked for, `None` for those that are gone or have
    /// expired by the moment `at`. Counts no retrieval.
    fn named(
        &self,
        principal: String,
        at: UnixMillis,
        versions: Vec<(String, EntryId, u64)>,
    ) -> StoreFuture<'_, Vec<Option<Entry>>>;

    /// Makes the vectors that are missing or of another model, of at most
    /// [`VECTORS_PER_STEP`](crate::limits::VECTORS_PER_STEP) versions of entries behind `after`. Searching does this for
    /// what it meets; this is for doing it beforehand.
    fn reembed(&self, after: Option<EntryId>) -> StoreFuture<'_, Reembedded>;
}

/// What one step of [`MemorySearch::reembed`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reembedded {
    /// Vectors written.
    pub written: u64,
    /// Where to go on; `None`: everything is up to date.
    pub next: Option<EntryId>,
}
