//! A bare hyper server: it reads a request to its end and answers with bytes that it was given.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use crate::Result;

pub(super) async fn serve(reply: Vec<u8>) -> Result<()> {
    let reply = Bytes::from(reply);
    let listener = super::listen().await?;
    loop {
        let stream = super::accept(&listener).await?;
        let reply = reply.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, reply.clone()));
            // An error here is the client's leaving.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
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
