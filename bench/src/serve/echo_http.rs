//! The upstream over HTTP, on bare sockets, so that it takes as little as possible of what is measured.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::Result;
use crate::echo::Echo;
use crate::http::header;
use crate::place::{Place, go_to};

/// Serves until SIGTERM, which lets the requests that have been read be answered.
pub(super) async fn serve(echo: Echo, port: u16, delay: Duration) -> Result<()> {
    go_to(Place::Other)?;
    let echo = Arc::new(echo);
    let mut term = signal(SignalKind::terminate())?;
    let (leave, leaving) = watch::channel(());
    let listener = super::listen(port).await?;
    loop {
        let stream = tokio::select! {
            stream = super::accept(&listener) => stream?,
            _ = term.recv() => break,
        };
        let (echo, leaving) = (Arc::clone(&echo), leaving.clone());
        tokio::spawn(async move {
            // An error here is the client's leaving.
            let _ = connection(stream, &echo, delay, leaving).await;
        });
    }
    drop((listener, leaving));
    // Fails at once when no connection is left, and that is when all is done.
    let _ = leave.send(());
    leave.closed().await;
    Ok(())
}

async fn connection(
    mut stream: TcpStream,
    echo: &Echo,
    delay: Duration,
    mut leaving: watch::Receiver<()>,
) -> Result<()> {
    let mut unread = Vec::with_capacity(256 * 1024);
    let (mut body, mut reply) = (Vec::new(), Vec::new());
    loop {
        let length = tokio::select! {
            length = request(&mut stream, &mut unread) => length?,
            _ = leaving.changed() => None,
        };
        let Some(length) = length else { return Ok(()) };
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
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
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
