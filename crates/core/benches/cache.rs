//! What a hit costs on each level in memory, with one and with two threads, and how often there is one.
//!
//! `cargo bench -p aqe-core --bench cache`

// A benchmark may stop at once when what it needs cannot be made, and prints what it finds.
#![allow(clippy::expect_used, clippy::print_stderr)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aqe_core::cache::{
    Body, Caching, Entry, Life, Memory, MemoryConfig, Namespace, Parts, Place, Question, Scope, Source,
    Stamp, UpstreamRules, canonicalize,
};
use aqe_core::registry::{Annotations, Glob};
use aqe_core::revision::Era;
use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

use zipf::{Zipf, least_recently_used, optimal};

#[path = "../src/cache/zipf.rs"]
mod zipf;

fn place() -> Arc<Place> {
    let source = Source {
        rules: UpstreamRules {
            tools: vec![(Glob::new("*"), Duration::from_secs(3_600))],
            ..UpstreamRules::default()
        },
        namespace: Arc::new(Namespace::new("up")),
        identity: [0; 32],
        hints: true,
    };
    match source.of_tool("tool", Annotations::default(), b"{}") {
        Caching::Keeps(place) => place,
        Caching::None | Caching::Invalidates(_) => unreachable!("the rule fits every tool"),
    }
}

fn question<'a>(place: &'a Place, arguments: &'a str) -> Question<'a> {
    let arguments = arguments.as_bytes();
    Question { place, era: Era::Modern, name: "tool", arguments, capabilities: b"{}", principal: "local" }
}

fn put(memory: &Memory, question: &Question<'_>, body: &Body, now: Instant) {
    let key = question.keys().expect("the arguments are JSON").of(Scope::Private);
    let life = Life::of(&question.place.rule, body).expect("the rule keeps it");
    let parts = Parts {
        place: question.place,
        name: "tool",
        body: body.clone(),
        life,
        stamp: Stamp::ORIGIN,
        age: Duration::ZERO,
    };
    memory.put(&key, Entry::new(parts, now), now);
}

/// The reply of the second level, from the text of the question on.
fn second(memory: &Memory, question: &Question<'_>, now: Instant) -> Option<[Bytes; 3]> {
    let keys = question.keys()?;
    Some(memory.get(&keys.of(Scope::Private), question, now)?.reply("17"))
}

/// Arguments as agents send them, about 200 bytes.
fn arguments(n: usize) -> String {
    format!(
        r#"{{"query":"how is the cache of number {n} made invalid","path":"/home/user/project/src/{n}.rs","limit":20,"options":{{"case_sensitive":false,"regex":true,"context":3}},"exclude":["target","node_modules"]}}"#
    )
}

fn body(length: usize) -> Body {
    let text = "x".repeat(length);
    let result = format!(
        r#"{{"resultType":"complete","content":[{{"type":"text","text":"{text}"}}],"isError":false}}"#
    );
    Body::read(result.into()).expect("it is a result")
}

fn hits(c: &mut Criterion) {
    let (place, now) = (place(), Instant::now());
    let asked = arguments(1);
    let question = question(&place, &asked);
    let mut group = c.benchmark_group("hit, 200 bytes of arguments, reply of");
    for length in [200, 7_000, 175_000] {
        let cold = Memory::new(MemoryConfig { hot_entries: 0, ..MemoryConfig::default() });
        put(&cold, &question, &body(length), now);
        group.bench_function(BenchmarkId::new("l2", length), |b| {
            b.iter(|| second(black_box(&cold), black_box(&question), now).expect("it is there"));
        });
        let memory = Memory::new(MemoryConfig::default());
        put(&memory, &question, &body(length), now);
        for _ in 0..3 {
            second(&memory, &question, now);
        }
        if memory.hot(&question, "17", now).is_none() {
            continue;
        }
        group.bench_function(BenchmarkId::new("l1", length), |b| {
            b.iter(|| memory.hot(black_box(&question), "17", now).expect("it is there"));
        });
    }
    group.finish();
    let mut group = c.benchmark_group("parts of a hit");
    group.bench_function("canonical form", |b| {
        let mut out = Vec::with_capacity(512);
        b.iter(|| {
            out.clear();
            canonicalize(black_box(asked.as_bytes()), &mut out).expect("it is JSON");
        });
    });
    group.bench_function("key", |b| {
        b.iter(|| black_box(&question).keys().expect("it is JSON").of(Scope::Private));
    });
    let short = body(200);
    group.bench_function("reply of 200 bytes", |b| {
        let note = aqe_core::cache::Note { level: "l2", age_ms: 12, stale: false };
        b.iter(|| black_box(&short).reply("17", note));
    });
    group.finish();
}

