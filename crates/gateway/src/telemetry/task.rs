//! A task that sends what it has until it is told to end.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::tasks;

/// Until when everything must be done; `None` while there is no end in sight.
pub(super) type Closing = watch::Receiver<Option<Instant>>;

/// A task and its end.
#[derive(Debug)]
pub(super) struct Task {
    closing: watch::Sender<Option<Instant>>,
    /// `None` before it has begun, and once it has ended.
    running: Mutex<Option<JoinHandle<()>>>,
}

impl Task {
    /// One that has not begun.
    pub(super) fn new() -> Self {
        Self { closing: watch::Sender::new(None), running: Mutex::default() }
    }

    /// Begins. `work` gets to know when it is to end.
    pub(super) fn begin<F>(&self, name: &'static str, work: impl FnOnce(Closing) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let running = tasks::spawn(name, work(self.closing.subscribe()));
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
    }

    /// Has it do what is left, for at most `limit`, and end.
    pub(super) async fn close(&self, limit: Duration) {
        self.closing.send_replace(Some(Instant::now() + limit));
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(running) = running {
            // A panic in it has been logged.
            let _ = timeout(limit, running).await;
        }
    }
}
