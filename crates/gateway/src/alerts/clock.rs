//! Moments of the steady clock as times of the calendar.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// How far the calendar may be from what is expected until it counts: it was set, or the machine slept.
const DRIFT: Duration = Duration::from_secs(1);

/// One moment on both clocks. Times are made from it, so that one moment is always the same time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    steady: Instant,
    calendar: SystemTime,
}

impl Clock {
    pub(super) fn new(now: Instant) -> Self {
        Self { steady: now, calendar: SystemTime::now() }
    }

    /// Follows the calendar where it has been set.
    pub(super) fn follow(&mut self, now: Instant) {
        let calendar = SystemTime::now();
        let expected = self.calendar + now.saturating_duration_since(self.steady);
        let off = calendar.duration_since(expected).unwrap_or_else(|error| error.duration());
        if off > DRIFT {
            *self = Self { steady: now, calendar };
        }
    }

    /// Milliseconds since the Unix epoch.
    pub(super) fn unix_ms(&self, moment: Instant) -> i64 {
        let time = match moment.checked_duration_since(self.steady) {
            Some(later) => self.calendar + later,
            None => self.calendar - self.steady.saturating_duration_since(moment),
        };
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}

/// A time as RFC 3339 in UTC; `null` for one that no calendar has.
pub(super) fn rfc3339(unix_ms: i64) -> Value {
    jiff::Timestamp::from_millisecond(unix_ms).map_or(Value::Null, |time| json!(format!("{time:.3}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_always_the_same_time_and_later_ones_are_later() {
        let start = Instant::now();
        let mut clock = Clock::new(start);
        let at = start + Duration::from_secs(60);
        let first = clock.unix_ms(at);
        assert_eq!(first - clock.unix_ms(start), 60_000);
        clock.follow(Instant::now());
        assert_eq!(clock.unix_ms(at), first);
        // The machine slept for an hour: what the steady clock has not noticed is caught up with.
        clock.calendar -= Duration::from_secs(3600);
        clock.follow(Instant::now());
        assert!((clock.unix_ms(at) - first).abs() < 1_000);
    }

    #[test]
    fn times_are_written_as_rfc_3339() {
        assert_eq!(rfc3339(1_500), "1970-01-01T00:00:01.500Z");
        assert_eq!(rfc3339(i64::MAX), Value::Null);
    }
}
