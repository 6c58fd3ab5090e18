//! Replicas, the connections to them, their processes, and the cache of results.

use std::collections::BTreeMap;
use std::sync::Arc;

use aqe_core::balancer::{BalancerStatus, ReplicaStatus as Balanced};
use aqe_core::cache::{Level, Reading};
use aqe_core::monitor::metrics::list::{self, acquired};
use aqe_core::monitor::metrics::{Metric, Sink};
use aqe_core::monitor::{Counts, ErrorKind, Totals};
use aqe_core::pool::{PoolFigures, PoolWaits, ReplicaStatus as Pooled};

use super::collect::Of;
use crate::monitor::{Monitor, SinceStart};
use crate::proxy::Gateway;
use crate::upstream::{ReplicaName, with_connections};

/// What was sent to a replica that was never asked.
static NOTHING: Totals = Totals::EMPTY;

/// What is known of one replica.
struct Replica<'a> {
    name: &'a ReplicaName,
    /// `None`: nothing is recorded.
    sent: Option<&'a Totals>,
    balanced: &'a Balanced,
    pooled: Option<&'a Pooled>,
}

impl Replica<'_> {
    fn labels(&self) -> [&str; 2] {
        [&self.name.upstream, &self.name.replica]
    }
}

pub(super) fn collect(gateway: &Gateway, since_start: Option<&SinceStart>, sink: &mut dyn Sink) {
    let upstreams = gateway.upstreams();
    let balancers: Vec<_> =
        with_connections(&upstreams).map(|upstream| (upstream, upstream.balancer_status())).collect();
    let (pool, waits) = gateway.pool.status_and_waits();
    let mut replicas = Vec::new();
    for (upstream, status) in &balancers {
        for ((name, pooled), balanced) in upstream.pooled(&pool).zip(&status.replicas) {
            let sent = since_start.map(|all| {
                let own = all.replicas.iter().find(|(of, _)| of == name);
                own.map_or(&NOTHING, |(_, totals)| totals)
            });
            replicas.push(Replica { name, sent, balanced, pooled });
        }
    }
    sent(&replicas, sink);
    let balancers: Vec<_> = balancers.iter().map(|(upstream, status)| (upstream.name(), status)).collect();
    balancing(&balancers, &replicas, sink);
    sink.whole(&list::POOL_MAX, &[], pool.max_connections.into());
    pooling(&replicas, &waits, sink);
    cache(gateway, sink);
    if let Some(monitor) = &gateway.monitor {
        children(monitor, sink);
    }
}

