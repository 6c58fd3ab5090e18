//! Deletion, purging, lists and quotas.

use aqe_store::limits::EXPIRED_KEPT_MS;
use aqe_store::{
    Absence, At, Attributes, Delete, Durability, EntryRef, Get, List, OnConflict, Put, Quotas, Search,
    SqliteOptions, SqliteStore, Store as _, StoreError, StoreFile,
};

use crate::support::{T0, absent, found, fresh, open, put, question, refused, write};

fn delete(key: &str) -> Delete {
    Delete {
        principal: "alice".into(),
        namespace: "ns".into(),
        key: key.into(),
        if_version: None,
        purge: false,
        now: T0 + 10,
    }
}

fn list(now: i64) -> List {
    List {
        principal: "alice".into(),
        namespace: "ns".into(),
        prefix: String::new(),
        after: None,
        most: 100,
        now,
    }
}

fn search(now: i64) -> Search {
    Search {
        principal: "alice".into(),
        namespaces: Vec::new(),
        query: "unforgettable".into(),
        filters: aqe_store::Filters::default(),
        most: 10,
        at: now,
        now,
    }
}

#[tokio::test]
async fn a_deleted_entry_is_absent_from_then_on_and_its_versions_can_be_read_until_it_is_forgotten() {
    let (_directory, store) = fresh();
    put(&store, write("k", "\"unforgettable\"")).await;
    put(&store, write("k", "\"unforgettable too\"")).await;
    let gone = store.delete(delete("k")).await.unwrap().unwrap();
    assert_eq!((gone.version, gone.versions_removed), (Some(3), 0));
    let at = |at, now| Get { at, now, ..question("k") };
    for now in [T0 + 10, T0 + EXPIRED_KEPT_MS] {
        assert_eq!(absent(&store, at(At::Now, now)).await, Absence::Deleted { at: T0 + 10 });
        assert_eq!(found(&store, at(At::Version(2), now)).await.value, "\"unforgettable too\"");
        assert_eq!(found(&store, at(At::Moment(T0 + 9), now)).await.version, 2);
        assert_eq!(store.list(list(now)).await.unwrap(), []);
        assert_eq!(store.candidates_of(search(now)).await, 0);
    }
    let history = store.history(question("k")).await.unwrap();
    assert_eq!(
        history.iter().map(|one| (one.version, one.is_deletion())).collect::<Vec<_>>(),
        [(3, true), (2, false), (1, false)]
    );
    assert_eq!(store.delete(delete("k")).await.unwrap(), None, "it is deleted");
    put(&store, Put { now: T0 + 10 + EXPIRED_KEPT_MS, ..write("other", "1") }).await;
    assert_eq!(absent(&store, at(At::Version(2), T0 + 10)).await, Absence::NoEntry);
}

