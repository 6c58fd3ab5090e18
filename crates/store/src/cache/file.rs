//! The file: opened, thrown away where it is of no use, never where it is not ours.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::{DiskCacheOptions, row};
use crate::StoreError;
use crate::limits::{CHECK_AT_OPEN_MAX_BYTES, READERS};
use crate::sqlite::open::{self, Identity, classify};

/// Marks the file as ours (`PRAGMA application_id`): "AQEC".
const APPLICATION_ID: i64 = 0x4151_4543;
/// `PRAGMA user_version` of the tables. A file with another one is thrown away: nothing in it cannot be had again.
const VERSION: i64 = 1;
/// How long a write waits for another process that holds the file.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// A file that is open.
pub(super) struct Open {
    pub(super) writer: Connection,
    pub(super) readers: [Connection; READERS],
}

/// Opens the file. One that is damaged, or of another version of ours, is thrown away and begun anew.
pub(super) fn open(path: &Path, options: DiskCacheOptions) -> Result<Open, StoreError> {
    match attempt(path, options) {
        Err(error @ (StoreError::Corrupt { .. } | StoreError::NewerSchema { .. })) => {
            discard(path, &error)?;
            attempt(path, options)
        }
        other => other,
    }
}

/// Removes a file that is of no use any more. Nobody in this process may have it open.
pub(super) fn discard(path: &Path, why: &StoreError) -> Result<(), StoreError> {
    tracing::warn!(path = %path.display(), reason = %describe(why), "the result cache is thrown away");
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
pub(super) fn describe(error: &StoreError) -> String {
    match error {
        StoreError::Corrupt { detail, .. } => format!("damaged: {detail}"),
        StoreError::NewerSchema { found, .. } => {
            format!("it is of version {found}, this release writes {VERSION}")
        }
        StoreError::Foreign { path } => format!("{} is a database of another program", path.display()),
        other => other.to_string(),
    }
}

fn attempt(path: &Path, options: DiskCacheOptions) -> Result<Open, StoreError> {
    let _opening = open::OPENING.lock().unwrap_or_else(PoisonError::into_inner);
    let engine = |error| classify(path, &error);
    let size = open::ensure_file(path)?;
    let mut writer = open::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    writer.busy_timeout(LOCK_WAIT).map_err(engine)?;
    if writer.is_readonly("main").map_err(engine)? {
        return Err(StoreError::ReadOnly { path: path.to_owned() });
    }
    recognise(&writer, path)?;
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
    let pages = (options.max_bytes / page).clamp(64, u64::from(u32::MAX - 1));
    writer.pragma_update(None, "max_page_count", pages).map_err(engine)?;
    open::common(&writer).map_err(engine)?;
    create(&mut writer, path)?;
    let mut readers = Vec::with_capacity(READERS);
    for _ in 0..READERS {
        readers.push(open::reader(path)?);
    }
    let readers = readers.try_into().unwrap_or_else(|_| unreachable!("as many as were asked for"));
    Ok(Open { writer, readers })
}

/// Looks whose file it is, without changing it; `true` if it is empty.
fn recognise(connection: &Connection, path: &Path) -> Result<bool, StoreError> {
    let Identity { application, version: found, is_empty } = open::identify(connection, path)?;
    match (is_empty, application, found) {
        (true, 0, _) => Ok(true),
        (_, APPLICATION_ID, VERSION) => Ok(false),
        (_, APPLICATION_ID, found) => {
            Err(StoreError::NewerSchema { path: path.to_owned(), found, known: VERSION })
        }
        _ => Err(StoreError::Foreign { path: path.to_owned() }),
    }
}

/// Makes the tables. Two processes may come here at once: the one that gets the lock second finds the work done.
fn create(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let engine = |error| classify(path, &error);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(engine)?;
    if recognise(&transaction, path)? {
        transaction.execute_batch(row::SCHEMA).map_err(engine)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(engine)?;
        transaction.pragma_update(None, "user_version", VERSION).map_err(engine)?;
    }
    transaction.commit().map_err(engine)
}
