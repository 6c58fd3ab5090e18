//! Requests that are being answered: seen from outside, cancelled from outside, recorded when they end.
//!
//! A call that goes on as a task is one request: its answer only names the task, and what has flown until then flies on
//! until the task's work ends, which is when it is recorded.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use aqe_core::envelope::Message;
use aqe_core::monitor::slot::Slot;
use aqe_core::monitor::{ErrorKind, Finished, Series};
use aqe_core::registry::ToolEntry;
use aqe_core::revision::Era;
use slab::Slab;
use tokio::sync::oneshot;

use super::Monitor;
use super::methods::Method;
use crate::proxy::{Answer, Caller, Gateway};
use crate::telemetry::{Ending, Observed, Told};

/// Tables that the requests are spread over, so that threads seldom want the same.
const SHARDS: usize = 8;

/// What became of a request, as its answer tells the monitor.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Fate {
    /// How long the upstream took, if it was asked.
    pub(crate) upstream: Option<Duration>,
    /// Why it failed, if it did.
    pub(crate) error: Option<ErrorKind>,
    /// The answer was given before, or to another one at the same time.
    pub(crate) from_cache: bool,
    /// Bytes of the answer that are the result of another request, and counted as that one's.
    pub(crate) of_another: u32,
}

/// All requests that are being answered.
#[derive(Debug, Default)]
pub(super) struct Flights {
    shards: [Mutex<Slab<Entry>>; SHARDS],
    /// Requests ever; tells apart two that had the same place one after the other.
    serial: [AtomicU64; SHARDS],
    /// How often one was cancelled from outside: whoever is woken looks whether it is meant.
    cancels: AtomicU64,
}

#[derive(Debug)]
struct Entry {
    serial: u64,
    began: Instant,
    method: Method,
    tool: Option<Arc<ToolEntry>>,
    era: Era,
    principal: Arc<str>,
    task: Option<Arc<str>>,
    cancelled: bool,
    /// Whoever drives the request.
    waker: Option<Waker>,
}

/// A request that is being answered, as it is shown.
#[derive(Debug, Clone)]
pub struct InFlight {
    /// Its name, for [`Flights::cancel`].
    pub call: String,
    /// The method.
    pub method: &'static str,
    /// The tool, of a call of one.
    pub tool: Option<Arc<ToolEntry>>,
    /// The era of the client.
    pub era: Era,
    /// Who asks.
    pub principal: Arc<str>,
    /// The task that it goes on as: it was answered with that.
    pub task: Option<Arc<str>>,
    /// Since when.
    pub began: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    shard: usize,
    key: usize,
    serial: u64,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "c{}-{:x}-{:x}", self.shard, self.key, self.serial)
    }
}

impl Place {
    fn parse(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix('c')?.split('-');
        let shard = parts.next()?.parse().ok().filter(|shard| *shard < SHARDS)?;
        let key = usize::from_str_radix(parts.next()?, 16).ok()?;
        let serial = u64::from_str_radix(parts.next()?, 16).ok()?;
        parts.next().is_none().then_some(Self { shard, key, serial })
    }
}

impl Flights {
    fn lock(&self, shard: usize) -> MutexGuard<'_, Slab<Entry>> {
        // No change below the lock can be torn.
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, caller: &Caller, method: Method) -> Place {
        let shard = Slot::own().index() % SHARDS;
        let serial = self.serial[shard].fetch_add(1, Ordering::Relaxed);
        let key = self.lock(shard).insert(Entry {
            serial,
            began: caller.began,
            method,
            tool: None,
            era: caller.era(),
            principal: Arc::clone(&caller.principal),
            task: None,
            cancelled: false,
            waker: None,
        });
        Place { shard, key, serial }
    }

    fn with<T>(&self, place: Place, work: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let mut shard = self.lock(place.shard);
        shard.get_mut(place.key).filter(|entry| entry.serial == place.serial).map(work)
    }

    /// Requests at this moment.
    pub(super) fn count(&self) -> usize {
        (0..SHARDS).map(|shard| self.lock(shard).len()).sum()
    }

    /// At most `most` of them, the oldest first.
    pub(super) fn list(&self, most: usize) -> Vec<InFlight> {
        let mut all = Vec::new();
        for shard in 0..SHARDS {
            all.extend(self.lock(shard).iter().map(|(key, entry)| InFlight {
                call: Place { shard, key, serial: entry.serial }.to_string(),
                method: entry.method.as_str(),
                tool: entry.tool.clone(),
                era: entry.era,
                principal: Arc::clone(&entry.principal),
                task: entry.task.clone(),
                began: entry.began,
            }));
        }
        all.sort_by_key(|flight| flight.began);
        all.truncate(most);
        all
    }

    /// Cancels a request; `false` if there is none of that name, or not any more.
    pub(super) fn cancel(&self, name: &str) -> bool {
        let Some(place) = Place::parse(name) else { return false };
        let waker = self.with(place, |entry| {
            entry.cancelled = true;
            entry.waker.clone()
        });
        let Some(waker) = waker else { return false };
        self.cancels.fetch_add(1, Ordering::Release);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }
}

