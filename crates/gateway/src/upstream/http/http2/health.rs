//! What the callers on a connection, its pool and its task tell one another.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

/// The state of one connection.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Exchanges on it.
    active: AtomicUsize,
    /// Whether one was begun since the last [`Health::was_used`].
    used: AtomicBool,
    retired: AtomicBool,
    /// How often something was read from the connection, and written to it.
    reads: AtomicU64,
    writes: AtomicU64,
    /// Told when a caller has given up without having heard anything.
    pub(super) doubt: Notify,
    end: OnceLock<String>,
}

impl Health {
    /// Begins an exchange, if fewer than `room` are there.
    pub(super) fn enter(&self, room: usize) -> bool {
        let entered = self
            .active
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |active| (active < room).then_some(active + 1))
            .is_ok();
        if entered {
            self.used.store(true, Ordering::Release);
        }
        entered
    }

    /// Ends an exchange.
    pub(super) fn leave(&self) {
        self.active.fetch_sub(1, Ordering::AcqRel);
    }

    /// Exchanges at this time.
    pub(super) fn active(&self) -> usize {
        self.active.load(Ordering::Acquire)
    }

    /// Whether an exchange was begun since the last question.
    pub(super) fn was_used(&self) -> bool {
        self.used.swap(false, Ordering::AcqRel)
    }

    /// Lets no further exchange begin.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// A count that grows whenever something comes from the server.
    pub(super) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Acquire)
    }

    /// A count that grows whenever something is written.
    pub(super) fn writes(&self) -> u64 {
        self.writes.load(Ordering::Acquire)
    }

    /// The connection has ended. The first reason stays.
    pub(super) fn end(&self, reason: String) {
        self.retire();
        let _ = self.end.set(reason);
    }

    /// Why it has ended, if it has.
    pub(super) fn ended(&self) -> Option<&str> {
        self.end.get().map(String::as_str)
    }
}

/// A stream whose reads and writes are counted.
#[derive(Debug)]
pub(super) struct Metered<S> {
    stream: S,
    health: Arc<Health>,
}

impl<S> Metered<S> {
    pub(super) fn new(stream: S, health: Arc<Health>) -> Self {
        Self { stream, health }
    }

    fn wrote(&self, written: usize) -> usize {
        if written > 0 {
            self.health.writes.fetch_add(1, Ordering::AcqRel);
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.health.reads.fetch_add(1, Ordering::AcqRel);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        Poll::Ready(Ok(self.wrote(written)))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, parts))?;
        Poll::Ready(Ok(self.wrote(written)))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
