//! What is told to others: traces and metrics by OTLP, and the access log.
//!
//! ```text
//! request ─▶ Active ─(at its end)─▶ a bounded queue ─▶ batches ─▶ collector
//!         └▶ Entry  ─(at its end)─▶ a bounded queue ─▶ lines   ─▶ file or standard error
//! ```
//! Nothing here makes a request wait: what finds a queue full is dropped and counted. A request that is not recorded
//! costs the look at a flag.
//!
//! # Layout
//! - [`context`]: the trace that a request belongs to, as its client says
//! - [`observed`]: a request that is told of; [`span`]: a span, under way and ended; [`tracer`]: which requests are recorded; [`random`]: new ids
//! - [`export`]: from the queue to the collector; [`delivery`]: one batch, as often as OTLP says; [`encode`]: as protobuf
//! - [`figures`]: the metrics of `/metrics`, by the same way; [`task`]: a task that sends until it is told to end
//! - [`access_log`]: one line for each request; [`writer`]: the thread that writes them

pub mod access_log;
mod context;
mod delivery;
mod encode;
mod export;
mod figures;
mod observed;
mod random;
mod span;
mod task;
mod tracer;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

pub use access_log::AccessLog;
pub use context::{Propagated, TraceHeaders};
pub use observed::Via;
pub(crate) use observed::{Ending, Observed, Told, fail_by, without_query};
pub(crate) use span::Active;
pub use tracer::Tracer;

use crate::outbound::{Outbound, Target, TargetError};
use crate::proxy::Gateway;
use delivery::Delivery;
use figures::Figures;
use task::Task;

/// What is exported by OTLP over HTTP, in protobuf.
#[derive(Debug, Clone)]
pub struct OtlpSettings {
    /// Where spans go, path included; `None`: none are recorded.
    pub traces: Option<Target>,
    /// Where metrics go, path included; `None`: none are sent.
    pub metrics: Option<Target>,
    /// How often metrics are sent.
    pub metrics_interval: Duration,
    /// Share of the traces that begin here that is recorded, from 0 to 1.
    pub sample_ratio: f64,
    /// Time for one attempt to deliver a batch.
    pub timeout: Duration,
    /// What this process is: `service.name` and the like.
    pub resource: Vec<(String, String)>,
}

const INSTANCE: &str = "service.instance.id";

/// What is told to others.
#[derive(Debug, Default)]
pub struct Telemetry {
    /// Spans; `None`: no request is recorded.
    pub(crate) tracer: Option<Arc<Tracer>>,
    /// One line for each request, if that is wanted.
    pub(crate) access_log: Option<AccessLog>,
    exporter: Option<Task>,
    figures: Option<Figures>,
}

impl Telemetry {
    /// Begins to export and to log. Must be called within a runtime. Reads the certificates of the targets.
    ///
    /// # Errors
    /// If a target cannot be used.
    pub fn start(otlp: OtlpSettings, access_log: Option<AccessLog>) -> Result<Self, TargetError> {
        let OtlpSettings { traces, metrics, metrics_interval, sample_ratio, timeout, mut resource } = otlp;
        // Tells apart processes of the same service.
        if resource.iter().all(|(name, _)| name != INSTANCE) {
            resource.push((INSTANCE.into(), random::trace().to_string()));
        }
        let (mut tracer, mut exporter, mut figures) = (None, None, None);
        if let Some(target) = traces {
            let (of, queue) = Tracer::new(sample_ratio);
            exporter = Some(export::start(queue, Outbound::new(&target)?, timeout, &resource, &of));
            tracer = Some(of);
        }
        if let Some(target) = metrics {
            let delivery = Delivery::new(Outbound::new(&target)?, timeout, "metrics");
            figures = Some(Figures::new(delivery, &resource, metrics_interval));
        }
        Ok(Self { tracer, access_log, exporter, figures })
    }

    /// Begins to send the metrics of this gateway, if they are wanted. Must be called within a runtime.
    pub fn export_metrics(&self, gateway: &Arc<Gateway>) {
        if let Some(figures) = &self.figures {
            figures.start(gateway);
        }
    }

    /// Opens the file of the access log anew, for one that was renamed meanwhile.
    pub fn reopen(&self) {
        if let Some(log) = &self.access_log {
            log.reopen();
        }
    }

    /// Sends and writes what is waiting, for at most `limit`. Nothing is taken after it.
    pub async fn close(&self, limit: Duration) {
        let exporting = async {
            if let Some(exporter) = &self.exporter {
                exporter.close(limit).await;
            }
        };
        let measuring = async {
            if let Some(figures) = &self.figures {
                figures.close(limit).await;
            }
        };
        let logging = async {
            if let Some(log) = &self.access_log {
                log.close(limit).await;
            }
        };
        tokio::join!(exporting, measuring, logging);
    }

    /// What has become of the spans, each by its name; `None`: none are recorded.
    pub(crate) fn spans(&self) -> Option<[(&'static str, u64); 4]> {
        self.tracer.as_ref().map(|tracer| tracer.counts.named())
    }

    /// What has become of the lines of the access log, each by its name; `None`: there is none.
    pub(crate) fn lines(&self) -> Option<[(&'static str, u64); 2]> {
        self.access_log.as_ref().map(AccessLog::named)
    }

    /// Figures for the admin API; `null` for what is off.
    pub fn status(&self) -> Value {
        json!({
            "spans": self.tracer.as_ref().map(|tracer| tracer.counts.status()),
            "metrics": self.figures.as_ref().map(Figures::status),
            "access_log": self.access_log.as_ref().map(AccessLog::status),
        })
    }
}
