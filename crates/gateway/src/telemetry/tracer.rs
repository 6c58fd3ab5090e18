//! Which requests are recorded, and the queue of spans that have ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use aqe_core::trace::Sampler;
use serde_json::Value;
use tokio::sync::{Notify, mpsc};

use super::context::Incoming;
use super::span::{Active, Span};

/// Spans that may wait for the collector: what OpenTelemetry's batch processors keep, and some two megabytes.
pub(super) const QUEUE: usize = 2_048;
/// Spans of one request to the collector, likewise. So many are not kept waiting for more.
pub(super) const BATCH: usize = 512;

/// Records requests as spans.
#[derive(Debug)]
pub struct Tracer {
    sampler: Sampler,
    queue: mpsc::Sender<Span>,
    /// Told when a batch is waiting.
    pub(super) enough: Notify,
    pub(super) counts: Counts,
}

/// What has become of the spans.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// The collector has them.
    pub(super) exported: AtomicU64,
    /// The queue was full.
    pub(super) dropped: AtomicU64,
    /// The collector has refused them.
    pub(super) rejected: AtomicU64,
    /// They could not be delivered.
    pub(super) failed: AtomicU64,
}

impl Counts {
    pub(super) fn add(counter: &AtomicU64, spans: u64) {
        counter.fetch_add(spans, Ordering::Relaxed);
    }

    /// Each by its name.
    pub(super) fn named(&self) -> [(&'static str, u64); 4] {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [
            ("exported", of(&self.exported)),
            ("dropped", of(&self.dropped)),
            ("rejected", of(&self.rejected)),
            ("failed", of(&self.failed)),
        ]
    }

    pub(super) fn status(&self) -> Value {
        self.named().into_iter().collect()
    }
}

impl Tracer {
    /// Records this share of the traces that begin here, and those whose parent is recorded.
    pub(super) fn new(ratio: f64) -> (Arc<Self>, mpsc::Receiver<Span>) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let counts = Counts::default();
        (Arc::new(Self { sampler: Sampler::new(ratio), queue, enough: Notify::new(), counts }), waiting)
    }

    /// Begins the span of a client's request, if it is to be recorded.
    pub(super) fn begin(self: &Arc<Self>, incoming: Incoming, began: Instant) -> Option<Active> {
        let Incoming { parent, state, transport } = incoming;
        if !self.sampler.decide(parent.as_ref(), || fastrand::u64(..)) {
            return None;
        }
        let mut span = Active::of_request(self, parent, state.map(Arc::from), began);
        if let Some(transport) = transport {
            span.link(transport);
        }
        Some(span)
    }

    /// Takes a span that has ended.
    pub(super) fn ended(&self, span: Span) {
        if self.queue.try_send(span).is_err() {
            Counts::add(&self.counts.dropped, 1);
        } else if self.queue.capacity() == QUEUE - BATCH {
            self.enough.notify_one();
        }
    }
}
