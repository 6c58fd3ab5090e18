//! What the result cache's level on disk costs: a hit, a miss, and taking an answer in.
//!
//! `cargo bench -p aqe-store --bench cache`

// A benchmark may stop at once when what it needs cannot be made, and prints what it finds.
#![allow(clippy::expect_used, clippy::print_stderr)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use aqe_core::cache::{Disk as _, Key, Kind, Namespace, Record, Scope};
use aqe_store::{DiskCache, DiskCacheOptions};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

const ENTRIES: u64 = 20_000;
const NOW: i64 = 1_790_000_000_000;

/// Keys as long as those of calls with 200 bytes of arguments.
fn record(space: &Arc<Namespace>, n: u64, length: usize) -> Record {
    Record {
        key: Key::from_bytes(format!("{n:0>280}").as_bytes()),
        namespace: Arc::clone(space),
        kind: Kind::Tools,
        name: "tool".into(),
        result: format!(r#"{{"content":[{{"type":"text","text":"{}"}}]}}"#, "x".repeat(length)).into(),
        stamp: space.stamp(Kind::Tools, "tool"),
        scope: Scope::Private,
        made_at: NOW,
        fresh_ms: 3_600_000,
        stale_ms: 0,
    }
}

fn disk(c: &mut Criterion) {
    let space = Arc::new(Namespace::new("up"));
    for length in [200, 2_000, 20_000] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let options = DiskCacheOptions { max_bytes: 2 << 30 };
        let cache = DiskCache::start(folder.path(), options).expect("a thread");
        cache.flush();
        let began = Instant::now();
        for n in 0..ENTRIES {
            cache.put(record(&space, n, length));
            if n % 500 == 499 {
                cache.flush();
            }
        }
        cache.flush();
        let each = began.elapsed().as_secs_f64() * 1e6 / ENTRIES as f64;
        eprintln!("put, {length} bytes, in batches of 128: {each:.1} us each; {:?}", cache.read());
        let mut group = c.benchmark_group("l3");
        let mut n = 0;
        group.bench_function(BenchmarkId::new("hit", length), |b| {
            b.iter(|| {
                n = (n + 7_919) % ENTRIES;
                let key = record(&space, n, 0).key;
                cache.get(black_box(&key), &space, Kind::Tools, "tool", NOW + 1).expect("it is there")
            });
        });
        group.bench_function(BenchmarkId::new("miss", length), |b| {
            b.iter(|| {
                n += 1;
                let key = record(&space, ENTRIES + n, 0).key;
                cache.get(black_box(&key), &space, Kind::Tools, "tool", NOW + 1).is_none()
            });
        });
        group.finish();
    }
}

criterion_group!(benches, disk);
criterion_main!(benches);
