//! Reads reports, each once as long as it does not change.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fs, thread};

use aqe_store::UnixMillis;
use memchr::memchr_iter;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::formats::{self, Format, Parsed};
use crate::arguments::rfc3339;
use crate::project::Project;
use crate::reply::Refusal;
use crate::stop::Stop;
use crate::syntax::{Branch, Language};

/// Bytes of a report that is read.
const REPORT_BYTES: u64 = 400 << 20;
/// Bytes of all reports that are kept, as they were on the disk, and how many. What is kept of one takes about as much.
const KEPT_BYTES: u64 = 128 << 20;
const KEPT_REPORTS: usize = 64;
/// Sources whose lines are remembered, and bytes of one whose lines are counted.
const KEPT_SOURCES: usize = 20_000;
/// Sources whose decisions are remembered: those on some pages.
const KEPT_DECISIONS: usize = 500;
pub(super) const SOURCE_BYTES: u64 = 4 << 20;
/// A file that was written so long ago, in milliseconds, would have another time of change if it were written again: no
/// file system's clock is coarser than FAT's two seconds.
const SETTLED_MS: i64 = 2_100;
/// A report larger than this is hashed beside being read.
const HASH_BESIDE: usize = 1 << 20;

/// Where figures come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Provenance {
    pub(crate) kind: &'static str,
    /// Relative to the project.
    pub(crate) path: String,
    pub(crate) format: Format,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    /// False of a report that was cut off.
    pub(crate) whole: bool,
    pub(crate) modified: String,
    /// When the report says that it was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) generated: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tool: Option<String>,
}

/// A report and what is known of its file.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) path: PathBuf,
    pub(crate) parsed: Arc<Parsed>,
    pub(crate) provenance: Provenance,
    /// Nanoseconds since the epoch: when the report was written, or says so if that was before.
    pub(crate) written: i128,
}

/// What changes when a file is written, unless that happens within a tick of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) bytes: u64,
    inode: u64,
    /// Nanoseconds since the epoch.
    pub(super) modified: i128,
    changed: i128,
}

