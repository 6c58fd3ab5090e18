//! Firings of alerts in the store, and what the configuration says of alerts as the gateway wants it.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aqe_core::monitor::alerts::{Firing, Resolution};
use aqe_gateway::alerts::SHOWN_PAST;
use aqe_gateway::alerts::settings::{
    AlertHistory, AlertSettings, CommandSettings, Kept, SigningKey, WebhookSettings,
};
use aqe_gateway::outbound::Target;
use aqe_gateway::tasks;
use aqe_store::{Store, UnixMillis};
use rustix::process::{Pid, test_kill_process};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::settings::{self, SettingsError};
use super::state;
use crate::config::{self, Config, Environment};

/// Firings that wait to be written; the next one is not kept.
const QUEUE: usize = 256;
/// A firing that its process has not seen for so long is not watched any more, whoever has the process's number now. Six
/// times as long as between two looks.
const STALE_MS: UnixMillis = 60_000;

/// Writes firings to the store, in order.
#[derive(Debug)]
pub(super) struct Alerts {
    queue: Mutex<Option<mpsc::Sender<Firing>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Alerts {
    /// What earlier runs in this folder have kept, and where this one keeps its own. What a run that is gone has left
    /// open is closed, as of when it was last seen.
    pub(super) async fn open(store: Option<Arc<dyn Store>>, folder: &Path) -> (Kept, Option<Arc<Self>>) {
        let Some(store) = store else { return (Kept::default(), None) };
        let server = folder.display().to_string();
        let mut past = match store.load_alerts(server.clone(), SHOWN_PAST as u32).await {
            Ok(past) => past,
            Err(error) => {
                tracing::warn!(%error, "the history of alerts cannot be read");
                Vec::new()
            }
        };
        let (queue, waiting) = mpsc::channel(QUEUE);
        let writer = tasks::spawn("alert history", write(store, server, waiting));
        let this = Arc::new(Self { queue: Mutex::new(Some(queue)), writer: Mutex::new(Some(writer)) });
        for firing in past.iter_mut().filter(|firing| firing.ended.is_none()) {
            if is_abandoned(firing, state::now()) {
                firing.ended = Some(firing.seen);
                firing.resolution = Some(Resolution::Unknown);
                this.save(firing.clone());
            }
        }
        // Those of another server in this folder that runs are its own.
        past.retain(|firing| firing.ended.is_some());
        past.sort_by_key(|firing| std::cmp::Reverse(firing.started));
        (Kept { history: Some(Arc::<Self>::clone(&this)), past }, Some(this))
    }

    /// Waits until everything is written; nothing is kept from then on.
    pub(super) async fn saved(&self) {
        drop(lock(&self.queue).take());
        let writer = lock(&self.writer).take();
        if let Some(writer) = writer {
            // A panic in it has been logged.
            let _ = writer.await;
        }
    }
}

impl AlertHistory for Alerts {
    fn save(&self, firing: Firing) {
        let queue = lock(&self.queue);
        if let Some(queue) = queue.as_ref()
            && queue.try_send(firing).is_err()
        {
            tracing::warn!("an alert is not kept in the history: the store is too slow");
        }
    }
}

async fn write(store: Arc<dyn Store>, server: String, mut waiting: mpsc::Receiver<Firing>) {
    while let Some(firing) = waiting.recv().await {
        if let Err(error) = store.save_alert(server.clone(), firing).await {
            tracing::warn!(%error, "an alert is not kept in the history");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that runs under it leaves the value half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether nobody watches an open firing any more: its process is gone, or has another one's number.
fn is_abandoned(firing: &Firing, now: UnixMillis) -> bool {
    let is_ours = firing.pid == std::process::id();
    let pid = i32::try_from(firing.pid).ok().and_then(Pid::from_raw);
    let runs = pid.is_some_and(|pid| matches!(test_kill_process(pid), Ok(()) | Err(rustix::io::Errno::PERM)));
    is_ours || !runs || now - firing.seen > STALE_MS
}

/// What the configuration says of alerts.
pub(super) fn settings(config: &Config, env: &Environment) -> Result<AlertSettings, SettingsError> {
    let alerts = &config.alerts;
    let is_on = alerts.enabled && config.monitoring.enabled;
    let webhooks = alerts.webhooks.iter().map(webhook);
    Ok(AlertSettings {
        rules: if is_on { alerts.rules.clone() } else { Vec::new() },
        repeat: alerts.repeat,
        log: alerts.log,
        mcp_log: alerts.mcp_log,
        webhooks: webhooks.collect::<Result<_, SettingsError>>()?,
        commands: alerts
            .commands
            .iter()
            .map(|command| CommandSettings {
                name: command.name.as_str().into(),
                spec: settings::child(&command.name, &command.child, env),
                min_severity: command.min_severity,
                timeout: command.timeout,
            })
            .collect(),
    })
}

fn webhook(webhook: &config::alert_sinks::Webhook) -> Result<WebhookSettings, SettingsError> {
    let fault = |what: &str| SettingsError::Webhook { name: webhook.name.clone(), what: what.to_owned() };
    let server = settings::http(&webhook.server).map_err(|what| fault(&what))?;
    let key = match &webhook.secret {
        Some(secret) => Some(signing_key(secret.expose()).ok_or_else(|| fault("\"secret\""))?),
        None => None,
    };
    Ok(WebhookSettings {
        name: webhook.name.as_str().into(),
        target: Target { url: server.url, headers: server.headers, ca_file: server.ca_file },
        secret: key,
        min_severity: webhook.min_severity,
        timeout: webhook.timeout,
        retry_for: webhook.retry_for,
    })
}

/// The key that a secret stands for: its bytes, or what is encoded behind `whsec_`.
fn signing_key(secret: &str) -> Option<SigningKey> {
    match secret.strip_prefix("whsec_") {
        Some(encoded) => SigningKey::from_base64(encoded),
        None => Some(SigningKey::new(secret)),
    }
}
