//! Bad answers that only HTTP can carry.

use std::{io, time::Duration};

use rustix::net::sockopt::set_socket_linger;
use tokio::time::sleep;

use super::{Arguments, good, pause};
use crate::raw::{
    exchange::{Exchange, Progress, event},
    request::Request,
    server::Call,
};

const JSON: &str = "content-type: application/json";
/// Where a redirect leads unless told otherwise: another origin, where nobody listens.
const ELSEWHERE: &str = "http://127.0.0.1:9/mcp";

/// Answers in a mode of HTTP, `None` when there is no such mode.
pub(super) async fn answer(
    request: &Request,
    arguments: &Arguments,
    call: &Call,
    exchange: &mut Exchange,
) -> Option<io::Result<()>> {
    let mode = arguments.mode.as_str();
    if let Some(status) = mode.strip_prefix("status-").and_then(|status| status.parse().ok()) {
        return Some(refuse(status, arguments, exchange).await);
    }
    if mode.starts_with("sse-") {
        return stream(request, arguments, call, exchange).await;
    }
    let good = good(request);
    Some(match mode {
        "accepted" => exchange.respond(202, &[], b"").await,
        "empty-body" => exchange.respond(200, &[JSON], b"").await,
        "content-type" => {
            exchange.respond(200, &["content-type: text/html"], b"<html>It works!</html>").await
        }
        "redirect" => {
            let location = format!("location: {}", arguments.location.as_deref().unwrap_or(ELSEWHERE));
            exchange.respond(307, &[&location], b"").await
        }
        "no-http" => {
            exchange.close = true;
            exchange.progress = Progress::Done;
            exchange.bytes(b"220 mail.example.com ESMTP\r\n\r\n").await
        }
        "truncated-body" => {
            exchange.close = true;
            let length = format!("content-length: {}", good.len());
            let mut bytes = exchange.head(200, &[JSON, &length]).into_bytes();
            bytes.extend_from_slice(good.as_bytes().get(..good.len() / 2).unwrap_or_default());
            exchange.bytes(&bytes).await
        }
        "reset" => reset(exchange),
        "close-after" => {
            // Without the header field that would announce it.
            exchange.close = true;
            exchange.respond(200, &[JSON], good.as_bytes()).await
        }
        "slow-body" => {
            let length = format!("content-length: {}", good.len());
            let head = exchange.head(200, &[JSON, &length]);
            exchange.progress = Progress::Done;
            drip(exchange, head.as_bytes(), good.as_bytes(), pause(arguments, 2)).await
        }
        _ => return None,
    })
}

/// Answers with an error status and the header fields that go with it.
async fn refuse(status: u16, arguments: &Arguments, exchange: &mut Exchange) -> io::Result<()> {
    let retry = format!("retry-after: {}", arguments.retry_after.as_deref().unwrap_or("1"));
    let mut fields = vec!["content-type: text/plain"];
    match status {
        401 => fields.push("www-authenticate: Bearer error=\"invalid_token\""),
        429 | 503 => fields.push(&retry),
        _ => {}
    }
    exchange.respond(status, &fields, b"refused by rawmcp").await
}

/// Answers with an event stream that is odd or never comes to an answer.
async fn stream(
    request: &Request,
    arguments: &Arguments,
    call: &Call,
    exchange: &mut Exchange,
) -> Option<io::Result<()>> {
    let good = good(request);
    let plain = String::from_utf8(event(good.as_bytes())).ok()?;
    let ping = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}"#;
    let text = match arguments.mode.as_str() {
        "sse-pings" => return Some(pings(arguments, call, exchange).await),
        "sse-closed" => String::new(),
        "sse-cut" | "sse-reset" => {
            exchange.close = true;
            let sent = exchange.message(ping.as_bytes()).await;
            let cut = arguments.mode == "sse-cut";
            return Some(match sent {
                Ok(()) if cut => Ok(()),
                Ok(()) => reset(exchange),
                Err(error) => Err(error),
            });
        }
        "sse-split" => plain,
        "sse-cr" => plain.replace('\n', "\r"),
        "sse-crlf" => plain.replace('\n', "\r\n"),
        "sse-comments" => format!(":\n: keep-alive\n\n:x\n\n{}:end\n\n", plain.replace("data:", ":c\ndata:")),
        "sse-multiline" => {
            // A line end between members is white space to JSON.
            format!("data: {}\n\n", good.replace(",\"", ",\ndata: \""))
        }
        "sse-fields" => {
            format!("id: 0/0\nretry: 3000\ndata:\n\nid:1\nretry: soon\nx-field: 1\nfield\ndata:{good}\n\n")
        }
        "sse-bom" => format!("\u{feff}{plain}"),
        "sse-foreign-event" => format!("event: ping\ndata: not JSON\n\n{plain}"),
        _ => return None,
    };
    let piece = if arguments.mode == "sse-split" { 1 } else { text.len().max(1) };
    Some(chunks(exchange, text.as_bytes(), piece).await)
}

/// Sends comments until the client cancels or leaves.
async fn pings(arguments: &Arguments, call: &Call, exchange: &mut Exchange) -> io::Result<()> {
    exchange.open_stream().await?;
    loop {
        tokio::select! {
            () = call.cancelled.notified() => return exchange.close_stream().await,
            () = sleep(pause(arguments, 20)) => exchange.chunk(b": ping\n\n").await?,
        }
    }
}

/// Sends a whole event stream in chunks of this size.
async fn chunks(exchange: &mut Exchange, bytes: &[u8], piece: usize) -> io::Result<()> {
    exchange.open_stream().await?;
    for piece in bytes.chunks(piece) {
        exchange.chunk(piece).await?;
        tokio::task::yield_now().await;
    }
    exchange.close_stream().await
}

async fn drip(exchange: &mut Exchange, head: &[u8], body: &[u8], pause: Duration) -> io::Result<()> {
    exchange.bytes(head).await?;
    for byte in body.chunks(1) {
        exchange.bytes(byte).await?;
        sleep(pause).await;
    }
    Ok(())
}

/// Makes the closing of the connection a reset.
fn reset(exchange: &mut Exchange) -> io::Result<()> {
    exchange.close = true;
    let socket: &tokio::net::TcpStream = exchange.writer.as_ref();
    set_socket_linger(socket, Some(Duration::ZERO))?;
    Ok(())
}
