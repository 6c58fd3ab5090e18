//! Latency of the memory tools, called as the gateway calls them, on a file in the temporary directory:
//! empty and with 10,000 entries, one call at a time and 32 in flight; what handing a read to a thread
//! would cost; what opening costs.
//!
//! `cargo bench -p aqe-qe --bench memory`

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use aqe_core::inprocess::{Caller, InProcess};
use aqe_store::{At, EntryRef, Get, Lookup, SqliteOptions, SqliteStore, Store};
use tokio::sync::oneshot;

/// Calls per figure.
const SAMPLES: usize = 4_000;
/// Calls in flight in the throughput figures.
const IN_FLIGHT: usize = 32;
/// Entries of the filled store.
const ENTRIES: usize = 10_000;
/// The clock stands still: nothing here expires.
const NOW: i64 = 1_795_253_400_000;

fn main() {
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    println!("{:<46} {:>9} {:>9} {:>9}", "µs", "p50", "p95", "p99");
    opening(directory.path());
    let checked = directory.path().join("checked.db");
    runtime.block_on(fill(&checked, 1_500));
    let kib = std::fs::metadata(&checked).unwrap().len() / 1_024;
    open_and_close(&format!("a store of {kib} KiB, checked whole"), (0..50).map(|_| checked.as_path()));
    runtime.block_on(async {
        // On a worker, as the gateway's calls are, and not on the thread that started the runtime.
        let path = directory.path().join("memory.db");
        tokio::spawn(async move { calls(&path).await }).await.unwrap();
    });
    let path = directory.path().join("memory.db");
    open_and_close("a store of 14,000 entries", (0..50).map(|_| path.as_path()));
    println!("file: {} KiB", std::fs::metadata(&path).unwrap().len() / 1_024);
}

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, &SqliteOptions { embedder: Some(aqe_qe::embedder()), ..SqliteOptions::default() })
        .unwrap()
}

fn opening(directory: &Path) {
    let new: Vec<_> = (0..50).map(|n| directory.join(format!("new{n}.db"))).collect();
    open_and_close("a new file", new.iter().map(PathBuf::as_path));
    open_and_close("an empty store", (0..50).map(|_| new[0].as_path()));
}

fn open_and_close<'a>(what: &str, paths: impl Iterator<Item = &'a Path>) {
    let (mut opens, mut closes) = (Vec::new(), Vec::new());
    for path in paths {
        let started = Instant::now();
        let store = open(path);
        opens.push(started.elapsed());
        let started = Instant::now();
        drop(store);
        closes.push(started.elapsed());
    }
    report(&format!("open {what}"), opens);
    report(&format!("close {what}"), closes);
}

