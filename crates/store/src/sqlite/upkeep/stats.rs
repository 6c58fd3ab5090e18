//! What is in the file.

use std::collections::BTreeMap;

use super::super::list;
use super::{StoreFile, sizes};
use crate::StoreError;
use crate::memory::NamespaceUse;

/// What is in a store, and what it takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Bytes of the file …
    pub file_bytes: u64,
    /// … and of its write-ahead log.
    pub log_bytes: u64,
    /// Bytes within the file that are free.
    pub free_bytes: u64,
    /// Version of the tables.
    pub schema: i64,
    /// Memory, by namespace.
    pub namespaces: Vec<NamespaceUse>,
    /// Rows of other kinds, by what they are.
    pub rows: BTreeMap<&'static str, u64>,
}

/// What is counted, and the table that it stands in.
const TABLES: &[(&str, &str)] = &[
    ("versions", "version"),
    ("vectors", "vector"),
    ("patterns", "pattern"),
    ("observations", "observation"),
    ("fleets", "fleet"),
    ("runs", "run"),
    ("tasks", "task"),
    ("alerts", "alert"),
    ("measurements", "measurement"),
    ("tool lists", "manifest"),
];

impl StoreFile {
    /// Counts.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Corrupt`], or what else the medium does.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        let connection = self.reader()?;
        let (file_bytes, log_bytes) = sizes(&self.path);
        let count = || -> Result<Stats, super::Fault> {
            let snapshot = connection.unchecked_transaction()?;
            let pragma = |name| snapshot.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
            let free_bytes = pragma("freelist_count")? * pragma("page_size")?;
            let schema = snapshot.pragma_query_value(None, "user_version", |row| row.get(0))?;
            let mut rows = BTreeMap::new();
            for (what, table) in TABLES {
                // A file of an older release may not have it.
                let is_there: bool = snapshot.query_row(
                    "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1",
                    [table],
                    |row| row.get(0),
                )?;
                if is_there {
                    rows.insert(
                        *what,
                        snapshot.query_row(&format!("SELECT count(*) FROM {table}"), (), |row| row.get(0))?,
                    );
                }
            }
            let namespaces = list::namespaces(&snapshot, None)?;
            Ok(Stats { file_bytes, log_bytes, free_bytes, schema, namespaces, rows })
        };
        count().map_err(|fault| self.fault(fault))
    }
}
