//! Giving room back to the file system.

use rusqlite::{Connection, TransactionBehavior};

use super::super::Fault;
use super::super::room::{self, Of};
use super::{StoreFile, sizes};
use crate::derived::Derived;
use crate::limits::{EXPIRED_KEPT_MS, SEARCH_FILE_BYTES};
use crate::{StoreError, UnixMillis};

/// What compacting came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Compacted {
    /// Bytes of the file and its write-ahead log before …
    pub bytes_before: u64,
    /// … and after.
    pub bytes_after: u64,
    /// Expired and deleted entries that were forgotten.
    pub entries_forgotten: u64,
    /// Namespaces without entries that were removed.
    pub namespaces_removed: u64,
    /// Whether the write-ahead log could be emptied. Else another process is reading; it is emptied when that ends.
    pub log_is_empty: bool,
}

impl StoreFile {
    /// Forgets what has expired, and writes the file anew without the room that was freed, so that nothing which was removed
    /// is left in it. Takes time in proportion to the file, and up to its size once more on disk; others read meanwhile, and
    /// their writes wait for as long as they may ([`LOCK_WAIT`](crate::limits::LOCK_WAIT)).
    ///
    /// No statistics for the planner (`ANALYZE`) are made: our statements are planned, and tested, without.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Locked`], [`StoreError::Full`], or what else the medium does.
    pub fn compact(&self, now: UnixMillis) -> Result<Compacted, StoreError> {
        self.present()?;
        let (file, log) = sizes(&self.path);
        let mut connection = self.writer()?;
        let done = compact(&mut connection, now).map_err(|fault| self.fault(fault))?;
        // What search has read holds words of entries that are gone.
        Derived::empty_beside(&self.path, SEARCH_FILE_BYTES)?;
        let (file_after, log_after) = sizes(&self.path);
        Ok(Compacted { bytes_before: file + log, bytes_after: file_after + log_after, ..done })
    }
}

fn compact(connection: &mut Connection, now: UnixMillis) -> Result<Compacted, Fault> {
    let mut entries_forgotten = 0;
    loop {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let forgotten = room::purge(&transaction, now.saturating_sub(EXPIRED_KEPT_MS), Of::All)?;
        transaction.commit()?;
        if forgotten == 0 {
            break;
        }
        entries_forgotten += forgotten as u64;
    }
    let namespaces_removed = room::drop_empty(connection, Of::All)? as u64;
    connection.execute("DELETE FROM search_image", ())?;
    // On disk, for the whole file passes through; and what is freed is overwritten.
    connection.pragma_update(None, "temp_store", "file")?;
    connection.pragma_update(None, "secure_delete", true)?;
    connection.execute_batch("VACUUM")?;
    let is_busy: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get(0))?;
    Ok(Compacted {
        bytes_before: 0,
        bytes_after: 0,
        entries_forgotten,
        namespaces_removed,
        log_is_empty: !is_busy,
    })
}
