//! When the messages of one stream are written: together where some can wait for others, in order, none too late.
//!
//! One write takes all that is there. What nobody waits for may be held back a little, so that more comes together;
//! everything else makes the stream due at once, and takes along what was held back before it.

use std::time::{Duration, Instant};

/// Whether a message may be held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Somebody waits for it: a response, an error, a request, and whatever is not named under [`Priority::Low`].
    High,
    /// It tells how something goes on, and nothing goes on when it comes.
    Low,
}

impl Priority {
    /// The priority of a notification, from its method alone.
    ///
    /// Progress and log messages are low: they inform. The others are high, since whoever gets them acts on them:
    /// `list_changed` and `resources/updated` (what was read before is stale), `cancelled` (work is in vain),
    /// `elicitation/complete` and `tasks` (somebody waits for just that), `initialized`, `subscriptions/acknowledged`;
    /// and so are methods that we do not know.
    pub fn of(method: &str) -> Self {
        match method {
            "notifications/progress" | "notifications/message" => Self::Low,
            _ => Self::High,
        }
    }
}

/// How long messages are held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batching {
    /// Longest wait of a message.
    pub timeout: Duration,
    /// So many bytes are written without further waiting.
    pub max_bytes: usize,
}

/// What is there to be written on one stream. The messages themselves are their owner's.
#[derive(Debug, Clone)]
pub struct Holdback {
    /// `None`: nothing is held back.
    limits: Option<Batching>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Empty,
    /// Messages of low priority.
    Held {
        until: Instant,
        bytes: usize,
    },
    Due,
}

/// What a writer is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Wait for messages.
    Nothing,
    /// Wait for more, at most until then.
    At(Instant),
    /// Write all that is there, in order; then say so with [`Holdback::written`].
    Now,
}

impl Holdback {
    /// A stream without messages. Without limits every message is due at once.
    pub fn new(limits: Option<Batching>) -> Self {
        Self { limits, state: State::Empty }
    }

    /// A message of `bytes` was put behind the others. Returns whether the writer must be woken: it has to write, or to
    /// wait with a limit. `now` is asked only where it matters, never for a message of high priority.
    #[must_use]
    pub fn add(&mut self, priority: Priority, bytes: usize, now: impl FnOnce() -> Instant) -> bool {
        let state = match (self.limits, priority, self.state) {
            (_, _, State::Due) => return false,
            (Some(limits), Priority::Low, State::Held { until, bytes: so_far }) => {
                let bytes = so_far.saturating_add(bytes);
                if bytes < limits.max_bytes {
                    self.state = State::Held { until, bytes };
                    return false;
                }
                State::Due
            }
            (Some(limits), Priority::Low, State::Empty) if bytes < limits.max_bytes => {
                State::Held { until: now() + limits.timeout, bytes }
            }
            _ => State::Due,
        };
        self.state = state;
        true
    }

    /// What the writer is to do at `now`, which is asked only while messages are held back.
    pub fn due(&mut self, now: impl FnOnce() -> Instant) -> Due {
        match self.state {
            State::Empty => Due::Nothing,
            State::Held { until, .. } if now() < until => Due::At(until),
            State::Held { .. } | State::Due => {
                self.state = State::Due;
                Due::Now
            }
        }
    }

    /// Nothing is held back any longer: the stream ends, or is read from anew. Returns whether anything was.
    pub fn release(&mut self) -> bool {
        let held = matches!(self.state, State::Held { .. });
        if held {
            self.state = State::Due;
        }
        held
    }

    /// All that was there has been taken.
    pub fn written(&mut self) {
        self.state = State::Empty;
    }
}

#[cfg(test)]
mod tests;
