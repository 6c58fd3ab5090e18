//! Alerts in motion: the rules of [`aqe_core::monitor::alerts`] over the figures of this process, who is told, and what is
//! kept.
//!
//! ```text
//! once a second ─▶ Alerting::tick ─▶ events ─▶ log · clients (MCP) · webhooks and commands, each with a queue of its own
//!                                         └──▶ history (the store), and the newest firings in memory
//! ```
//! Nothing here waits for a receiver: a notice is put into a bounded queue, and one that does not fit is dropped and
//! counted.
//!
//! # Layout
//! - [`settings`]: what the application configures.
//! - `notice`: the document that receivers get.
//! - `delivery`: queues, attempts, pauses; `webhook`, `command`: one attempt.
//! - `seen`: what the rules look at.
//! - `read`: what the admin API shows; `test`: whether receivers can be reached.
//! - `clock`: moments as times.

mod clock;
mod command;
mod delivery;
mod notice;
mod read;
mod seen;
pub mod settings;
mod test;
#[cfg(test)]
mod tests;
mod webhook;

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aqe_core::monitor::alerts::{Ack, AckError, Alerts, Event, Figures, Firing, Severity, What};

use self::clock::Clock;
use self::delivery::{Receiver, Sink};
pub(crate) use self::notice::Notice;
use self::notice::Origin;
pub(crate) use self::seen::Seen;
use self::settings::{AlertHistory, AlertSettings, Kept};
use crate::outbound::TargetError;
use crate::upstream::run_id;

/// Firings that are over and still shown.
pub const SHOWN_PAST: usize = 200;
/// How often an open firing is saved, so that it is known until when it was seen if we are killed.
const SAVE_INTERVAL: Duration = Duration::from_secs(10);
/// Longest name of who acknowledges, and longest note, in bytes.
pub(crate) const MAX_ACK_BYTES: usize = 500;

/// A receiver that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{kind} \"{name}\": {source}")]
pub struct SinkError {
    kind: &'static str,
    name: String,
    source: TargetError,
}

/// Rules, receivers and history of this process.
#[derive(Debug)]
pub struct Alerting {
    state: Mutex<Watch>,
    history: Option<Arc<dyn AlertHistory>>,
    origin: Origin,
}

#[derive(Debug)]
struct Watch {
    alerts: Alerts,
    log: Option<Severity>,
    mcp_log: Option<Severity>,
    sinks: Vec<Sink>,
    /// Firings that are open, by number.
    open: HashMap<u64, Firing>,
    /// Those that are over, the newest first.
    past: VecDeque<Firing>,
    clock: Clock,
    saved: Instant,
    deliveries: u64,
}

/// Settings that have been found good.
#[derive(Debug)]
pub(crate) struct Checked {
    settings: AlertSettings,
    /// Those that are new.
    sinks: Vec<Sink>,
}

impl Alerting {
    /// Rules that are all inactive, and receivers that have been told nothing.
    ///
    /// # Errors
    /// If a receiver cannot be used.
    pub(crate) fn new(settings: AlertSettings, kept: Kept, folder: &Path) -> Result<Self, SinkError> {
        let now = Instant::now();
        let mut past: VecDeque<Firing> = kept.past.into();
        past.truncate(SHOWN_PAST);
        let watch = Watch {
            alerts: Alerts::new(settings.rules.clone(), settings.repeat, now),
            log: None,
            mcp_log: None,
            sinks: Vec::new(),
            open: HashMap::new(),
            past,
            clock: Clock::new(now),
            saved: now,
            deliveries: 0,
        };
        let this = Self { state: Mutex::new(watch), history: kept.history, origin: Origin::new(folder) };
        let checked = this.check(settings)?;
        this.put(checked);
        Ok(this)
    }

    fn lock(&self) -> MutexGuard<'_, Watch> {
        // Whatever panics under it leaves rules and lists whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the receivers that other settings need and that are not there yet.
    ///
    /// # Errors
    /// If one cannot be used.
    pub(crate) fn check(&self, settings: AlertSettings) -> Result<Checked, SinkError> {
        let webhooks = settings.webhooks.iter().cloned().map(Receiver::Webhook);
        let commands = settings.commands.iter().cloned().map(Receiver::Command);
        let watch = self.lock();
        let is_new = |receiver: &Receiver| watch.sinks.iter().all(|sink| sink.receiver != *receiver);
        let open = |receiver: Receiver| {
            let (kind, name) = (receiver.kind(), receiver.name().to_string());
            Sink::open(receiver).map_err(|source| SinkError { kind, name, source })
        };
        let sinks = webhooks.chain(commands).filter(is_new).map(open).collect::<Result<_, _>>()?;
        Ok(Checked { settings, sinks })
    }

    /// Puts checked settings in force. Rules and receivers that are the same go on as they were. Returns what clients are
    /// to be told.
    pub(crate) fn put(&self, checked: Checked) -> Vec<Arc<Notice>> {
        let Checked { settings, sinks: new } = checked;
        let mut watch = self.lock();
        let ended = watch.alerts.replace(settings.rules, settings.repeat);
        // Told to those who were told of the beginning.
        let notices = self.tell(&mut watch, &ended, Instant::now());
        let stays = |sink: &Sink| match &sink.receiver {
            Receiver::Webhook(webhook) => settings.webhooks.contains(webhook),
            Receiver::Command(command) => settings.commands.contains(command),
        };
        watch.sinks.retain(stays);
        watch.sinks.extend(new);
        watch.log = settings.log;
        watch.mcp_log = settings.mcp_log;
        notices
    }

