//! Small errands that outlive their call: cancelling it at the server, reading its stream to the end.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::body::Body;

/// Errands at one time, over all upstreams. Beyond it an errand is skipped: each is a courtesy to the server, and
/// a flood of cancelled calls must not become a flood of tasks.
const MAX_ERRANDS: usize = 256;
/// More than [`Body::finish`] takes.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// A bounded number of short-lived tasks.
pub(super) struct Background {
    permits: Arc<Semaphore>,
}

impl Default for Background {
    fn default() -> Self {
        Self { permits: Arc::new(Semaphore::new(MAX_ERRANDS)) }
    }
}

impl Background {
    /// Runs `errand` for at most `limit`; skips it when too many are running, or outside a runtime.
    pub(super) fn run(
        &self,
        name: &'static str,
        limit: Duration,
        errand: impl Future<Output = ()> + Send + 'static,
    ) {
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            tracing::debug!(name, "errand skipped: too many are running");
            return;
        };
        spawn(async move {
            if timeout(limit, errand).await.is_err() {
                tracing::debug!(name, "errand gave up");
            }
            drop(permit);
        });
    }

    /// Reads a body to its end so that its TCP connection can be used again. What already ended needs no task.
    pub(super) fn drain(&self, mut body: Body) {
        if !body.has_ended() {
            self.run("upstream/drain", DRAIN_TIMEOUT, async move {
                body.finish().await;
            });
        }
    }
}

/// Starts a task on the current runtime; `None` outside one, where nothing can run any more.
pub(super) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Option<AbortHandle> {
    Handle::try_current().ok().map(|runtime| runtime.spawn(task).abort_handle())
}
