//! Reports that were read, each once as long as it does not change.

use std::any::Any;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aqe_store::UnixMillis;
use sha2::{Digest as _, Sha256};

use super::REPORT_MAX_BYTES;
use crate::gate::metric::Kind;
use crate::metrics::files::Stamp;
use crate::project::Project;

/// Reports that are kept, and bytes of all of them as they were on the disk. What is kept of one takes about as much.
const KEPT: usize = 2_000;
const KEPT_BYTES: u64 = 64 << 20;

/// What a report says, and from which bytes that was read.
#[derive(Debug)]
pub(super) struct Read<T> {
    pub(super) bytes: u64,
    pub(super) sha256: [u8; 32],
    pub(super) content: Arc<T>,
}

/// By kind and place.
#[derive(Debug, Default)]
pub(crate) struct Reports(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    entries: HashMap<(Kind, PathBuf), Entry>,
    bytes: u64,
    uses: u64,
}

#[derive(Debug, Clone)]
struct Entry {
    stamp: Stamp,
    is_settled: bool,
    sha256: [u8; 32],
    content: Arc<dyn Any + Send + Sync>,
    used: u64,
}

impl Reports {
    /// What is in the file at `real`, which `parse` reads if that is not known.
    pub(super) fn read<T: Send + Sync + 'static>(
        &self,
        project: &Project,
        real: &Path,
        kind: Kind,
        now: UnixMillis,
        parse: impl FnOnce(&[u8]) -> Result<T, String>,
    ) -> Result<Read<T>, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", project.shown(real));
        // Before the content is read: what is written later has another stamp, or one that is not settled.
        let stamp = Stamp::of(&fs::metadata(real).map_err(failed)?);
        let key = (kind, real.to_owned());
        let known = self.known(&key);
        let known = known.and_then(|entry| Some((Arc::clone(&entry.content).downcast::<T>().ok()?, entry)));
        if let Some((content, entry)) = &known
            && entry.is_settled
            && entry.stamp == stamp
        {
            return Ok(Read { bytes: stamp.bytes, sha256: entry.sha256, content: Arc::clone(content) });
        }
        let bytes = project.read(real, REPORT_MAX_BYTES).map_err(|refusal| refusal.0)?;
        let sha256 = <[u8; 32]>::from(Sha256::digest(&bytes));
        let content = match known.filter(|(_, entry)| entry.sha256 == sha256) {
            Some((content, _)) => content,
            None => Arc::new(parse(&bytes)?),
        };
        let kept = Arc::clone(&content) as Arc<dyn Any + Send + Sync>;
        self.keep(key, Entry { stamp, is_settled: stamp.is_settled(now), sha256, content: kept, used: 0 });
        Ok(Read { bytes: bytes.len() as u64, sha256, content })
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, key: &(Kind, PathBuf)) -> Option<Entry> {
        let mut kept = self.lock();
        kept.uses += 1;
        let uses = kept.uses;
        let entry = kept.entries.get_mut(key)?;
        entry.used = uses;
        Some(entry.clone())
    }

    /// Keeps a report; those that were used longest ago go.
    fn keep(&self, key: (Kind, PathBuf), mut entry: Entry) {
        let mut kept = self.lock();
        let kept = &mut *kept;
        kept.uses += 1;
        entry.used = kept.uses;
        kept.bytes += entry.stamp.bytes;
        if let Some(replaced) = kept.entries.insert(key, entry) {
            kept.bytes -= replaced.stamp.bytes;
        }
        while kept.bytes > KEPT_BYTES || kept.entries.len() > KEPT {
            let oldest = kept.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone());
            let Some(gone) = oldest.and_then(|key| kept.entries.remove(&key)) else { return };
            kept.bytes -= gone.stamp.bytes;
        }
    }
}
