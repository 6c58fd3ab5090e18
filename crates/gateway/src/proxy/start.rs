//! Putting the gateway together, and what it does again and again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use aqe_core::pool::PoolConfigError;
use aqe_core::registry::ResolvedNames;
use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::Notify;

use super::own_tasks::OwnTasks;
use super::subscriptions::Subscriptions;
use super::task_owners::TaskOwners;
use super::{Gateway, ManifestStore};
use crate::alerts::{Alerting, SinkError};
use crate::cache::ResultCache;
use crate::catalog::Catalog;
use crate::monitor::Monitor;
use crate::pool::ConnectionPool;
use crate::session::Sessions;
use crate::settings::{Balancing, Reloadable, Settings, UpstreamSettings};
use crate::tasks;
use crate::upstream::{Common, HttpClient, Manifest, Upstream, UpstreamError};

/// How often idle sessions and tasks that have had their time are looked for.
const REAP_INTERVAL: Duration = Duration::from_secs(5);
/// The step of sliding windows.
const MONITOR_INTERVAL: Duration = Duration::from_secs(1);
/// How often the balancers look after their replicas.
const BALANCE_INTERVAL: Duration = Duration::from_millis(250);

/// Settings that cannot be used together.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Of the pool.
    #[error("[pool]: {0}")]
    Pool(#[from] PoolConfigError),
    /// Of an upstream.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// Of a receiver of alerts.
    #[error("[monitoring] {0}")]
    Alerts(#[from] SinkError),
}

/// The manifests that earlier runs have kept, by upstream name, with the fingerprint of what they were taken from.
pub type KeptManifests = HashMap<String, (String, Bytes)>;

impl Gateway {
    /// Starts the upstreams.
    ///
    /// # Errors
    /// If the settings of the pool or an upstream cannot be used.
    pub fn start(
        settings: Settings,
        reloadable: Reloadable,
        manifests: Arc<dyn ManifestStore>,
        mut known: KeptManifests,
    ) -> Result<Arc<Self>, StartError> {
        let Reloadable { registry, pool, balancing, upstreams, alerts } = reloadable;
        let pool = ConnectionPool::start(pool)?;
        let cache = settings.cache.clone().map(ResultCache::new);
        let alerts = Alerting::new(alerts, settings.alerts_kept.clone(), &settings.about.folder)?;
        let gateway = Arc::new_cyclic(|this: &Weak<Self>| Self {
            this: this.clone(),
            sessions: Sessions::new(settings.sessions, settings.batching),
            resolved: ResolvedNames::new(settings.resolved_names),
            catalog: ArcSwap::from_pointee(Catalog::build(&Arc::new(registry), &Arc::from([]), None, None)),
            rebuilding: Mutex::default(),
            reloading: tokio::sync::Mutex::default(),
            next_upstream: AtomicUsize::new(0),
            http: HttpClient::new(),
            streams: Mutex::default(),
            subscriptions: Subscriptions::default(),
            tasks: TaskOwners::default(),
            own_tasks: OwnTasks::new(),
            settle: Notify::new(),
            manifests,
            started: Instant::now(),
            stopping: AtomicBool::new(false),
            pool,
            cache,
            monitor: settings.monitoring.then(|| Monitor::new(Instant::now(), settings.max_tool_series)),
            alerts,
            settings,
        });
        let upstreams = upstreams
            .into_iter()
            .map(|upstream| gateway.create(upstream, &balancing, &mut known))
            .collect::<Result<Arc<[_]>, UpstreamError>>()?;
        let catalog = Catalog::build(&gateway.catalog().registry, &upstreams, None, gateway.cache.as_ref());
        gateway.catalog.store(Arc::new(catalog));
        for upstream in upstreams.iter() {
            upstream.start(gateway.settings.start)?;
        }
        gateway.every("session reaper", REAP_INTERVAL, |gateway| {
            for session in gateway.sessions.reap(Instant::now()) {
                gateway.end_session(&session);
            }
            gateway.own_tasks.sweep();
        });
        gateway.every("balancer", BALANCE_INTERVAL, |gateway| {
            for upstream in gateway.upstreams().iter() {
                upstream.tick();
            }
        });
        if gateway.monitor.is_some() {
            gateway.every("monitor", MONITOR_INTERVAL, |gateway| {
                if let Some(monitor) = &gateway.monitor {
                    let pool = gateway.pool.status();
                    monitor.tick(gateway, &pool);
                    // After it, so that the last second is in the figures.
                    gateway.look_at_alerts(monitor, &pool);
                }
            });
        }
        Ok(gateway)
    }

    /// An upstream that is not started yet.
    pub(super) fn create(
        &self,
        settings: UpstreamSettings,
        balancing: &Balancing,
        known: &mut KeptManifests,
    ) -> Result<Arc<Upstream>, UpstreamError> {
        let common = Common {
            http: Arc::clone(&self.http),
            pool: Arc::clone(&self.pool),
            balancing: balancing.clone(),
            optimized: self.settings.optimized,
            recorded: self.settings.monitoring,
            message: self.settings.message,
            batching: self.settings.batching,
            hooks: self.this.clone(),
        };
        let kept = known.remove(&settings.name);
        let kept = kept.filter(|(fingerprint, _)| *fingerprint == settings.fingerprint());
        let manifest = kept.and_then(|(_, json)| Manifest::from_json(&json));
        let id = self.next_upstream.fetch_add(1, Ordering::Relaxed);
        Upstream::new(id, settings, manifest, &common)
    }

    /// Does something again and again for as long as the gateway is there.
    fn every(
        self: &Arc<Self>,
        name: &'static str,
        pause: Duration,
        work: impl Fn(&Arc<Self>) + Send + 'static,
    ) {
        let this = Arc::downgrade(self);
        tasks::spawn(name, async move {
            loop {
                tokio::time::sleep(pause).await;
                let Some(gateway) = this.upgrade() else { return };
                work(&gateway);
            }
        });
    }
}