    /// Looks at the figures and tells what has changed. Returns what clients are to be told.
    pub(crate) fn tick(&self, figures: &dyn Figures, now: Instant) -> Vec<Arc<Notice>> {
        let mut watch = self.lock();
        watch.clock.follow(now);
        let events = watch.alerts.tick(figures, now);
        let notices = self.tell(&mut watch, &events, now);
        if now.saturating_duration_since(watch.saved) >= SAVE_INTERVAL {
            watch.saved = now;
            self.save_open(&mut watch, now);
        }
        notices
    }

    /// Acknowledges a firing rule: it is not repeated until it resolves.
    ///
    /// # Errors
    /// If there is no such rule, or if it does not fire.
    pub(crate) fn acknowledge(
        &self,
        name: &str,
        by: &str,
        note: Option<&str>,
    ) -> Result<Vec<Arc<Notice>>, AckError> {
        let now = Instant::now();
        let ack = Ack { by: by.to_owned(), at: now, note: note.map(str::to_owned) };
        let mut watch = self.lock();
        let event = watch.alerts.acknowledge(name, ack)?;
        Ok(self.tell(&mut watch, event.as_slice(), now))
    }

    /// Ends every firing, tells so, and waits until what was to be told has been, at most for `limit`.
    pub(crate) async fn stop(&self, limit: Duration) {
        let sinks = {
            let mut watch = self.lock();
            let events = watch.alerts.stop();
            self.tell(&mut watch, &events, Instant::now());
            std::mem::take(&mut watch.sinks)
        };
        let all = futures_util::future::join_all(sinks.into_iter().map(Sink::finish));
        if tokio::time::timeout(limit, all).await.is_err() {
            tracing::warn!("the server stops before all alerts were delivered");
        }
    }

    /// Brings what is kept of the firings up to date and tells everybody. Returns what clients are to be told.
    fn tell(&self, watch: &mut Watch, events: &[Event], now: Instant) -> Vec<Arc<Notice>> {
        let mut for_clients = Vec::new();
        let at = watch.clock.unix_ms(now);
        for event in events {
            let firing = watch.note(event, at, self.origin.pid);
            watch.deliveries += 1;
            let delivery = format!("{}-{}", run_id(), watch.deliveries);
            let notice = Arc::new(Notice::of(event, &firing, delivery, at, &self.origin));
            if let Some(history) = &self.history {
                history.save(firing);
            }
            if watch.log.is_some_and(|least| notice.severity >= least) {
                log(&notice);
            }
            for sink in &watch.sinks {
                sink.tell(&notice);
            }
            if watch.mcp_log.is_some_and(|least| notice.severity >= least) {
                for_clients.push(notice);
            }
        }
        for_clients
    }

    /// Saves open firings as they are now.
    fn save_open(&self, watch: &mut Watch, now: Instant) {
        let Some(history) = &self.history else { return };
        let at = watch.clock.unix_ms(now);
        for reading in watch.alerts.read() {
            let Some(open) = reading.firing else { continue };
            if let Some(firing) = watch.open.get_mut(&open.number) {
                firing.peak = open.peak;
                firing.seen = at;
                history.save(firing.clone());
            }
        }
    }
}

impl Watch {
    /// The firing of an event, as it is by that.
    fn note(&mut self, event: &Event, at: i64, pid: u32) -> Firing {
        let rule = &event.rule;
        let started = self.clock.unix_ms(event.since);
        let firing = self.open.entry(event.firing).or_insert_with(|| Firing {
            id: format!("{}-a{}", run_id(), event.firing),
            pid,
            name: rule.name.to_string(),
            severity: rule.severity,
            signal: rule.signal().to_owned(),
            scope: rule.scope.to_string(),
            threshold: rule.threshold(),
            text: String::new(),
            started,
            ended: None,
            resolution: None,
            peak: event.peak,
            acked_by: None,
            acked_at: None,
            ack_note: None,
            seen: at,
        });
        firing.peak = event.peak;
        firing.seen = at;
        if let Some(ack) = event.ack.as_ref().filter(|_| firing.acked_by.is_none()) {
            firing.acked_by = Some(ack.by.clone());
            firing.acked_at = Some(at);
            firing.ack_note.clone_from(&ack.note);
        }
        let What::Resolved(resolution) = event.what else {
            firing.text = rule.sentence(event.value);
            return firing.clone();
        };
        firing.ended = Some(at);
        firing.resolution = Some(resolution);
        // Of what is over the worst is worth knowing.
        firing.text = rule.sentence(event.peak);
        let firing = firing.clone();
        self.open.remove(&event.firing);
        self.past.push_front(firing.clone());
        self.past.truncate(SHOWN_PAST);
        firing
    }
}

fn log(notice: &Notice) {
    let Notice { event, name, severity, id, text, .. } = notice;
    let severity_word = severity.as_str();
    match (*event, severity) {
        ("fired" | "repeated", Severity::Critical) => {
            tracing::error!(alert = &**name, event, severity = severity_word, id, "{text}");
        }
        ("fired" | "repeated", Severity::Warning) => {
            tracing::warn!(alert = &**name, event, severity = severity_word, id, "{text}");
        }
        _ => tracing::info!(alert = &**name, event, severity = severity_word, id, "{text}"),
    }
}