fn sent(replicas: &[Replica<'_>], sink: &mut dyn Sink) {
    let sums: [Of<Totals, u64>; 2] =
        [(&list::REPLICA_REQUESTS, Totals::requests), (&list::REPLICA_CANCELLED, Totals::cancelled)];
    let known = || replicas.iter().filter_map(|replica| Some((replica, replica.sent?)));
    for (metric, sum) in sums {
        for (replica, totals) in known() {
            sink.whole(metric, &replica.labels(), sum(totals));
        }
    }
    for (replica, totals) in known() {
        let [upstream, name] = replica.labels();
        for kind in ErrorKind::ALL {
            sink.whole(&list::REPLICA_ERRORS, &[upstream, name, kind.as_str()], totals.errors_of(kind));
        }
    }
    for (replica, totals) in known() {
        sink.histogram(&list::REPLICA_DURATION, &replica.labels(), &totals.latency);
    }
}

fn balancing(balancers: &[(&str, &BalancerStatus)], replicas: &[Replica<'_>], sink: &mut dyn Sink) {
    for replica in replicas {
        sink.state(&list::REPLICA_STATE, &replica.labels(), replica.balanced.state.as_str());
    }
    let figures: [Of<Balanced, u64>; 4] = [
        (&list::REPLICA_IN_FLIGHT, |status| status.in_flight.into()),
        (&list::BALANCER_PICKS, |status| status.picks),
        (&list::BALANCER_EJECTIONS, |status| status.ejections.into()),
        (&list::BALANCER_RECOVERIES, |status| status.recoveries.into()),
    ];
    for (metric, figure) in figures {
        for replica in replicas {
            sink.whole(metric, &replica.labels(), figure(replica.balanced));
        }
    }
    let figures: [Of<BalancerStatus, u64>; 3] = [
        (&list::BALANCER_RETRIES, |status| status.retries),
        (&list::BALANCER_HEDGES, |status| status.hedges),
        (&list::BALANCER_PANIC, |status| status.panic.into()),
    ];
    for (metric, figure) in figures {
        for (upstream, status) in balancers {
            sink.whole(metric, &[upstream], figure(status));
        }
    }
}

/// A figure of a replica's connections by the value of its last label.
type Parts = Vec<(&'static str, u64)>;

fn pooling(replicas: &[Replica<'_>], waits: &PoolWaits, sink: &mut dyn Sink) {
    let known: Vec<_> =
        replicas.iter().filter_map(|replica| Some((replica.labels(), replica.pooled?))).collect();
    let parts: [Of<PoolFigures, Parts>; 3] = [
        (&list::POOL_CONNECTIONS, connections),
        (&list::POOL_ACQUIRES, acquires),
        (&list::POOL_CLOSED, |figures| {
            figures.retirements().map(|(reason, count)| (reason.as_str(), count)).collect()
        }),
    ];
    for (metric, parts) in parts {
        for ([upstream, replica], pooled) in &known {
            for (part, count) in parts(&pooled.figures) {
                sink.whole(metric, &[upstream, replica, part], count);
            }
        }
    }
    let figures: [Of<PoolFigures, u64>; 3] = [
        (&list::POOL_WAITING, |figures| figures.waiting as u64),
        (&list::POOL_OPENED, |figures| figures.opened),
        (&list::POOL_OPEN_FAILURES, |figures| figures.open_failures),
    ];
    for (metric, figure) in figures {
        for (labels, pooled) in &known {
            sink.whole(metric, labels, figure(&pooled.figures));
        }
    }
    for (labels, pooled) in &known {
        sink.histogram(&list::POOL_WAIT, labels, waits.of(pooled.id).unwrap_or(&Counts::EMPTY));
    }
    for (labels, pooled) in &known {
        sink.state(&list::POOL_REPLICA_STATE, labels, pooled.health.as_str());
    }
}

/// Each connection once.
fn connections(figures: &PoolFigures) -> Parts {
    let now = figures.connections;
    let leaving = now.opening + now.draining + now.closing;
    let busy = now.total.saturating_sub(leaving + now.idle);
    vec![
        ("idle", now.idle.into()),
        ("busy", busy.into()),
        ("opening", now.opening.into()),
        ("draining", now.draining.into()),
        ("closing", now.closing.into()),
    ]
}

fn acquires(figures: &PoolFigures) -> Parts {
    vec![
        (acquired::HIT, figures.hits),
        (acquired::MISS, figures.misses),
        (acquired::TIMEOUT, figures.timeouts),
        (acquired::REFUSED, figures.refused),
        (acquired::CANCELLED, figures.cancelled),
    ]
}

fn cache(gateway: &Gateway, sink: &mut dyn Sink) {
    let Some(cache) = gateway.cache.as_ref().map(crate::cache::ResultCache::read) else { return };
    let mut levels: Vec<(&str, &Reading)> =
        cache.memory.iter().map(|level| (level.level.as_str(), &level.counts)).collect();
    levels.extend(cache.disk.as_ref().map(|disk| (Level::Disk.as_str(), &disk.counts)));
    let counts: [Of<Reading, u64>; 5] = [
        (&list::CACHE_HITS, |counts| counts.hits),
        (&list::CACHE_STALE, |counts| counts.stale),
        (&list::CACHE_MISSES, |counts| counts.misses),
        (&list::CACHE_INSERTED, |counts| counts.inserted),
        (&list::CACHE_EVICTED, |counts| counts.evicted),
    ];
    for (metric, count) in counts {
        for (level, counts) in &levels {
            sink.whole(metric, &[level], count(counts));
        }
    }
    let mut held = |metric: &'static Metric, memory: [Option<u64>; 2], disk: Option<u64>| {
        let memory = cache.memory.iter().map(|level| level.level).zip(memory);
        for (level, value) in memory.chain([(Level::Disk, disk)]) {
            if let Some(value) = value {
                sink.whole(metric, &[level.as_str()], value);
            }
        }
    };
    let disk = cache.disk.as_ref();
    let memory = &cache.memory;
    let entries = [0, 1].map(|level| Some(memory[level].entries as u64));
    held(&list::CACHE_ENTRIES, entries, disk.and_then(|disk| disk.entries));
    let bytes = [0, 1].map(|level| memory[level].bytes);
    held(&list::CACHE_BYTES, bytes, disk.and_then(|disk| disk.bytes));
    let max = [0, 1].map(|level| memory[level].max_bytes);
    held(&list::CACHE_MAX_BYTES, max, disk.map(|disk| disk.max_bytes));
    sink.whole(&list::CACHE_JOINED, &[], cache.joined);
    if let Some(disk) = disk {
        sink.whole(&list::CACHE_DAMAGED, &[], disk.damaged);
        sink.whole(&list::CACHE_DROPPED, &[], disk.dropped);
    }
}

/// The processes of one replica together.
#[derive(Debug, Default)]
struct Family {
    count: u64,
    /// `None` where the system does not tell.
    memory: Option<u64>,
    youngest: Option<f64>,
}

fn children(monitor: &Monitor, sink: &mut dyn Sink) {
    let mut families = BTreeMap::<(Arc<str>, Arc<str>), Family>::new();
    for child in monitor.children() {
        let ReplicaName { upstream, replica } = &*child.replica;
        let family = families.entry((Arc::clone(upstream), Arc::clone(replica))).or_default();
        family.count += 1;
        if let Some(memory) = child.rss_bytes {
            *family.memory.get_or_insert(0) += memory;
        }
        if let Some(uptime) = child.uptime.map(|uptime| uptime.as_secs_f64()) {
            family.youngest = Some(family.youngest.map_or(uptime, |youngest| youngest.min(uptime)));
        }
    }
    for ((upstream, replica), family) in &families {
        sink.whole(&list::CHILDREN, &[upstream, replica], family.count);
    }
    for ((upstream, replica), family) in &families {
        if let Some(memory) = family.memory {
            sink.whole(&list::CHILD_MEMORY, &[upstream, replica], memory);
        }
    }
    for (name, cpu) in monitor.child_cpu() {
        sink.real(&list::CHILD_CPU, &[&name.upstream, &name.replica], cpu.as_secs_f64());
    }
    for ((upstream, replica), family) in &families {
        if let Some(youngest) = family.youngest {
            sink.real(&list::CHILD_UPTIME, &[upstream, replica], youngest);
        }
    }
}
