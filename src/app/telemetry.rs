//! From the configuration to what is told to others: traces, metrics, the access log.

use std::path::PathBuf;
use std::sync::Arc;

use aqe_gateway::outbound::{Target, TargetError};
use aqe_gateway::telemetry::access_log::Destination;
use aqe_gateway::telemetry::{AccessLog, OtlpSettings, Telemetry};
use http::{HeaderName, HeaderValue};

use crate::config::{Monitoring, otlp};

/// Why nothing can be told.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The collector cannot be used.
    #[error("[monitoring.otlp]: {0}")]
    Collector(#[from] TargetError),
    /// The file cannot be written.
    #[error("[monitoring] access_log: {}: {source}", path.display())]
    AccessLog {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Begins to export and to log as the configuration says.
pub(super) fn start(monitoring: &Monitoring) -> Result<Arc<Telemetry>, TelemetryError> {
    let log = match &monitoring.access_log {
        Some(destination) => Some(AccessLog::open(destination).map_err(|source| {
            let path = match destination {
                Destination::File(path) => path.clone(),
                Destination::Stderr => PathBuf::from("stderr"),
            };
            TelemetryError::AccessLog { path, source }
        })?),
        None => None,
    };
    let settings = OtlpSettings {
        traces: monitoring.otlp.traces.as_ref().map(target).transpose()?,
        metrics: monitoring.otlp.metrics.as_ref().map(target).transpose()?,
        metrics_interval: monitoring.otlp.metrics_interval,
        sample_ratio: monitoring.otlp.sample_ratio,
        timeout: monitoring.otlp.timeout,
        resource: monitoring.otlp.resource.clone(),
    };
    Ok(Arc::new(Telemetry::start(settings, log)?))
}

fn target(collector: &otlp::Collector) -> Result<Target, TargetError> {
    let pairs = collector.headers.iter().filter_map(|(name, value)| {
        // Both were checked when they were read.
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_str(value.expose()).ok()?))
    });
    Ok(Target {
        url: collector.url.expose().parse().map_err(|_| TargetError::Url)?,
        headers: pairs.collect(),
        ca_file: collector.ca_file.clone(),
    })
}
