//! Durable state: the store, and in it the manifests, so that a restart answers lists at once.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use aqe_core::cache::Disk;
use aqe_gateway::proxy::ManifestStore;
use aqe_gateway::settings::UpstreamSettings;
use aqe_gateway::tasks;
use aqe_store::{DiskCache, DiskCacheOptions, Manifest, Store, StoreError, UnixMillis};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;

use crate::config;

/// Manifests that are kept. All projects of a user share one store; those not seen for longest go first.
const KEPT: usize = 200;

/// Opens the store.
///
/// # Errors
/// Only where the user chose the path. Without the default one the gateway does its main work all the same, so that
/// is a warning and `None`.
pub(super) fn open(store: &config::Store) -> Result<Option<Arc<dyn Store>>, StoreError> {
    match super::store(store) {
        Ok(store) => Ok(Some(Arc::new(store))),
        Err(error) if store.is_chosen => Err(error),
        Err(error) => {
            tracing::warn!(
                %error,
                "no store: the memory tools are not served and no tool list is remembered; \
                 [store] path chooses another file"
            );
            Ok(None)
        }
    }
}

/// The result cache's level on disk, if it is wanted. Whatever is wrong with its file, the gateway works without it.
pub(super) fn disk(config: &config::Config) -> Option<Arc<dyn Disk>> {
    let wanted = config.cache.l3.as_ref().filter(|_| super::settings::is_cached(config))?;
    match DiskCache::start(&wanted.path, DiskCacheOptions { max_bytes: wanted.max_bytes }) {
        Ok(disk) => Some(Arc::new(disk)),
        Err(error) => {
            tracing::warn!(%error, "the result cache has no level on disk");
            None
        }
    }
}

/// The time, for whatever keeps it.
pub(crate) fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis::try_from(since.as_millis()).unwrap_or(UnixMillis::MAX)
}

/// Keeps manifests in a store, or nowhere.
#[derive(Debug)]
pub(super) struct Manifests {
    store: Option<Arc<dyn Store>>,
    /// Under way; those that are done are dropped when the next one comes.
    saving: Mutex<Vec<JoinHandle<()>>>,
}

impl Manifests {
    /// Manifests in this store.
    pub(super) fn new(store: Option<Arc<dyn Store>>) -> Self {
        Self { store, saving: Mutex::default() }
    }

    /// Waits until what is being saved is saved: a write that nobody waits for may be dropped.
    pub(super) async fn saved(&self) {
        let saving = std::mem::take(&mut *self.saving());
        for save in saving {
            // A panic in it has been logged.
            let _ = save.await;
        }
    }

    fn saving(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        // Nothing that runs under the lock leaves the list half changed.
        self.saving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The manifests of these upstreams as the last runs left them: by name, with the fingerprint.
    pub(super) async fn known(&self, upstreams: &[UpstreamSettings]) -> HashMap<String, (String, Bytes)> {
        let Some(store) = &self.store else { return HashMap::new() };
        let mut kept = match store.load_manifests().await {
            Ok(kept) => kept,
            Err(error) => {
                tracing::warn!(%error, "the remembered tool lists cannot be read");
                return HashMap::new();
            }
        };
        kept.sort_unstable_by_key(|manifest| std::cmp::Reverse(manifest.saved_at));
        for old in kept.drain(KEPT.min(kept.len())..) {
            forget(Arc::clone(store), old.key);
        }
        let mut by_key: HashMap<String, Vec<u8>> =
            kept.into_iter().map(|manifest| (manifest.key, manifest.body)).collect();
        let known = upstreams.iter().filter_map(|upstream| {
            let fingerprint = upstream.fingerprint();
            let body = by_key.remove(&key(&upstream.name, &fingerprint))?;
            Some((upstream.name.clone(), (fingerprint, body.into())))
        });
        known.collect()
    }
}

impl ManifestStore for Manifests {
    /// Hands over to the store's thread; nobody waits for the disk.
    fn save(&self, upstream: &str, fingerprint: &str, manifest: Vec<u8>) {
        let Some(store) = self.store.clone() else { return };
        let key = key(upstream, fingerprint);
        let upstream = upstream.to_owned();
        let save = tasks::spawn("save manifest", async move {
            let manifest = Manifest { key, fingerprint: hex(&manifest), body: manifest, saved_at: now() };
            if let Err(error) = store.save_manifest(manifest).await {
                tracing::warn!(upstream, %error, "the tool list will not be remembered");
            }
        });
        let mut saving = self.saving();
        saving.retain(|save| !save.is_finished());
        saving.push(save);
    }
}

fn forget(store: Arc<dyn Store>, key: String) {
    tasks::spawn("forget manifest", async move {
        if let Err(error) = store.delete_manifest(key).await {
            tracing::debug!(%error, "an old tool list stays in the store");
        }
    });
}

/// Two projects may give one name to different servers. The fingerprint is hashed because it may be long, and may
/// hold a secret that stands in an argument.
fn key(upstream: &str, fingerprint: &str) -> String {
    format!("{upstream} {}", hex(fingerprint.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
