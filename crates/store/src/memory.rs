//! Memory entries and their versions.
//!
//! An entry is named by principal, namespace and key. Each write makes a version, numbered from 1. A
//! version says: *from `valid_from` on, the value is this*; a later version overrules what
//! earlier ones said about its time. So **in effect at a moment T is the highest version whose
//! `valid_from` is not after T**, and nothing is in effect if that version has expired by T.

mod delete;
mod list;

use crate::limits::{
    KEY_MAX_BYTES, NAMESPACE_MAX_BYTES, PRINCIPAL_MAX_BYTES, SOURCE_MAX_BYTES, TAG_MAX_BYTES, TAGS_MAX,
    VALUE_MAX_BYTES,
};
use crate::{StoreError, UnixMillis};

pub use delete::{Delete, Deleted};
pub use list::{List, Listed, NamespaceUse};

/// Identifies an entry for ever: never used again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct EntryId(pub i64);

/// What to do if the entry exists. An expired entry counts as absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnConflict {
    /// Add a version and keep the earlier ones.
    #[default]
    Version,
    /// Add a version and drop the earlier ones.
    Replace,
    /// Write nothing: [`StoreError::Exists`].
    Fail,
    /// Add a version with the members of both objects; where both have one, the new value stands in the
    /// old place. Only the outermost members are merged. Attributes that the write leaves out stay.
    Merge,
}

/// What a version says beside its value. `None` means not set.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Attributes {
    /// Labels, in the writer's order.
    pub tags: Option<Vec<String>>,
    /// What kind of thing the value is; a word of the tool's vocabulary.
    pub kind: Option<String>,
    /// Where the value comes from: the text of a JSON object.
    pub source: Option<String>,
    /// From 0 to 1.
    pub importance: Option<f64>,
    /// From when the version is absent again.
    pub expires: Option<UnixMillis>,
}

/// One write.
#[derive(Debug, Clone, PartialEq)]
pub struct Put {
    /// Who writes, and alone can read.
    pub principal: String,
    /// Namespace of the key; made when first written to.
    pub namespace: String,
    /// Key of the entry.
    pub key: String,
    /// JSON text, kept byte for byte.
    pub value: String,
    /// What is said beside the value.
    pub attributes: Attributes,
    /// From when the value holds; `None`: from now.
    pub valid_from: Option<UnixMillis>,
    /// Write only if the entry is at this version; 0: only if it is absent.
    pub if_version: Option<u64>,
    /// What to do if the entry exists.
    pub on_conflict: OnConflict,
    /// The time of the write.
    pub now: UnixMillis,
}

impl Put {
    /// Checks names and sizes. Every implementation calls it before anything else.
    pub fn validate(&self) -> Result<(), StoreError> {
        name("principal", "principal in bytes", &self.principal, PRINCIPAL_MAX_BYTES)?;
        name("namespace", "namespace in bytes", &self.namespace, NAMESPACE_MAX_BYTES)?;
        name("key", "key in bytes", &self.key, KEY_MAX_BYTES)?;
        limit("value in bytes", self.value.len(), VALUE_MAX_BYTES)?;
        let tags = self.attributes.tags.as_deref().unwrap_or_default();
        limit("number of tags", tags.len(), TAGS_MAX)?;
        for tag in tags {
            name("tag", "tag in bytes", tag, TAG_MAX_BYTES)?;
        }
        limit("source in bytes", self.attributes.source.as_ref().map_or(0, String::len), SOURCE_MAX_BYTES)
    }
}

impl Put {
    /// The text that the entry will be found by (of a merge: by the new members), at most so many bytes of it.
    pub fn text(&self, most: usize) -> String {
        let tags = self.attributes.tags.as_deref().unwrap_or_default();
        let mut text = crate::search::text::of_entry(&self.key, tags, &self.value);
        let mut end = text.len().min(most);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text
    }
}

/// Checks a bound.
pub(crate) fn limit(what: &'static str, actual: usize, limit: usize) -> Result<(), StoreError> {
    limit_reached(what, actual as u64, limit as u64)
}

