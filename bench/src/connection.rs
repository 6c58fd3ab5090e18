//! One connection over HTTP: a request, its reply, the next.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Result;
use crate::http::Head;
use crate::message::Request;

/// An open connection with nothing on its way.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// A whole reply.
#[derive(Debug)]
pub(crate) struct Reply<'a> {
    pub(crate) status: u16,
    pub(crate) head: &'a [u8],
    pub(crate) body: &'a [u8],
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, unread: Vec::with_capacity(256 * 1024) })
    }

    /// Sends a request and reads its reply.
    ///
    /// # Errors
    /// If the connection ends before the reply does.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Result<Reply<'_>> {
        self.send(request).await?;
        let head = loop {
            self.read("a reply").await?;
            if let Some(head) = Head::parse(&self.unread)? {
                break head;
            }
        };
        while self.unread.len() < head.body_at + head.length {
            self.read("a body").await?;
        }
        let (bytes, body) = self.unread.split_at(head.body_at);
        Ok(Reply { status: head.status, head: bytes, body })
    }

    /// Sends a request whose reply nobody will read.
    pub(crate) async fn send(&mut self, request: &[u8]) -> Result<()> {
        self.unread.clear();
        Ok(self.stream.write_all(request).await?)
    }

    async fn read(&mut self, what: &str) -> Result<()> {
        match self.stream.read_buf(&mut self.unread).await? {
            0 => Err(format!("a connection ended before {what}").into()),
            _ => Ok(()),
        }
    }
}

impl Reply<'_> {
    /// Whether it is what the request asked for: status 200, the request's id, a result.
    ///
    /// # Errors
    /// If not, what it is.
    pub(crate) fn check(&self, request: &Request) -> Result<()> {
        if self.status == 200 && request.is_answered_by(self.body) {
            return Ok(());
        }
        let start = String::from_utf8_lossy(&self.body[..self.body.len().min(600)]);
        let id = String::from_utf8_lossy(request.id());
        Err(format!("no result for id {id}: status {}: {start}", self.status).into())
    }
}
