//! What memory search costs at 100,000 entries in 8 namespaces, beside a plain FTS5 query (the query's words with OR, the 100
//! best) over the same texts in the same run.
//!
//! `cargo bench -p aqe-store --bench search`; `AQE_ENTRIES=10000` for another size.

// A benchmark may stop at once when what it needs cannot be made, and prints what it finds.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aqe_store::{
    Attributes, Embedder, Filters, MemorySearch as _, OnConflict, Put, Search, SqliteOptions, SqliteStore,
    Store as _,
};
use rusqlite::Connection;

const NAMESPACES: usize = 8;
const QUERIES: usize = 200;
const NOW: i64 = 1_790_000_000_000;
const DIMS: usize = 64;
const KINDS: [&str; 2] = ["fact", "decision"];

/// Vectors as long as the real model's. What they mean is no matter of time.
#[derive(Debug)]
struct Digest;

impl Embedder for Digest {
    fn key(&self) -> &'static str {
        "digest"
    }

    fn dims(&self) -> usize {
        DIMS
    }

    fn embed(&self, text: &str) -> Option<Vec<i8>> {
        let mut state = 0_u64;
        for byte in text.bytes() {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        let mut chance = Chance(state | 1);
        Some((0..DIMS).map(|_| ((chance.next() >> 56) as u8).cast_signed()).collect())
    }
}

/// Numbers without order (xorshift), the same in each run.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A word of a vocabulary of 20,000, as often as words of a language are: the n-th in proportion to 1/n.
    fn word(&mut self) -> String {
        let uniform = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        let rank = 20_000_f64.powf(uniform) as u64;
        format!("w{}", rank * 2_654_435_761 % 99_991)
    }

    fn text(&mut self, words: usize) -> String {
        (0..words).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let entries = std::env::var("AQE_ENTRIES").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let mut chance = Chance(7);
    let texts: Vec<String> = (0..entries).map(|n| chance.text(20 + n % 40)).collect();
    fill(&path, &texts).await;
    let queries: Vec<String> = (0..QUERIES).map(|n| chance.text(4 + n % 9)).collect();

    println!("{:<52} {:>9} {:>9} {:>9}", format!("ms, {entries} entries"), "p50", "p95", "most");
    let before = resident();
    first("the first search, which reads everything", &open(&path)).await;
    // What that search has kept is written by now.
    let store = open(&path);
    first("the first search of the next process", &store).await;
    let searching = resident().zip(before).map(|(after, before)| after.saturating_sub(before));
    let all = timed(&store, &queries, |query| search(query, &[])).await;
    report("search, all namespaces", &all);
    let one = timed(&store, &queries, |query| search(query, &["n3"])).await;
    report("search, one namespace", &one);
    let filtered = timed(&store, &queries, |query| {
        let filters = Filters { tags: vec!["t3".into()], ..Filters::default() };
        Search { filters, ..search(query, &[]) }
    })
    .await;
    report("search, all namespaces, one tag", &filtered);
    let filtered = timed(&store, &queries, |query| {
        let filters = Filters { kind: Some("fact".into()), since: Some(NOW), ..Filters::default() };
        Search { filters, ..search(query, &[]) }
    })
    .await;
    report("search, all namespaces, one kind, since a moment", &filtered);
    let mut after_write = Vec::new();
    for (n, query) in queries.iter().enumerate() {
        store.put(put(n, &texts[n])).await.unwrap();
        let began = Instant::now();
        store.candidates(search(query, &[])).await.unwrap();
        after_write.push(began.elapsed());
    }
    report("search, all namespaces, each after a write", &after_write);
    let store = Arc::new(store);
    let (writer, some) = (Arc::clone(&store), texts[..1_000].to_vec());
    let writing = tokio::spawn(async move {
        for n in (0..some.len()).cycle() {
            writer.put(put(n, &some[n])).await.unwrap();
        }
    });
    let beside = timed(&store, &queries, |query| search(query, &[])).await;
    writing.abort();
    report("search, all namespaces, while another task writes", &beside);
    let fts5 = fts5(&texts, &queries);
    report("FTS5 with OR, all", &fts5);
    println!("ratio of p95, FTS5 to search of all namespaces: {:.1}", at(&fts5, 0.95) / at(&all, 0.95));
    match searching {
        Some(kib) => println!("resident memory that searching took: {:.0} MiB", kib as f64 / 1024.0),
        None => println!("resident memory is not known here"),
    }
}

