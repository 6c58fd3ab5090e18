//! Memory search, as the store offers it.

use std::sync::Arc;

use rusqlite::Connection;

use super::super::{Fault, SqliteStore, get, vector};
use super::{Found, images};
use crate::contract::{MemorySearch, Reembedded, StoreFuture};
use crate::memory::{At, Entry, EntryId, EntryRef, Get, Lookup};
use crate::search::{Candidates, Search};
use crate::{StoreError, UnixMillis};

impl MemorySearch for SqliteStore {
    fn candidates(&self, search: Search) -> StoreFuture<'_, Candidates> {
        let searcher = Arc::clone(&self.searcher);
        Box::pin(async move {
            let work = tokio::task::spawn_blocking(move || searcher.search(&search));
            let done = work.await.map_err(|_| StoreError::Closed)?;
            let Found { candidates, images } = done.map_err(|fault| self.shared.fault(fault))?;
            for (namespace, name) in images {
                let held =
                    self.writer.write(move |connection| images::hold(connection, namespace, name)).await;
                if let Err(error) = held {
                    tracing::debug!(%error, "an image of what search has read is not made known");
                }
            }
            // One step with each search, so that none waits for long.
            if let Some(after) = self.searcher.vectors_missing_after() {
                match self.reembed(Some(after)).await {
                    Ok(step) => self.searcher.set_vectors_missing_after(step.next),
                    // What was answered holds without; the file may be full or held by another.
                    Err(error) => tracing::debug!(%error, "vectors that were missing are not written"),
                }
            }
            Ok(candidates)
        })
    }

    fn named(
        &self,
        principal: String,
        at: UnixMillis,
        versions: Vec<(String, EntryId, u64)>,
    ) -> StoreFuture<'_, Vec<Option<Entry>>> {
        let find = move |connection: &Connection| {
            let one = |(namespace, id, version): &(String, EntryId, u64)| {
                let (principal, entry, at_version) = (&principal, EntryRef::Id(*id), At::Version(*version));
                let question = Get { principal, namespace, entry, at: at_version, history: false, now: at };
                Ok(match get::get(connection, &question)? {
                    Lookup::Found(entry) => Some(*entry),
                    Lookup::Absent(_) => None,
                })
            };
            versions.iter().map(one).collect::<Result<Vec<_>, Fault>>()
        };
        Box::pin(async move {
            match self.read(&find) {
                Err(StoreError::Locked { .. }) => self.writer.read(find).await,
                other => other,
            }
        })
    }

    fn reembed(&self, after: Option<EntryId>) -> StoreFuture<'_, Reembedded> {
        Box::pin(async move {
            let Some(embedder) = self.searcher.embedder().cloned() else { return Ok(Reembedded::default()) };
            self.writer.write(move |connection| vector::reembed(connection, embedder.as_ref(), after)).await
        })
    }
}
