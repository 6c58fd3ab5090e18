//! SQLite files that may be lost at any moment: thrown away where they are of no use, never where they are not ours.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::StoreError;
use crate::limits::CHECK_AT_OPEN_MAX_BYTES;
use crate::sqlite::open::{self, Identity, classify};

/// How long a write waits for another process that holds the file.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// What sort of file it is.
#[derive(Debug)]
pub(crate) struct Sort {
    /// As it is called in the log.
    pub(crate) name: &'static str,
    /// Marks the file as ours (`PRAGMA application_id`).
    pub(crate) application: i64,
    /// `PRAGMA user_version` of the tables. A file with another one is thrown away: nothing in it cannot be had again.
    pub(crate) version: i64,
    /// Makes the tables.
    pub(crate) schema: &'static str,
}

/// Opens the file for writing; it may grow to `max_bytes`. One that is damaged, or of another version of ours, is thrown away
/// and begun anew.
pub(crate) fn open(sort: &Sort, path: &Path, max_bytes: u64) -> Result<Connection, StoreError> {
    match attempt(sort, path, max_bytes) {
        Err(error @ (StoreError::Corrupt { .. } | StoreError::NewerSchema { .. })) => {
            discard(sort, path, &error)?;
            attempt(sort, path, max_bytes)
        }
        other => other,
    }
}

/// Removes a file that is of no use any more. Nobody in this process may have it open.
pub(crate) fn discard(sort: &Sort, path: &Path, why: &StoreError) -> Result<(), StoreError> {
    tracing::warn!(path = %path.display(), reason = %describe(sort, why), "the {} is thrown away", sort.name);
    for suffix in ["", "-wal", "-shm"] {
        let file = PathBuf::from(format!("{}{suffix}", path.display()));
        match fs::remove_file(&file) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(open::io(&file, &error)),
            _ => {}
        }
    }
    Ok(())
}

/// What is wrong, without the advice that is meant for the store.
pub(crate) fn describe(sort: &Sort, error: &StoreError) -> String {
    match error {
        StoreError::Corrupt { detail, .. } => format!("damaged: {detail}"),
        StoreError::NewerSchema { found, .. } => {
            format!("it is of version {found}, this release writes {}", sort.version)
        }
        StoreError::Foreign { path } => format!("{} is a database of another program", path.display()),
        other => other.to_string(),
    }
}

fn attempt(sort: &Sort, path: &Path, max_bytes: u64) -> Result<Connection, StoreError> {
    let _opening = open::OPENING.lock().unwrap_or_else(PoisonError::into_inner);
    let engine = |error| classify(path, &error);
    let size = open::ensure_file(path)?;
    let mut writer = open::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    writer.busy_timeout(LOCK_WAIT).map_err(engine)?;
    if writer.is_readonly("main").map_err(engine)? {
        return Err(StoreError::ReadOnly { path: path.to_owned() });
    }
    recognise(sort, &writer, path)?;
    if size <= CHECK_AT_OPEN_MAX_BYTES
        && let Some(detail) = open::check(&writer, "quick_check").map_err(engine)?.into_iter().next()
    {
        return Err(StoreError::Corrupt { path: path.to_owned(), detail });
    }
    writer.pragma_update(None, "synchronous", "normal").map_err(engine)?;
    open::write_ahead(&writer).map_err(engine)?;
    writer.pragma_update(None, "wal_autocheckpoint", 1_024).map_err(engine)?;
    writer.pragma_update(None, "journal_size_limit", 4 << 20).map_err(engine)?;
    let page: u64 = writer.pragma_query_value(None, "page_size", |row| row.get(0)).map_err(engine)?;
    let pages = (max_bytes / page).clamp(64, u64::from(u32::MAX - 1));
    writer.pragma_update(None, "max_page_count", pages).map_err(engine)?;
    open::common(&writer).map_err(engine)?;
    create(sort, &mut writer, path)?;
    Ok(writer)
}

/// Looks whose file it is, without changing it; `true` if it is empty.
fn recognise(sort: &Sort, connection: &Connection, path: &Path) -> Result<bool, StoreError> {
    let Identity { application, version: found, is_empty } = open::identify(connection, path)?;
    match (is_empty, application, found) {
        (true, 0, _) => Ok(true),
        (_, ours, found) if ours == sort.application && found == sort.version => Ok(false),
        (_, ours, found) if ours == sort.application => {
            Err(StoreError::NewerSchema { path: path.to_owned(), found, known: sort.version })
        }
        _ => Err(StoreError::Foreign { path: path.to_owned() }),
    }
}

/// Makes the tables. Two processes may come here at once: the one that gets the lock second finds the work done.
fn create(sort: &Sort, connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let engine = |error| classify(path, &error);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(engine)?;
    if recognise(sort, &transaction, path)? {
        transaction.execute_batch(sort.schema).map_err(engine)?;
        transaction.pragma_update(None, "application_id", sort.application).map_err(engine)?;
        transaction.pragma_update(None, "user_version", sort.version).map_err(engine)?;
    }
    transaction.commit().map_err(engine)
}