async fn first(what: &str, store: &SqliteStore) {
    let (began, used) = (Instant::now(), processor_ms());
    store.candidates(search("w1", &[])).await.unwrap();
    let took = began.elapsed().as_secs_f64() * 1e3;
    match used.zip(processor_ms()) {
        Some((before, after)) => {
            println!("{what:<52} {took:>9.0}    {} ms of processor time", after - before);
        }
        None => println!("{what:<52} {took:>9.0}"),
    }
}

/// Processor time of this process, all threads, in milliseconds (to 10 of them); `None` where nobody tells.
fn processor_ms() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Behind the name, which may hold anything; ticks are hundredths of a second on Linux.
    let mut fields =
        stat.rsplit_once(") ")?.1.split(' ').skip(11).map_while(|field| field.parse::<u64>().ok());
    Some((fields.next()? + fields.next()?) * 10)
}

/// KiB of this process in memory; `None` where nobody tells.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

fn open(path: &Path) -> SqliteStore {
    let options = SqliteOptions { embedder: Some(Arc::new(Digest)), ..SqliteOptions::default() };
    SqliteStore::open(path, &options).unwrap()
}

fn put(n: usize, text: &str) -> Put {
    Put {
        principal: "bench".into(),
        namespace: format!("n{}", n % NAMESPACES),
        key: format!("key-{n}"),
        value: format!("\"{text}\""),
        attributes: Attributes {
            tags: Some(vec![format!("t{}", n % 10)]),
            kind: Some(KINDS[n % 2].into()),
            ..Attributes::default()
        },
        valid_from: None,
        if_version: None,
        on_conflict: OnConflict::Version,
        now: NOW,
    }
}

async fn fill(path: &Path, texts: &[String]) {
    let store = open(path);
    let began = Instant::now();
    for (start, batch) in texts.chunks(128).enumerate() {
        let writes: Vec<_> =
            batch.iter().enumerate().map(|(n, text)| store.put(put(start * 128 + n, text))).collect();
        futures_of(writes).await;
    }
    let each = began.elapsed().as_secs_f64() * 1e6 / texts.len() as f64;
    println!("writing: {each:.1} us each, 128 at once");
}

/// Waits for all of them, all under way.
async fn futures_of<T>(futures: Vec<aqe_store::StoreFuture<'_, T>>) {
    let mut waiting = futures;
    std::future::poll_fn(|context| {
        waiting.retain_mut(|future| match future.as_mut().poll(context) {
            std::task::Poll::Ready(done) => {
                done.unwrap();
                false
            }
            std::task::Poll::Pending => true,
        });
        if waiting.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

fn search(query: &str, namespaces: &[&str]) -> Search {
    Search {
        principal: "bench".into(),
        namespaces: namespaces.iter().map(|&name| name.to_owned()).collect(),
        query: query.to_owned(),
        filters: Filters::default(),
        most: 100,
        at: NOW,
        now: NOW,
    }
}

async fn timed(store: &SqliteStore, queries: &[String], ask: impl Fn(&str) -> Search) -> Vec<Duration> {
    let mut times = Vec::new();
    for query in queries {
        let began = Instant::now();
        let found = store.candidates(ask(query)).await.unwrap();
        times.push(began.elapsed());
        assert!(!found.candidates.is_empty());
    }
    times
}

fn fts5(texts: &[String], queries: &[String]) -> Vec<Duration> {
    let connection = Connection::open_in_memory().unwrap();
    connection
        .execute_batch("CREATE VIRTUAL TABLE d USING fts5(text, tokenize = 'porter unicode61'); BEGIN")
        .unwrap();
    for text in texts {
        connection.prepare_cached("INSERT INTO d VALUES (?1)").unwrap().execute([text]).unwrap();
    }
    connection.execute_batch("COMMIT; INSERT INTO d (d) VALUES ('optimize')").unwrap();
    let mut find =
        connection.prepare("SELECT rowid, rank FROM d WHERE d MATCH ?1 ORDER BY rank LIMIT 100").unwrap();
    let ask = |query: &String| {
        let question = query.split(' ').collect::<Vec<_>>().join(" OR ");
        let began = Instant::now();
        let rows = find.query_map([question], |row| row.get::<_, i64>(0)).unwrap().count();
        assert!(rows > 0);
        began.elapsed()
    };
    queries.iter().map(ask).collect()
}

/// In milliseconds.
fn at(times: &[Duration], quantile: f64) -> f64 {
    let mut times = times.to_vec();
    times.sort_unstable();
    times[((quantile * times.len() as f64).ceil() as usize).saturating_sub(1)].as_secs_f64() * 1e3
}

fn report(what: &str, times: &[Duration]) {
    println!("{what:<52} {:>9.2} {:>9.2} {:>9.2}", at(times, 0.5), at(times, 0.95), at(times, 1.0));
}
