//! Putting the gateway together, and what it does again and again.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use aqe_core::pool::PoolConfigError;
use aqe_core::registry::ResolvedNames;
use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::Notify;

use super::subscriptions::Subscriptions;
use super::{Gateway, ManifestStore, call};
use crate::catalog::Catalog;
use crate::pool::ConnectionPool;
use crate::session::Sessions;
use crate::settings::Settings;
use crate::tasks;
use crate::upstream::{Common, HttpClient, Manifest, Upstream, UpstreamError};

/// How often idle sessions are looked for.
const REAP_INTERVAL: Duration = Duration::from_secs(5);
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
}

impl Gateway {
    /// Starts the upstreams. `known` are the manifests that earlier runs have kept, by upstream name, with their
    /// fingerprint.
    ///
    /// # Errors
    /// If the settings of the pool or an upstream cannot be used.
    pub fn start(
        settings: Settings,
        http: &Arc<HttpClient>,
        manifests: Arc<dyn ManifestStore>,
        mut known: HashMap<String, (String, Bytes)>,
    ) -> Result<Arc<Self>, StartError> {
        let pool = ConnectionPool::start(settings.pool.clone())?;
        let mut refused = None;
        let gateway = Arc::new_cyclic(|this: &Weak<Self>| {
            let common = Common {
                http: Arc::clone(http),
                pool: Arc::clone(&pool),
                balancing: settings.balancing.clone(),
                optimized: settings.optimized,
                message: settings.message,
                hooks: this.clone(),
            };
            let mut upstreams = Vec::new();
            for (index, upstream) in settings.upstreams.iter().enumerate() {
                let kept = known.remove(&upstream.name);
                let kept = kept.filter(|(fingerprint, _)| *fingerprint == upstream.fingerprint());
                let manifest = kept.and_then(|(_, json)| Manifest::from_json(&json));
                match Upstream::new(index, upstream.clone(), manifest, &common) {
                    Ok(upstream) => upstreams.push(upstream),
                    Err(error) => refused = refused.take().or(Some(error)),
                }
            }
            let catalog = Catalog::build(&settings.registry, &upstreams, None);
            let settled = upstreams
                .iter()
                .map(|upstream| {
                    let builtin = upstream.settings.in_process().is_some();
                    AtomicBool::new(builtin || upstream.manifest().is_some())
                })
                .collect();
            Self {
                this: this.clone(),
                sessions: Sessions::new(settings.sessions),
                resolved: ResolvedNames::new(settings.resolved_names),
                catalog: ArcSwap::from_pointee(catalog),
                rebuild: Mutex::default(),
                streams: Mutex::default(),
                subscriptions: Subscriptions::default(),
                tasks: call::TaskOwners::default(),
                settled,
                settle: Notify::new(),
                manifests,
                started: Instant::now(),
                stopping: AtomicBool::new(false),
                pool,
                upstreams,
                settings,
            }
        });
        if let Some(error) = refused {
            return Err(error.into());
        }
        for upstream in &gateway.upstreams {
            upstream.start(gateway.settings.start)?;
        }
        gateway.every("session reaper", REAP_INTERVAL, |gateway| {
            for session in gateway.sessions.reap(Instant::now()) {
                gateway.end_session(&session);
            }
        });
        gateway.every("balancer", BALANCE_INTERVAL, |gateway| {
            for upstream in &gateway.upstreams {
                upstream.tick();
            }
        });
        Ok(gateway)
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