/// A request that is being answered. Dropped without an end, it was given up by its client.
pub(crate) struct Flight {
    gateway: Arc<Gateway>,
    /// `None`: nothing is recorded.
    place: Option<Place>,
    method: Method,
    tool: OnceLock<Arc<ToolEntry>>,
    began: Instant,
    request_bytes: usize,
    /// Who takes it over when it is answered.
    heir: OnceLock<oneshot::Sender<Self>>,
    /// Bytes of the answer that only names a task.
    named_in: usize,
    /// Who else wants to know; `None`, too, once they know the end.
    observed: Option<Arc<Observed>>,
}

impl std::fmt::Debug for Flight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flight").field("method", &self.method).finish_non_exhaustive()
    }
}

impl Flight {
    pub(crate) fn begin(gateway: Arc<Gateway>, caller: &Caller, message: &Message) -> Self {
        let method = Method::named(&message.method());
        let place = gateway.monitor.as_ref().map(|monitor| monitor.flights.enter(caller, method));
        let request_bytes = message.bytes().len();
        let observed = caller.observed.clone();
        Self {
            gateway,
            place,
            method,
            tool: OnceLock::new(),
            began: caller.began,
            request_bytes,
            heir: OnceLock::new(),
            named_in: 0,
            observed,
        }
    }

    pub(crate) fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// It is a call of this tool.
    pub(crate) fn is_of(&self, tool: &Arc<ToolEntry>) {
        if self.tool.set(Arc::clone(tool)).is_err() {
            return;
        }
        if let Some(observed) = &self.observed {
            observed.is_of(tool);
        }
        if let (Some(place), Some(monitor)) = (self.place, &self.gateway.monitor) {
            monitor.flights.with(place, |entry| entry.tool = Some(Arc::clone(tool)));
        }
    }

