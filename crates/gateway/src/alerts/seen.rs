//! What the rules look at in a running gateway, each thing at most once a tick.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use aqe_core::balancer::BalancerStatus;
use aqe_core::health::BreakerState;
use aqe_core::monitor::Totals;
use aqe_core::monitor::alerts::{Counted, Counts, Figures, Scope, Signal, Window};
use aqe_core::pool::{PoolStatus, ReplicaHealth, ReplicaStatus};

use crate::monitor::Monitor;
use crate::proxy::Gateway;
use crate::upstream::{Upstream, with_connections};

/// The figures of a gateway at one moment.
pub(crate) struct Seen<'a> {
    gateway: &'a Gateway,
    monitor: &'a Monitor,
    totals: RefCell<HashMap<(Scope, &'static str), Rc<Totals>>>,
    pool: &'a PoolStatus,
    balancers: RefCell<HashMap<usize, Rc<BalancerStatus>>>,
}

impl<'a> Seen<'a> {
    pub(crate) fn new(gateway: &'a Gateway, monitor: &'a Monitor, pool: &'a PoolStatus) -> Self {
        Self { gateway, monitor, totals: RefCell::default(), pool, balancers: RefCell::default() }
    }

    fn totals(&self, scope: &Scope, window: Window) -> Rc<Totals> {
        let key = (scope.clone(), window.as_str());
        let read = || Rc::new(self.monitor.requests_of(scope, window.span()));
        Rc::clone(self.totals.borrow_mut().entry(key).or_insert_with(read))
    }

    fn balancer(&self, upstream: &Upstream) -> Rc<BalancerStatus> {
        let read = || Rc::new(upstream.balancer_status());
        Rc::clone(self.balancers.borrow_mut().entry(upstream.id).or_insert_with(read))
    }

    /// The sum of something over the replicas of a scope; `None` if it has none.
    fn over_replicas<T: std::iter::Sum>(
        &self,
        scope: &Scope,
        of: impl Fn(&Self, &Upstream, usize, Option<&ReplicaStatus>) -> T,
    ) -> Option<T> {
        let mut found = Vec::new();
        for upstream in with_connections(&self.gateway.upstreams()) {
            for (at, (name, pooled)) in upstream.pooled(self.pool).enumerate() {
                let wanted = match scope {
                    Scope::All => true,
                    Scope::Upstream(upstream) => name.upstream == *upstream,
                    Scope::Replica { upstream, replica } => {
                        name.upstream == *upstream && name.replica == *replica
                    }
                    Scope::Tool(_) | Scope::Category(_) => false,
                };
                if wanted {
                    found.push(of(self, upstream, at, pooled));
                }
            }
        }
        (!found.is_empty()).then(|| found.into_iter().sum())
    }

    /// Whether a replica takes no calls, or only one to try it.
    fn is_out(&self, upstream: &Upstream, at: usize, pooled: Option<&ReplicaStatus>) -> bool {
        let own = self.balancer(upstream).replicas.get(at).map(|own| own.state);
        let ejected = matches!(own, Some(BreakerState::Open | BreakerState::HalfOpen));
        let fails = pooled.is_some_and(|own| {
            matches!(own.health, ReplicaHealth::BackingOff { .. } | ReplicaHealth::CrashLooping { .. })
        });
        ejected || fails
    }
}

impl Figures for Seen<'_> {
    fn value(&self, signal: Signal, scope: &Scope, window: Window) -> Option<f64> {
        let totals = || self.totals(scope, window);
        let ms = |duration: std::time::Duration| duration.as_secs_f64() * 1e3;
        match signal {
            Signal::LatencyMean => totals().latency.mean().map(ms),
            Signal::LatencyP50 => totals().latency.quantile(0.5).map(ms),
            Signal::LatencyP90 => totals().latency.quantile(0.9).map(ms),
            Signal::LatencyP95 => totals().latency.quantile(0.95).map(ms),
            Signal::LatencyP99 => totals().latency.quantile(0.99).map(ms),
            Signal::LatencyMax => totals().latency.max().map(ms),
            Signal::UpstreamP95 => totals().upstream.quantile(0.95).map(ms),
            Signal::OverheadP95 => totals().overhead.quantile(0.95).map(ms),
            Signal::ErrorRate => totals().error_rate(),
            Signal::RequestsPerS => {
                let covered = self.monitor.covered(window.span()).as_secs_f64();
                (covered > 0.0).then(|| totals().requests() as f64 / covered)
            }
            Signal::InFlight if *scope == Scope::All => Some(self.monitor.in_flight() as f64),
            Signal::InFlight => self.over_replicas(scope, |seen, upstream, at, _| {
                seen.balancer(upstream).replicas.get(at).map_or(0.0, |own| f64::from(own.in_flight))
            }),
            Signal::PoolWaiting => self
                .over_replicas(scope, |_, _, _, pooled| pooled.map_or(0.0, |own| own.figures.waiting as f64)),
            Signal::MemoryBytes => self.monitor.process().map(|process| process.rss_bytes as f64),
            Signal::ReplicasOut => {
                self.over_replicas(
                    scope,
                    |seen, upstream, at, pooled| {
                        if seen.is_out(upstream, at, pooled) { 1.0 } else { 0.0 }
                    },
                )
            }
            // Shares of counters.
            Signal::PoolHitRate | Signal::CacheHitRate => None,
        }
    }

    fn requests(&self, scope: &Scope, window: Window) -> Option<u64> {
        Some(self.totals(scope, window).requests())
    }

    fn counts(&self, counted: Counted, scope: &Scope) -> Option<Counts> {
        match counted {
            Counted::Requests => {
                let (total, bad) = self.monitor.counts_of(scope);
                Some(Counts { total, bad })
            }
            Counted::Pool if *scope == Scope::All => {
                let all = &self.pool.all;
                Some(Counts { total: all.hits + all.misses, bad: all.misses })
            }
            Counted::Pool => {
                let counts = |misses: bool| {
                    self.over_replicas(scope, |_, _, _, pooled| {
                        pooled.map_or(0, |own| own.figures.misses + if misses { 0 } else { own.figures.hits })
                    })
                };
                Some(Counts { total: counts(false)?, bad: counts(true)? })
            }
            Counted::Cache => {
                let (found, misses) = self.gateway.cache.as_ref()?.read().found();
                Some(Counts { total: found.iter().sum::<u64>() + misses, bad: misses })
            }
        }
    }
}
