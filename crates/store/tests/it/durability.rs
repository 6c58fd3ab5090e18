//! What was answered stays, whatever dies.
//!
//! The other process is this test binary again, running one of the ignored tests below with its
//! instructions in the environment.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use aqe_store::{Absence, Lookup, Put, SqliteStore, Store as _, StoreError};

use crate::support::{absent, found, fresh, open, put, question, write};

const PATH: &str = "AQE_STORE_TEST_PATH";

pub(crate) fn child(test: &str, path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"])
        .env(PATH, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

pub(crate) fn child_store() -> Arc<SqliteStore> {
    let path = std::env::var_os(PATH).expect("run by another test");
    Arc::new(open(Path::new(&path)))
}

/// Writes from eight tasks at once and prints each key once it is answered, until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child of another test"]
async fn child_that_writes_for_ever() {
    let store = child_store();
    let round = std::process::id();
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for n in 0_u32.. {
                    let key = format!("{round}-{task}-{n}");
                    put(&*store, write(&key, &format!("\"{key}\""))).await;
                    writeln!(std::io::stdout(), "wrote {key}").unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn every_answered_write_survives_sigkill_and_none_is_half_there() {
    let (directory, store) = fresh();
    let path = directory.path().join("store.db");
    drop(store);
    let mut answered = Vec::new();
    for round in 0..8 {
        let mut child = child("durability::child_that_writes_for_ever", &path);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for _ in 0..40 * round + 5 {
            let line = lines.next().expect("the child goes on writing").unwrap();
            answered.extend(line.strip_prefix("wrote ").map(str::to_owned));
        }
        // SIGKILL on Unix. What it printed before it died was answered, too.
        child.kill().unwrap();
        child.wait().unwrap();
        answered.extend(lines.map_while(Result::ok).filter_map(|line| {
            let whole = line.strip_prefix("wrote ").map(str::to_owned);
            whole.filter(|key| key.split('-').count() == 3)
        }));
    }
    assert!(answered.len() > 1_000, "only {} writes", answered.len());
    let store = open(&path);
    let mut missing = Vec::new();
    for key in &answered {
        match store.get(question(key)).await.unwrap() {
            Lookup::Found(entry) => assert_eq!(entry.value, format!("\"{key}\"")),
            Lookup::Absent(_) => missing.push(key),
        }
    }
    assert!(missing.is_empty(), "lost {missing:?} of {}", answered.len());
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
}

/// Commits of another process, of eight writes each, that may go before one of ours. A fair share is one.
const STARVED: usize = 100;

/// Adds one to the counter two hundred times.
async fn count_up(store: &SqliteStore) {
    for _ in 0..200 {
        loop {
            let entry = found(store, question("counter")).await;
            let next = entry.value.parse::<u64>().unwrap() + 1;
            let attempt = Put { if_version: Some(entry.version), ..write("counter", &next.to_string()) };
            match store.put(attempt).await {
                Ok(_) => break,
                Err(StoreError::VersionConflict { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[tokio::test]
#[ignore = "the child of another test"]
async fn child_that_counts() {
    count_up(&child_store()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_on_one_file_lose_no_update() {
    let (directory, store) = fresh();
    put(&store, write("counter", "0")).await;
    let path = directory.path().join("store.db");
    let mut child = child("durability::child_that_counts", &path);
    count_up(&store).await;
    assert!(child.wait().unwrap().success());
    assert_eq!(found(&store, question("counter")).await.value, "400");
}

/// Each write comes to its turn among those of a process that never rests.
#[tokio::test]
async fn no_writer_is_starved_by_another_process() {
    const OWN: usize = 40;
    let (directory, store) = fresh();
    let path = directory.path().join("store.db");
    let mut child = child("durability::child_that_writes_for_ever", &path);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.by_ref().map(Result::unwrap).find(|line| line.starts_with("wrote ")).expect("the child writes");
    let others = std::thread::spawn(move || lines.map_while(Result::ok).count());
    for n in 0..OWN {
        put(&store, write(&format!("own-{n}"), "1")).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let others = others.join().unwrap();
    println!("{OWN} writes beside {others} of another process");
    assert!(others < OWN * 8 * STARVED, "{OWN} writes took as long as {others} of another process");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_in_one_process_are_answered_each_with_its_own_version() {
    let (_directory, store) = fresh();
    let store = Arc::new(store);
    let tasks: Vec<_> = (0..500)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { put(&*store, write("k", &n.to_string())).await.version })
        })
        .collect();
    let mut versions = Vec::new();
    for task in tasks {
        versions.push(task.await.unwrap());
    }
    versions.sort_unstable();
    assert_eq!(versions, (1..=500).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_write_that_is_cancelled_before_it_began_is_not_made() {
    let (directory, store) = fresh();
    let other = rusqlite::Connection::open(directory.path().join("store.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let cancel_one_and_unlock = async {
        let cancelled = store.put(write("cancelled", "1"));
        assert!(tokio::time::timeout(Duration::from_millis(20), cancelled).await.is_err());
        other.execute_batch("COMMIT").unwrap();
    };
    let (waited, ()) = tokio::join!(store.put(write("waited", "1")), cancel_one_and_unlock);
    waited.unwrap();
    found(&store, question("waited")).await;
    assert_eq!(absent(&store, question("cancelled")).await, Absence::NoEntry);
}

#[tokio::test]
#[ignore = "the child of another test"]
async fn child_that_writes_once() {
    put(&*child_store(), write(&std::process::id().to_string(), "1")).await;
}

#[tokio::test]
async fn many_processes_may_make_the_same_file_at_once() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..5 {
        let path = directory.path().join(format!("{round}/store.db"));
        let children: Vec<_> = (0..6).map(|_| child("durability::child_that_writes_once", &path)).collect();
        let mut keys = Vec::new();
        for mut child in children {
            keys.push(child.id().to_string());
            assert!(child.wait().unwrap().success());
        }
        let store = open(&path);
        for key in keys {
            found(&store, question(&key)).await;
        }
    }
}
