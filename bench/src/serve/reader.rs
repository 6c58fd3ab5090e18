//! The same proxy for one who wants to know what he passes on: each body is read whole and parsed as JSON first.

use std::io;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::de::IgnoredAny;

use super::proxy::Target;
use crate::Result;

type Body = Full<Bytes>;

#[derive(Clone)]
struct Reader {
    pool: Client<HttpConnector, Body>,
    target: Target,
}

pub(super) async fn serve(upstream: &str) -> Result<()> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let pool = Client::builder(TokioExecutor::new()).build(connector);
    let reader = Reader { pool, target: Target::new(upstream)? };
    let listener = super::listen().await?;
    loop {
        let stream = super::accept(&listener).await?;
        let reader = reader.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let reader = reader.clone();
                async move { reader.pass(request).await }
            });
            // An error here is the client's leaving.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

impl Reader {
    async fn pass(&self, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let (head, body) = request.into_parts();
        let mut request = Request::from_parts(head, read(body).await?);
        self.target.address(&mut request);
        let (head, body) = self.pool.request(request).await.map_err(io::Error::other)?.into_parts();
        Ok(Response::from_parts(head, read(body).await?))
    }
}

/// Syntax and depth are proven, and not a value is kept.
async fn read(body: Incoming) -> io::Result<Body> {
    let bytes = body.collect().await.map_err(io::Error::other)?.to_bytes();
    serde_json::from_slice::<IgnoredAny>(&bytes)?;
    Ok(Full::new(bytes))
}
