//! One TCP or TLS connection to a server, carrying one exchange after the other (HTTP/1.1).
//!
//! Written by hand because this is where a forwarded call spends its time: a general client keeps a task beside the
//! caller, hands requests and responses over through channels and builds maps of fields that nobody reads.
//! bench/README.md tells how to measure it; parsing is left to `httparse`.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;

use super::head::{self, KeepAlive, Parsed};

/// Bytes of one head.
pub(super) const MAX_HEAD: usize = 64 * 1024;
/// What a read asks for at least.
const READ_BYTES: usize = 8 * 1024;
/// How long before the end that the server has announced an idle connection is given up: a request that crosses the
/// server's closing is lost.
const CLOSING_MARGIN: Duration = Duration::from_secs(1);

type Stream = TokioIo<MaybeHttpsStream<TokioIo<TcpStream>>>;

/// An open connection.
pub(super) struct Conn {
    io: Stream,
    /// Received and not taken yet.
    pub(super) received: BytesMut,
    keep_alive: KeepAlive,
}

/// An exchange that came to no response.
#[derive(Debug)]
pub(super) struct Failure {
    /// Not one byte of the request was written.
    pub(super) unsent: bool,
    pub(super) kind: FailureKind,
}

#[derive(Debug)]
pub(super) enum FailureKind {
    /// The connection ended.
    Io(io::Error),
    /// What came is no HTTP.
    Malformed(String),
}

impl Conn {
    pub(super) fn new(io: MaybeHttpsStream<TokioIo<TcpStream>>) -> Self {
        let keep_alive = KeepAlive { open: true, timeout: None };
        Self { io: TokioIo::new(io), received: BytesMut::with_capacity(READ_BYTES), keep_alive }
    }

    /// Writes a request and reads the head of its response; what has come of the body is in `received`. A server may
    /// answer before it has read the whole request: then the rest is not written, and the connection ends with the
    /// response.
    pub(super) async fn exchange(&mut self, request: &[u8], body: &Bytes) -> Result<Parsed, Failure> {
        let mut out = Buf::chain(request, &body[..]);
        let mut unsent = true;
        let mut broken = None;
        let outcome = poll_fn(|cx| {
            while out.has_remaining() && broken.is_none() {
                match self.poll_write(cx, &mut out) {
                    Poll::Ready(Ok(())) => unsent = false,
                    Poll::Ready(Err(error)) => broken = Some(error),
                    Poll::Pending => break,
                }
            }
            if !out.has_remaining() && broken.is_none() {
                // For TLS, whose records may still be here.
                match Pin::new(&mut self.io).poll_flush(cx) {
                    Poll::Ready(Err(error)) => broken = Some(error),
                    Poll::Ready(Ok(())) | Poll::Pending => {}
                }
            }
            match self.poll_head(cx) {
                // The server has hung up; if it has said why, that came before.
                Poll::Pending | Poll::Ready(Err(FailureKind::Io(_))) if broken.is_some() => {
                    let error = broken.take().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into());
                    Poll::Ready(Err(FailureKind::Io(error)))
                }
                outcome => outcome,
            }
        })
        .await;
        let mut parsed = outcome.map_err(|kind| Failure { unsent, kind })?;
        parsed.keep_alive.open &= !out.has_remaining();
        self.keep_alive = parsed.keep_alive;
        Ok(parsed)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, out: &mut impl Buf) -> Poll<io::Result<()>> {
        let mut slices = [IoSlice::new(&[]); 2];
        let count = out.chunks_vectored(&mut slices);
        let written = std::task::ready!(Pin::new(&mut self.io).poll_write_vectored(cx, &slices[..count]))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        out.advance(written);
        Poll::Ready(Ok(()))
    }

    /// The head of the final response.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Parsed, FailureKind>> {
        let mut looked_at = 0;
        loop {
            if self.received.len() > looked_at {
                // Most come whole. One that drips in is parsed again only when its end may have come.
                let new = &self.received[looked_at.saturating_sub(2)..];
                let may_end = looked_at == 0 || memchr::memmem::find(new, b"\n\r\n").is_some();
                looked_at = self.received.len();
                if may_end {
                    match head::parse(&self.received).map_err(FailureKind::Malformed)? {
                        Some(parsed) if parsed.head.status == http::StatusCode::SWITCHING_PROTOCOLS => {
                            return Poll::Ready(Err(FailureKind::Malformed(
                                "an upgrade nobody asked for".into(),
                            )));
                        }
                        Some(parsed) if parsed.head.status.is_informational() => {
                            self.received.advance(parsed.length);
                            looked_at = 0;
                            continue;
                        }
                        Some(parsed) => {
                            self.received.advance(parsed.length);
                            return Poll::Ready(Ok(parsed));
                        }
                        None => {}
                    }
                }
                if self.received.len() > MAX_HEAD {
                    let reason = format!("a response head of more than {MAX_HEAD} bytes");
                    return Poll::Ready(Err(FailureKind::Malformed(reason)));
                }
            }
            match std::task::ready!(self.poll_receive(cx)) {
                Ok(0) => {
                    let reason = "closed by the server before its response";
                    let error = io::Error::new(io::ErrorKind::UnexpectedEof, reason);
                    return Poll::Ready(Err(FailureKind::Io(error)));
                }
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(FailureKind::Io(error))),
            }
        }
    }

    /// Reads what has come into `received`; zero bytes are the end.
    pub(super) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.received.reserve(READ_BYTES);
        pin!(self.io.read_buf(&mut self.received)).poll(cx)
    }

    /// Reads what has come into `into`, past `received`, which must be empty; zero bytes are the end.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut impl BufMut,
    ) -> Poll<io::Result<usize>> {
        debug_assert!(self.received.is_empty());
        pin!(self.io.read_buf(into)).poll(cx)
    }

    /// Whether nothing stands against another request, as far as is known without waiting: a server that has closed
    /// the connection, or says something that nobody asked for, is through with it.
    pub(super) fn is_idle(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.keep_alive.open && self.received.is_empty() && self.poll_receive(&mut cx).is_pending()
    }

    /// Until when the connection may lie idle, if the server has said so.
    pub(super) fn idle_until(&self) -> Option<Instant> {
        let timeout = self.keep_alive.timeout?;
        Some(Instant::now() + timeout.saturating_sub(CLOSING_MARGIN))
    }

    /// Whether the server takes another request after this response.
    pub(super) fn keeps_alive(&self) -> bool {
        self.keep_alive.open
    }
}
