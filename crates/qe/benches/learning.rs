//! Latency of the learning tools, called as the gateway calls them, over a store with 9,800 patterns and 98,000
//! observations, to which 200 of each come, in a temporary directory. Beside the times of the clock stands the processor's mean, which other programs on the
//! machine change less.
//!
//! `cargo bench -p aqe-qe --bench learning`

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use aqe_core::inprocess::{Caller, InProcess};
use aqe_store::learning::{Observation, Polarity, Rule, Subject, Texts, Trials};
use aqe_store::{LearningStore as _, SqliteOptions, SqliteStore};
use serde_json::json;

const OBSERVATIONS_OF_EACH: u32 = 10;
const CALLS: u64 = 200;
/// With those that are recorded as many as there may be.
const PATTERNS: u64 = 10_000 - CALLS;
const NOW: i64 = 1_795_253_400_000;

fn main() {
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let path = directory.path().join("learning.db");
        tokio::spawn(async move { measure(&path).await }).await.unwrap();
    });
}

/// Words in an order that depends on the number alone.
fn words(number: u64, count: u64) -> String {
    const SOME: [&str; 32] = [
        "retry", "network", "test", "mock", "seed", "random", "fixture", "branch", "coverage", "split",
        "function", "timeout", "database", "rollback", "parser", "boundary", "value", "error", "message",
        "assert", "snapshot", "cache", "stale", "report", "import", "cycle", "thread", "race", "lock",
        "order", "flaky", "module",
    ];
    let pick = |place: u64| {
        let mixed = (number * 31 + place).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        SOME[mixed as usize % SOME.len()]
    };
    (0..count).map(pick).collect::<Vec<_>>().join(" ")
}

fn observation(number: u64, round: u32) -> Observation {
    let (language, framework) =
        [("python", "pytest"), ("go", "testing"), ("rust", "nextest")][number as usize % 3];
    let succeeds = (number * 7 + u64::from(round) * 13) % 10 < 3 + number % 7;
    Observation {
        pattern: Subject::Titled {
            polarity: if number % 10 == 9 { Polarity::Avoid } else { Polarity::Do },
            title: format!("{} {number}", words(number, 5)),
            texts: Texts {
                description: words(number + 1, 20),
                content: words(number + 2, 60),
                tags: vec!["bench".into()],
            },
        },
        levels: vec![format!("{language}\u{1f}{framework}"), language.into()],
        trials: Trials {
            successes: u32::from(succeeds),
            failures: u32::from(!succeeds),
            evidence: Some(format!("run {round}")),
            at: NOW - i64::from(OBSERVATIONS_OF_EACH - round) * 86_400_000,
            ..Trials::default()
        },
        used: None,
    }
}

async fn measure(path: &std::path::Path) {
    let store = SqliteStore::open(path, &SqliteOptions::default()).unwrap();
    // The tools' own rule is theirs; the state that this one leaves is decided anew when it is read.
    let rule = Rule { half_life_ms: 30.0 * 86_400_000.0, back_off_below: 5.0, decide: |was, _, _| was };
    let started = Instant::now();
    for round in 0..OBSERVATIONS_OF_EACH {
        let batch = (0..PATTERNS).map(|number| observation(number, round)).collect();
        store.observe("bench".into(), batch, rule).await.unwrap();
    }
    let total = PATTERNS * u64::from(OBSERVATIONS_OF_EACH);
    println!(
        "{total} observations of {PATTERNS} patterns stored in {:.1} s",
        started.elapsed().as_secs_f64()
    );
    let settings = aqe_qe::Settings::default();
    let tools = aqe_qe::builtin(Arc::new(store), &settings, || NOW);
    println!("{:<52} {:>9} {:>9} {:>9} {:>9}", "ms, one call at a time", "p50", "p95", "max", "CPU");
    let context = json!({"language": "python", "framework": "pytest"});
    time(&tools, "status", "qe_learn_status", |_| json!({})).await;
    let status = json!({"context": context});
    time(&tools, "status in a context", "qe_learn_status", |_| status.clone()).await;
    time(
        &tools,
        "suggest by words and context",
        "qe_learn_pattern",
        |call| json!({"action": "suggest", "query": words(call, 4), "context": context}),
    )
    .await;
    time(
        &tools,
        "suggest by words, exploring",
        "qe_learn_pattern",
        |call| json!({"action": "suggest", "query": words(call, 4), "explore": true, "seed": call}),
    )
    .await;
    time(
        &tools,
        "suggest by context alone",
        "qe_learn_pattern",
        |_| json!({"action": "suggest", "context": context}),
    )
    .await;
    let outcome = json!({"result": "success"});
    time(
        &tools,
        "feedback",
        "qe_learn_pattern",
        |call| json!({"action": "feedback", "pattern_id": format!("pat_{}", call + 1), "outcome": outcome}),
    )
    .await;
    time(&tools, "record a new one, near-duplicates sought", "qe_learn_pattern", |call| {
        json!({"action": "record", "pattern": {"title": format!("{}, new {call}", words(call, 5))}, "outcome": outcome})
    })
    .await;
    time(
        &tools,
        "export, 20 of them",
        "qe_learn_pattern",
        |call| json!({"action": "export", "cursor": format!("pat_{}", call * 20 + 1)}),
    )
    .await;
}

async fn time(
    tools: &Arc<dyn InProcess>,
    what: &str,
    tool: &str,
    arguments: impl Fn(u64) -> serde_json::Value,
) {
    let mut times = Vec::new();
    let before = processor_ms();
    for call in 0..CALLS {
        let arguments = arguments(call).to_string();
        let deadline = Instant::now() + Duration::from_secs(60);
        let started = Instant::now();
        let reply = tools
            .call(tool, &arguments, Caller { principal: "bench", deadline, progress: None })
            .await
            .unwrap();
        times.push(started.elapsed().as_secs_f64() * 1e3);
        assert!(!reply.is_error, "{}", String::from_utf8_lossy(&reply.json));
    }
    let cpu = (processor_ms() - before) / CALLS as f64;
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize];
    println!("{what:<52} {:>9.2} {:>9.2} {:>9.2} {cpu:>9.2}", at(0.5), at(0.95), at(1.0));
}

/// What this process has used of the processor.
fn processor_ms() -> f64 {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    used.tv_sec as f64 * 1e3 + used.tv_nsec as f64 / 1e6
}
