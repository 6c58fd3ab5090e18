//! Alerts: what they look at in a running gateway, and clients that are told.

use std::sync::Arc;
use std::time::Instant;

use aqe_core::batching::Priority;
use aqe_core::envelope::encode_string;
use aqe_core::monitor::alerts::{AckError, Scope};
use aqe_core::pool::PoolStatus;
use serde_json::Value;

use super::Gateway;
use crate::alerts::{Notice, Seen};
use crate::monitor::Monitor;
use crate::upstream::with_connections;
use crate::wire;

/// The name under which clients get alerts in `notifications/message`.
const LOGGER: &str = "aqe-v3/alerts";

impl Gateway {
    /// Acknowledges a firing rule.
    pub(crate) fn acknowledge_alert(&self, name: &str, by: &str, note: Option<&str>) -> Result<(), AckError> {
        let notices = self.alerts.acknowledge(name, by, note)?;
        self.alert_clients(&notices);
        Ok(())
    }

    /// Tests the receivers of alerts, or one.
    pub(crate) async fn test_alerts(&self, sink: Option<&str>) -> Result<Value, String> {
        let tested = self.alerts.test(sink, |notice| self.alert_client(notice)).await;
        tested.map_err(|error| error.to_string())
    }

    /// What the admin API shows of alerts.
    pub(crate) fn alert_status(&self, history: usize) -> Value {
        let catalog = self.catalog();
        // What an upstream offers is known when it has told it.
        let all_told = with_connections(&catalog.upstreams).all(|upstream| upstream.manifest().is_some());
        let found = |found: bool| (found || all_told).then_some(found);
        self.alerts.status(history, |scope| match scope {
            Scope::All => Some(true),
            Scope::Tool(name) => found(catalog.tools.get(name).is_some()),
            Scope::Category(name) => found(catalog.tools.tools().iter().any(|tool| tool.category == *name)),
            Scope::Upstream(name) => {
                Some(catalog.upstreams.iter().any(|upstream| upstream.name() == &**name))
            }
            Scope::Replica { upstream, replica } => Some(catalog.upstreams.iter().any(|known| {
                known.name() == &**upstream
                    && known.settings().replicas.iter().any(|known| known.name == *replica)
            })),
        })
    }

    pub(super) fn alert_clients(&self, notices: &[Arc<Notice>]) {
        for notice in notices {
            self.alert_client(notice);
        }
    }

    /// Tells the legacy clients that have set a log level which lets it through; says how many. A modern client gets log
    /// messages of its own requests only.
    fn alert_client(&self, notice: &Notice) -> usize {
        let level = notice.severity.as_str();
        let asked = |session: &Arc<crate::session::Session>| {
            session.log_level().is_some() && session.wants_log(level)
        };
        let sessions: Vec<_> = self.legacy_sessions().into_iter().filter(asked).collect();
        if sessions.is_empty() {
            return 0;
        }
        let data = String::from_utf8_lossy(&notice.document);
        let params = format!(r#"{{"level":"{level}","logger":{},"data":{data}}}"#, encode_string(LOGGER));
        let message = wire::notification("notifications/message", Some(&params));
        for session in &sessions {
            session.outlet.push_with(message.clone(), Priority::High);
        }
        sessions.len()
    }

    /// One look at the figures.
    pub(super) fn look_at_alerts(&self, monitor: &Monitor, pool: &PoolStatus) {
        let notices = self.alerts.tick(&Seen::new(self, monitor, pool), Instant::now());
        self.alert_clients(&notices);
    }
}
