//! What an operator does with the file: look at it, check it, back it up, compact it, carry its contents elsewhere. All of it
//! while other processes use the file, and all of it blocks.

mod backup;
mod check;
mod compact;
mod stats;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

use super::{Fault, SqliteOptions, open};
use crate::StoreError;
use crate::limits::LOCK_WAIT;

pub use check::Checked;
pub use compact::Compacted;
pub use stats::Stats;

pub(super) use check::file as check_file;

/// The file of a store that is not opened to serve.
#[derive(Debug, Clone)]
pub struct StoreFile {
    path: PathBuf,
    pub(super) options: SqliteOptions,
}

impl StoreFile {
    /// Touches nothing yet.
    pub fn new(path: &Path, options: SqliteOptions) -> Self {
        Self { path: path.to_owned(), options }
    }

    /// For reading; waits for locks.
    pub(super) fn reader(&self) -> Result<Connection, StoreError> {
        self.present()?;
        let connection = open::reader(&self.path)?;
        self.waiting(&connection)?;
        super::schema::recognise(&connection, &self.path)?;
        Ok(connection)
    }

    /// For writing, with the schema of this release; makes the file if there is none. Its commits are on disk when they
    /// return.
    pub(super) fn writer(&self) -> Result<Connection, StoreError> {
        let connection = open::writable(&self.path, &self.options)?;
        connection.pragma_update(None, "synchronous", "full").map_err(|error| self.fault(error.into()))?;
        Ok(connection)
    }

    fn present(&self) -> Result<(), StoreError> {
        if self.path.exists() { Ok(()) } else { Err(StoreError::Missing { path: self.path.clone() }) }
    }

    fn waiting(&self, connection: &Connection) -> Result<(), StoreError> {
        let wait: Duration = LOCK_WAIT;
        connection.busy_timeout(wait).map_err(|error| self.fault(error.into()))
    }

    pub(super) fn fault(&self, fault: Fault) -> StoreError {
        match fault {
            Fault::Store(error) => error,
            Fault::Engine(error) => open::classify(&self.path, &error),
        }
    }
}

/// The file that stands beside another.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Bytes of a file and of its write-ahead log.
fn sizes(path: &Path) -> (u64, u64) {
    let bytes = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
    (bytes(path), bytes(&beside(path, "-wal")))
}
