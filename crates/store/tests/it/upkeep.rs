//! What an operator does with the file.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use aqe_store::{Attributes, Put, SqliteOptions, Store as _, StoreError, StoreFile};

use crate::support::{T0, found, fresh, open, put, question, write};

fn file(path: &Path) -> StoreFile {
    StoreFile::new(path, SqliteOptions::default())
}

async fn filled() -> (tempfile::TempDir, PathBuf) {
    let (directory, store) = fresh();
    for n in 0..50 {
        put(&store, write(&format!("k{n}"), "{\"a\":[1,2]}")).await;
        put(&store, write(&format!("k{n}"), "\"second\"")).await;
    }
    drop(store);
    let path = directory.path().join("store.db");
    (directory, path)
}

#[test]
fn a_store_that_is_not_there_is_not_made_by_looking() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("none.db");
    let missing = StoreError::Missing { path: path.clone() };
    assert_eq!(file(&path).check().unwrap_err(), missing);
    assert_eq!(file(&path).stats().unwrap_err(), missing);
    assert_eq!(file(&path).compact(T0).unwrap_err(), missing);
    assert_eq!(file(&path).backup(&directory.path().join("copy.db")).unwrap_err(), missing);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn each_promise_that_is_broken_is_found() {
    for (what, breakage) in [
        ("count other entries", "UPDATE namespace SET entries = entries + 1"),
        ("count other entries or bytes", "UPDATE namespace SET bytes = bytes - 1"),
        ("latest version", "UPDATE entry SET version = 3 WHERE key = 'k7'"),
        ("latest version", "UPDATE version SET expires = 5 WHERE entry = 4 AND version = 2"),
        ("gap", "UPDATE version SET version = 0 WHERE entry = 9 AND version = 1"),
        ("other bytes", "UPDATE version SET value = '\"other\"' WHERE entry = 3 AND version = 1"),
        ("no JSON", "UPDATE version SET value = '{\"a\":[1,2]' || char(32) WHERE entry = 3 AND version = 1"),
        ("after the last write", "UPDATE entry SET change = 1000000 WHERE id = 2"),
        ("is not there", "PRAGMA foreign_keys = OFF; UPDATE entry SET namespace = 77 WHERE id = 2"),
        ("patterns or observations", "INSERT INTO learner (principal, patterns) VALUES ('alice', 1)"),
    ] {
        let (_directory, path) = filled().await;
        assert_eq!(file(&path).check().unwrap().faults, Vec::<String>::new());
        rusqlite::Connection::open(&path).unwrap().execute_batch(breakage).unwrap();
        let checked = file(&path).check().unwrap();
        assert!(checked.faults.iter().any(|fault| fault.contains(what)), "{what}: {:?}", checked.faults);
        assert_eq!((checked.entries, checked.versions), (50, 100));
    }
}

#[tokio::test]
async fn a_damaged_page_is_found_and_never_gets_into_a_backup() {
    let (directory, path) = filled().await;
    file(&path).compact(T0).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let page = 4096;
    let middle = bytes.len() / page / 2 * page;
    bytes[middle..middle + page].fill(0xA5);
    std::fs::write(&path, bytes).unwrap();
    match file(&path).check() {
        Ok(checked) => assert!(!checked.faults.is_empty()),
        Err(error) => assert!(matches!(error, StoreError::Corrupt { .. }), "{error}"),
    }
    let copy = directory.path().join("copy.db");
    match file(&path).backup(&copy) {
        // Of an index, which the copy has anew.
        Ok(_) => assert_eq!(file(&copy).check().unwrap().faults, Vec::<String>::new()),
        Err(error) => {
            assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
            assert_eq!(
                std::fs::read_dir(directory.path())
                    .unwrap()
                    .flatten()
                    .filter(|it| it.file_name().to_string_lossy().starts_with("copy"))
                    .count(),
                0
            );
        }
    }
}

