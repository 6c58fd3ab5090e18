//! Carrying out what the pool decides, and telling it what came of it.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use aqe_core::pool::{CloseReason, ConnId, Effect, Outcome, ReplicaId, WaiterId};

use super::{Answer, ConnectionPool, Leased};
use crate::tasks;
use crate::upstream::Live;

/// How long a probe may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

impl ConnectionPool {
    pub(super) fn carry_out(self: &Arc<Self>, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Open { conn, replica, variant } => self.open(conn, replica, variant),
                Effect::Close { conn, reason } => self.close(conn, reason),
                Effect::Probe { conn } => self.probe(conn),
                Effect::Grant { waiter, lease } => {
                    let live = self.lock().open.get(&lease.conn()).map(Arc::clone);
                    match live {
                        Some(live) => self.tell(waiter, Ok(Leased::new(self, lease, live))),
                        // It has ended at this moment; its end, which is about to be reported, takes the lease along.
                        None => self.release(lease, Outcome::Broken, Instant::now()),
                    }
                }
                Effect::Refuse { waiter, error } => self.tell(waiter, Err(error)),
            }
        }
    }

    fn tell(self: &Arc<Self>, waiter: WaiterId, answer: Answer) {
        let waits = self.lock().waiting.remove(&waiter);
        let undelivered = match waits {
            Some(tell) => tell.send(answer).err(),
            None => Some(answer),
        };
        if let Some(Ok(leased)) = undelivered {
            leased.end(Outcome::Unused, Instant::now());
        }
    }

    fn open(self: &Arc<Self>, conn: ConnId, replica: ReplicaId, variant: u8) {
        let Some(member) = self.lock().members.get(&replica).cloned() else { return };
        // Before the task runs, so that it finds itself expected.
        self.lock().opening.insert(conn, None);
        let pool = Arc::clone(self);
        let task = tasks::spawn("open connection", async move {
            let Some(upstream) = member.upstream.upgrade() else { return };
            match upstream.open(member.replica, replica, conn, variant).await {
                Ok(live) => pool.opened(conn, live).await,
                Err(error) => {
                    let expected = pool.with(|state, now| {
                        let expected = state.opening.remove(&conn).is_some();
                        if expected {
                            state.pool.open_failed(now, conn, error.as_str().into());
                        }
                        expected
                    });
                    if expected {
                        upstream.open_failed(member.replica, &error);
                    }
                }
            }
        });
        if let Some(opening) = self.lock().opening.get_mut(&conn) {
            *opening = Some(task.abort_handle());
        }
    }

    async fn opened(self: &Arc<Self>, conn: ConnId, live: Arc<Live>) {
        let expected = {
            let mut state = self.lock();
            let expected = state.opening.remove(&conn).is_some();
            if expected {
                state.open.insert(conn, Arc::clone(&live));
            }
            expected
        };
        if !expected {
            live.connection.close("no longer needed").await;
            return;
        }
        let Some(upstream) = live.upstream() else { return };
        // Before the first call goes over it, so that a legacy server's GET stream is asked for first.
        upstream.adopt(&live);
        self.with(|state, now| {
            upstream.learn(&live);
            state.pool.opened_as(now, conn, live.variant());
        });
        upstream.keep_one();
        // Its end may have come before anybody listened for it.
        if !live.connection.is_open() {
            self.lost(&live, "ended as soon as it was open");
        }
    }

    /// A connection has ended without our doing.
    pub(crate) fn lost(self: &Arc<Self>, live: &Arc<Live>, reason: &str) {
        self.with(|state, now| {
            if state.open.remove(&live.conn).is_some() {
                state.pool.closed(now, live.conn, reason.into());
            }
        });
        self.gone.notify_waiters();
        if let Some(upstream) = live.upstream() {
            upstream.parted(live);
        }
    }

    /// A connection takes no new calls; it is replaced, and closed when its last call has ended.
    pub(crate) fn retire(self: &Arc<Self>, live: &Live) {
        self.with(|state, now| state.pool.probed(now, live.conn, false));
    }

    fn close(self: &Arc<Self>, conn: ConnId, reason: CloseReason) {
        let (live, opening) = {
            let mut state = self.lock();
            (state.open.remove(&conn), state.opening.remove(&conn))
        };
        if let Some(Some(opening)) = opening {
            opening.abort();
        }
        let pool = Arc::clone(self);
        tasks::spawn("close connection", async move {
            if let Some(live) = live {
                if let Some(upstream) = live.upstream() {
                    tracing::debug!(
                        upstream = upstream.name(),
                        reason = reason.as_str(),
                        "closing a connection"
                    );
                    upstream.parted(&live);
                }
                live.connection.close(reason.as_str()).await;
            }
            pool.with(|state, now| state.pool.closed(now, conn, reason.as_str().into()));
            pool.gone.notify_waiters();
        });
    }

    fn probe(self: &Arc<Self>, conn: ConnId) {
        let Some(live) = self.lock().open.get(&conn).map(Arc::clone) else { return };
        let pool = Arc::clone(self);
        tasks::spawn("probe", async move {
            let healthy = live.probe(PROBE_TIMEOUT).await.is_ok();
            pool.with(|state, now| state.pool.probed(now, conn, healthy));
            if !healthy && let Some(upstream) = live.upstream() {
                tracing::warn!(upstream = upstream.name(), "a connection does not answer and is replaced");
                live.move_repeatable();
            }
        });
    }
}

/// Wakes the pool when something is due.
pub(super) fn start_timer(pool: &Arc<ConnectionPool>) {
    let pool = Arc::downgrade(pool);
    tasks::spawn("pool timer", async move {
        while let Some(next) = wait(&pool).await {
            if next <= Instant::now()
                && let Some(pool) = pool.upgrade()
            {
                pool.with(|state, now| {
                    state.timer = None;
                    state.pool.tick(now);
                });
            }
        }
    });
}

/// How often the timer looks whether the pool is still there, when nothing is due.
const STILL_THERE: Duration = Duration::from_secs(1);

/// Waits until something is due or the timer has to be set anew; `None` when the pool is gone.
async fn wait(pool: &Weak<ConnectionPool>) -> Option<Instant> {
    let pool = pool.upgrade()?;
    let sooner = pool.sooner.notified();
    let due = pool.lock().timer;
    let until = due.unwrap_or_else(|| Instant::now() + STILL_THERE).min(Instant::now() + STILL_THERE);
    let _ = tokio::time::timeout_at(until.into(), sooner).await;
    Some(due.unwrap_or(until + STILL_THERE))
}
