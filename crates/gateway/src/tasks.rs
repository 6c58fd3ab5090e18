//! Background tasks. The only place that spawns, so that every task has a name and a panic is seen.

use std::future::Future;

use tokio::task::JoinHandle;

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
