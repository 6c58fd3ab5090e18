//! Equal calls at the same time are one call to the upstream.
//!
//! The call belongs to nobody: whoever waits for it drives it, and it ends early only when nobody waits any more, which
//! cancels it at the upstream. So a client that cancels, also the one who began it, takes nothing from the others.
//! What comes of it, an answer or a failure, is given to all of them.
//!
//! - Progress and log messages go to the client that began it, as long as that waits; the others have asked for an
//!   answer that they might have found at once.
//! - A question to the client makes the call that client's own: what it answers is no business of the others. They
//!   leave it and call by themselves.
//! - A call that was begun before something changed is not joined after the change.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use aqe_core::batching::Priority;
use aqe_core::cache::{Key, Stamp};
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use tokio::sync::Notify;

use crate::session::Outlet;

/// A call that is only one client's.
#[derive(Debug, Default)]
pub(crate) struct Personal {
    set: AtomicBool,
    told: Notify,
}

impl Personal {
    /// From now on it is.
    pub(crate) fn set(&self) {
        self.set.store(true, Ordering::Release);
        self.told.notify_waiters();
    }

    /// Whether it is.
    pub(crate) fn is_set(&self) -> bool {
        self.set.load(Ordering::Acquire)
    }

    async fn wait(&self) {
        loop {
            let mut told = pin!(self.told.notified());
            // Before looking, so that nothing is missed in between.
            told.as_mut().enable();
            if self.is_set() {
                return;
            }
            told.await;
        }
    }
}

struct Flight<T: Clone> {
    number: u64,
    stamp: Stamp,
    call: WeakShared<BoxFuture<'static, T>>,
    personal: Arc<Personal>,
}

/// The calls under way.
pub(crate) struct Flights<T: Clone> {
    this: Weak<Self>,
    open: Mutex<HashMap<Key, Flight<T>>>,
    next: AtomicU64,
    joined: AtomicU64,
}

impl<T: Clone> fmt::Debug for Flights<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights")
            .field("begun", &self.next)
            .field("joined", &self.joined)
            .finish_non_exhaustive()
    }
}

/// Takes a call out of the table when it ends, however it ends.
struct Ticket<T: Clone + Send + Sync + 'static> {
    flights: Weak<Flights<T>>,
    key: Key,
    number: u64,
}

impl<T: Clone + Send + Sync + 'static> Drop for Ticket<T> {
    fn drop(&mut self) {
        let Some(flights) = self.flights.upgrade() else { return };
        let mut open = flights.lock();
        if open.get(&self.key).is_some_and(|flight| flight.number == self.number) {
            open.remove(&self.key);
        }
    }
}

/// A place among those who wait for a call.
pub(crate) struct Seat<T: Clone> {
    call: Shared<BoxFuture<'static, T>>,
    personal: Arc<Personal>,
    leads: bool,
}

impl<T: Clone> fmt::Debug for Seat<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat").field("leads", &self.leads).finish_non_exhaustive()
    }
}

impl<T: Clone> Seat<T> {
    /// Whether this one began the call.
    pub(crate) fn leads(&self) -> bool {
        self.leads
    }

    /// Waits for what comes of the call. `None` if it has become another client's own.
    pub(crate) async fn wait(self) -> Option<T> {
        let Self { call, personal, leads } = self;
        if leads {
            return Some(call.await);
        }
        tokio::select! {
            biased;
            // A question that came in the same moment as the answer still makes it another's.
            () = personal.wait() => None,
            come = call => (!personal.is_set()).then_some(come),
        }
    }
}

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    /// No calls.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            open: Mutex::default(),
            next: AtomicU64::new(0),
            joined: AtomicU64::new(0),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Flight<T>>> {
        // Each change is complete in itself.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A seat at the call with this key that is under way, or else at the one that `begin` makes, which is told when the
    /// call has become one client's own. `stamp` is that of this moment.
    pub(crate) fn join<F>(&self, key: &Key, stamp: Stamp, begin: impl FnOnce(Arc<Personal>) -> F) -> Seat<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut open = self.lock();
        let under_way = open.get(key).filter(|flight| flight.stamp == stamp && !flight.personal.is_set());
        // Nothing may be upgraded here but what is returned: the last to hold a call drops it, and its ticket comes back
        // to this lock.
        if let Some((call, personal)) =
            under_way.and_then(|flight| Some((flight.call.upgrade()?, Arc::clone(&flight.personal))))
        {
            drop(open);
            self.joined.fetch_add(1, Ordering::Relaxed);
            return Seat { call, personal, leads: false };
        }
        let personal = Arc::<Personal>::default();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let ticket = Ticket { flights: self.this.clone(), key: key.clone(), number };
        let work = begin(Arc::clone(&personal));
        let call = async move {
            let _ticket = ticket;
            work.await
        };
        let call = call.boxed().shared();
        // Not polled yet, so there is something to refer to.
        if let Some(weak) = call.downgrade() {
            open.insert(key.clone(), Flight { number, stamp, call: weak, personal: Arc::clone(&personal) });
        }
        Seat { call, personal, leads: true }
    }

    /// Calls under way.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// How often a call was not sent because an equal one was under way.
    pub(crate) fn joined(&self) -> u64 {
        self.joined.load(Ordering::Relaxed)
    }
}

/// The outlet of the client that began a call, for as long as it waits.
pub(crate) struct Voice {
    outlet: Arc<dyn Outlet>,
    muted: AtomicBool,
}

impl Voice {
    /// That of this client.
    pub(crate) fn new(outlet: &Arc<dyn Outlet>) -> Arc<Self> {
        Arc::new(Self { outlet: Arc::clone(outlet), muted: AtomicBool::new(false) })
    }

    /// The client no longer waits when this is dropped.
    pub(crate) fn while_waiting(self: &Arc<Self>) -> Waiting {
        Waiting(Arc::clone(self))
    }
}

/// See [`Voice::while_waiting`].
pub(crate) struct Waiting(Arc<Voice>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.muted.store(true, Ordering::Release);
    }
}

impl Outlet for Voice {
    /// Drops the message if the client does not read: others wait for the same call.
    fn push_with(&self, message: Bytes, priority: Priority) {
        let ready = self.outlet.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready();
        if ready && !self.muted.load(Ordering::Acquire) {
            self.outlet.push_with(message, priority);
        }
    }

    fn poll_ready(&self, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests;