fn misses(c: &mut Criterion) {
    let (place, now) = (place(), Instant::now());
    let memory = Memory::new(MemoryConfig::default());
    let asked = arguments(1);
    let question = question(&place, &asked);
    let mut group = c.benchmark_group("miss");
    group.bench_function("l1", |b| b.iter(|| memory.hot(black_box(&question), "17", now).is_none()));
    group.bench_function("l2", |b| b.iter(|| second(&memory, black_box(&question), now).is_none()));
    let short = body(200);
    group.bench_function("put", |b| b.iter(|| put(&memory, black_box(&question), &short, now)));
    group.finish();
}

/// The time of one hit when two threads ask for the same few entries all the time.
fn contended(c: &mut Criterion) {
    let (place, now) = (place(), Instant::now());
    let memory = Memory::new(MemoryConfig::default());
    let all: Vec<String> = (0..8).map(arguments).collect();
    for asked in &all {
        let question = question(&place, asked);
        put(&memory, &question, &body(200), now);
        for _ in 0..3 {
            second(&memory, &question, now);
        }
    }
    let mut group = c.benchmark_group("two threads, 8 entries");
    for (name, hot) in [("l1", true), ("l2", false)] {
        group.bench_function(name, |b| {
            b.iter_custom(|rounds| {
                let each = |offset: usize| {
                    for n in 0..rounds as usize {
                        let question = question(&place, &all[(n + offset) % all.len()]);
                        let reply = if hot {
                            memory.hot(&question, "17", now)
                        } else {
                            second(&memory, &question, now)
                        };
                        black_box(reply);
                    }
                };
                let started = Instant::now();
                std::thread::scope(|scope| {
                    scope.spawn(|| each(0));
                    each(3);
                });
                started.elapsed()
            });
        });
    }
    group.finish();
}

/// No time, but a rate: printed beside what theory allows.
fn hit_rates(_: &mut Criterion) {
    let (place, now) = (place(), Instant::now());
    let short = body(200);
    eprintln!("hit rate, Zipf, 100,000 questions, after as many draws again");
    eprintln!("exponent  entries  l1+l2  of them l1  l2 alone  LRU (Che)  optimum");
    for exponent in [0.7, 0.9, 1.1] {
        for entries in [1_000, 10_000] {
            let mut zipf = Zipf::new(100_000, exponent, 7);
            let mut rates = [512, 0].map(|hot_entries| {
                let memory = Memory::new(MemoryConfig {
                    hot_entries,
                    max_entries: entries,
                    ..MemoryConfig::default()
                });
                let mut counted = (0, 0);
                for round in 0..600_000 {
                    let asked = zipf.next().to_string();
                    let question = question(&place, &asked);
                    let first = memory.hot(&question, "17", now).is_some();
                    let hit = first || second(&memory, &question, now).is_some();
                    if !hit {
                        put(&memory, &question, &short, now);
                    }
                    if round >= 300_000 {
                        counted.0 += usize::from(hit);
                        counted.1 += usize::from(first);
                    }
                }
                (counted.0 as f64 / 300_000.0, counted.1 as f64 / 300_000.0)
            });
            for rate in &mut rates {
                *rate = (rate.0 * 100.0, rate.1 * 100.0);
            }
            let lru = 100.0 * least_recently_used(&zipf, entries);
            let best = 100.0 * optimal(&zipf, entries);
            let [(both, first), (alone, _)] = rates;
            eprintln!(
                "{exponent:>8}  {entries:>7}  {both:>5.1}  {first:>10.1}  {alone:>8.1}  {lru:>9.1}  {best:>7.1}"
            );
        }
    }
}

criterion_group!(benches, hit_rates, hits, misses, contended);
criterion_main!(benches);
