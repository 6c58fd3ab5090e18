//! Reading a request's body within its limits.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::super::EdgeLimits;
use super::reply::{self, ReplyBody};

/// A body of fewer bytes is copied: it comes as a slice of the connection's read buffer, of at least 8 KiB, and would
/// keep all of it for as long as the call lasts.
const COPIED: usize = 4 * 1024;
/// Memory set aside on a length that the client only announced.
const MAX_RESERVED: usize = 1024 * 1024;

/// The whole body.
///
/// A body that is too large is still read on for as much again: a client that writes all of it before it reads would
/// lose the refusal to the reset of a connection closed under it.
///
/// # Errors
/// The reply to send instead: 413 beyond the limit, 408 when it takes too long, 400 when it breaks off.
pub(super) async fn collect(
    mut body: Incoming,
    headers: &HeaderMap,
    limits: &EdgeLimits,
) -> Result<Bytes, Response<ReplyBody>> {
    let max = limits.max_body_bytes;
    // A client that waits for our word has sent nothing yet.
    if body.size_hint().lower() > max as u64 && headers.contains_key(header::EXPECT) {
        return Err(too_large(max));
    }
    let mut reading = pin!(read(&mut body, max));
    // Most bodies have come with their head, and need no timer.
    if let Poll::Ready(result) = poll_fn(|cx| Poll::Ready(reading.as_mut().poll(cx))).await {
        return result;
    }
    match tokio::time::timeout(limits.body_timeout, reading).await {
        Ok(result) => result,
        Err(_) => Err(last(StatusCode::REQUEST_TIMEOUT, "the body took too long\n")),
    }
}

async fn read(body: &mut Incoming, max: usize) -> Result<Bytes, Response<ReplyBody>> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let mut whole = BytesMut::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return Err(last(StatusCode::BAD_REQUEST, "the body broke off\n"));
        };
        let Ok(data) = frame.into_data() else { continue };
        if length == 0 && body.is_end_stream() && (COPIED..=max).contains(&data.len()) {
            return Ok(data);
        }
        length += data.len();
        if length > max.saturating_mul(2) {
            break;
        }
        if length > max {
            whole = BytesMut::new();
        } else {
            if whole.is_empty() {
                whole.reserve(announced.clamp(data.len(), data.len().max(MAX_RESERVED)));
            }
            whole.extend_from_slice(&data);
        }
    }
    if length > max { Err(too_large(max)) } else { Ok(whole.freeze()) }
}

fn too_large(max: usize) -> Response<ReplyBody> {
    last(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is over {max} bytes\n"))
}

/// A reply after which the connection is closed, since what follows may be the rest of the body.
fn last(status: StatusCode, text: impl Into<Bytes>) -> Response<ReplyBody> {
    let mut response = reply::text(status, text);
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
