//! The upstream over HTTP, on bare sockets, so that it takes as little as possible of what is measured.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Result;
use crate::echo::Echo;
use crate::http::header;
use crate::process::{Place, go_to};

pub(super) async fn serve(echo: Echo) -> Result<()> {
    go_to(Place::Other)?;
    let echo = Arc::new(echo);
    let listener = super::listen().await?;
    loop {
        let stream = super::accept(&listener).await?;
        let echo = Arc::clone(&echo);
        tokio::spawn(async move {
            // An error here is the client's leaving.
            let _ = connection(stream, &echo).await;
        });
    }
}

async fn connection(mut stream: TcpStream, echo: &Echo) -> Result<()> {
    let mut unread = Vec::with_capacity(256 * 1024);
    let (mut body, mut reply) = (Vec::new(), Vec::new());
    loop {
        let Some(length) = request(&mut stream, &mut unread).await? else { return Ok(()) };
        let (head, rest) = unread.split_at(length.head);
        let message = &rest[..length.body];
        body.clear();
        reply.clear();
        if head.starts_with(b"POST ") {
            echo.answer(message, &mut body);
            let status = if body.is_empty() { "202 Accepted" } else { "200 OK" };
            reply.extend_from_slice(
                format!(
                    "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                )
                .as_bytes(),
            );
            reply.extend_from_slice(&body);
        } else {
            reply.extend_from_slice(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n");
        }
        stream.write_all(&reply).await?;
        unread.drain(..length.head + length.body);
    }
}

/// Bytes of a request.
struct Length {
    head: usize,
    body: usize,
}

/// Reads until a whole request is there; `None` at the end of the stream.
async fn request(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Result<Option<Length>> {
    loop {
        if let Some(end) = memchr::memmem::find(unread, b"\r\n\r\n") {
            let body = header(&unread[..end], "content-length").map_or(Ok(0), str::parse)?;
            if unread.len() >= end + 4 + body {
                return Ok(Some(Length { head: end + 4, body }));
            }
        }
        if stream.read_buf(unread).await? == 0 {
            return Ok(None);
        }
    }
}
