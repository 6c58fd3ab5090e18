//! One connection over HTTP: a request, its reply, the next.

use std::time::Duration;

use crate::Result;
use crate::endpoint::{Endpoint, Stream};
use crate::message::Request;
use crate::reply::{Incoming, Progress};

/// How long a stream of events may stay open after the answer was in it.
const REST: Duration = Duration::from_secs(1);

/// An open connection with nothing on its way.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    incoming: Incoming,
    progress: Progress,
}

/// A whole reply.
#[derive(Debug)]
pub struct Reply<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The status line and headers.
    pub head: &'a [u8],
    /// The message, whether it came as JSON or in an event.
    pub body: &'a [u8],
}

impl Connection {
    /// Connects.
    pub async fn open(endpoint: impl Into<Endpoint>) -> Result<Self> {
        let stream = endpoint.into().open().await?;
        let mut incoming = Incoming::default();
        incoming.buffer().reserve(64 * 1024);
        Ok(Self { stream, incoming, progress: Progress::Complete })
    }

    /// Sends a request and reads its reply, as far as the message is in it: see [`Self::finish`].
    ///
    /// # Errors
    /// If the connection ends before the reply does.
    pub async fn ask(&mut self, request: &[u8]) -> Result<Reply<'_>> {
        self.send(request).await?;
        while self.progress == Progress::Waiting {
            self.read().await?;
        }
        let incoming = &self.incoming;
        Ok(Reply { status: incoming.status(), head: incoming.head(), body: incoming.message() })
    }

    /// Reads what follows the message; whether the connection can then carry another request.
    pub async fn finish(&mut self) -> bool {
        if self.progress != Progress::Complete {
            let rest = async {
                while self.progress != Progress::Complete {
                    self.read().await?;
                }
                Result::Ok(())
            };
            if !matches!(tokio::time::timeout(REST, rest).await, Ok(Ok(()))) {
                return false;
            }
        }
        self.incoming.keeps_connection()
    }

    /// Sends a request whose reply nobody will read.
    pub async fn send(&mut self, request: &[u8]) -> Result<()> {
        self.incoming.clear();
        self.progress = Progress::Waiting;
        Ok(self.stream.write_all(request).await?)
    }

    async fn read(&mut self) -> Result<()> {
        let read = self.stream.read_buf(self.incoming.buffer()).await?;
        self.progress = self.incoming.advance(read == 0)?;
        Ok(())
    }
}

impl Reply<'_> {
    /// Whether it is what the request asked for: status 200, the request's id, a result.
    ///
    /// # Errors
    /// If not, what it is.
    pub fn check(&self, request: &Request) -> Result<()> {
        if self.status == 200 && request.is_answered_by(self.body) {
            return Ok(());
        }
        let start = String::from_utf8_lossy(&self.body[..self.body.len().min(600)]);
        let id = String::from_utf8_lossy(request.id());
        Err(format!("no result for id {id}: status {}: {start}", self.status).into())
    }
}
