//! What it costs to record a call, from one thread and from two at the same time, and what each second costs.
//!
//! `cargo bench -p aqe-core --bench monitor`

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aqe_core::monitor::windows::Clock;
use aqe_core::monitor::{Finished, Series, Span, Totals, Windows};
use criterion::{Criterion, criterion_group, criterion_main};

fn end(call: u64) -> Finished {
    Finished {
        // Spread over what calls take, from 20 µs to 80 ms.
        latency: Duration::from_nanos(20_000 << (call % 13)),
        upstream: Some(Duration::from_nanos(15_000 << (call % 13))),
        request_bytes: 200,
        response_bytes: 700,
        result_bytes: 660,
        ..Finished::default()
    }
}

fn record(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("record");
    let series = Series::default();
    let mut call = 0;
    let mut one = move |series: &Series| {
        call += 1;
        series.finished(black_box(&end(call)));
    };
    group.bench_function("one thread", |bencher| bencher.iter(|| one(&series)));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut call = 0;
            while !stop.load(Ordering::Relaxed) {
                call += 1;
                series.finished(black_box(&end(call)));
            }
        });
        group.bench_function("two threads", |bencher| bencher.iter(|| one(&series)));
        stop.store(true, Ordering::Relaxed);
    });
    group.finish();
}

fn read(criterion: &mut Criterion) {
    let series = Series::default();
    for call in 0..100_000 {
        series.finished(&end(call));
    }
    criterion.bench_function("totals of one series", |bencher| bencher.iter(|| black_box(&series).totals()));
}

/// The windows of 300 tools, of which 30 were called 30 times each in the last second, and the sums that health and the
/// default alerts are made from.
fn second(criterion: &mut Criterion) {
    const TOOLS: usize = 300;
    const CALLED: usize = 30;
    let mut tools: Vec<(Series, Windows)> = (0..TOOLS).map(|_| Default::default()).collect();
    let (mut clock, mut now) = (Clock::new(Instant::now()), Instant::now());
    let mut call = 0;
    let mut second = move || {
        for _ in 0..CALLED * 30 {
            // They take turns, so that all of them are in the windows.
            tools[call / 30 % TOOLS].0.finished(&end(call as u64));
            call += 1;
        }
        now += Duration::from_secs(1);
        let begun = Instant::now();
        clock.tick(now);
        let (mut last, mut minute) = (Totals::EMPTY, Totals::EMPTY);
        for (series, windows) in &mut tools {
            windows.step(series, &clock);
            windows.add_last_second(&mut last);
            windows.add_to(&mut minute, series, Span::Minute, &clock);
        }
        black_box((last, minute));
        begun.elapsed()
    };
    criterion.bench_function("a second of 300 tools", |bencher| {
        bencher.iter_custom(|seconds| (0..seconds).map(|_| second()).sum());
    });
}

criterion_group!(benches, record, read, second);
criterion_main!(benches);
