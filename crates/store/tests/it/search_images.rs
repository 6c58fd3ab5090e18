//! What search keeps beside the store: it saves reading, and never makes an answer wrong.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use aqe_store::limits::IMAGE_AFTER_ENTRIES;
use aqe_store::{
    Delete, Filters, MemorySearch as _, Put, Search, SqliteOptions, SqliteStore, Store as _, StoreFile,
};
use rusqlite::Connection;
use tokio::task::JoinSet;

use crate::support::{T0, open, put, write};

const PATH: &str = "AQE_SEARCH_IMAGES_TEST_PATH";
/// So many that they are kept.
const MANY: usize = IMAGE_AFTER_ENTRIES + 10;

/// Entries of one namespace: the number `n` has the word `word{n % 10}`.
async fn fill(store: SqliteStore, numbers: std::ops::Range<usize>) -> SqliteStore {
    let store = Arc::new(store);
    let mut writes = JoinSet::new();
    for n in numbers {
        let store = Arc::clone(&store);
        writes.spawn(async move { store.put(numbered(n, &format!("word{}", n % 10))).await.unwrap() });
        // As many as the queue of writes takes with ease.
        if writes.len() >= 200 {
            writes.join_next().await;
        }
    }
    writes.join_all().await;
    Arc::into_inner(store).unwrap()
}

fn numbered(n: usize, text: &str) -> Put {
    write(&format!("{n}-key"), &format!("\"{text}\""))
}

/// How many entries have a word.
async fn matched(store: &SqliteStore, word: &str) -> u64 {
    let search = Search {
        principal: "alice".into(),
        namespaces: Vec::new(),
        query: word.into(),
        filters: Filters::default(),
        most: 10,
        at: T0,
        now: T0,
    };
    store.candidates(search).await.expect("the search succeeds").matched
}

/// A store whose search was kept. Dropping it waits for that.
async fn kept(path: &Path) {
    let store = fill(open(path), 0..MANY).await;
    assert_eq!(matched(&store, "word3").await, MANY as u64 / 10);
    drop(store);
    assert!(beside(path).exists());
}

fn beside(path: &Path) -> PathBuf {
    path.with_extension("search.db")
}

