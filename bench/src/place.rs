//! Which processor something runs on.

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::Result;

/// Which processor something runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The one that whatever is measured has for itself.
    Measured,
    /// The other one: the load, and the upstream.
    Other,
    /// Any.
    Anywhere,
}

/// From now on every place is any: for what counts instructions, of which it does not matter who shares the processor.
pub(crate) fn stay_anywhere() {
    ANYWHERE.store(true, Ordering::Relaxed);
}

static ANYWHERE: AtomicBool = AtomicBool::new(false);

/// Runs `work` at a place, and whatever it starts. Without a second processor every place is the same.
pub(crate) fn on<T>(place: Place, work: impl FnOnce() -> T) -> T {
    let before = sched_getaffinity(None);
    let _ = go_to(place);
    let result = work();
    if let Ok(before) = before {
        let _ = sched_setaffinity(None, &before);
    }
    result
}

/// Moves this thread. Failing to is no error: the figures then mix with those of whoever shares the processor.
pub(crate) fn go_to(place: Place) -> Result<()> {
    let all = processors();
    let mut set = CpuSet::new();
    let place = if ANYWHERE.load(Ordering::Relaxed) { Place::Anywhere } else { place };
    match (place, all.as_slice()) {
        (Place::Other, [first, _, ..]) => set.set(*first),
        (Place::Measured, [_, .., last]) => set.set(*last),
        _ => all.iter().for_each(|cpu| set.set(*cpu)),
    }
    Ok(sched_setaffinity(None, &set)?)
}

/// The processors that we may use, as they were when first asked for.
pub(crate) fn processors() -> Vec<usize> {
    static ALL: std::sync::OnceLock<Vec<usize>> = std::sync::OnceLock::new();
    ALL.get_or_init(|| {
        let set = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
        (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect()
    })
    .clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_holds_only_for_the_work_done_there() {
        let here = || sched_getaffinity(None).unwrap().count();
        let all = here();
        assert_eq!(on(Place::Measured, here), 1);
        assert_eq!(here(), all);
    }
}
