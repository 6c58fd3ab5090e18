//! From the queue of spans to the collector.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::delivery::{Closing, Delivered, Delivery};
use super::encode;
use super::span::Span;
use super::tracer::{BATCH, Counts, Tracer};
use crate::outbound::Outbound;
use crate::tasks;

/// How long spans wait for others at most: what OpenTelemetry's batch processors wait.
const GATHERING: Duration = Duration::from_secs(5);

/// The task that exports.
#[derive(Debug)]
pub(super) struct Exporter {
    /// Until when to be done; `None` while it runs.
    closing: watch::Sender<Option<Instant>>,
    task: std::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Exporter {
    /// Begins to export what comes into `queue`.
    pub(super) fn start(
        queue: mpsc::Receiver<Span>,
        outbound: Outbound,
        timeout: Duration,
        resource: &[(String, String)],
        tracer: &Arc<Tracer>,
    ) -> Self {
        let (closing, closed) = watch::channel(None);
        let work = Work {
            queue,
            tracer: Arc::clone(tracer),
            delivery: Delivery::new(outbound, timeout, "traces"),
            resource: encode::resource(resource),
            closed,
        };
        let task = tasks::spawn("otlp traces", work.run());
        Self { closing, task: std::sync::Mutex::new(Some(task)) }
    }

    /// Exports what is waiting, for at most `limit`, and ends.
    pub(super) async fn close(&self, limit: Duration) {
        self.closing.send_replace(Some(Instant::now() + limit));
        let task = self.task.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(task) = task {
            // A panic in it has been logged.
            let _ = timeout(limit, task).await;
        }
    }
}

struct Work {
    queue: mpsc::Receiver<Span>,
    tracer: Arc<Tracer>,
    delivery: Delivery,
    resource: Resource,
    closed: Closing,
}

impl Work {
    async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let mut closed = self.closed.clone();
            // An error means that nobody is left who could close it, which is an end too.
            let is_last = tokio::select! {
                _ = closed.wait_for(Option::is_some) => true,
                () = tokio::time::sleep(GATHERING) => false,
                () = self.tracer.enough.notified() => false,
            };
            while let Ok(span) = self.queue.try_recv() {
                batch.push(span);
                if batch.len() == BATCH {
                    self.export(&mut batch).await;
                }
            }
            if !batch.is_empty() {
                self.export(&mut batch).await;
            }
            if is_last {
                return;
            }
        }
    }

    async fn export(&self, batch: &mut Vec<Span>) {
        let count = batch.len() as u64;
        let spans = std::mem::replace(batch, Vec::with_capacity(BATCH));
        let request = encode::spans(&self.resource, spans);
        let body = Bytes::from(request.encode_to_vec());
        let delivered = self.delivery.deliver(body, &self.closed).await;
        let counts = &self.tracer.counts;
        match delivered {
            Delivered::Accepted(answer) => {
                let rejected = rejected(&answer).min(count);
                Counts::add(&counts.rejected, rejected);
                Counts::add(&counts.exported, count - rejected);
            }
            Delivered::Refused => Counts::add(&counts.rejected, count),
            Delivered::Failed => Counts::add(&counts.failed, count),
        }
    }
}

/// Spans that the collector has not taken ("Partial Success"); they are not sent again.
fn rejected(answer: &Bytes) -> u64 {
    let partial = ExportTraceServiceResponse::decode(answer.clone()).ok().and_then(|it| it.partial_success);
    let Some(partial) = partial else { return 0 };
    if partial.rejected_spans != 0 || !partial.error_message.is_empty() {
        let rejected = partial.rejected_spans;
        tracing::warn!(rejected, message = partial.error_message, "the collector has not taken all spans");
    }
    u64::try_from(partial.rejected_spans).unwrap_or(0)
}