/// Checks a sum against a quota.
pub(crate) fn limit_reached(what: &'static str, actual: u64, limit: u64) -> Result<(), StoreError> {
    if actual <= limit { Ok(()) } else { Err(StoreError::Limit { what, limit, actual }) }
}

/// Checks a text that names something.
pub(crate) fn name(
    what: &'static str,
    what_in_bytes: &'static str,
    text: &str,
    max: usize,
) -> Result<(), StoreError> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(StoreError::BadName { what });
    }
    limit(what_in_bytes, text.len(), max)
}

/// What a write did.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The entry.
    pub id: EntryId,
    /// The version that was written.
    pub version: u64,
    /// When the entry was first written.
    pub created: UnixMillis,
    /// From when it is absent again (inherited, where a merge did not set it).
    pub expires: Option<UnixMillis>,
}

/// One question.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Get<'a> {
    /// Who asks.
    pub principal: &'a str,
    /// In which namespace.
    pub namespace: &'a str,
    /// Which entry of it.
    pub entry: EntryRef<'a>,
    /// Which of its versions.
    pub at: At,
    /// Whether to list all versions too.
    pub history: bool,
    /// The time of the question.
    pub now: UnixMillis,
}

/// Names an entry within its namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryRef<'a> {
    /// By its key.
    Key(&'a str),
    /// By the id that a write answered with.
    Id(EntryId),
}

/// Names a version of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The one in effect now.
    Now,
    /// The one in effect at a moment.
    Moment(UnixMillis),
    /// The one with this number, if it has not expired by now.
    Version(u64),
}

/// The answer to a [`Get`].
#[derive(Debug, Clone, PartialEq)]
pub enum Lookup {
    /// The version asked for.
    Found(Box<Entry>),
    /// There is none, and why.
    Absent(Absence),
}

/// Why there is no such version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// No such entry (or it expired long ago and is forgotten).
    NoEntry,
    /// The entry exists, but no version of that number is kept.
    NoVersion {
        /// The oldest that is.
        oldest: u64,
        /// The newest.
        latest: u64,
    },
    /// The entry was deleted.
    Deleted {
        /// When.
        at: UnixMillis,
    },
    /// The version has expired.
    Expired {
        /// When.
        at: UnixMillis,
    },
    /// No version that is kept was in effect so early.
    NotYetValid {
        /// When the first of them takes effect.
        from: UnixMillis,
    },
}

/// A version of an entry, as read.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The entry.
    pub id: EntryId,
    /// Its key.
    pub key: String,
    /// When the entry was first written.
    pub created: UnixMillis,
    /// How often the entry has been found by a `get`, this time included. Written behind: a crash loses
    /// the last second's, and it can be behind by those that other processes have not written yet.
    pub hits: u64,
    /// The version.
    pub version: u64,
    /// When the version was written.
    pub updated: UnixMillis,
    /// From when it holds.
    pub valid_from: UnixMillis,
    /// JSON text, byte for byte as written (of a merge: member for member).
    pub value: String,
    /// What is said beside the value.
    pub attributes: Attributes,
    /// All versions that are kept, newest first, if asked for.
    pub history: Vec<VersionInfo>,
}

/// A version without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionInfo {
    /// Its number.
    pub version: u64,
    /// When it was written.
    pub created: UnixMillis,
    /// From when it holds.
    pub valid_from: UnixMillis,
    /// From when it is absent again.
    pub expires: Option<UnixMillis>,
    /// Length of its value.
    pub value_bytes: u64,
}

impl VersionInfo {
    /// Whether it says that the entry was deleted.
    pub fn is_deletion(&self) -> bool {
        self.expires.is_some_and(|at| says_gone((self.created, self.valid_from, at), self.value_bytes))
    }
}

/// Whether a version that was written, took effect and ended then, with a value so long, is what a deletion writes: a `null`
/// that ended at once. Whoever stores a value gives it some time.
pub(crate) fn says_gone(
    (created, valid_from, expires): (UnixMillis, UnixMillis, UnixMillis),
    value_bytes: u64,
) -> bool {
    created == valid_from && valid_from == expires && value_bytes == "null".len() as u64
}