#[tokio::test]
async fn a_backup_is_one_moment_of_a_store_in_use_and_can_take_its_place() {
    let (directory, path) = filled().await;
    let store = open(&path);
    let copy = directory.path().join("copy.db");
    // A pair of entries is written together or not at all: by one writer, one after the other.
    let writing = async {
        for n in 0..200 {
            put(&store, write("left", &n.to_string())).await;
            put(&store, write("right", &n.to_string())).await;
        }
    };
    let backup = {
        let (path, copy) = (path.clone(), copy.clone());
        tokio::task::spawn_blocking(move || file(&path).backup(&copy))
    };
    let ((), bytes) = tokio::join!(writing, backup);
    assert_eq!(bytes.unwrap().unwrap(), std::fs::metadata(&copy).unwrap().len());
    assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    let names: Vec<String> = std::fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("copy"))
        .collect();
    assert_eq!(names, ["copy.db"], "nothing beside it");
    assert_eq!(file(&copy).check().unwrap().faults, Vec::<String>::new());
    let restored = open(&copy);
    assert_eq!(found(&restored, question("k7")).await.value, "\"second\"");
    let count =
        async |key: &str| restored.history(question(key)).await.unwrap().first().map_or(0, |one| one.version);
    let (left, right) = (count("left").await, count("right").await);
    assert!(left == right || left == right + 1, "{left} {right}");
}

#[tokio::test]
async fn a_backup_overwrites_nothing_and_clears_what_a_killed_one_has_left() {
    let (directory, path) = filled().await;
    let copy = directory.path().join("copy.db");
    let mut dead = std::process::Command::new("true").spawn().unwrap();
    let left = directory.path().join(format!("copy.db.partial-{}", dead.id()));
    std::fs::write(&left, "half").unwrap();
    dead.wait().unwrap();
    file(&path).backup(&copy).unwrap();
    assert!(!left.exists());
    let before = std::fs::read(&copy).unwrap();
    assert_eq!(file(&path).backup(&copy).unwrap_err(), StoreError::FileExists { path: copy.clone() });
    assert_eq!(std::fs::read(&copy).unwrap(), before);
    let dangling = directory.path().join("link.db");
    std::os::unix::fs::symlink("nowhere", &dangling).unwrap();
    assert_eq!(file(&path).backup(&dangling).unwrap_err(), StoreError::FileExists { path: dangling });
    assert_eq!(file(&path).backup(&path).unwrap_err(), StoreError::FileExists { path });
}

#[tokio::test]
async fn compacting_gives_back_what_has_expired_while_the_store_is_used() {
    let (_directory, path) = filled().await;
    let store = open(&path);
    let big = format!("\"{}\"", "x".repeat(100_000));
    for n in 0..20 {
        let attributes = Attributes { expires: Some(T0 + 1), ..Attributes::default() };
        let namespace = format!("gone{}", n % 3);
        put(&store, Put { namespace, attributes, ..write(&format!("big{n}"), &big) }).await;
    }
    let later = T0 + 1 + aqe_store::limits::EXPIRED_KEPT_MS;
    let done = file(&path).compact(later).unwrap();
    assert_eq!(done.entries_forgotten, 20);
    // The namespace that was made last keeps its row, so that its number is never given to another.
    assert_eq!(done.namespaces_removed, 2);
    assert!(done.bytes_after + 1_500_000 < done.bytes_before, "{done:?}");
    assert_eq!(found(&store, question("k7")).await.value, "\"second\"", "who has it open reads on");
    put(&store, Put { now: later, ..write("new", "1") }).await;
    let checked = file(&path).check().unwrap();
    assert_eq!((checked.entries, checked.faults), (51, Vec::new()));
}

#[tokio::test]
async fn figures_are_those_of_the_tables() {
    let (_directory, path) = filled().await;
    let stats = file(&path).stats().unwrap();
    let [namespace] = &stats.namespaces[..] else { panic!("{stats:?}") };
    assert_eq!(
        (namespace.principal.as_str(), namespace.name.as_str(), namespace.entries),
        ("alice", "ns", 50)
    );
    // Keys of two or three characters, in both versions.
    let keys = 10 * 2 + 40 * 3;
    assert_eq!(namespace.bytes, (2 * keys + 50 * ("{\"a\":[1,2]}".len() + "\"second\"".len())) as u64);
    assert_eq!((stats.rows["versions"], stats.rows["tasks"]), (100, 0));
    assert!(stats.file_bytes > 0);
}
