//! A call's hold on a connection, and its place in the queue: both are given back however the call ends.

use std::sync::Arc;
use std::time::Instant;

use aqe_core::pool::{Lease, Outcome, WaiterId};

use super::ConnectionPool;
use crate::upstream::Live;

/// A connection that a call may use. Dropped without a word it comes back as [`Outcome::Unanswered`].
#[must_use]
pub struct Leased {
    pool: Arc<ConnectionPool>,
    lease: Option<Lease>,
    live: Arc<Live>,
}

impl Leased {
    pub(super) fn new(pool: &Arc<ConnectionPool>, lease: Lease, live: Arc<Live>) -> Self {
        Self { pool: Arc::clone(pool), lease: Some(lease), live }
    }

    /// The connection.
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Gives the connection back.
    pub fn end(mut self, outcome: Outcome, now: Instant) {
        if let Some(lease) = self.lease.take() {
            self.pool.release(lease, outcome, now);
        }
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            self.pool.release(lease, Outcome::Unanswered, Instant::now());
        }
    }
}

impl std::fmt::Debug for Leased {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Leased").field(&self.lease).finish()
    }
}

/// A place in the queue, left when this is dropped before the answer.
pub(super) struct Waits<'a> {
    pool: &'a Arc<ConnectionPool>,
    waiter: Option<WaiterId>,
}

impl<'a> Waits<'a> {
    pub(super) fn new(pool: &'a Arc<ConnectionPool>, waiter: WaiterId) -> Self {
        Self { pool, waiter: Some(waiter) }
    }

    /// The answer has come.
    pub(super) fn over(mut self) {
        self.waiter = None;
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let Some(waiter) = self.waiter else { return };
        self.pool.with(|state, now: Instant| {
            state.waiting.remove(&waiter);
            state.pool.cancel(now, waiter);
        });
    }
}
