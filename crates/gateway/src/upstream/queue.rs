//! Calls that wait for a replica to have room: who came first goes first, and who would wait in vain is told at once.
//!
//! A call that ends hands its room on: [`Upstream::hand_out`] chooses a replica on behalf of those that wait, in the
//! order of their arrival, and gives each the choice that was made. A call that arrives while others wait goes behind
//! them, so that nobody is overtaken again and again by those who come at the right moment.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aqe_core::balancer::{Affinity, PickError, ReplicaId, Request};
use tokio::sync::oneshot;

use super::supervisor::Upstream;
use super::turn::Choice;

/// Calls of one upstream that may wait.
const MAX_WAITING: usize = 500;
/// Weight of the newest call in the mean time that calls take.
const NEWEST_WEIGHT: f64 = 1.0 / 16.0;

/// The waiting calls of one upstream.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// How many there are in `state`, to be asked without the lock.
    length: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// Mean time that calls take at their replicas, in seconds, as seen since calls wait; `None` before the first.
    mean_s: Option<f64>,
}

/// A call that waits, and what there is to consider in choosing for it.
#[derive(Debug)]
struct Waiting {
    affinity: Affinity,
    exclude: Vec<ReplicaId>,
    category: Option<Box<str>>,
    repeatable: bool,
    give: oneshot::Sender<Result<Choice, PickError>>,
}

impl Waiting {
    fn request(&self) -> Request<'_> {
        Request {
            affinity: self.affinity,
            exclude: &self.exclude,
            category: self.category.as_deref(),
            repeatable: self.repeatable,
        }
    }

    /// If there is no room for this one there is none for any.
    fn takes_any(&self) -> bool {
        self.affinity == Affinity::Any && self.exclude.is_empty()
    }
}

impl Queue {
    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.length.load(Ordering::Acquire) == 0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change below the lock is complete in itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, mut state: MutexGuard<'_, State>) {
        state.waiting.retain(|one| !one.give.is_closed());
        if state.waiting.is_empty() {
            // The next time that calls have to wait may be another time.
            state.mean_s = None;
        }
        self.length.store(state.waiting.len(), Ordering::Release);
    }

    /// Puts a call behind the others; returns how many those are, or `None` if they are too many.
    fn join(&self, request: &Request<'_>, give: oneshot::Sender<Result<Choice, PickError>>) -> Option<usize> {
        let mut state = self.lock();
        let ahead = state.waiting.len();
        if ahead >= MAX_WAITING {
            return None;
        }
        state.waiting.push_back(Waiting {
            affinity: request.affinity,
            exclude: request.exclude.to_vec(),
            category: request.category.map(Into::into),
            repeatable: request.repeatable,
            give,
        });
        self.length.store(ahead + 1, Ordering::Release);
        Some(ahead)
    }

    /// How long one has to wait behind so many, while so many calls are in flight: each of those ends after the mean
    /// time, and lets one in.
    fn expected_wait(&self, ahead: usize, in_flight: u32) -> Duration {
        let mean_s = self.lock().mean_s.unwrap_or_default();
        let expected_s = mean_s * ahead as f64 / f64::from(in_flight.max(1));
        Duration::try_from_secs_f64(expected_s).unwrap_or(Duration::MAX)
    }

    /// Takes note of how long a call has taken.
    pub(super) fn observe(&self, took: Duration) {
        let mut state = self.lock();
        let took = took.as_secs_f64();
        state.mean_s = Some(state.mean_s.map_or(took, |mean| mean + NEWEST_WEIGHT * (took - mean)));
    }
}

/// Takes a call out of the queue that does not wait any more, however it ends.
struct Place<'a>(&'a Queue);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.settle(self.0.lock());
    }
}

impl Upstream {
    /// Waits behind those who wait already.
    ///
    /// # Errors
    /// If no replica may be used; or, as [`PickError::Full`], if there is no room until `deadline` or the pool's own
    /// time-out, or if that can be foreseen.
    pub(super) async fn wait_for_room(
        self: &Arc<Self>,
        request: &Request<'_>,
        deadline: Instant,
    ) -> Result<Choice, PickError> {
        // Dropped after `given`, by whose end it knows whom to take out.
        let _place = Place(&self.queue);
        let (give, mut given) = oneshot::channel();
        let Some(ahead) = self.queue.join(request, give) else {
            // Too many already: an error, if they have not just gone.
            return self.choose(request, Instant::now());
        };
        let full = self.hand_out();
        if let Ok(chosen) = given.try_recv() {
            return chosen;
        }
        let in_flight = if let Some(PickError::Full { in_flight }) = full { in_flight } else { 0 };
        let now = Instant::now();
        let until = deadline.min(now + self.pool.config().acquire_timeout);
        if self.queue.expected_wait(ahead, in_flight) <= until.saturating_duration_since(now)
            && let Ok(Ok(chosen)) = tokio::time::timeout_at(until.into(), &mut given).await
        {
            return chosen;
        }
        given.close();
        // It may have come at this moment.
        given.try_recv().unwrap_or(Err(PickError::Full { in_flight }))
    }

    /// Gives those who wait what room there is. Returns why it did not suffice, if it did not.
    pub(super) fn hand_out(self: &Arc<Self>) -> Option<PickError> {
        if self.queue.is_empty() {
            return None;
        }
        // Given up below, outside of the lock: that hands out again.
        let mut undelivered = Vec::new();
        let mut full = None;
        // Replicas that some wait for, and that have no room.
        let mut in_vain: Vec<Affinity> = Vec::new();
        let mut state = self.queue.lock();
        let mut at = 0;
        while let Some(one) = state.waiting.get(at) {
            if one.give.is_closed() || in_vain.contains(&one.affinity) {
                at += 1;
                continue;
            }
            let chosen = self.choose(&one.request(), Instant::now());
            if let Err(error @ PickError::Full { .. }) = chosen {
                full = Some(error);
                if one.takes_any() {
                    break;
                }
                if one.exclude.is_empty() {
                    in_vain.push(one.affinity);
                }
                at += 1;
                continue;
            }
            if let Some(one) = state.waiting.remove(at) {
                undelivered.extend(one.give.send(chosen).err());
            }
        }
        self.queue.settle(state);
        drop(undelivered);
        full
    }
}
