//! Opening the file: created privately, checked before use, never overwritten.

use std::cell::Cell;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{SqliteOptions, schema};
use crate::StoreError;
use crate::limits::{CHECK_AT_OPEN_MAX_BYTES, LOCK_WAIT, PAGE_CACHE_KIB};

/// Held while a file is made and first opened: see [`ensure_file`].
pub(crate) static OPENING: Mutex<()> = Mutex::new(());

/// Between two attempts to get a lock that the engine does not wait for.
const LOCK_RETRY: Duration = Duration::from_millis(10);

/// Between two attempts to get the lock for writing. Another process under load holds it nearly all the time: whoever looks rarely, as
/// the engine's own waiting does (up to 100 ms apart), meets the gaps late, and in the end not in time.
const LOCK_PAUSE: Duration = Duration::from_micros(250);

/// Prepared statements that are kept by a connection: all that there are, but for those of lists.
const STATEMENTS_KEPT: usize = 128;

/// Pages after which a commit moves the write-ahead log into the file: 4 MiB.
pub(super) const CHECKPOINT_PAGES: u32 = 1_024;

/// Opens for writing: makes the file if there is none, brings its schema up to date.
pub(super) fn writable(path: &Path, options: &SqliteOptions) -> Result<Connection, StoreError> {
    let _opening = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
    let size = ensure_file(path)?;
    let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let engine = |error| classify(path, &error);
    wait_for_locks(&mut connection).map_err(engine)?;
    // The engine opens a file that is not writable for reading, and says so only when asked.
    if connection.is_readonly("main").map_err(engine)? {
        return Err(StoreError::ReadOnly { path: path.to_owned() });
    }
    // Only looks: a file that is refused stays as it was.
    let is_new = schema::recognise(&connection, path)?;
    if !is_new && size <= CHECK_AT_OPEN_MAX_BYTES {
        let faults = check(&connection, "quick_check").map_err(engine)?;
        if let Some(fault) = faults.into_iter().next() {
            return Err(StoreError::Corrupt { path: path.to_owned(), detail: fault });
        }
    }
    connection.pragma_update(None, "synchronous", "normal").map_err(engine)?;
    write_ahead(&connection).map_err(engine)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES).map_err(engine)?;
    connection.pragma_update(None, "journal_size_limit", 4 * CHECKPOINT_PAGES * 4_096).map_err(engine)?;
    let page: u64 = connection.pragma_query_value(None, "page_size", |row| row.get(0)).map_err(engine)?;
    connection
        .pragma_update(
            None,
            "max_page_count",
            (options.max_file_bytes / page).clamp(1, u64::from(u32::MAX - 1)),
        )
        .map_err(engine)?;
    common(&connection).map_err(engine)?;
    schema::migrate(&mut connection, path)?;
    Ok(connection)
}

thread_local! {
    /// Whether this thread may wait for locks.
    static PATIENT: Cell<bool> = const { Cell::new(true) };
}

/// Does something on this thread without waiting for the lock for writing: it is [`StoreError::Locked`] at once.
pub(super) fn without_waiting<T>(act: impl FnOnce() -> T) -> T {
    let before = PATIENT.replace(false);
    let done = act();
    PATIENT.set(before);
    done
}

/// Has the connection wait for the lock for writing while others hold it, for [`LOCK_WAIT`] at least.
fn wait_for_locks(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_handler(Some(|tried: i32| {
        let is_in_time = PATIENT.get()
            && u128::from(tried.unsigned_abs()) < LOCK_WAIT.as_micros() / LOCK_PAUSE.as_micros();
        if is_in_time {
            thread::sleep(LOCK_PAUSE);
        }
        is_in_time
    }))
}

/// Opens for reading. A reader never waits for a lock: it runs on the runtime's threads.
pub(crate) fn reader(path: &Path) -> Result<Connection, StoreError> {
    // Read-write at the level of the file, because a reader of a WAL file writes its shared memory.
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let engine = |error| classify(path, &error);
    connection.busy_timeout(Duration::ZERO).map_err(engine)?;
    connection.pragma_update(None, "query_only", true).map_err(engine)?;
    common(&connection).map_err(engine)?;
    Ok(connection)
}

