//! Short words for the tests.

use std::path::Path;

use aqe_store::{
    Absence, At, Attributes, Entry, EntryRef, Get, Lookup, OnConflict, Put, SqliteOptions, SqliteStore,
    Store, StoreError, Stored,
};

/// A moment in 2026, so that nothing is near zero.
pub(crate) const T0: i64 = 1_790_000_000_000;

pub(crate) fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, &SqliteOptions::default()).expect("the store opens")
}

/// A store in a directory that goes with it.
pub(crate) fn fresh() -> (tempfile::TempDir, SqliteStore) {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory.path().join("store.db"));
    (directory, store)
}

pub(crate) fn write(key: &str, value: &str) -> Put {
    Put {
        principal: "alice".into(),
        namespace: "ns".into(),
        key: key.into(),
        value: value.into(),
        attributes: Attributes::default(),
        valid_from: None,
        if_version: None,
        on_conflict: OnConflict::Version,
        now: T0,
    }
}

pub(crate) fn question(key: &str) -> Get<'_> {
    Get {
        principal: "alice",
        namespace: "ns",
        entry: EntryRef::Key(key),
        at: At::Now,
        history: false,
        now: T0,
    }
}

pub(crate) async fn put(store: &dyn Store, put: Put) -> Stored {
    store.put(put).await.expect("the write succeeds")
}

pub(crate) async fn refused(store: &dyn Store, put: Put) -> StoreError {
    store.put(put).await.expect_err("the write is refused")
}

pub(crate) async fn found(store: &dyn Store, get: Get<'_>) -> Entry {
    match store.get(get).await.expect("the read succeeds") {
        Lookup::Found(entry) => *entry,
        Lookup::Absent(absence) => panic!("absent: {absence:?}"),
    }
}

pub(crate) async fn absent(store: &dyn Store, get: Get<'_>) -> Absence {
    match store.get(get).await.expect("the read succeeds") {
        Lookup::Found(entry) => panic!("found: {entry:?}"),
        Lookup::Absent(absence) => absence,
    }
}
