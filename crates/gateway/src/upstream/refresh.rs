//! Keeping the manifest of an upstream true.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::manifest::{self, ListKind, Manifest};
use super::supervisor::Upstream;
use crate::tasks;

/// Pause between two refreshes of a manifest, so that a storm of `list_changed` is coalesced.
const REFRESH_PAUSE: Duration = Duration::from_millis(100);

impl Upstream {
    pub(super) fn mark_stale(&self, kinds: &[ListKind]) {
        let mut stale = self.stale.lock().unwrap_or_else(PoisonError::into_inner);
        for kind in kinds {
            if !stale.contains(kind) {
                stale.push(*kind);
            }
        }
        drop(stale);
        self.refresh.notify_one();
    }

    /// Fetches one list in the background, once at a time.
    pub fn refresh_later(self: &Arc<Self>, kind: ListKind) {
        if self.refreshing[kind as usize].swap(true, Ordering::AcqRel) {
            return;
        }
        let this = Arc::clone(self);
        tasks::spawn("refresh list", async move {
            this.refresh_now(kind).await;
            tokio::time::sleep(REFRESH_PAUSE).await;
            this.refreshing[kind as usize].store(false, Ordering::Release);
        });
    }

    /// Fetches one list and waits for it.
    pub async fn refresh_now(self: &Arc<Self>, kind: ListKind) {
        let (Some(live), Some(known)) = (self.current(), self.manifest()) else { return };
        let Ok(listed) = manifest::fetch_list(&live.connection, &known, kind).await else { return };
        let is_same = **known.list(kind) == listed.entries[..];
        let mut manifest = Manifest::clone(&known);
        manifest.take(kind, listed);
        self.manifest.store(Some(Arc::new(manifest)));
        if is_same {
            return;
        }
        if let Some(hooks) = self.hooks() {
            hooks.manifest(self, &[kind], false);
        }
    }

    /// The server says that lists have changed.
    pub fn list_changed(&self, kinds: &[ListKind]) {
        self.mark_stale(kinds);
    }

    /// Fetches the lists that are stale.
    pub(super) async fn refresh_lists(self: &Arc<Self>) {
        let kinds = std::mem::take(&mut *self.stale.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(live) = self.current() else { return };
        if kinds.is_empty() {
            return;
        }
        let known = self.manifest();
        let whole = kinds.len() == ListKind::ALL.len();
        let mut manifest = match known.as_deref() {
            Some(known) if !whole => known.clone(),
            _ => Manifest::new(live.peer.clone()),
        };
        let fetched = futures_util::future::join_all(
            kinds.iter().map(|kind| manifest::fetch_list(&live.connection, &manifest, *kind)),
        );
        let mut complete = true;
        for (kind, entries) in kinds.iter().zip(fetched.await) {
            match entries {
                Ok(listed) => manifest.take(*kind, listed),
                Err(error) => {
                    complete = false;
                    tracing::warn!(upstream = self.name(), %error, "cannot list");
                    if let Some(known) = known.as_deref() {
                        manifest.lists[*kind as usize] = Arc::clone(known.list(*kind));
                    }
                }
            }
        }
        if complete || live.connection.is_open() {
            self.manifest.store(Some(Arc::new(manifest)));
            if let Some(hooks) = self.hooks() {
                hooks.manifest(self, &kinds, !whole);
            }
        }
        tokio::time::sleep(REFRESH_PAUSE).await;
    }
}
