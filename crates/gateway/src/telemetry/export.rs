//! From the queue of spans to the collector.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use tokio::sync::mpsc;

use super::delivery::{Delivered, Delivery};
use super::encode;
use super::span::Span;
use super::task::{Closing, Task};
use super::tracer::{BATCH, Counts, Tracer};
use crate::outbound::Outbound;

/// How long spans wait for others at most: what OpenTelemetry's batch processors wait.
const GATHERING: Duration = Duration::from_secs(5);

/// Begins to export what comes into `queue`. Its end exports what is waiting.
pub(super) fn start(
    queue: mpsc::Receiver<Span>,
    outbound: Outbound,
    timeout: Duration,
    resource: &[(String, String)],
    tracer: &Arc<Tracer>,
) -> Task {
    let task = Task::new();
    task.begin("otlp traces", |closed| {
        let work = Work {
            queue,
            tracer: Arc::clone(tracer),
            delivery: Delivery::new(outbound, timeout, "traces"),
            resource: encode::resource(resource),
            closed,
        };
        work.run()
    });
    task
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