    /// Resolves when it was cancelled from outside.
    pub(crate) fn cancelled(&self) -> Cancelled<'_> {
        Cancelled { flight: self, known_by: None, seen: 0 }
    }

    /// It was answered with `bytes` bytes.
    pub(crate) fn end(self, fate: &Fate, bytes: usize, id: &str) {
        self.end_with(fate, bytes, id, None);
    }

    fn end_with(mut self, fate: &Fate, bytes: usize, id: &str, answer: Option<&Answer>) {
        if let Some(heir) = self.heir.take() {
            self.named_in = bytes;
            // What nobody takes over ends here, as given up.
            let _ = heir.send(self);
            return;
        }
        let of_another = usize::try_from(fate.of_another).unwrap_or(usize::MAX);
        self.conclude(fate, bytes, bytes.saturating_sub(ENVELOPE + id.len() + of_another), answer);
    }

    fn conclude(mut self, fate: &Fate, bytes: usize, result_bytes: usize, answer: Option<&Answer>) {
        let Fate { upstream, error, from_cache, .. } = *fate;
        self.tell(Some(Told { error, upstream, from_cache, bytes, answer }));
        self.record(|flight| Finished {
            latency: flight.began.elapsed(),
            upstream: fate.upstream,
            error: fate.error,
            from_cache: fate.from_cache,
            request_bytes: flight.request_bytes,
            response_bytes: bytes,
            result_bytes,
        });
    }

    /// Its answer only names this task. Whoever runs that gets the flight when the answer is there, and ends it by
    /// [`Flight::task_ended`].
    pub(crate) fn goes_on_as(&self, task: &Arc<str>) -> oneshot::Receiver<Self> {
        let (heir, flight) = oneshot::channel();
        // A call goes on as one task. Of a second one nobody would get the flight.
        let _ = self.heir.set(heir);
        if let (Some(place), Some(monitor)) = (self.place, &self.gateway.monitor) {
            monitor.flights.with(place, |entry| entry.task = Some(Arc::clone(task)));
        }
        if let Some(observed) = &self.observed {
            observed.event("aqe.task", Vec::new);
        }
        flight
    }

    /// The work of its task has ended with a result of `result_bytes` bytes, or with an error, which `answer` says. The bytes
    /// of its answer are those that were sent: the result goes out with other answers.
    pub(crate) fn task_ended(self, error: Option<ErrorKind>, result_bytes: usize, answer: Option<&Answer>) {
        let (fate, bytes) = (Fate { error, ..Fate::default() }, self.named_in);
        self.conclude(&fate, bytes, result_bytes, answer);
    }

    /// The same for an answer that is here in whole.
    pub(crate) fn answered(self, answer: &Answer, id: &str) {
        self.end_with(&answer.fate, answer.len(), id, Some(answer));
    }

    fn tell(&mut self, result: Option<Told<'_>>) {
        if let Some(observed) = self.observed.take() {
            observed.end(&Ending {
                method: self.method.as_str(),
                tool: self.tool.get().map(|tool| &**tool),
                result,
                latency: self.began.elapsed(),
                request_bytes: self.request_bytes,
            });
        }
    }

    fn record(&mut self, end: impl FnOnce(&Self) -> Finished) {
        let (Some(monitor), Some(place)) = (&self.gateway.monitor, self.place) else { return };
        let end = end(self);
        self.series(monitor).finished(&end);
        // How long a tool takes is not learnt from answers that it gave before.
        if let Some(tool) = self.tool.get().filter(|_| !end.from_cache && end.error.is_none()) {
            tool.usage.learn(end.latency);
        }
        self.leave(place);
    }

    /// Where it is counted.
    fn series<'a>(&'a self, monitor: &'a Monitor) -> &'a Series {
        self.tool.get().map_or_else(|| monitor.method(self.method), |tool| &tool.usage.series)
    }

    fn leave(&mut self, place: Place) {
        self.place = None;
        if let Some(monitor) = &self.gateway.monitor {
            let left = monitor.flights.lock(place.shard).try_remove(place.key);
            // Outside of the lock: it may be the last to hold what is in it.
            drop(left);
        }
    }
}

/// Bytes of `{"jsonrpc":"2.0","id":,"result":}`: what a model does not read of an answer, beside the id.
const ENVELOPE: usize = 33;

impl Drop for Flight {
    fn drop(&mut self) {
        self.tell(None);
        let (Some(monitor), Some(place)) = (&self.gateway.monitor, self.place) else { return };
        self.series(monitor).cancelled();
        self.leave(place);
    }
}

/// See [`Flight::cancelled`].
pub(crate) struct Cancelled<'a> {
    flight: &'a Flight,
    known_by: Option<Waker>,
    seen: u64,
}

impl Future for Cancelled<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let (Some(monitor), Some(place)) = (&self.flight.gateway.monitor, self.flight.place) else {
            return Poll::Pending;
        };
        let cancels = monitor.flights.cancels.load(Ordering::Acquire);
        let known = self.known_by.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if known && cancels == self.seen {
            return Poll::Pending;
        }
        let cancelled = monitor.flights.with(place, |entry| {
            if !known {
                entry.waker = Some(cx.waker().clone());
            }
            entry.cancelled
        });
        self.seen = cancels;
        if !known {
            self.known_by = Some(cx.waker().clone());
        }
        if cancelled == Some(true) { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_back_to_its_place_and_nothing_else_is_a_name() {
        let place = Place { shard: 3, key: 0x1f, serial: 77 };
        assert_eq!(place.to_string(), "c3-1f-4d");
        let read = Place::parse("c3-1f-4d").unwrap();
        assert_eq!((read.shard, read.key, read.serial), (3, 0x1f, 77));
        for bad in ["", "c", "c3", "c3-1f", "c9-0-0", "c3-1f-4d-0", "x3-1f-4d", "c3-+1-4d-"] {
            assert!(Place::parse(bad).is_none(), "{bad}");
        }
    }
}
