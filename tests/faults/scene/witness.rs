//! How late the machine is by itself: bare timers beside the load, so that a busy machine is told from a slow gateway.
//!
//! What a test allows a call is the gateway's own time and what the machine has added: for each of the processes that take
//! their turn at a call, as much as a timer was late at the same moment. On a machine that has time this is next to nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How long a timer waits.
const STEP: Duration = Duration::from_millis(2);
/// Threads that wait their turn in an exchange: the client's, the gateway's, the replica's, the gateway's, the client's.
const TURNS: u32 = 5;

/// Watches the machine until it is dropped.
#[derive(Debug)]
pub(crate) struct Witness {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    over: AtomicBool,
    /// When a timer was over, and by how much later than it should.
    seen: Mutex<Vec<(Instant, Duration)>>,
}

impl Witness {
    /// Begins to watch.
    pub(crate) fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let watching = Arc::clone(&shared);
        thread::spawn(move || {
            while !watching.over.load(Ordering::Relaxed) {
                let due = Instant::now() + STEP;
                thread::sleep(STEP);
                let now = Instant::now();
                watching.seen.lock().unwrap().push((now, now.saturating_duration_since(due)));
            }
        });
        Self { shared }
    }

    fn late(&self, from: Instant, to: Instant) -> Vec<Duration> {
        let seen = self.shared.seen.lock().unwrap();
        // The first that ends after `to` was late before that.
        let end = seen.partition_point(|(at, _)| *at < to).saturating_add(1).min(seen.len());
        let begin = seen.partition_point(|(at, _)| *at < from);
        let mut late: Vec<Duration> = seen[begin.min(end)..end].iter().map(|(_, late)| *late).collect();
        late.sort_unstable();
        late
    }

    /// What the machine has added to an exchange at most in this time.
    pub(crate) fn worst(&self, from: Instant, to: Instant) -> Duration {
        TURNS * self.late(from, to).last().copied().unwrap_or_default()
    }

    /// What the machine has added to so many in a hundred exchanges at most in this time.
    pub(crate) fn percentile(&self, percent: usize, from: Instant, to: Instant) -> Duration {
        let late = self.late(from, to);
        TURNS * late.get(late.len() * percent / 100).copied().unwrap_or_default()
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
    }
}
