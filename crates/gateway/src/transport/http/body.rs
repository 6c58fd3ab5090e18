//! Reading a request's body within its limits.

use bytes::{Bytes, BytesMut};
use http::{Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::super::EdgeLimits;
use super::reply::{self, ReplyBody};

/// The whole body.
///
/// # Errors
/// The reply to send instead: 413 beyond the limit, 408 when it takes too long, 400 when it breaks off.
pub(super) async fn collect(mut body: Incoming, limits: &EdgeLimits) -> Result<Bytes, Response<ReplyBody>> {
    let max = limits.max_body_bytes;
    let too_large = || reply::text(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is over {max} bytes\n"));
    if body.size_hint().lower() > max as u64 {
        return Err(too_large());
    }
    let read = async {
        let mut first: Option<Bytes> = None;
        let mut rest = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                return Err(reply::text(StatusCode::BAD_REQUEST, "the body broke off\n"));
            };
            let Ok(data) = frame.into_data() else { continue };
            if first.as_ref().map_or(0, Bytes::len) + rest.len() + data.len() > max {
                return Err(too_large());
            }
            match &first {
                None => first = Some(data),
                Some(_) => rest.extend_from_slice(&data),
            }
        }
        let first = first.unwrap_or_default();
        if rest.is_empty() {
            return Ok(first);
        }
        let mut whole = BytesMut::with_capacity(first.len() + rest.len());
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&rest);
        Ok(whole.freeze())
    };
    match tokio::time::timeout(limits.body_timeout, read).await {
        Ok(result) => result,
        Err(_) => Err(reply::text(StatusCode::REQUEST_TIMEOUT, "the body took too long\n")),
    }
}
