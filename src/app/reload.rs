//! Reading the configuration again while the server runs.
//!
//! The files are read as at the start, with the flags of the start. One fault in them and everything stays as it is.

use std::sync::Arc;

use aqe_core::inprocess::InProcess;
use aqe_gateway::proxy::{Gateway, Reloaded};
use aqe_gateway::tasks;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::state::Manifests;
use super::{Plan, settings};
use crate::config::{self, Config, Request};

/// What a reload needs to know of the start.
pub(super) struct Reloads {
    request: Request,
    builtin: Option<Arc<dyn InProcess>>,
    manifests: Arc<Manifests>,
    gateway: Arc<Gateway>,
    /// What holds until the end.
    started: Config,
}

impl Reloads {
    pub(super) fn new(
        plan: &Plan,
        builtin: Option<Arc<dyn InProcess>>,
        manifests: &Arc<Manifests>,
        gateway: &Arc<Gateway>,
    ) -> Arc<Self> {
        Arc::new(Self {
            request: plan.request.clone(),
            builtin,
            manifests: Arc::clone(manifests),
            gateway: Arc::clone(gateway),
            started: plan.loaded.config.clone(),
        })
    }

    /// Reads the configuration and puts it in force, in the background; logs what came of it and tells `done`.
    pub(super) fn begin(self: &Arc<Self>, done: Option<oneshot::Sender<Result<Value, String>>>) {
        let this = Arc::clone(self);
        // Whoever has renamed it says so in the same way.
        self.gateway.settings.telemetry.reopen();
        tasks::spawn("reload", async move {
            let result = this.reload().await;
            match &result {
                Ok(report) => tracing::info!(%report, "configuration reloaded"),
                Err(error) => tracing::error!("configuration not reloaded, everything is as it was: {error}"),
            }
            // Who asked may have gone.
            let _ = done.map(|done| done.send(result));
        });
    }

    async fn reload(&self) -> Result<Value, String> {
        let loaded = config::load(&self.request).map_err(|faults| faults.to_string())?;
        let config = &loaded.config;
        let reloadable = settings::reloadable(config, self.builtin.clone(), &self.request.env)
            .map_err(|error| error.to_string())?;
        let known = self.manifests.known(&reloadable.upstreams).await;
        let done = self.gateway.reload(reloadable, known).await.map_err(|error| error.to_string())?;
        let Reloaded { added, removed, replaced, changed, kept } = done;
        let kept: Vec<Value> =
            kept.iter().map(|kept| json!({ "name": kept.name, "reason": kept.reason })).collect();
        Ok(json!({
            "added": added,
            "removed": removed,
            "replaced": replaced,
            "changed": changed,
            "kept": kept,
            "needs_restart": needs_restart(&self.started, config),
        }))
    }
}

/// The parts of the files that differ from those of the start and hold until the end.
fn needs_restart(started: &Config, now: &Config) -> Vec<&'static str> {
    let mut server = now.server.clone();
    // Defaults of the upstreams, which have taken them.
    server.request_timeout = started.server.request_timeout;
    server.idle_timeout = started.server.idle_timeout;
    server.inherit_env.clone_from(&started.server.inherit_env);
    let parts = [
        ("[server]", server != started.server),
        ("[registry] cache_size", now.registry.cache_size != started.registry.cache_size),
        ("[registry] start", now.registry.start != started.registry.start),
        ("[transport]", now.writing != started.writing),
        ("[cache]", now.cache != started.cache),
        ("[monitoring]", now.monitoring != started.monitoring),
        ("[store]", now.store != started.store),
    ];
    parts.into_iter().filter(|(_, differs)| *differs).map(|(part, _)| part).collect()
}
