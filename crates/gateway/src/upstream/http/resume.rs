//! Taking up an event stream again where it broke (HTML standard, "Last-Event-ID"; MCP legacy era, "Resumability").

use std::time::Duration;

use aqe_core::envelope::Event;

/// The wait before a stream is taken up again, where the server names none.
const DEFAULT_DELAY: Duration = Duration::from_secs(1);
/// Bounds on what it may name: below, it would have us spin; above, sleep for good.
const MIN_DELAY: Duration = Duration::from_millis(10);
const MAX_DELAY: Duration = Duration::from_secs(30);

/// First wait and longest wait between attempts that fail.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// The place that a stream has reached.
#[derive(Debug, Default)]
pub(super) struct Place {
    last_event_id: Option<String>,
    retry: Option<Duration>,
}

impl Place {
    /// Notes an event's id and retry fields.
    pub(super) fn note(&mut self, event: &Event) {
        if let Some(id) = &event.id {
            // An empty id says that there is no place to come back to.
            self.last_event_id = (!id.is_empty()).then(|| id.clone());
        }
        if let Some(retry_ms) = event.retry_ms {
            self.retry = Some(Duration::from_millis(retry_ms).clamp(MIN_DELAY, MAX_DELAY));
        }
    }

    /// The id to continue after.
    pub(super) fn last_event_id(&self) -> Option<&str> {
        self.last_event_id.as_deref()
    }

    /// How long to wait before continuing.
    pub(super) fn delay(&self) -> Duration {
        self.retry.unwrap_or(DEFAULT_DELAY)
    }

    /// What the server asked to wait, if it did.
    pub(super) fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Gives the place up: the server does not know it.
    pub(super) fn forget(&mut self) {
        self.last_event_id = None;
    }
}

/// The wait after `failures` failed attempts: exponential, and of each the upper half at random (`random` in 0..1),
/// so that clients of a restarted server do not return at one moment.
pub(super) fn backoff(failures: u32, random: f64) -> Duration {
    let full = FIRST_BACKOFF.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(MAX_BACKOFF);
    full.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: Option<&str>, retry_ms: Option<u64>) -> Event {
        Event { id: id.map(Into::into), retry_ms, ..Event::default() }
    }

    #[test]
    fn the_last_id_and_retry_stay_until_replaced() {
        let mut place = Place::default();
        assert_eq!((place.last_event_id(), place.delay()), (None, DEFAULT_DELAY));
        place.note(&event(Some("a"), Some(500)));
        place.note(&event(None, None));
        assert_eq!((place.last_event_id(), place.delay()), (Some("a"), Duration::from_millis(500)));
        place.note(&event(Some(""), Some(u64::MAX)));
        assert_eq!((place.last_event_id(), place.delay()), (None, MAX_DELAY));
        place.note(&event(None, Some(0)));
        assert_eq!(place.delay(), MIN_DELAY);
    }

    #[test]
    fn back_off_doubles_to_its_bound_and_is_spread_over_its_upper_half() {
        assert_eq!(backoff(1, 1.0), Duration::from_millis(100));
        assert_eq!(backoff(1, 0.0), Duration::from_millis(50));
        assert_eq!(backoff(4, 1.0), Duration::from_millis(800));
        assert_eq!(backoff(u32::MAX, 1.0), MAX_BACKOFF);
    }
}
