//! One direction of a connection: bytes in, and what the present fault makes of them.

use std::{future::pending, io, time::Duration};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::tcp::{ReadHalf, WriteHalf},
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

use super::{End, Fault, proxy::Setting};

/// Bytes read at a time.
const READ_BYTES: usize = 16 * 1024;
/// Pieces that may be on their way, late; beyond that the sender is not read.
const ON_THE_WAY: usize = 64;
/// How often a limited bandwidth lets something pass, if it allows that much.
const BANDWIDTH_STEP: Duration = Duration::from_millis(20);

/// What goes from the client to the server: all of it, at once, unless nothing passes.
pub(super) async fn upstream(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut setting: watch::Receiver<Setting>,
) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    loop {
        buffer.clear();
        buffer.reserve(READ_BYTES);
        if from.read_buf(&mut buffer).await? == 0 {
            return to.shutdown().await;
        }
        let passes = setting.wait_for(|setting| setting.fault != Fault::Blackhole).await.is_ok();
        if passes {
            to.write_all(&buffer).await?;
        }
    }
}

/// What goes from the server to the client; returns how the connection must end if that was decided here.
pub(super) async fn downstream(
    mut from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    setting: watch::Receiver<Setting>,
) -> io::Result<Option<End>> {
    let (sender, pieces) = mpsc::channel(ON_THE_WAY);
    let read = async move {
        loop {
            let mut buffer = BytesMut::with_capacity(READ_BYTES);
            let read = from.read_buf(&mut buffer).await;
            let ended = !matches!(read, Ok(1..));
            let piece = read.map(|_| (Instant::now(), buffer.freeze()));
            // Nobody takes it any more once the connection is cut.
            if sender.send(piece).await.is_err() || ended {
                return;
            }
        }
    };
    let mut shaper = Shaper { to, setting, version: 0, passed: 0 };
    let shape = shaper.run(pieces);
    tokio::pin!(shape);
    tokio::select! {
        ended = &mut shape => ended,
        () = read => shape.await,
    }
}

type Piece = io::Result<(Instant, Bytes)>;

struct Shaper<'a> {
    to: WriteHalf<'a>,
    setting: watch::Receiver<Setting>,
    /// The setting that `passed` belongs to.
    version: u64,
    /// Bytes since then.
    passed: u64,
}

impl Shaper<'_> {
    async fn run(&mut self, mut pieces: mpsc::Receiver<Piece>) -> io::Result<Option<End>> {
        while let Some(piece) = pieces.recv().await {
            let (read_at, mut bytes) = piece?;
            if bytes.is_empty() {
                break;
            }
            let mut before = Instant::now();
            while !bytes.is_empty() {
                let setting = *self.setting.borrow_and_update();
                if setting.version != self.version {
                    (self.version, self.passed) = (setting.version, 0);
                }
                let (count, due) = match self.next(setting.fault, bytes.len(), read_at, before) {
                    Next::Passes(count, due) => (count, due),
                    Next::Ends(End::HalfClose) => {
                        // What the client sends still arrives.
                        return self.to.shutdown().await.map(|()| None);
                    }
                    Next::Ends(end) => return Ok(Some(end)),
                };
                let waits = async {
                    match due {
                        Some(due) => sleep_until(due).await,
                        None => pending().await,
                    }
                };
                tokio::select! {
                    biased;
                    () = waits => {}
                    // Decided anew.
                    Ok(()) = self.setting.changed() => continue,
                }
                self.to.write_all(&bytes.split_to(count)).await?;
                self.passed += count as u64;
                before = Instant::now();
            }
        }
        self.to.shutdown().await.map(|()| None)
    }

    /// How many of `length` bytes pass next, and when; `before` is when the last ones did.
    fn next(&self, fault: Fault, length: usize, read_at: Instant, before: Instant) -> Next {
        match fault {
            Fault::None | Fault::Reset | Fault::Refuse => Next::Passes(length, Some(before)),
            Fault::Latency { latency, jitter } => {
                let least = latency.saturating_sub(jitter);
                Next::Passes(length, Some(read_at + least + (2 * jitter).mul_f64(fastrand::f64())))
            }
            Fault::Bandwidth { bytes_per_s } => {
                let rate = bytes_per_s.max(1) as f64;
                let count = ((rate * BANDWIDTH_STEP.as_secs_f64()) as usize).clamp(1, length);
                Next::Passes(count, Some(before + Duration::from_secs_f64(count as f64 / rate)))
            }
            Fault::Slicer { bytes, pause } => Next::Passes(bytes.clamp(1, length), Some(before + pause)),
            Fault::LimitData { bytes, end } => match bytes.saturating_sub(self.passed) {
                0 => Next::Ends(end),
                left => Next::Passes(length.min(usize::try_from(left).unwrap_or(length)), Some(before)),
            },
            Fault::Blackhole => Next::Passes(length, None),
        }
    }
}

/// What happens next on a connection.
enum Next {
    /// So many bytes pass, at that time; never for `None`.
    Passes(usize, Option<Instant>),
    /// It ends.
    Ends(End),
}