impl Stamp {
    pub(super) fn of(metadata: &fs::Metadata) -> Self {
        let nanos = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        Self {
            bytes: metadata.len(),
            inode: metadata.ino(),
            modified: nanos(metadata.mtime(), metadata.mtime_nsec()),
            changed: nanos(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether a file that had this stamp at `now` has the same content as long as it has the same stamp.
    pub(super) fn is_settled(&self, now: UnixMillis) -> bool {
        self.modified.max(self.changed) < i128::from(now.saturating_sub(SETTLED_MS)) * 1_000_000
    }
}

#[derive(Debug, Clone)]
struct Entry {
    stamp: Stamp,
    is_settled: bool,
    sha256: [u8; 32],
    parsed: Arc<Parsed>,
    used: u64,
}

/// Reports that were read, by their paths.
#[derive(Debug, Default)]
pub(crate) struct Cache(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    entries: HashMap<PathBuf, Entry>,
    /// Lines of sources that had these stamps long enough ago.
    lines: HashMap<PathBuf, (Stamp, u32)>,
    /// Decisions of sources, by the content.
    decisions: HashMap<([u8; 32], Language), Arc<Vec<Branch>>>,
    uses: u64,
}

impl Cache {
    /// A report of the project.
    pub(crate) fn load(
        &self,
        project: &Project,
        path: &Path,
        now: UnixMillis,
        stop: &Stop,
    ) -> Result<Loaded, Refusal> {
        let real = project.find(path)?;
        let failed = |error: std::io::Error| Refusal(format!("{}: {error}", project.shown(&real)));
        // Before the content is read: what is written later has another stamp, or one that is not settled.
        let stamp = Stamp::of(&fs::metadata(&real).map_err(failed)?);
        let known = self.known(&real);
        if let Some(entry) = known.as_ref().filter(|entry| entry.stamp == stamp && entry.is_settled) {
            return Ok(loaded(project, &real, entry));
        }
        let bytes = project.read(&real, REPORT_BYTES)?;
        let parse = || formats::read(&bytes, stop);
        let hash = || <[u8; 32]>::from(Sha256::digest(&bytes));
        let (sha256, parsed) = match known {
            Some(entry) if entry.stamp.bytes == stamp.bytes => {
                let sha256 = hash();
                let parsed = if entry.sha256 == sha256 { Ok(entry.parsed) } else { parse().map(Arc::new) };
                (sha256, parsed)
            }
            _ if bytes.len() < HASH_BESIDE => (hash(), parse().map(Arc::new)),
            _ => thread::scope(|scope| {
                let hash = scope.spawn(hash);
                let parsed = parse().map(Arc::new);
                hash.join().map(|sha256| (sha256, parsed))
            })
            .map_err(|_| Refusal("this is a fault of ours: a hash was not computed".into()))?,
        };
        let parsed = parsed.map_err(|error| Refusal(format!("{}: {error}", project.shown(&real))))?;
        let entry = Entry { stamp, is_settled: stamp.is_settled(now), sha256, parsed, used: 0 };
        let loaded = loaded(project, &real, &entry);
        self.keep(real, entry);
        Ok(loaded)
    }

    /// How many lines a source has; `None` if it has more than `most` bytes to be read for that.
    pub(super) fn lines(
        &self,
        project: &Project,
        path: &str,
        stamp: Stamp,
        now: UnixMillis,
        most: &mut u64,
    ) -> Result<Option<u32>, Refusal> {
        let place = project.root.join(path);
        let known = self.lock().lines.get(&place).copied();
        if let Some((_, lines)) = known.filter(|(known, _)| *known == stamp) {
            return Ok(Some(lines));
        }
        let Some(left) = most.checked_sub(stamp.bytes) else { return Ok(None) };
        *most = left;
        let content = project.read(&place, SOURCE_BYTES)?;
        let breaks = memchr_iter(b'\n', &content).count();
        let lines = u32::try_from(breaks + usize::from(!content.ends_with(b"\n"))).unwrap_or(u32::MAX);
        if stamp.is_settled(now) {
            let mut kept = self.lock();
            if kept.lines.len() >= KEPT_SOURCES {
                kept.lines.clear();
            }
            kept.lines.insert(place, (stamp, lines));
        }
        Ok(Some(lines))
    }

    /// The decisions of a source, which `find` finds if they are not known; none if it does not.
    pub(super) fn decisions(
        &self,
        source: &[u8],
        language: Language,
        find: impl FnOnce() -> Option<Vec<Branch>>,
    ) -> Arc<Vec<Branch>> {
        let key = (<[u8; 32]>::from(Sha256::digest(source)), language);
        if let Some(known) = self.lock().decisions.get(&key) {
            return Arc::clone(known);
        }
        let Some(found) = find().map(Arc::new) else { return Arc::default() };
        let mut kept = self.lock();
        if kept.decisions.len() >= KEPT_DECISIONS {
            kept.decisions.clear();
        }
        kept.decisions.insert(key, Arc::clone(&found));
        found
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, path: &Path) -> Option<Entry> {
        let mut kept = self.lock();
        kept.uses += 1;
        let uses = kept.uses;
        let entry = kept.entries.get_mut(path)?;
        entry.used = uses;
        Some(entry.clone())
    }

    /// Keeps a report; those that were used longest ago go.
    fn keep(&self, path: PathBuf, mut entry: Entry) {
        let mut kept = self.lock();
        kept.uses += 1;
        entry.used = kept.uses;
        kept.entries.insert(path, entry);
        let mut bytes: u64 = kept.entries.values().map(|entry| entry.stamp.bytes).sum();
        while bytes > KEPT_BYTES || kept.entries.len() > KEPT_REPORTS {
            let oldest =
                kept.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(path, _)| path.clone());
            let Some(gone) = oldest.and_then(|path| kept.entries.remove(&path)) else { return };
            bytes -= gone.stamp.bytes;
        }
    }
}

fn loaded(project: &Project, path: &Path, entry: &Entry) -> Loaded {
    let parsed = &entry.parsed;
    let millis = i64::try_from(entry.stamp.modified / 1_000_000).unwrap_or(i64::MAX);
    // A copy is younger than what it says; what says that it is of the future is wrong.
    let generated = parsed.generated.filter(|generated| *generated <= millis);
    let provenance = Provenance {
        kind: "coverage",
        path: project.shown(path),
        format: parsed.format,
        bytes: entry.stamp.bytes,
        sha256: hex(&entry.sha256),
        whole: parsed.is_whole,
        modified: rfc3339(millis),
        generated: generated.map(rfc3339),
        tool: parsed.tool.clone(),
    };
    // Some say it to the second only: that much is allowed for.
    let said = generated.map(|generated| i128::from(generated + 1_000) * 1_000_000);
    let written = said.map_or(entry.stamp.modified, |said| said.min(entry.stamp.modified));
    Loaded { path: path.to_owned(), parsed: Arc::clone(parsed), provenance, written }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