/// Changes a value behind the back of all counters, so that what was kept can be told from what is read.
fn rewrite(path: &Path, key: &str, text: &str) {
    let raw = Connection::open(path).unwrap();
    let sql = "UPDATE version SET value = ?2 WHERE entry = (SELECT id FROM entry WHERE key = ?1)";
    assert_eq!(raw.execute(sql, [key, &format!("\"{text}\"")]).unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_process_does_not_read_the_entries_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    kept(&path).await;
    rewrite(&path, "7-key", "unseen");
    let store = open(&path);
    assert_eq!(matched(&store, "unseen").await, 0, "the entries were read");
    // What is written after it was kept is read, and what it replaced is gone.
    put(&store, numbered(3, "fresh")).await;
    put(&store, numbered(MANY, "fresh")).await;
    assert_eq!(matched(&store, "fresh").await, 2);
    assert_eq!(matched(&store, "word3").await, MANY as u64 / 10 - 1);
    drop(store);
    let another = open(&path);
    assert_eq!(matched(&another, "unseen").await, 0);
    assert_eq!(matched(&another, "fresh").await, 2);
    assert_eq!(matched(&another, "word3").await, MANY as u64 / 10 - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_purged_is_in_no_file_once_the_store_is_compacted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let holds = |word: &str| {
        let mut files = fs::read_dir(directory.path()).unwrap().map(|file| file.unwrap().path());
        files.any(|file| fs::read(file).unwrap().windows(word.len()).any(|bytes| bytes == word.as_bytes()))
    };
    let store = fill(open(&path), 0..MANY).await;
    put(&store, numbered(MANY, "xylokq")).await;
    assert_eq!(matched(&store, "xylokq").await, 1);
    drop(store);
    assert!(holds("xylokq"));
    let store = open(&path);
    let delete = Delete {
        principal: "alice".into(),
        namespace: numbered(0, "").namespace,
        key: format!("{MANY}-key"),
        if_version: None,
        purge: true,
        now: T0 + 1,
    };
    store.delete(delete).await.unwrap().unwrap();
    drop(store);
    StoreFile::new(&path, SqliteOptions::default()).compact(T0 + 1).unwrap();
    assert!(!holds("xylokq"));
    let store = open(&path);
    assert_eq!((matched(&store, "xylokq").await, matched(&store, "word3").await), (0, MANY as u64 / 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_store_makes_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let store = fill(open(&path), 0..100).await;
    assert_eq!(matched(&store, "word3").await, 10);
    drop(store);
    assert!(!beside(&path).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_were_removed_are_found_by_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    kept(&path).await;
    let store = open(&path);
    assert_eq!(matched(&store, "word3").await, MANY as u64 / 10);
    let raw = Connection::open(&path).unwrap();
    raw.execute_batch(
        "PRAGMA foreign_keys = 1; DELETE FROM entry WHERE key IN ('3-key', '13-key');
         UPDATE namespace SET entries = entries - 2",
    )
    .unwrap();
    for store in [&store, &open(&path)] {
        assert_eq!(matched(store, "word3").await, MANY as u64 / 10 - 2);
    }
    // One more and one less, so that the number stays.
    raw.execute_batch("DELETE FROM entry WHERE key = '23-key'; UPDATE namespace SET entries = entries - 1")
        .unwrap();
    put(&store, numbered(MANY + 3, "word3")).await;
    for store in [&store, &open(&path)] {
        assert_eq!(matched(store, "word3").await, MANY as u64 / 10 - 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_put_back_from_a_copy_is_not_searched_by_what_was_kept_of_its_other_future() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    kept(&path).await;
    let copy = directory.path().join("copy");
    fs::copy(&path, &copy).unwrap();
    // This future is kept in the place of what was …
    let store = fill(open(&path), MANY..2 * MANY).await;
    for n in 0..20 {
        put(&store, numbered(n, "future")).await;
    }
    assert_eq!(matched(&store, "future").await, 20);
    drop(store);
    // … and did not come.
    fs::copy(&copy, &path).unwrap();
    let store = open(&path);
    for n in 20..40 {
        put(&store, numbered(n, "other")).await;
    }
    assert_eq!((matched(&store, "future").await, matched(&store, "other").await), (0, 20));
    assert_eq!(matched(&store, "word3").await, MANY as u64 / 10 - 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_gives_no_wrong_answer_and_is_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    kept(&path).await;
    let sound = fs::read(beside(&path)).unwrap();
    let mut random = 4_321_usize;
    for round in 0..12 {
        let mut damaged = sound.clone();
        match round {
            0 => damaged.clear(),
            1 => damaged.truncate(sound.len() / 2),
            2 => damaged.fill(0),
            _ => {
                for _ in 0..3 {
                    random = random
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    let bit = (random >> 16) % (damaged.len() * 8);
                    damaged[bit / 8] ^= 1 << (bit % 8);
                }
            }
        }
        for suffix in ["-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{suffix}", beside(&path).display()));
        }
        fs::write(beside(&path), damaged).unwrap();
        let store = open(&path);
        for word in 0..10 {
            assert_eq!(matched(&store, &format!("word{word}")).await, MANY as u64 / 10, "round {round}");
        }
    }
    // After all that it is kept once more.
    drop(open(&path));
    let store = open(&path);
    matched(&store, "word1").await;
    drop(store);
    rewrite(&path, "7-key", "unseen");
    assert_eq!(matched(&open(&path), "unseen").await, 0);
}

/// Writes and searches until it is killed.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "the child of another test"]
async fn child_that_searches_for_ever() {
    let path: PathBuf = std::env::var_os(PATH).expect("run by another test").into();
    let mut store = open(&path);
    let sql = "SELECT coalesce(max(id), 0) FROM entry";
    let highest: i64 = Connection::open(&path).unwrap().query_row(sql, (), |row| row.get(0)).unwrap();
    // Beyond all keys of an earlier child, of whose last writes some may be missing.
    let mut next = highest as usize * 2;
    loop {
        store = fill(store, next..next + MANY).await;
        next += MANY;
        writeln!(std::io::stdout(), "written").unwrap();
        matched(&store, "word0").await;
        writeln!(std::io::stdout(), "kept").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sigkill_while_it_is_kept_makes_no_answer_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    for round in 0..6_u64 {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "search_images::child_that_searches_for_ever", "--ignored", "--nocapture"]);
        command.env(PATH, &path).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        // While it searches, or while what it has read is written.
        let until = if round % 2 == 0 { "written" } else { "kept" };
        assert!(lines.any(|line| line == until));
        std::thread::sleep(Duration::from_millis(round * 3));
        // SIGKILL on Unix.
        child.kill().unwrap();
        child.wait().unwrap();
        let raw = Connection::open(&path).unwrap();
        let count = |word: &str| -> u64 {
            let sql = "SELECT count(*) FROM version WHERE value = ?1";
            raw.query_row(sql, [format!("\"{word}\"")], |row| row.get(0)).unwrap()
        };
        let store = open(&path);
        for word in ["word0", "word5", "word9"] {
            assert_eq!(matched(&store, word).await, count(word), "round {round}");
        }
    }
}
