//! One batch on its way to the collector, as often as OTLP says ("OTLP/HTTP Response", "Retryable Response Codes").

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, header};
use tokio::time::{Instant, sleep_until};

use super::task::Closing;
use crate::outbound::{Outbound, PostError, Reply};

/// The pause after the first failure; each further one is twice as long, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// So long a batch is tried. What is recorded meanwhile waits in the queue.
const PATIENCE: Duration = Duration::from_secs(60);

/// The way to one collector, for one kind of data.
#[derive(Debug)]
pub(super) struct Delivery {
    outbound: Outbound,
    /// Time for one attempt.
    timeout: Duration,
    /// What is sent: for the log.
    what: &'static str,
    /// The last attempt has failed, which has been logged.
    is_failing: AtomicBool,
}

/// What has become of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Delivered {
    /// The collector has it, and answered this.
    Accepted(Bytes),
    /// It was refused for good.
    Refused,
    /// It could not be delivered in time.
    Failed,
}

/// What an attempt means.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Accepted,
    /// It may be sent again, after this pause if the collector has named one.
    Again(Option<Duration>),
    Refused,
}

impl Delivery {
    pub(super) fn new(outbound: Outbound, timeout: Duration, what: &'static str) -> Self {
        Self { outbound, timeout, what, is_failing: AtomicBool::new(false) }
    }

    /// Sends a batch, again and again where that may help. `closing` says until when, once we are to end; from then on
    /// nothing waits longer than that.
    pub(super) async fn deliver(&self, body: Bytes, closing: &Closing) -> Delivered {
        let mut closing = closing.clone();
        let given_up = Instant::now() + PATIENCE;
        let protobuf = [(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"))];
        let mut pause = FIRST_PAUSE;
        loop {
            let reply = self.outbound.post(&protobuf, body.clone(), self.timeout).await;
            let named = match judge(&reply) {
                Verdict::Accepted => {
                    if self.is_failing.swap(false, Ordering::Relaxed) {
                        tracing::info!("{} reach the collector again", self.what);
                    }
                    return Delivered::Accepted(reply.map(|reply| reply.body).unwrap_or_default());
                }
                Verdict::Refused => {
                    self.warn(&reply, "are refused by the collector");
                    return Delivered::Refused;
                }
                Verdict::Again(named) => named,
            };
            self.warn(&reply, "do not reach the collector");
            let is_closing = closing.borrow().is_some();
            // Not all at once, when many have lost the same collector.
            let jittered = pause.mul_f64(0.5 + fastrand::f64() / 2.0);
            let next = Instant::now() + named.unwrap_or(jittered);
            if next >= closing.borrow().unwrap_or(given_up) {
                return Delivered::Failed;
            }
            tokio::select! {
                () = sleep_until(next) => {}
                // There is less time than there was: one attempt at once.
                _ = closing.wait_for(Option::is_some), if !is_closing => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Once for each time that it begins to fail.
    fn warn(&self, reply: &Result<Reply, PostError>, what: &str) {
        if !self.is_failing.swap(true, Ordering::Relaxed) {
            let reason = match reply {
                Ok(reply) => format!("status {}", reply.status),
                Err(error) => error.to_string(),
            };
            tracing::warn!(reason, "{} {what}", self.what);
        }
    }
}

fn judge(reply: &Result<Reply, PostError>) -> Verdict {
    match reply {
        Ok(reply) if reply.status.is_success() => Verdict::Accepted,
        Ok(reply) if matches!(reply.status.as_u16(), 429 | 502 | 503 | 504) => {
            Verdict::Again(reply.retry_after)
        }
        Ok(_) => Verdict::Refused,
        Err(PostError::Connect(_) | PostError::Broken(_) | PostError::Timeout(_)) => Verdict::Again(None),
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[test]
    fn only_what_the_specification_names_is_sent_again() {
        let status = |code: u16| {
            let retry_after = Some(Duration::from_secs(3));
            judge(&Ok(Reply { status: StatusCode::from_u16(code).unwrap(), retry_after, body: Bytes::new() }))
        };
        for code in [200, 202, 204] {
            assert_eq!(status(code), Verdict::Accepted);
        }
        for code in [429, 502, 503, 504] {
            assert_eq!(status(code), Verdict::Again(Some(Duration::from_secs(3))));
        }
        for code in [301, 400, 401, 404, 408, 413, 500, 501] {
            assert_eq!(status(code), Verdict::Refused, "{code}");
        }
        for error in [
            PostError::Connect(String::new()),
            PostError::Broken(String::new()),
            PostError::Timeout(Duration::ZERO),
        ] {
            assert_eq!(judge(&Err(error)), Verdict::Again(None));
        }
    }
}
