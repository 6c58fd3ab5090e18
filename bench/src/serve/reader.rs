//! The same proxy for one who wants to know what he passes on: each body is read whole and parsed as JSON first.

use std::io;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use serde::de::IgnoredAny;

use super::front::{self, Target};
use crate::Result;

type Body = Full<Bytes>;

#[derive(Clone)]
struct Reader {
    pool: Client<HttpConnector, Body>,
    target: Target,
}

pub(super) async fn serve(upstream: &str) -> Result<()> {
    let reader = Reader { pool: front::client(), target: Target::new(upstream)? };
    front::serve(move |request| {
        let reader = reader.clone();
        async move { reader.pass(request).await }
    })
    .await
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