pub(crate) fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    // No mutex: every connection is used by one thread at a time. No URI: a path is a path.
    Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|error| classify(path, &error))
}

/// What a file says of itself.
pub(crate) struct Identity {
    /// `PRAGMA application_id`: whose it is.
    pub(crate) application: i64,
    /// `PRAGMA user_version`: of which version its tables are.
    pub(crate) version: i64,
    /// It has no tables.
    pub(crate) is_empty: bool,
}

/// Looks whose file it is, without changing it.
pub(crate) fn identify(connection: &Connection, path: &Path) -> Result<Identity, StoreError> {
    let engine = |error| classify(path, &error);
    // One state of the file: another process may be making the tables right now.
    let _one_state =
        connection.is_autocommit().then(|| connection.unchecked_transaction()).transpose().map_err(engine)?;
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let application = number("application_id").map_err(engine)?;
    let version = number("user_version").map_err(engine)?;
    let objects: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0)).map_err(engine)?;
    Ok(Identity { application, version, is_empty: objects == 0 })
}

pub(crate) fn common(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "foreign_keys", true)?;
    // Negative: in KiB and not in pages.
    connection.pragma_update(None, "cache_size", -PAGE_CACHE_KIB)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    // A damaged file must be an error and not a crash: see sqlite.org/security.html.
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // Plan a statement once and not for each value bound to it: planning costs three times what our
    // look-ups do.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(())
}

/// Runs `quick_check` or `integrity_check`; answers with the faults.
pub(crate) fn check(connection: &Connection, pragma: &str) -> rusqlite::Result<Vec<String>> {
    let mut faults = Vec::new();
    connection.pragma_query(None, pragma, |row| {
        faults.push(row.get::<_, String>(0)?);
        Ok(())
    })?;
    faults.retain(|fault| fault != "ok");
    Ok(faults)
}

/// Makes sure that the file is there and is a file; answers with its size in bytes.
///
/// Must run under [`OPENING`] and never opens a file that exists: closing it again would drop the locks
/// that other connections of this process hold on it (sqlite.org/howtocorrupt.html, section 2.2).
pub(crate) fn ensure_file(path: &Path) -> Result<u64, StoreError> {
    let fail = |error: io::Error| io(path, &error);
    if let Some(directory) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(fail)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => return Ok(0),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(fail(error)),
    }
    let metadata = fs::metadata(path).map_err(fail)?;
    if !metadata.is_file() {
        return Err(StoreError::Io { path: path.to_owned(), detail: "not a regular file".into() });
    }
    Ok(metadata.len())
}

/// Switches to write-ahead logging, which the file then remembers. The engine does not wait for a lock
/// here by itself, and another process may be about the same.
pub(crate) fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    for _ in 0..LOCK_WAIT.as_millis() / LOCK_RETRY.as_millis() {
        let switched = connection.pragma_update(None, "journal_mode", "wal");
        match switched.as_ref().err().and_then(rusqlite::Error::sqlite_error_code) {
            Some(ErrorCode::DatabaseBusy) => thread::sleep(LOCK_RETRY),
            _ => return switched,
        }
    }
    connection.pragma_update(None, "journal_mode", "wal")
}

/// Gives an operating system's error its meaning.
pub(crate) fn io(path: &Path, error: &io::Error) -> StoreError {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly { path },
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full { path },
        _ => StoreError::Io { path, detail: error.to_string() },
    }
}

/// Gives an engine's error its meaning.
pub(crate) fn classify(path: &Path, error: &rusqlite::Error) -> StoreError {
    let detail = error.to_string();
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Locked { path },
        Some(ErrorCode::DiskFull) => StoreError::Full { path },
        // The file itself could be opened, so it is the log beside it that could not be made.
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            StoreError::ReadOnly { path }
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt { path, detail },
        _ => StoreError::Io { path, detail },
    }
}
