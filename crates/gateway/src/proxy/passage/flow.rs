//! The way of the bytes, and how long each side may keep the other waiting.

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use aqe_core::envelope::{Transit, TransitError};
use aqe_core::health::{FailureKind, Outcome};
use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{Instant, timeout, timeout_at};

use crate::upstream::{CallError, Rest};

/// What is handed to the client's transport at a time, at most.
pub(super) const PIECE_BYTES: usize = 64 * 1024;
/// How long a client may take nothing of what is there.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a client may keep other calls waiting that share the upstream's pipe, in all, ...
const PATIENCE_IN_FRONT: Duration = Duration::from_secs(10);
/// ... and of how many bytes each that it takes gives it a second more.
const BYTES_PER_SECOND: u64 = 1024 * 1024;

/// How often it is asked meanwhile whether others wait.
const LOOK: Duration = Duration::from_secs(1);

/// From the upstream to the client's transport.
pub(super) struct Flow {
    pub(super) transit: Transit,
    pub(super) head: BytesMut,
    pub(super) rest: Box<dyn Rest>,
    /// Longest text.
    pub(super) max_bytes: u64,
    /// Longest silence of the upstream.
    pub(super) silence: Duration,
    pub(super) until: Instant,
    /// Bytes that have come so far.
    pub(super) passed: u64,
}

/// Why it stopped before its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    #[error("the client has cancelled the call")]
    Cancelled,
    #[error("an operator has cancelled the call")]
    ByOperator,
    #[error("the client has left")]
    ClientLeft,
    #[error("the client does not read its answer")]
    ClientTooSlow,
    #[error("timed out: nothing more came of its answer")]
    Silent,
    #[error("timed out: its answer does not end")]
    TooLate,
    #[error("it asks for input")]
    AsksForInput,
    #[error(transparent)]
    Upstream(CallError),
}

impl Stop {
    /// What it says of the replica.
    pub(super) fn outcome(&self, replicas: usize) -> Outcome {
        match self {
            Self::Cancelled | Self::ByOperator | Self::ClientLeft | Self::ClientTooSlow => Outcome::Cancelled,
            Self::Silent | Self::TooLate => Outcome::Failure(FailureKind::Timeout),
            Self::AsksForInput => Outcome::Success,
            Self::Upstream(error) => error.outcome(replicas),
        }
    }
}

impl From<TransitError> for Stop {
    fn from(error: TransitError) -> Self {
        match error {
            TransitError::AsksForInput => Self::AsksForInput,
            error => Self::Upstream(CallError::Malformed(error.to_string())),
        }
    }
}

pub(super) fn too_long(max_bytes: u64) -> CallError {
    CallError::Malformed(format!("answer of more than {max_bytes} bytes"))
}

impl Flow {
    /// Passes the text on up to its last bytes, which are returned once all has been proven.
    pub(super) async fn run(&mut self, to: &mpsc::Sender<Bytes>) -> Result<Bytes, Stop> {
        let mut in_front = Duration::ZERO;
        let mut piece = std::mem::take(&mut self.head);
        loop {
            self.passed += piece.len() as u64;
            if self.passed > self.max_bytes {
                return Err(Stop::Upstream(too_long(self.max_bytes)));
            }
            let mut parts = Vec::new();
            self.transit.push(piece, |part| parts.push(part))?;
            for mut part in parts {
                while !part.is_empty() {
                    in_front += self.send(to, part.split_to(part.len().min(PIECE_BYTES))).await?;
                }
            }
            if in_front > PATIENCE_IN_FRONT + Duration::from_secs(self.passed / BYTES_PER_SECOND) {
                return Err(Stop::ClientTooSlow);
            }
            piece = match self.next(to).await? {
                Some(piece) => piece,
                None => return Ok(self.transit.finish()?),
            };
        }
    }

    async fn next(&mut self, to: &mpsc::Sender<Bytes>) -> Result<Option<BytesMut>, Stop> {
        let now = Instant::now();
        if now >= self.until {
            return Err(Stop::TooLate);
        }
        let until = (now + self.silence).min(self.until);
        let piece = timeout_at(until, poll_fn(|cx| self.rest.poll_piece(cx)));
        tokio::select! {
            biased;
            piece = piece => match piece {
                Ok(piece) => piece.map_err(Stop::Upstream),
                Err(_) if until == self.until => Err(Stop::TooLate),
                Err(_) => Err(Stop::Silent),
            },
            () = to.closed() => Err(Stop::ClientLeft),
        }
    }

    /// Hands over a piece; how long others have waited behind the client meanwhile.
    pub(super) async fn send(&mut self, to: &mpsc::Sender<Bytes>, piece: Bytes) -> Result<Duration, Stop> {
        let piece = match to.try_send(piece) {
            Ok(()) => return Ok(Duration::ZERO),
            Err(TrySendError::Closed(_)) => return Err(Stop::ClientLeft),
            Err(TrySendError::Full(piece)) => piece,
        };
        let began = Instant::now();
        let mut in_front = Duration::ZERO;
        let mut sending = pin!(to.send(piece));
        loop {
            let since = Instant::now();
            let sent = timeout(LOOK, &mut sending).await;
            if self.rest.holds_others() {
                in_front += since.elapsed();
            }
            match sent {
                Ok(Ok(())) => return Ok(in_front),
                Ok(Err(_)) => return Err(Stop::ClientLeft),
                Err(_) if began.elapsed() >= PATIENCE || in_front >= PATIENCE_IN_FRONT => {
                    return Err(Stop::ClientTooSlow);
                }
                Err(_) => {}
            }
        }
    }
}
