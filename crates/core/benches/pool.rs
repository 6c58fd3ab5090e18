//! What it costs to borrow a connection and to give it back, with every connection open.
//!
//! `cargo bench -p aqe-core --bench pool`

// A benchmark may stop at once when what it needs cannot be made.
#![allow(clippy::expect_used)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use aqe_core::pool::{
    Acquire, Effect, Lane, Lease, Outcome, Pool, PoolConfig, ReplicaConfig, ReplicaId, Scope,
};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

const CONNECTIONS: u32 = 50;

/// A pool whose replicas have all their connections open, up to the maximum of the pool.
fn open_pool(now: Instant, replicas: u32, max_calls: u32, grow_at: Option<u32>) -> (Pool, Vec<ReplicaId>) {
    let endless = PoolConfig { max_uses: u32::MAX, max_connections: CONNECTIONS, ..PoolConfig::default() };
    let mut pool = Pool::new(endless, 1).expect("the settings are sound");
    let each = CONNECTIONS / replicas;
    let config = |n| ReplicaConfig {
        max_connections: each,
        min_connections: Some(each),
        grow_at,
        ..ReplicaConfig::new(format!("r{n}"), max_calls)
    };
    let ids = (0..replicas).map(|n| pool.add_replica(now, config(n)).expect("the settings are sound"));
    let ids = ids.collect();
    let mut effects = Vec::new();
    loop {
        pool.take_effects(&mut effects);
        if effects.is_empty() {
            return (pool, ids);
        }
        for effect in effects.drain(..) {
            if let Effect::Open { conn, .. } = effect {
                pool.opened(now, conn);
            }
        }
    }
}

fn granted(pool: &mut Pool, now: Instant, lane: Lane) -> Lease {
    match pool.acquire(now, lane, now + Duration::from_secs(5)) {
        Acquire::Granted(lease) => lease,
        other => unreachable!("every connection is open: {other:?}"),
    }
}

/// Takes a lease for `lane` and gives it back, over all replicas in turn.
fn round(pool: &mut Pool, now: Instant, replica: ReplicaId, scope: Scope) {
    let lane = Lane { replica, variant: 0, scope };
    let lease = granted(pool, black_box(now), black_box(lane));
    pool.release(black_box(now), black_box(lease), Outcome::Ok);
}

fn acquire_and_release(c: &mut Criterion) {
    let now = Instant::now();
    let mut group = c.benchmark_group("acquire+release");

    let (mut pool, ids) = open_pool(now, 10, 64, None);
    for (name, scope) in [("shared", Scope::Shared), ("principal", Scope::Principal(7))] {
        let mut next = ids.iter().cycle();
        group.bench_function(BenchmarkId::new("idle", name), |b| {
            b.iter(|| round(&mut pool, now, *next.next().expect("a cycle does not end"), scope));
        });
    }

    // Every connection of the lane carries a call already, so that the one with the fewest has to be found.
    for replicas in [10, 1] {
        let (mut pool, ids) = open_pool(now, replicas, 64, Some(1));
        let lanes = ids.iter().map(|id| Lane { replica: *id, variant: 0, scope: Scope::Shared });
        let held: Vec<Lease> = lanes
            .flat_map(|lane| (0..CONNECTIONS / replicas).map(move |_| lane))
            .map(|lane| match pool.acquire(now, lane, now) {
                Acquire::Granted(lease) => lease,
                other => unreachable!("{other:?}"),
            })
            .collect();
        let mut next = ids.iter().cycle();
        group.bench_function(
            BenchmarkId::new("carrying calls, connections per replica", 50 / replicas),
            |b| {
                b.iter(|| round(&mut pool, now, *next.next().expect("a cycle does not end"), Scope::Shared));
            },
        );
        for lease in held {
            pool.release(now, lease, Outcome::Ok);
        }
    }

    // One connection, one call at a time, and another call always waiting: each release serves the next.
    let (mut pool, ids) = open_pool(now, 50, 1, None);
    let lane = Lane { replica: ids[0], variant: 0, scope: Scope::Shared };
    let mut lease = Some(granted(&mut pool, now, lane));
    let mut effects = Vec::new();
    group.bench_function("handed to the next that waits", |b| {
        b.iter(|| {
            let waits = pool.acquire(now, black_box(lane), now + Duration::from_secs(5));
            debug_assert!(matches!(waits, Acquire::Waiting(_)));
            pool.release(now, lease.take().expect("there is always one"), Outcome::Ok);
            pool.take_effects(&mut effects);
            lease = effects
                .drain(..)
                .find_map(|e| if let Effect::Grant { lease, .. } = e { Some(lease) } else { None });
        });
    });
    group.finish();
}

criterion_group!(benches, acquire_and_release);
criterion_main!(benches);
