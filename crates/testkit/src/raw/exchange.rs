//! One HTTP response, under full control of whoever writes it.

use std::{fmt::Write, io};

use tokio::{io::AsyncWriteExt, net::tcp::OwnedWriteHalf};

/// How far the response has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// Nothing is written.
    Fresh,
    /// An SSE stream is open.
    Streaming,
    /// The response is complete.
    Done,
}

/// The response to one HTTP request.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) writer: OwnedWriteHalf,
    pub(super) progress: Progress,
    /// Fields for the head, such as `Mcp-Session-Id`.
    pub(super) headers: Vec<(&'static str, String)>,
    /// Whether a lone answer also goes as an SSE stream.
    pub(super) always_sse: bool,
    /// Whether the connection must be closed after the response.
    pub(super) close: bool,
}

impl Exchange {
    pub(super) fn new(writer: OwnedWriteHalf, always_sse: bool) -> Self {
        Self { writer, progress: Progress::Fresh, headers: Vec::new(), always_sse, close: false }
    }

    /// Writes bytes as they are.
    pub(super) async fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes).await
    }

    /// A head with our own fields added; `fields` are whole lines without line ends.
    pub(super) fn head(&self, status: u16, fields: &[&str]) -> String {
        let mut head = format!("HTTP/1.1 {status} {}\r\n", reason(status));
        for field in fields {
            head.push_str(field);
            head.push_str("\r\n");
        }
        for (name, value) in &self.headers {
            // Writing to a string cannot fail.
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        head
    }

    /// Writes a complete response in one piece.
    pub(super) async fn respond(&mut self, status: u16, fields: &[&str], body: &[u8]) -> io::Result<()> {
        let length = format!("content-length: {}", body.len());
        let mut all: Vec<&str> = fields.to_vec();
        all.push(&length);
        let mut bytes = self.head(status, &all).into_bytes();
        bytes.extend_from_slice(body);
        self.progress = Progress::Done;
        self.bytes(&bytes).await
    }

    /// Opens the SSE stream.
    pub(super) async fn open_stream(&mut self) -> io::Result<()> {
        let head = self.head(
            200,
            &["content-type: text/event-stream", "cache-control: no-cache", "transfer-encoding: chunked"],
        );
        self.progress = Progress::Streaming;
        self.bytes(head.as_bytes()).await
    }

    /// Writes one HTTP chunk.
    pub(super) async fn chunk(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        self.bytes(&chunk).await
    }

    /// Ends the SSE stream.
    pub(super) async fn close_stream(&mut self) -> io::Result<()> {
        self.progress = Progress::Done;
        self.bytes(b"0\r\n\r\n").await
    }

    /// Sends a message as an SSE event, opening the stream when need be.
    pub(super) async fn message(&mut self, message: &[u8]) -> io::Result<()> {
        if self.progress == Progress::Fresh {
            self.open_stream().await?;
        }
        self.chunk(&event(message)).await
    }

    /// Ends the response without an answer: an open stream ends, a fresh response becomes an empty one.
    pub(super) async fn abandon(&mut self) -> io::Result<()> {
        if self.progress == Progress::Fresh {
            self.open_stream().await?;
        }
        self.close_stream().await
    }

    /// Sends the last message: as JSON when nothing came before it, else as an event that ends the
    /// stream. A status other than 200 is always JSON.
    pub(super) async fn last(&mut self, status: u16, message: &[u8]) -> io::Result<()> {
        if self.progress == Progress::Fresh && (!self.always_sse || status != 200) {
            return self.respond(status, &["content-type: application/json"], message).await;
        }
        self.message(message).await?;
        self.close_stream().await
    }
}

/// A message as one SSE event: a `data` line for each of its lines.
pub(super) fn event(message: &[u8]) -> Vec<u8> {
    let mut event = Vec::with_capacity(message.len() + 32);
    event.extend_from_slice(b"event: message\n");
    for line in message.split(|byte| *byte == b'\n') {
        event.extend_from_slice(b"data: ");
        event.extend_from_slice(line);
        event.push(b'\n');
    }
    event.push(b'\n');
    event
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        405 => "Method Not Allowed",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        _ => "Status",
    }
}
