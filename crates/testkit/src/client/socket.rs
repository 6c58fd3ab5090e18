//! Bytes over a socket, for everything that is no well-formed HTTP.

use std::{io, path::Path, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};

use super::{DEADLINE, must, within};
use crate::{
    buffered::Buffered,
    http1::{self, Framing, Head},
};

/// Both kinds of stream socket.
pub(super) trait Socket: AsyncRead + AsyncWrite + Send + Unpin + std::fmt::Debug {}

impl Socket for TcpStream {}
impl Socket for UnixStream {}

/// A connection on which a test sends and reads bytes: half heads, lying lengths, slow pieces.
#[derive(Debug)]
pub struct RawSocket {
    pub(super) stream: Buffered<Box<dyn Socket>>,
    deadline: Duration,
}

impl RawSocket {
    /// Connects by TCP to `HOST:PORT`.
    pub async fn tcp(address: &str) -> io::Result<Self> {
        let stream = within(DEADLINE, "a TCP connection", TcpStream::connect(address)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: Buffered::new(Box::new(stream)), deadline: DEADLINE })
    }

    /// Connects to a Unix socket.
    pub async fn unix(path: &Path) -> io::Result<Self> {
        let stream = within(DEADLINE, "a Unix connection", UnixStream::connect(path)).await?;
        Ok(Self { stream: Buffered::new(Box::new(stream)), deadline: DEADLINE })
    }

    /// Sets the deadline of every wait from now on.
    pub fn set_deadline(&mut self, deadline: Duration) {
        self.deadline = deadline;
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        must(self.try_send(bytes).await, "expected to send");
    }

    /// Sends bytes as they are; an error is a peer that has closed.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let deadline = self.deadline;
        within(deadline, "the peer to read", self.stream.stream().write_all(bytes.as_ref())).await
    }

    /// Sends the pieces of a text one by one with a pause after each, until the peer closes.
    pub async fn drip(&mut self, bytes: &[u8], piece: usize, pause: Duration) -> io::Result<()> {
        for piece in bytes.chunks(piece.max(1)) {
            self.try_send(piece).await?;
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    /// Says that nothing more will be sent.
    pub async fn shut_write(&mut self) {
        must(self.stream.stream().shutdown().await, "expected to close the sending side");
    }

    /// Whatever comes next; `None` when the peer has closed (a reset counts as closed).
    pub async fn receive(&mut self) -> Option<Bytes> {
        within(self.deadline, "bytes or the end of the connection", self.stream.some())
            .await
            .unwrap_or_default()
    }

    /// Everything until the peer closes.
    pub async fn receive_all(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(bytes) = self.receive().await {
            all.extend_from_slice(&bytes);
        }
        all
    }

    /// Whether the peer closes within `patience`; what it sends meanwhile stays to be read.
    pub async fn closes_within(&mut self, patience: Duration) -> bool {
        tokio::time::timeout(patience, self.stream.closed(usize::MAX)).await.is_ok()
    }

    /// The next response: its status, head and body. `None` when the peer closes instead.
    pub async fn response(&mut self) -> Option<(u16, Head, Bytes)> {
        let deadline = self.deadline;
        let read = async {
            let Some(head) = http1::read_head(&mut self.stream).await? else { return Ok(None) };
            let framing = Framing::of(&head.headers, Framing::Close);
            let body = http1::read_body(&mut self.stream, framing).await?;
            Ok::<_, io::Error>(Some((head, body)))
        };
        match within(deadline, "an HTTP response", read).await {
            Ok(read) => read.map(|(head, body)| (status(&head), head, body)),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("expected an HTTP response: {error}"),
        }
    }
}

/// The status of a response head.
pub(super) fn status(head: &Head) -> u16 {
    match head.word(1).parse() {
        Ok(status) => status,
        Err(error) => panic!("expected a status line, got {:?}: {error}", head.start),
    }
}
