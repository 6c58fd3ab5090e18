//! What it costs to record a call, from one thread and from two at the same time.
//!
//! `cargo bench -p aqe-core --bench monitor`

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aqe_core::monitor::{Finished, Series};
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

criterion_group!(benches, record, read);
criterion_main!(benches);
