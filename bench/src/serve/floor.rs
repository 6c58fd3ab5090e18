//! A bare hyper server: it reads a request to its end and answers with bytes that it was given.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;

use super::front;
use crate::Result;

pub(super) async fn serve(reply: Vec<u8>) -> Result<()> {
    let reply = Bytes::from(reply);
    front::serve(move |request| answer(request, reply.clone())).await
}

async fn answer(
    mut request: Request<Incoming>,
    reply: Bytes,
) -> std::result::Result<Response<Full<Bytes>>, Infallible> {
    while request.body_mut().frame().await.is_some() {}
    let mut response = Response::new(Full::new(reply));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
