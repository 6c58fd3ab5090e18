//! Background tasks. The only place that spawns, so that every task has a name and a panic is seen.

mod rerun;

use std::future::Future;
use std::task::Poll;

use tokio::task::JoinHandle;

pub use rerun::rerun;

/// Runs `future` in the background under `name`.
pub fn spawn<F>(name: &'static str, future: F) -> JoinHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    tokio::spawn(async move {
        let guard = PanicReport { name };
        future.await;
        std::mem::forget(guard);
    })
}

/// Does what takes milliseconds where no call waits behind it. `None` if it has panicked, which is seen, or if the process
/// is ending.
pub async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

/// Dropped without having been forgotten: the task panicked or was aborted.
struct PanicReport {
    name: &'static str,
}

impl Drop for PanicReport {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(task = self.name, "background task panicked");
        }
    }
}

/// Lets the tasks run that are ready now, and goes on behind them. Unlike `tokio::task::yield_now` it does not look for
/// new events first, which would be a system call.
pub fn let_ready_run() -> impl Future<Output = ()> {
    let mut is_behind = false;
    std::future::poll_fn(move |cx| {
        if std::mem::replace(&mut is_behind, true) {
            return Poll::Ready(());
        }
        // A task that wakes itself while it runs goes to the end of the queue.
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}