#[tokio::test]
async fn a_write_after_a_deletion_goes_on_counting_and_no_update_is_lost_to_one() {
    let (_directory, store) = fresh();
    put(&store, write("k", "1")).await;
    let wrong = store.delete(Delete { if_version: Some(7), ..delete("k") }).await.unwrap_err();
    assert_eq!(wrong, StoreError::VersionConflict { expected: 7, actual: 1 });
    store.delete(Delete { if_version: Some(1), ..delete("k") }).await.unwrap().unwrap();
    let late = Put { if_version: Some(1), now: T0 + 11, ..write("k", "2") };
    assert_eq!(refused(&store, late).await, StoreError::VersionConflict { expected: 1, actual: 0 });
    let anew = Put { if_version: Some(0), on_conflict: OnConflict::Fail, now: T0 + 11, ..write("k", "3") };
    assert_eq!(put(&store, anew).await.version, 3);
    assert_eq!(found(&store, Get { now: T0 + 11, ..question("k") }).await.value, "3");
    for none in ["other", "K"] {
        assert_eq!(store.delete(delete(none)).await.unwrap(), None);
    }
    assert_eq!(store.delete(Delete { principal: "bob".into(), ..delete("k") }).await.unwrap(), None);
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn of_a_purged_entry_nothing_is_left_neither_to_read_nor_to_find_nor_in_the_file() {
    let (directory, store) = fresh();
    let path = directory.path().join("store.db");
    // Another process has read the namespace for a search.
    let other = open(&path);
    for value in ["\"unforgettable s3cr3t-of-version-1\"", "\"unforgettable s3cr3t-of-version-2\""] {
        put(&store, write("s3cr3t-key", value)).await;
    }
    put(&store, write("plain", "\"unforgettable\"")).await;
    assert_eq!(other.candidates_of(search(T0 + 1)).await, 2);
    let stored = found(&store, question("s3cr3t-key")).await;
    let gone = store.delete(Delete { purge: true, ..delete("s3cr3t-key") }).await.unwrap().unwrap();
    assert_eq!((gone.id, gone.version, gone.versions_removed), (stored.id, None, 2));
    for one in [&store, &other] {
        assert_eq!(one.candidates_of(search(T0 + 11)).await, 1);
        for at in [At::Now, At::Version(1), At::Moment(T0)] {
            let now = T0 + 11;
            assert_eq!(absent(one, Get { at, now, ..question("s3cr3t-key") }).await, Absence::NoEntry);
            // The id leads to nothing either.
            let by_id = Get { at, now, entry: EntryRef::Id(stored.id), ..question("") };
            assert!(matches!(
                absent(one, by_id).await,
                Absence::Deleted { .. } | Absence::NoVersion { .. } | Absence::NotYetValid { .. }
            ));
        }
        assert_eq!(one.list(list(T0 + 11)).await.unwrap().len(), 1);
    }
    assert_eq!(
        put(&store, Put { now: T0 + 12, ..write("s3cr3t-key", "1") }).await.version,
        1,
        "the key is free"
    );
    store.delete(Delete { purge: true, now: T0 + 13, ..delete("s3cr3t-key") }).await.unwrap().unwrap();
    drop((store, other));
    let file = StoreFile::new(&path, SqliteOptions::default());
    assert!(file.compact(T0 + 14).unwrap().log_is_empty);
    for name in ["store.db", "store.db-wal"] {
        let bytes = std::fs::read(directory.path().join(name)).unwrap_or_default();
        assert!(!bytes.windows(6).any(|part| part == b"s3cr3t"), "{name}");
    }
    assert_eq!(file.check().unwrap().faults, Vec::<String>::new());
    // The marks go as expired entries do.
    file.compact(T0 + 14 + EXPIRED_KEPT_MS).unwrap();
    assert_eq!(file.check().unwrap().entries, 1);
}

#[tokio::test]
async fn an_expired_entry_can_be_purged() {
    let (_directory, store) = fresh();
    let attributes = Attributes { expires: Some(T0 + 5), ..Attributes::default() };
    put(&store, Put { attributes, ..write("k", "1") }).await;
    assert_eq!(store.delete(delete("k")).await.unwrap(), None);
    assert!(store.delete(Delete { purge: true, ..delete("k") }).await.unwrap().is_some());
    assert_eq!(absent(&store, Get { at: At::Moment(T0), ..question("k") }).await, Absence::NoEntry);
}

#[tokio::test]
async fn a_list_has_what_is_there_now_by_key_in_pages() {
    let (_directory, store) = fresh();
    for key in ["b/2", "a", "b/1", "b/3", "c", "b"] {
        put(&store, write(key, "1")).await;
    }
    put(&store, write("b/1", "22")).await;
    put(&store, Put { valid_from: Some(T0 + 100), ..write("b/4", "1") }).await;
    put(&store, Put { principal: "bob".into(), ..write("b/0", "1") }).await;
    store.delete(delete("b/3")).await.unwrap().unwrap();
    let keys = async |list| -> Vec<String> {
        store.list(list).await.unwrap().into_iter().map(|one| one.key).collect()
    };
    let now = T0 + 50;
    assert_eq!(keys(list(now)).await, ["a", "b", "b/1", "b/2", "c"]);
    let prefix = || List { prefix: "b/".into(), ..list(now) };
    assert_eq!(keys(prefix()).await, ["b/1", "b/2"]);
    assert_eq!(keys(List { most: 1, ..prefix() }).await, ["b/1"]);
    assert_eq!(keys(List { after: Some("b/1".into()), ..prefix() }).await, ["b/2"]);
    assert_eq!(keys(List { now: T0 + 100, ..prefix() }).await, ["b/1", "b/2", "b/4"]);
    let one = &store.list(prefix()).await.unwrap()[0];
    assert_eq!((one.version.version, one.version.value_bytes, one.hits), (2, 2, 0));
    let namespaces = store.namespaces("alice".into()).await.unwrap();
    assert_eq!((namespaces.len(), namespaces[0].entries), (1, 7));
}

fn small(path: &std::path::Path, quotas: Quotas) -> SqliteStore {
    SqliteStore::open(path, &SqliteOptions { quotas, ..SqliteOptions::default() }).unwrap()
}

async fn limit_of(store: &SqliteStore, put: Put) -> (&'static str, u64) {
    match refused(store, put).await {
        StoreError::Limit { what, limit, .. } => (what, limit),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn quotas_hold_per_namespace_and_per_principal_and_deletion_gives_room_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let quotas = Quotas { entries_per_namespace: 3, entries_per_principal: 5, ..Quotas::default() };
    let store = small(&path, quotas);
    let of = |namespace: &str, key: &str, now| Put { namespace: namespace.into(), now, ..write(key, "1") };
    for key in ["a", "b", "c"] {
        put(&store, of("ns", key, T0)).await;
    }
    assert_eq!(limit_of(&store, of("ns", "d", T0)).await, ("number of entries in the namespace", 3));
    put(&store, of("ns", "a", T0)).await;
    for key in ["a", "b"] {
        put(&store, of("more", key, T0)).await;
    }
    assert_eq!(limit_of(&store, of("third", "a", T0)).await, ("number of entries in all namespaces", 5));
    put(&store, Put { principal: "bob".into(), ..of("third", "a", T0) }).await;
    // At the limit, deletion works, and makes room at once.
    store.delete(delete("a")).await.unwrap().unwrap();
    put(&store, of("third", "a", T0 + 20)).await;
    assert_eq!(limit_of(&store, of("ns", "e", T0 + 20)).await.1, 5);
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn quotas_in_bytes_count_all_versions_and_what_is_there_stays_when_one_is_lowered() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let value = format!("\"{}\"", "x".repeat(998));
    let roomy = small(&path, Quotas::default());
    for _ in 0..3 {
        put(&roomy, write("k", &value)).await;
    }
    drop(roomy);
    let store = small(&path, Quotas { bytes_per_principal: 2_500, ..Quotas::default() });
    assert_eq!(
        limit_of(&store, write("k", "1")).await,
        ("bytes in all namespaces, history included,", 2_500)
    );
    assert_eq!(found(&store, question("k")).await.version, 3);
    // What makes it smaller is let through.
    put(&store, Put { on_conflict: OnConflict::Replace, ..write("k", "1") }).await;
    put(&store, write("other", &value)).await;
}

#[tokio::test]
async fn namespaces_without_entries_make_room_for_others() {
    let directory = tempfile::tempdir().unwrap();
    let store = small(
        &directory.path().join("store.db"),
        Quotas { namespaces_per_principal: 2, ..Quotas::default() },
    );
    let of = |namespace: &str, now| Put { namespace: namespace.into(), now, ..write("k", "1") };
    put(&store, of("one", T0)).await;
    put(&store, of("two", T0)).await;
    assert_eq!(limit_of(&store, of("three", T0)).await, ("number of namespaces", 2));
    store.delete(Delete { namespace: "one".into(), ..delete("k") }).await.unwrap().unwrap();
    put(&store, of("three", T0 + 20)).await;
    let names: Vec<String> =
        store.namespaces("alice".into()).await.unwrap().into_iter().map(|one| one.name).collect();
    assert_eq!(names, ["three", "two"]);
}

trait Finds {
    async fn candidates_of(&self, search: Search) -> usize;
}

impl Finds for SqliteStore {
    async fn candidates_of(&self, search: Search) -> usize {
        use aqe_store::MemorySearch as _;
        self.candidates(search).await.unwrap().candidates.len()
    }
}

#[tokio::test]
async fn memory_is_written_through_where_that_is_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let options = SqliteOptions { memory: Durability::Full, ..SqliteOptions::default() };
    let path = directory.path().join("store.db");
    let store = SqliteStore::open(&path, &options).unwrap();
    for n in 0..20 {
        put(&store, write(&format!("k{n}"), "1")).await;
    }
    store.delete(delete("k0")).await.unwrap().unwrap();
    drop(store);
    assert_eq!(open(&path).list(list(T0 + 11)).await.unwrap().len(), 19);
}
