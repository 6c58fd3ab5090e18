//! The same work on many things, on the machine's threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::reply::Refusal;
use crate::stop::Stop;

/// Threads of one work. More would take the processor from everything else that runs here.
const MOST_THREADS: usize = 8;

/// What `work` makes of each of `things`, in their order. A thread is worth being started for `share` of them.
///
/// # Errors
/// The first that `work` has, or if the work is to stop, which is asked before each thing.
pub(crate) fn each<T: Sync, R: Send>(
    things: &[T],
    share: usize,
    stop: &Stop,
    work: impl Fn(&T) -> Result<R, Refusal> + Sync,
) -> Result<Vec<R>, Refusal> {
    let most = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let threads = things.len().div_ceil(share.max(1)).clamp(1, most);
    let next = AtomicUsize::new(0);
    let run = || -> Result<Vec<(usize, R)>, Refusal> {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(thing) = things.get(at) else { return Ok(done) };
            let result = stop.check().and_then(|()| work(thing));
            if result.is_err() {
                // The others need not go on.
                next.store(things.len(), Ordering::Relaxed);
            }
            done.push((at, result?));
        }
    };
    let mut all = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
        let mut all = run();
        for thread in others {
            let of_thread = joined(thread);
            all = all.and_then(|mut all| {
                all.extend(of_thread?);
                Ok(all)
            });
        }
        all
    })?;
    all.sort_unstable_by_key(|(at, _)| *at);
    Ok(all.into_iter().map(|(_, result)| result).collect())
}

/// What a thread answers.
pub(crate) fn joined<R>(thread: thread::ScopedJoinHandle<'_, Result<R, Refusal>>) -> Result<R, Refusal> {
    thread.join().unwrap_or_else(|_| Err(Refusal("this is a fault of ours: a thread has panicked".into())))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_things_and_the_first_error_ends_it() {
        let (stop, call) = Stop::at(Instant::now() + Duration::from_secs(60));
        let things: Vec<usize> = (0..1_000).collect();
        let doubled = each(&things, 8, &stop, |thing| Ok(thing * 2)).unwrap();
        assert_eq!(doubled, (0..1_000).map(|thing| thing * 2).collect::<Vec<_>>());
        let bad = |thing: &usize| if *thing == 500 { Err(Refusal("bad".into())) } else { Ok(()) };
        assert_eq!(each(&things, 8, &stop, bad).unwrap_err().0, "bad");
        assert!(each(&Vec::<usize>::new(), 8, &stop, |_| Ok(())).unwrap().is_empty());
        drop(call);
        assert!(each(&things, 8, &stop, |_| Ok(())).is_err());
    }
}
