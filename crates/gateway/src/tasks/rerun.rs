//! A future that wakes itself is polled again at once.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// So often a future is polled again before others get their turn.
const RERUNS: usize = 8;

/// Nobody polls: whoever wakes, wakes the task.
const IDLE: u8 = 0;
/// It is being polled.
const POLLED: u8 = 1;
/// It was woken while it was polled.
const WOKEN: u8 = 2;

/// Polls `future` again, in the same turn, if it was woken while it was polled.
///
/// The reading and the answering half of an HTTP/1.1 connection wake one another, in one task, several times per request. For the
/// runtime each of that is a task that got ready while its thread was busy: it wakes another thread to take it over.
pub async fn rerun<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let wakes = Arc::new(Wakes { state: AtomicU8::new(IDLE), task: AtomicWaker::new() });
    let waker = Waker::from(Arc::clone(&wakes));
    poll_fn(|cx| {
        wakes.task.register(cx.waker());
        for _ in 0..=RERUNS {
            wakes.state.store(POLLED, Ordering::Release);
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Poll::Ready(output);
            }
            let left = wakes.state.compare_exchange(POLLED, IDLE, Ordering::AcqRel, Ordering::Acquire);
            if left.is_ok() {
                return Poll::Pending;
            }
        }
        wakes.state.store(IDLE, Ordering::Release);
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

/// What the future is woken by.
struct Wakes {
    state: AtomicU8,
    task: AtomicWaker,
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let seen = self.state.compare_exchange(POLLED, WOKEN, Ordering::AcqRel, Ordering::Acquire);
        // Who meets `WOKEN` comes before the poll that will look again.
        if seen == Err(IDLE) {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use super::*;

    /// Counts how often a task is woken.
    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Ready when it has been polled so often; wakes itself until then.
    fn ready_after(polls: usize, polled: &AtomicUsize) -> impl Future<Output = ()> + '_ {
        poll_fn(move |cx| {
            if polled.fetch_add(1, Ordering::SeqCst) + 1 == polls {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    }

    #[test]
    fn a_future_that_wakes_itself_is_polled_again_without_waking_the_task() {
        let (woken, polled) = (Arc::<Count>::default(), AtomicUsize::new(0));
        let waker = Waker::from(Arc::clone(&woken));
        let mut future = pin!(rerun(ready_after(4, &polled)));
        assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
        assert_eq!((polled.load(Ordering::SeqCst), woken.0.load(Ordering::SeqCst)), (4, 0));
    }

    #[test]
    fn one_that_does_not_stop_waking_itself_lets_others_have_their_turn() {
        let (woken, polled) = (Arc::<Count>::default(), AtomicUsize::new(0));
        let waker = Waker::from(Arc::clone(&woken));
        let mut future = pin!(rerun(ready_after(usize::MAX, &polled)));
        for turn in 1..=3 {
            assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            assert_eq!(polled.load(Ordering::SeqCst), turn * (RERUNS + 1));
            assert_eq!(woken.0.load(Ordering::SeqCst), turn);
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_wake_from_another_thread_is_lost() {
        let (to, mut from) = tokio::sync::mpsc::channel(1);
        let (back, mut again) = tokio::sync::mpsc::channel(1);
        let one = tokio::spawn(rerun(async move {
            for n in 0..20_000_u32 {
                to.send(n).await.unwrap();
                assert_eq!(again.recv().await, Some(n));
            }
        }));
        let other = tokio::spawn(rerun(async move {
            while let Some(n) = from.recv().await {
                back.send(n).await.unwrap();
            }
        }));
        let both = async { (one.await.unwrap(), other.await.unwrap()) };
        tokio::time::timeout(Duration::from_secs(60), both).await.expect("a wake was lost");
    }
}
