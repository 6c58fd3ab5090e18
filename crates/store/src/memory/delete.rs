//! Removing entries.

use super::EntryId;
use crate::UnixMillis;

/// One removal.
#[derive(Debug, Clone, PartialEq)]
pub struct Delete {
    /// Whose entry.
    pub principal: String,
    /// Namespace of the key.
    pub namespace: String,
    /// Key of the entry.
    pub key: String,
    /// Delete only if the entry is at this version.
    pub if_version: Option<u64>,
    /// Whether its versions go too, at once: else a version is added that says "gone", earlier ones are still read by
    /// number and moment, and all of them are forgotten as those of an expired entry are
    /// ([`EXPIRED_KEPT_MS`](crate::limits::EXPIRED_KEPT_MS), or sooner where a quota needs the room).
    pub purge: bool,
    /// The time of the removal.
    pub now: UnixMillis,
}

/// What a removal did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deleted {
    /// The entry that was.
    pub id: EntryId,
    /// The version that says "gone"; `None`: purged.
    pub version: Option<u64>,
    /// Versions removed.
    pub versions_removed: u64,
}
