//! `GET /admin/events`: what `/admin/metrics` and `/admin/fleets` show, as server-sent events, for the dashboard.
//!
//! While somebody looks at a window, one task makes its figures once for all who look; nothing is made for nobody. Who
//! reads too slowly misses figures and gets the newest ones: there is no queue.

use std::fmt::Write as _;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use aqe_core::monitor::Span;
use bytes::Bytes;
use http::{Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::MissedTickBehavior;

use super::{Query, Refused, fleets, metrics};
use crate::proxy::Gateway;
use crate::tasks;

/// Viewers at one time. Each costs what one set of figures takes on its way.
const MAX_VIEWERS: usize = 32;
/// The newest points of the history that go with each set of figures, so that a viewer who missed some has them all.
const NEWEST_POINTS: usize = 10;
/// The figures of one window on their way to its viewers; `None` before the first are made.
type Sender = watch::Sender<Option<Bytes>>;

/// The streams of figures, one for each window that somebody looks at.
#[derive(Debug)]
pub struct Feeds {
    interval: Duration,
    places: Arc<Semaphore>,
    running: Arc<Running>,
}

/// By window, in the order of [`Span::ALL`].
type Running = Mutex<[Option<Sender>; Span::ALL.len()]>;

impl Feeds {
    /// Streams that say something each `interval`.
    pub fn new(interval: Duration) -> Self {
        Self { interval, places: Arc::new(Semaphore::new(MAX_VIEWERS)), running: Arc::default() }
    }

    /// One more viewer of the window that `query` names; its stream ends with `stopped`.
    ///
    /// # Errors
    /// The reply to send instead: 400 for a query that means nothing, 503 when there are too many viewers.
    pub fn open(
        &self,
        gateway: &Arc<Gateway>,
        query: &str,
        stopped: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Feed, Response<Bytes>> {
        self.enter(gateway, query, Box::pin(stopped)).map_err(Refused::into_response)
    }

    fn enter(&self, gateway: &Arc<Gateway>, query: &str, stopped: Stopped) -> Result<Feed, Refused> {
        let span = metrics::span(&Query::parse(query, &["window"])?)?;
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Refused {
            status: StatusCode::SERVICE_UNAVAILABLE,
            message: format!("{MAX_VIEWERS} viewers look at the dashboard already"),
        })?;
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let mut receiver = if let Some(sender) = &running[span as usize] {
            sender.subscribe()
        } else {
            let (sender, receiver) = watch::channel(None);
            running[span as usize] = Some(sender);
            let work = publish(Arc::clone(&self.running), Arc::downgrade(gateway), span, self.interval);
            tasks::spawn("dashboard", work);
            receiver
        };
        drop(running);
        // What is there already is news to this viewer.
        receiver.mark_changed();
        Ok(Feed { next: Box::pin(next(receiver)), stopped, _place: place })
    }
}

/// Makes the figures of a window for as long as somebody looks.
async fn publish(running: Arc<Running>, gateway: Weak<Gateway>, span: Span, interval: Duration) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // Whoever comes holds the lock until it looks, so that nobody looks at a stream that has just ended.
        let is_watched = {
            let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
            let is_watched = running[span as usize].as_ref().is_some_and(|sender| !sender.is_closed());
            if !is_watched {
                running[span as usize] = None;
            }
            is_watched
        };
        let Some(gateway) = gateway.upgrade().filter(|_| is_watched) else { return };
        let fleets = fleets::first_page(&gateway).await;
        let Some(frame) = tasks::aside(move || frame(&gateway, span, &fleets)).await else { continue };
        let running = running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = &running[span as usize] {
            sender.send_replace(Some(frame));
        }
    }
}

/// The events of one moment: the figures, the fleets, and the newest points of the history, if one is kept.
fn frame(gateway: &Gateway, span: Span, fleets: &str) -> Bytes {
    let mut frame =
        format!("event: metrics\ndata: {}\n\nevent: fleets\ndata: {fleets}\n\n", metrics::of(gateway, span));
    if let Some(monitor) = &gateway.monitor {
        let newest = metrics::points(&monitor.newest_points(NEWEST_POINTS));
        // Writing to a string cannot fail.
        let _ = write!(frame, "event: points\ndata: {newest}\n\n");
    }
    frame.into()
}

type Receiver = watch::Receiver<Option<Bytes>>;
type Next = Pin<Box<dyn Future<Output = Option<(Bytes, Receiver)>> + Send>>;
type Stopped = Pin<Box<dyn Future<Output = ()> + Send>>;

async fn next(mut receiver: Receiver) -> Option<(Bytes, Receiver)> {
    loop {
        receiver.changed().await.ok()?;
        let frame = receiver.borrow_and_update().clone();
        if let Some(frame) = frame {
            return Some((frame, receiver));
        }
    }
}

/// The stream of one viewer.
pub struct Feed {
    next: Next,
    stopped: Stopped,
    /// Free again when this is dropped.
    _place: OwnedSemaphorePermit,
}

impl Feed {
    /// The newest figures that this viewer has not had; `None` once the server stops.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.stopped.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        self.next.as_mut().poll(cx).map(|next| {
            let (frame, receiver) = next?;
            self.next = Box::pin(self::next(receiver));
            Some(frame)
        })
    }
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").finish_non_exhaustive()
    }
}
