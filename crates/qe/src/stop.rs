//! When work that nobody waits for any more ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::reply::Refusal;

/// Asked between two steps of a long work: whether to go on. Copies are of the same work.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    cancelled: Arc<AtomicBool>,
    deadline: Instant,
}

/// Sets the flag when the call's future is dropped.
#[derive(Debug)]
pub(crate) struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Stop {
    /// A work that ends by `deadline`, or when what comes with it is dropped.
    pub(crate) fn at(deadline: Instant) -> (Self, StopOnDrop) {
        let cancelled = Arc::new(AtomicBool::new(false));
        (Self { cancelled: Arc::clone(&cancelled), deadline }, StopOnDrop(cancelled))
    }

    /// The same work, of which a part may take at most `time`.
    pub(crate) fn within(&self, time: Duration) -> Self {
        let end = Instant::now().checked_add(time).unwrap_or(self.deadline);
        Self { cancelled: Arc::clone(&self.cancelled), deadline: self.deadline.min(end) }
    }

    /// Time that is left; zero if the work is to end.
    pub(crate) fn left(&self) -> Duration {
        if self.cancelled.load(Ordering::Relaxed) {
            return Duration::ZERO;
        }
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// To be asked at least each few milliseconds.
    ///
    /// # Errors
    /// If the work is to end.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        if self.left().is_zero() {
            return Err(Refusal("stopped: the call was cancelled, or its time was up".into()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_ends_when_its_call_is_dropped_or_its_time_is_up() {
        let (stop, call) = Stop::at(Instant::now() + Duration::from_secs(60));
        assert!(stop.check().is_ok() && stop.clone().left() > Duration::from_secs(50));
        drop(call);
        assert!(stop.check().is_err() && stop.left().is_zero());
        let (whole, call) = Stop::at(Instant::now() + Duration::from_secs(60));
        assert!(whole.within(Duration::ZERO).check().is_err() && whole.check().is_ok());
        let part = whole.within(Duration::from_secs(600));
        assert!(part.left() <= Duration::from_secs(60) && part.check().is_ok());
        drop(call);
        assert!(part.check().is_err(), "a part ends with the whole");
        let (late, _call) = Stop::at(Instant::now());
        assert!(late.check().is_err());
    }
}
