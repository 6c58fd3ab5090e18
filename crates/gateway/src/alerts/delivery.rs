//! Delivery to whoever takes its time: a bounded queue, one delivery at a time, in order, each for a bounded time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aqe_core::monitor::alerts::Severity;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::command::Program;
use super::notice::Notice;
use super::settings::{CommandSettings, WebhookSettings};
use super::webhook::Webhook;
use crate::outbound::TargetError;
use crate::tasks;

/// Notices that wait for one receiver; the next one is dropped and counted.
const QUEUE: usize = 64;
/// Pause before the second attempt; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause that we choose ourselves.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Why an attempt did not deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// What happened, for people.
    pub(super) text: String,
    /// Whether another attempt may do better.
    pub(super) again: bool,
    /// How long the receiver has asked to wait.
    pub(super) retry_after: Option<Duration>,
}

/// The pause after the attempt `attempt` (from 1). `random` is from 0 to 1: half of the pause is left to chance, so that
/// many servers do not come back at the same time. What the receiver asks for is kept to.
fn pause(attempt: u32, random: f64, retry_after: Option<Duration>) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << (attempt - 1).min(16)).min(LONGEST_PAUSE);
    doubled.mul_f64(0.5 + random / 2.0).max(retry_after.unwrap_or_default())
}

/// How a receiver is told.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Receiver {
    Webhook(WebhookSettings),
    Command(CommandSettings),
}

impl Receiver {
    pub(super) fn name(&self) -> &Arc<str> {
        match self {
            Self::Webhook(webhook) => &webhook.name,
            Self::Command(command) => &command.name,
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Command(_) => "command",
        }
    }

    pub(super) fn min_severity(&self) -> Severity {
        match self {
            Self::Webhook(webhook) => webhook.min_severity,
            Self::Command(command) => command.min_severity,
        }
    }

    /// How long after an alert it is still tried to deliver it.
    fn patience(&self) -> Duration {
        match self {
            Self::Webhook(webhook) => webhook.retry_for,
            // One attempt, and room for those before it.
            Self::Command(command) => command.timeout.saturating_mul(QUEUE as u32),
        }
    }
}

/// Makes one attempt.
#[derive(Debug, Clone)]
pub(super) enum Way {
    Webhook(Arc<Webhook>),
    Command(Arc<Program>),
}

impl Way {
    fn to(receiver: &Receiver) -> Result<Self, TargetError> {
        Ok(match receiver {
            Receiver::Webhook(settings) => Self::Webhook(Arc::new(Webhook::new(settings)?)),
            Receiver::Command(settings) => Self::Command(Arc::new(Program::new(settings))),
        })
    }

    pub(super) async fn attempt(&self, notice: &Notice) -> Result<(), Failure> {
        match self {
            Self::Webhook(webhook) => webhook.attempt(notice).await,
            Self::Command(command) => command.attempt(notice).await,
        }
    }
}

/// What became of the notices for one receiver.
#[derive(Debug, Clone, Default)]
pub(super) struct Figures {
    pub(super) delivered: u64,
    /// Given up.
    pub(super) failed: u64,
    /// Not even tried, because too many were waiting.
    pub(super) dropped: u64,
    /// Further attempts.
    pub(super) retries: u64,
    pub(super) last_error: Option<String>,
}

#[derive(Debug)]
struct Waiting {
    notice: Arc<Notice>,
    until: Instant,
}

/// A receiver and what waits for it. When it is dropped what is waiting is still delivered.
#[derive(Debug)]
pub(super) struct Sink {
    pub(super) receiver: Receiver,
    pub(super) way: Way,
    queue: mpsc::Sender<Waiting>,
    figures: Arc<Mutex<Figures>>,
    worker: JoinHandle<()>,
}

fn lock(figures: &Mutex<Figures>) -> MutexGuard<'_, Figures> {
    figures.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sink {
    /// Opens the way to a receiver; nothing is sent yet.
    pub(super) fn open(receiver: Receiver) -> Result<Self, TargetError> {
        let way = Way::to(&receiver)?;
        let (queue, waiting) = mpsc::channel(QUEUE);
        let figures = Arc::<Mutex<Figures>>::default();
        let work = work(Arc::clone(receiver.name()), way.clone(), waiting, Arc::clone(&figures));
        let worker = tasks::spawn("alert delivery", work);
        Ok(Self { receiver, way, queue, figures, worker })
    }

    /// Has a notice delivered, if it is bad enough for the receiver.
    pub(super) fn tell(&self, notice: &Arc<Notice>) {
        if notice.severity < self.receiver.min_severity() {
            return;
        }
        let until = Instant::now() + self.receiver.patience();
        match self.queue.try_send(Waiting { notice: Arc::clone(notice), until }) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => {
                lock(&self.figures).dropped += 1;
                tracing::warn!(
                    sink = &**self.receiver.name(),
                    alert = &*notice.name,
                    "alert not delivered: too many wait already"
                );
            }
        }
    }

    /// Notices that wait, without the one under way.
    pub(super) fn queued(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    pub(super) fn figures(&self) -> Figures {
        lock(&self.figures).clone()
    }

    /// Takes no more; resolves when what is waiting has been delivered or given up.
    pub(super) async fn finish(self) {
        drop(self.queue);
        // A panic in it has been logged.
        let _ = self.worker.await;
    }
}

async fn work(name: Arc<str>, way: Way, mut waiting: mpsc::Receiver<Waiting>, figures: Arc<Mutex<Figures>>) {
    while let Some(Waiting { notice, until }) = waiting.recv().await {
        let mut attempt = 1;
        let failure = loop {
            let failure = match way.attempt(&notice).await {
                Ok(()) => break None,
                Err(failure) => failure,
            };
            let pause = pause(attempt, fastrand::f64(), failure.retry_after);
            if !failure.again || Instant::now() + pause > until {
                break Some(failure);
            }
            {
                let mut figures = lock(&figures);
                figures.retries += 1;
                figures.last_error = Some(failure.text.clone());
            }
            tracing::debug!(
                sink = &*name,
                alert = &*notice.name,
                attempt,
                reason = failure.text,
                "tried again later"
            );
            tokio::time::sleep(pause).await;
            attempt += 1;
        };
        let mut figures = lock(&figures);
        match failure {
            None => figures.delivered += 1,
            Some(Failure { text, .. }) => {
                figures.failed += 1;
                tracing::warn!(
                    sink = &*name,
                    alert = &*notice.name,
                    attempt,
                    reason = text,
                    "alert not delivered"
                );
                figures.last_error = Some(text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute_and_half_of_them_is_chance() {
        let seconds = |attempt, random| pause(attempt, random, None).as_secs_f64();
        let least: Vec<f64> = (1..=8).map(|attempt| seconds(attempt, 0.0)).collect();
        assert_eq!(least, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]);
        assert!((seconds(3, 1.0) - 4.0).abs() < 1e-9);
        assert!((seconds(u32::MAX, 1.0) - 60.0).abs() < 1e-9);
    }

    #[test]
    fn what_the_receiver_asks_for_is_kept_to() {
        let asked = Some(Duration::from_secs(90));
        assert_eq!(pause(1, 0.3, asked), Duration::from_secs(90));
        assert_eq!(pause(7, 1.0, Some(Duration::from_secs(1))), Duration::from_secs(60));
    }
}
