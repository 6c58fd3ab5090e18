//! A read buffer whose waits may be cancelled without losing a byte.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Room made in the buffer before each read, in bytes.
const READ_BYTES: usize = 64 * 1024;

/// A reader with a buffer that belongs to us: what was read before a wait timed out is still there
/// for the next one (`tokio::io::BufReader::read_until` promises that only to whoever keeps its vector).
#[derive(Debug)]
pub(crate) struct Buffered<R> {
    stream: R,
    buffer: BytesMut,
    /// Bytes at the head of `buffer` that are known not to hold the delimiter looked for.
    scanned: usize,
    ended: bool,
}

impl<R: AsyncRead + Unpin> Buffered<R> {
    pub(crate) fn new(stream: R) -> Self {
        Self { stream, buffer: BytesMut::new(), scanned: 0, ended: false }
    }

    /// The stream itself, to write to.
    pub(crate) fn stream(&mut self) -> &mut R {
        &mut self.stream
    }

    /// Reads once more; `false` at the end of the stream.
    pub(crate) async fn fill(&mut self) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        self.buffer.reserve(READ_BYTES);
        let count = self.stream.read_buf(&mut self.buffer).await?;
        self.ended = count == 0;
        Ok(count > 0)
    }

    /// What has been read and not yet taken.
    pub(crate) fn peek(&self) -> &[u8] {
        &self.buffer
    }

    /// The bytes up to and including `delimiter`; at the end of the stream the rest, or `None` when
    /// there is none.
    pub(crate) async fn until(&mut self, delimiter: &[u8]) -> io::Result<Option<Bytes>> {
        loop {
            let from = self.scanned.saturating_sub(delimiter.len().saturating_sub(1));
            if let Some(at) = find(self.buffer.get(from..).unwrap_or_default(), delimiter) {
                self.scanned = 0;
                return Ok(Some(self.buffer.split_to(from + at + delimiter.len()).freeze()));
            }
            self.scanned = self.buffer.len();
            if !self.fill().await? {
                self.scanned = 0;
                let rest = self.buffer.split().freeze();
                return Ok((!rest.is_empty()).then_some(rest));
            }
        }
    }

    /// Exactly `count` bytes, or [`io::ErrorKind::UnexpectedEof`].
    pub(crate) async fn exactly(&mut self, count: usize) -> io::Result<Bytes> {
        while self.buffer.len() < count {
            if !self.fill().await? {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    format!("the stream ended after {} of {count} bytes", self.buffer.len()),
                ));
            }
        }
        self.scanned = 0;
        Ok(self.buffer.split_to(count).freeze())
    }

    /// Whatever there is: buffered bytes, else one read; `None` at the end of the stream.
    pub(crate) async fn some(&mut self) -> io::Result<Option<Bytes>> {
        if self.buffer.is_empty() && !self.fill().await? {
            return Ok(None);
        }
        self.scanned = 0;
        Ok(Some(self.buffer.split().freeze()))
    }

    /// Waits for the end of the stream or an error on it, keeping at most `limit` bytes that arrive
    /// meanwhile (a peer that pipelines more than that stays unread).
    pub(crate) async fn closed(&mut self, limit: usize) {
        while self.buffer.len() < limit {
            match self.fill().await {
                Ok(true) => {}
                Ok(false) | Err(_) => return,
            }
        }
        std::future::pending::<()>().await;
    }
}

/// Where `needle` begins in `haystack`.
fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    match needle {
        [] => Some(0),
        [byte] => haystack.iter().position(|b| b == byte),
        _ => haystack.windows(needle.len()).position(|window| window == needle),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_delimiter_split_over_two_reads_is_found() {
        let (mut near, far) = tokio::io::duplex(3);
        let writer = tokio::spawn(async move {
            tokio::io::AsyncWriteExt::write_all(&mut near, b"ab\r\n\r\ncd").await.unwrap();
        });
        let mut reader = Buffered::new(far);
        assert_eq!(reader.until(b"\r\n\r\n").await.unwrap().unwrap(), "ab\r\n\r\n");
        assert_eq!(reader.exactly(1).await.unwrap(), "c");
        assert_eq!(reader.until(b"\n").await.unwrap().unwrap(), "d", "the rest, at the end");
        assert!(reader.until(b"\n").await.unwrap().is_none());
        writer.await.unwrap();
    }
}
