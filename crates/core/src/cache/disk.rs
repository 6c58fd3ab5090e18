//! What a level on disk does. It is implemented where files may be touched.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::namespace::{Kind, Namespace, Stamp};
use super::question::{Key, Scope};
use super::stats::Reading;

/// An answer on its way to the disk, or back.
#[derive(Debug, Clone)]
pub struct Record {
    /// The question.
    pub key: Key,
    /// The upstream.
    pub namespace: Arc<Namespace>,
    /// What it is an answer to.
    pub kind: Kind,
    /// The upstream's own name of the tool or prompt, or the URI.
    pub name: Box<str>,
    /// The result, a JSON object.
    pub result: Bytes,
    /// From before it was asked for.
    pub stamp: Stamp,
    /// For whom it is.
    pub scope: Scope,
    /// When the server gave it, milliseconds since the Unix epoch.
    pub made_at: i64,
    /// How long it is fresh, milliseconds.
    pub fresh_ms: u64,
    /// How long after that it may be given while another one is fetched, milliseconds.
    pub stale_ms: u64,
}

/// What is to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forget {
    /// Everything.
    All,
    /// Everything of one upstream.
    Upstream(Box<str>),
    /// What one upstream has answered to one method.
    Kind(Box<str>, Kind),
    /// What one upstream has answered to one name or URI.
    Name(Box<str>, Box<str>),
}

/// How a level on disk is.
#[derive(Debug, Clone, Default)]
pub struct DiskReading {
    /// The counts so far, of this process.
    pub counts: Reading,
    /// Entries held, by whichever process; `None` while it is off.
    pub entries: Option<u64>,
    /// Bytes of their keys and answers; `None` while it is off.
    pub bytes: Option<u64>,
    /// Most bytes.
    pub max_bytes: u64,
    /// Why it is off, if it is.
    pub off: Option<String>,
    /// Answers that were found damaged.
    pub damaged: u64,
    /// Answers that were not written, because there were too many to write at once.
    pub dropped: u64,
}

/// A level that outlives the process. Nothing it does fails a call: what cannot be read is a miss, and what cannot be
/// written is not there.
pub trait Disk: Send + Sync + fmt::Debug {
    /// What is kept under this key and counts for the namespace as it is. A few microseconds while the file is in memory.
    /// `place` says where the answer belongs, as it was when it was put.
    fn get(&self, key: &Key, namespace: &Arc<Namespace>, kind: Kind, name: &str, now: i64) -> Option<Record>;

    /// Has an answer written, and does not wait for it.
    fn put(&self, record: Record);

    /// Has answers removed, and does not wait for it. They count no more from now on: that is the namespaces' business.
    fn forget(&self, what: Forget);

    /// How it is.
    fn read(&self) -> DiskReading;

    /// Waits until what was put and forgotten before is written, or cannot be.
    fn flush(&self);
}
