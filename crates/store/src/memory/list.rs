//! Lists of entries and namespaces.

use super::{EntryId, VersionInfo};
use crate::UnixMillis;

/// One question for many entries, without their values.
#[derive(Debug, Clone, PartialEq)]
pub struct List {
    /// Who asks.
    pub principal: String,
    /// In which namespace.
    pub namespace: String,
    /// Only keys that begin so.
    pub prefix: String,
    /// Only keys after this one.
    pub after: Option<String>,
    /// At most so many ([`LISTED_MAX`](crate::limits::LISTED_MAX)).
    pub most: u32,
    /// The time of the question.
    pub now: UnixMillis,
}

/// An entry of a list: its version in effect now.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// The entry.
    pub id: EntryId,
    /// Its key.
    pub key: String,
    /// When the entry was first written.
    pub created: UnixMillis,
    /// How often it was found; see [`Entry::hits`](super::Entry::hits).
    pub hits: u64,
    /// The version.
    pub version: VersionInfo,
    /// Labels.
    pub tags: Option<Vec<String>>,
    /// What kind of thing the value is.
    pub kind: Option<String>,
}

/// What a namespace takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceUse {
    /// Whose.
    pub principal: String,
    /// Its name.
    pub name: String,
    /// Entries, expired and deleted ones that are not forgotten yet among them.
    pub entries: u64,
    /// Bytes, history included.
    pub bytes: u64,
}