/// Of the size of a small store: what is checked whole at opening is at most 1 MiB.
async fn fill(path: &Path, entries: usize) {
    let tools = aqe_qe::builtin(Arc::new(open(path)), &aqe_qe::Settings::default(), || NOW);
    for n in 0..entries {
        let value = "what was found ".repeat(20);
        let arguments = format!(r#"{{"namespace":"bench","key":"key-{n}","value":"{value}"}}"#);
        call(&tools, "qe_memory_store", &arguments).await;
    }
}

async fn calls(path: &Path) {
    let durable = Arc::new(open(path));
    let tools = aqe_qe::builtin(Arc::clone(&durable) as Arc<dyn Store>, &aqe_qe::Settings::default(), || NOW);
    let value = format!("{{\"text\":\"{}\",\"n\":12}}", "what was found ".repeat(20));
    let store = |n: usize| format!(r#"{{"namespace":"bench","key":"key-{n}","value":{value}}}"#);
    let retrieve = |n: usize| format!(r#"{{"namespace":"bench","key":"key-{n}"}}"#);

    println!("store, then retrieve, of {}-byte values", value.len());
    one_by_one("store, from empty", &tools, "qe_memory_store", (0..SAMPLES).map(store)).await;
    one_by_one(
        "retrieve, few entries",
        &tools,
        "qe_memory_retrieve",
        (0..SAMPLES).map(|n| retrieve(n % 100)),
    )
    .await;
    for n in SAMPLES..ENTRIES {
        call(&tools, "qe_memory_store", &store(n)).await;
    }
    let scattered = |n: usize| n * 7_919 % ENTRIES;
    one_by_one(
        "store a new key, 10,000 entries",
        &tools,
        "qe_memory_store",
        (ENTRIES..ENTRIES + SAMPLES).map(store),
    )
    .await;
    one_by_one(
        "store a version, 10,000 entries",
        &tools,
        "qe_memory_store",
        (0..SAMPLES).map(|n| store(scattered(n))),
    )
    .await;
    one_by_one(
        "retrieve, 10,000 entries",
        &tools,
        "qe_memory_retrieve",
        (0..SAMPLES).map(|n| retrieve(scattered(n))),
    )
    .await;
    at_once("retrieve", &tools, "qe_memory_retrieve", (0..40_000).map(|n| retrieve(scattered(n))).collect())
        .await;
    at_once("store", &tools, "qe_memory_store", (0..20_000).map(|n| store(scattered(n))).collect()).await;
    for kib in [64, 1_023] {
        let big = format!(r#"{{"namespace":"bench","key":"big","value":"{}"}}"#, "x".repeat(kib << 10));
        one_by_one(&format!("store {kib} KiB"), &tools, "qe_memory_store", (0..50).map(|_| big.clone()))
            .await;
        let get = (0..200).map(|_| r#"{"namespace":"bench","key":"big"}"#.to_owned());
        one_by_one(&format!("retrieve {kib} KiB"), &tools, "qe_memory_retrieve", get).await;
    }
    where_to_read(&durable).await;
}

/// The store's read alone: on the caller's thread, as it is; on a thread of its own; on the runtime's
/// blocking pool.
async fn where_to_read(store: &Arc<SqliteStore>) {
    let key = |n: usize| format!("key-{}", n * 7_919 % ENTRIES);
    let mut samples = Vec::new();
    for n in 0..SAMPLES {
        let started = Instant::now();
        assert!(matches!(store.get(question(&key(n))).await, Ok(Lookup::Found(_))));
        samples.push(started.elapsed());
    }
    report("read on the caller's thread", samples);

    let thread = reader_thread(Arc::clone(store));
    let mut samples = Vec::new();
    for n in 0..SAMPLES {
        let started = Instant::now();
        let (reply, answer) = oneshot::channel();
        thread.send((key(n), reply)).unwrap();
        assert!(matches!(answer.await.unwrap(), Lookup::Found(_)));
        samples.push(started.elapsed());
    }
    report("read on a thread of its own", samples);

    let mut samples = Vec::new();
    for n in 0..SAMPLES {
        let started = Instant::now();
        let (store, key) = (Arc::clone(store), key(n));
        let read = move || tokio::runtime::Handle::current().block_on(store.get(question(&key))).unwrap();
        assert!(matches!(tokio::task::spawn_blocking(read).await.unwrap(), Lookup::Found(_)));
        samples.push(started.elapsed());
    }
    report("read on the blocking pool", samples);
}

fn question(key: &str) -> Get<'_> {
    let entry = EntryRef::Key(key);
    Get { principal: "bench", namespace: "bench", entry, at: At::Now, history: false, now: NOW }
}

fn reader_thread(store: Arc<SqliteStore>) -> SyncSender<(String, oneshot::Sender<Lookup>)> {
    let (send, receive) = sync_channel::<(String, oneshot::Sender<Lookup>)>(64);
    let runtime = tokio::runtime::Handle::current();
    std::thread::spawn(move || {
        for (key, reply) in receive {
            let _ = reply.send(runtime.block_on(store.get(question(&key))).unwrap());
        }
    });
    send
}

async fn call(tools: &Arc<dyn InProcess>, tool: &str, arguments: &str) {
    let caller =
        Caller { principal: "bench", deadline: Instant::now() + Duration::from_secs(60), progress: None };
    let reply = tools.call(tool, arguments, caller).await.unwrap();
    assert!(!reply.is_error, "{}", String::from_utf8_lossy(&reply.json));
}

async fn one_by_one(
    what: &str,
    tools: &Arc<dyn InProcess>,
    tool: &str,
    arguments: impl Iterator<Item = String>,
) {
    let mut samples = Vec::new();
    for arguments in arguments {
        let started = Instant::now();
        call(tools, tool, &arguments).await;
        samples.push(started.elapsed());
    }
    report(what, samples);
}

async fn at_once(what: &str, tools: &Arc<dyn InProcess>, tool: &'static str, arguments: Vec<String>) {
    let calls = arguments.len();
    let arguments = Arc::new(arguments);
    let started = Instant::now();
    let tasks: Vec<_> = (0..IN_FLIGHT)
        .map(|task| {
            let (tools, arguments) = (Arc::clone(tools), Arc::clone(&arguments));
            tokio::spawn(async move {
                for arguments in arguments.iter().skip(task).step_by(IN_FLIGHT) {
                    call(&tools, tool, arguments).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let per_second = calls as f64 / started.elapsed().as_secs_f64();
    println!("{:<46} {per_second:>9.0} per second", format!("{what}, {IN_FLIGHT} in flight"));
}

fn report(what: &str, mut samples: Vec<Duration>) {
    samples.sort_unstable();
    let at = |quantile: f64| {
        let rank = (quantile * samples.len() as f64).ceil() as usize;
        samples[rank.saturating_sub(1)].as_secs_f64() * 1e6
    };
    println!("{what:<46} {:>9.1} {:>9.1} {:>9.1}", at(0.50), at(0.95), at(0.99));
}
