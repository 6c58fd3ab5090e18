//! What happens to files: private when made, refused and left alone when not ours or not sound.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use aqe_store::{Manifest, Put, SqliteOptions, SqliteStore, Store as _, StoreError};

use crate::support::{T0, found, fresh, open, put, question, write};

fn refusal(path: &Path) -> StoreError {
    SqliteStore::open(path, &SqliteOptions::default()).expect_err("the file is refused")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A closed store with 200 entries of `bytes` each.
async fn filled(bytes: usize) -> (tempfile::TempDir, PathBuf) {
    let (directory, store) = fresh();
    for n in 0..200 {
        put(&store, write(&format!("k{n}"), &format!("\"{}\"", "x".repeat(bytes)))).await;
    }
    let path = directory.path().join("store.db");
    (directory, path)
}

#[tokio::test]
async fn files_and_directories_are_made_private() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a/b/store.db");
    let store = open(&path);
    put(&store, write("k", "1")).await;
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    assert_eq!(mode(&directory.path().join("a")), 0o700);
    for suffix in ["", "-wal", "-shm"] {
        assert_eq!(mode(&PathBuf::from(format!("{}{suffix}", path.display()))), 0o600, "{suffix}");
    }
    drop(store);
    assert!(!path.with_file_name("store.db-wal").exists(), "closing leaves one file");
    assert_eq!(found(&open(&path), question("k")).await.value, "1");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.txt");
    fs::write(&path, "my notes").unwrap();
    let error = refusal(&path);
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("notes.txt") && text.contains("move it away"), "{text}");
    assert_eq!(fs::read(&path).unwrap(), b"my notes");
}

#[tokio::test]
async fn a_truncated_or_overwritten_file_is_refused_and_left_alone() {
    let (_directory, path) = filled(1_500).await;
    let sound = fs::read(&path).unwrap();
    assert!(sound.len() > 300_000, "{}", sound.len());
    let mut overwritten = sound.clone();
    overwritten[8_192..20_480].fill(0xa5);
    for damaged in [&sound[..sound.len() / 2], &sound[..150], &overwritten[..]] {
        fs::write(&path, damaged).unwrap();
        let error = refusal(&path);
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
        assert_eq!(fs::read(&path).unwrap(), damaged, "untouched");
    }
}

#[tokio::test]
async fn flipped_bits_are_refused_or_harmless_and_never_crash_or_mix_entries() {
    let (_directory, path) = filled(1_500).await;
    let sound = fs::read(&path).unwrap();
    let mut refused = 0;
    // A fixed sequence (a linear congruential generator), so that a failure can be repeated.
    let mut random = 12_345_usize;
    for _ in 0..100 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = (random >> 16) % sound.len();
        let mut damaged = sound.clone();
        damaged[at] ^= 1 << (random >> 60 & 7);
        fs::write(&path, &damaged).unwrap();
        let Ok(store) = SqliteStore::open(&path, &SqliteOptions::default()) else {
            refused += 1;
            assert_eq!(fs::read(&path).unwrap(), damaged, "untouched (bit {at})");
            continue;
        };
        // Most bits of this file are bits of values, which carry no checksum of their own.
        for n in 0..200 {
            let _ = store.get(question(&format!("k{n}"))).await;
        }
        let _ = store.put(write("new", "1")).await;
    }
    assert!(refused >= 1, "at least the structure is checked");
}

#[tokio::test]
async fn damage_met_while_in_use_stops_writes_and_names_the_file() {
    // Too large to be checked, and so to be cached, when it is opened.
    let (_directory, path) = filled(15_000).await;
    let store = open(&path);
    // Behind the back of the open store, all but the first page.
    let mut bytes = fs::read(&path).unwrap();
    bytes[4_096..].fill(0xff);
    fs::write(&path, &bytes).unwrap();
    let mut last = Ok(());
    for n in 0..3 {
        last = store.put(write(&format!("new{n}"), "1")).await.map(|_| ());
    }
    let error = last.expect_err("writes are refused");
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    assert!(!store.check().await.is_ok_and(|faults| faults.is_empty()));
}

#[tokio::test]
async fn another_programs_database_and_a_newer_schema_are_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let foreign = directory.path().join("foreign.db");
    rusqlite::Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    let newer = directory.path().join("newer.db");
    drop(open(&newer));
    rusqlite::Connection::open(&newer).unwrap().pragma_update(None, "user_version", 99).unwrap();
    for (path, text) in [(&foreign, "another program"), (&newer, "schema 99")] {
        let before = fs::read(path).unwrap();
        let error = refusal(path);
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!(fs::read(path).unwrap(), before, "untouched");
    }
}

#[tokio::test]
async fn what_cannot_be_written_is_refused_with_the_path() {
    let (directory, path) = filled(1_500).await;
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o500)).unwrap();
    let is_root = fs::write(directory.path().join("probe"), "").is_ok();
    if !is_root {
        let error = refusal(&path);
        assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
    }
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
    // These hold for root as well.
    assert!(matches!(
        refusal(Path::new("/proc/self/store.db")),
        StoreError::Io { .. } | StoreError::ReadOnly { .. }
    ));
    let below_a_file = path.join("store.db");
    let error = refusal(&below_a_file);
    assert!(error.to_string().contains(&below_a_file.display().to_string()), "{error}");
    assert!(matches!(refusal(directory.path()), StoreError::Io { .. }), "a directory");
}

#[tokio::test]
async fn a_full_file_refuses_the_write_and_only_that() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let store =
        SqliteStore::open(&path, &SqliteOptions { max_file_bytes: 256 << 10, ..SqliteOptions::default() })
            .unwrap();
    put(&store, write("small", "1")).await;
    let big = format!("\"{}\"", "x".repeat(300 << 10));
    let error = store.put(write("big", &big)).await.expect_err("no room");
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    let manifest =
        Manifest { key: "m".into(), fingerprint: String::new(), body: vec![0; 400 << 10], saved_at: T0 };
    assert!(matches!(store.save_manifest(manifest).await, Err(StoreError::Full { .. })));
    assert_eq!(found(&store, question("small")).await.value, "1");
    put(&store, Put { now: T0 + 1, ..write("small", "2") }).await;
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_file_locked_by_another_process_can_be_read_all_the_while() {
    let (_directory, path) = filled(1_500).await;
    let store = open(&path);
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(found(&store, question("k1")).await.version, 1);
    let waiting = store.put(write("k1", "2"));
    other.execute_batch("COMMIT").unwrap();
    waiting.await.unwrap();
    assert_eq!(found(&store, question("k1")).await.value, "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn opening_a_file_again_in_one_process_disturbs_nobody() {
    let (directory, store) = fresh();
    let path = directory.path().join("store.db");
    for n in 0..20 {
        let again = open(&path);
        let (first, second) = (format!("a{n}"), format!("b{n}"));
        let (one, other) = tokio::join!(store.put(write(&first, "1")), again.put(write(&second, "2")));
        one.unwrap();
        other.unwrap();
        drop(again);
        found(&store, question(&second)).await;
    }
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
}
