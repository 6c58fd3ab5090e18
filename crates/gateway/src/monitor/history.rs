//! The last five minutes, a point a second.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use aqe_core::monitor::Totals;
use aqe_core::monitor::verdict::Vitals;
use aqe_core::pool::PoolStatus;

use super::Monitor;
use crate::proxy::Gateway;

/// Points that are kept.
const POINTS: usize = 300;
/// Those that health is judged by.
const MINUTE: usize = 60;

/// What happened in one second, and how things stood at its end.
#[derive(Debug, Clone)]
pub struct Point {
    /// Its end.
    pub at: SystemTime,
    /// Requests that ended.
    pub requests: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// Client-seen latency: median, 95th and 99th percentile; `None` without requests.
    pub latency: Option<[Duration; 3]>,
    /// Requests that were being answered.
    pub in_flight: usize,
    /// Connections with calls on them, all connections, and the most that there may be.
    pub pool: [u32; 3],
    /// Calls that found a connection, and calls that needed a new one.
    pub pool_hits: [u64; 2],
    /// Resident memory of this process in bytes, where the system tells.
    pub rss_bytes: Option<u64>,
    /// Answers found at each level of the cache: hot, memory, disk.
    pub cache_hits: [u64; 3],
    /// Questions that no level had the answer to.
    pub cache_misses: u64,
    /// Look-ups of tools.
    pub lookups: u64,
}

/// What only grows, at the end of a second.
#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    pool_hits: [u64; 2],
    cache_hits: [u64; 3],
    cache_misses: u64,
    lookups: u64,
}

#[derive(Debug, Default)]
pub(super) struct History {
    points: VecDeque<Point>,
    last: Mark,
}

impl History {
    pub(super) fn push(
        &mut self,
        gateway: &Gateway,
        monitor: &Monitor,
        pool: &PoolStatus,
        requests: &Totals,
        rss_bytes: Option<u64>,
    ) {
        let cache = gateway.cache.as_ref().map(crate::cache::ResultCache::read);
        let (cache_hits, cache_misses) = cache.map_or(([0; 3], 0), |cache| cache.found());
        let mark = Mark {
            pool_hits: [pool.all.hits, pool.all.misses],
            cache_hits,
            cache_misses,
            lookups: monitor.lookups().total(),
        };
        // Counters of what was removed may be gone.
        let since = |now: u64, before: u64| now.saturating_sub(before);
        let last = std::mem::replace(&mut self.last, mark);
        let quantile = |share| requests.latency.quantile(share);
        let latency = quantile(0.5).zip(quantile(0.95)).zip(quantile(0.99));
        if self.points.len() == POINTS {
            self.points.pop_front();
        }
        self.points.push_back(Point {
            at: SystemTime::now(),
            requests: requests.requests(),
            errors: requests.errors(),
            latency: latency.map(|((p50, p95), p99)| [p50, p95, p99]),
            in_flight: monitor.in_flight(),
            pool: [pool.all.connections.in_use, pool.all.connections.total, pool.max_connections],
            pool_hits: [0, 1].map(|at| since(mark.pool_hits[at], last.pool_hits[at])),
            rss_bytes,
            cache_hits: [0, 1, 2].map(|at| since(mark.cache_hits[at], last.cache_hits[at])),
            cache_misses: since(mark.cache_misses, last.cache_misses),
            lookups: since(mark.lookups, last.lookups),
        });
    }

    /// At most `most` of the newest points, the oldest first.
    pub(super) fn newest(&self, most: usize) -> Vec<Point> {
        self.points.iter().skip(self.points.len().saturating_sub(most)).cloned().collect()
    }

    /// The figures of the last minute.
    pub(super) fn vitals(&self) -> Vitals {
        let mut vitals = Vitals::default();
        for point in self.points.iter().rev().take(MINUTE) {
            vitals.requests += point.requests;
            vitals.errors += point.errors;
            vitals.pool_hits += point.pool_hits[0];
            vitals.pool_misses += point.pool_hits[1];
        }
        vitals
    }
}
