//! Exact lookup, near lookup and build of the registry, over generated names.
//!
//! `cargo bench -p aqe-core --bench registry`

// A benchmark may stop at once when what it needs cannot be made.
#![allow(clippy::expect_used)]

use std::hint::black_box;
use std::time::SystemTime;

use aqe_core::registry::{
    Annotations, FuzzyPolicy, IndexKind, NamingRule, PrefixPolicy, RawTool, RegistryConfig, ResolvedNames,
    Snapshot, SnapshotBuilder, UpstreamTools,
};
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

use sample_names::{Dice, mistyped, sample};

#[path = "../src/registry/sample_names.rs"]
mod sample_names;

const SEED: u64 = 7;
/// As long as the definitions of real tools are on average (perf.md H: 213 tools, 142,423 bytes).
const DEFINITION_BYTES: usize = 669;

fn manifest(names: &[String]) -> UpstreamTools {
    let tool = |name: &String| {
        let head = format!(r#"{{"name":"{name}","description":""#);
        let filler = "x".repeat(DEFINITION_BYTES.saturating_sub(head.len() + 2));
        let range = 8..8 + name.len() + 2;
        RawTool::new(Bytes::from(format!(r#"{head}{filler}"}}"#)), range, name.as_str())
            .expect("the range is that of the name")
            .with_annotations(Annotations { read_only: Some(true), ..Annotations::default() })
    };
    UpstreamTools {
        name: "all".into(),
        trusted: true,
        tools: names.iter().map(tool).collect(),
        ..UpstreamTools::default()
    }
}

fn config(index: IndexKind) -> RegistryConfig {
    let naming = NamingRule { prefix: PrefixPolicy::Never, ..NamingRule::default() };
    RegistryConfig { index, naming, fuzzy: FuzzyPolicy::Resolve, ..RegistryConfig::default() }
}

fn snapshot(index: IndexKind, names: &[String]) -> Snapshot {
    SnapshotBuilder::new(config(index)).upstream(&manifest(names)).build(SystemTime::UNIX_EPOCH)
}

/// Queries in random order, so that neither table nor names lie in the nearest cache by chance.
fn shuffled(names: &[String], count: usize) -> Vec<&str> {
    let mut dice = Dice(SEED);
    (0..count).map(|_| names[dice.below(names.len())].as_str()).collect()
}

fn exact(c: &mut Criterion) {
    let mut group = c.benchmark_group("exact");
    for (kind, index) in [("hash", IndexKind::Hash), ("trie", IndexKind::Trie)] {
        for size in [213, 1_000, 10_000, 100_000] {
            let (names, _) = sample(size, 0, SEED);
            let snapshot = snapshot(index, &names);
            let queries = shuffled(&names, 1 << 16);
            let mut next = queries.iter().cycle();
            group.bench_function(BenchmarkId::new(kind, size), |b| {
                b.iter(|| snapshot.get(black_box(next.next().expect("a cycle does not end"))).is_some());
            });
        }
    }
    group.finish();
}

fn near(c: &mut Criterion) {
    let (names, absent) = sample(10_000, 1_000, SEED);
    let snapshot = snapshot(IndexKind::Hash, &names);
    let mut dice = Dice(SEED);
    let typed: Vec<String> = shuffled(&names, 1_000)
        .into_iter()
        .map(|name| (0..2).fold(name.to_owned(), |name, _| mistyped(&name, &mut dice)))
        .collect();
    let mut group = c.benchmark_group("near_10000");
    let searched = ResolvedNames::new(0);
    let cached = ResolvedNames::default();
    for (what, queries, resolved) in [
        ("two_errors", &typed, &searched),
        ("two_errors_cached", &typed, &cached),
        ("absent_with_suggestions", &absent, &searched),
    ] {
        let mut next = queries.iter().cycle();
        group.bench_function(what, |b| {
            b.iter(|| {
                let name = next.next().expect("a cycle does not end");
                black_box(snapshot.lookup(black_box(name), resolved, |_| true));
            });
        });
    }
    group.finish();
}

fn build(c: &mut Criterion) {
    let mut group = c.benchmark_group("build");
    group.sample_size(20);
    for (kind, index) in [("hash", IndexKind::Hash), ("trie", IndexKind::Trie)] {
        let (names, _) = sample(10_000, 0, SEED);
        let manifest = manifest(&names);
        group.bench_function(BenchmarkId::new(kind, 10_000), |b| {
            b.iter_with_large_drop(|| {
                SnapshotBuilder::new(config(index))
                    .upstream(black_box(&manifest))
                    .build(SystemTime::UNIX_EPOCH)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, exact, near, build);
criterion_main!(benches);
