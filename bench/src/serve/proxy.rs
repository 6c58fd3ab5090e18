//! An HTTP proxy on hyper's server and hyper-util's pooled client. It copies bodies as they come, or reads each one as JSON
//! first, as whoever wants to know what he passes on must.

use std::io;

use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::de::IgnoredAny;

use crate::Result;

type Body = Either<Incoming, Full<Bytes>>;
type Pool = Client<HttpConnector, Body>;

#[derive(Clone)]
struct Proxy {
    pool: Pool,
    scheme: Scheme,
    authority: Authority,
    host: HeaderValue,
    reads: bool,
}

pub(super) async fn serve(upstream: &str, reads: bool) -> Result<()> {
    let uri: Uri = upstream.parse()?;
    let authority = uri.authority().cloned().ok_or("the upstream's URL has no host")?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let pool = Client::builder(TokioExecutor::new()).build(connector);
    let host = HeaderValue::from_str(authority.as_str())?;
    let proxy = Proxy { pool, scheme: Scheme::HTTP, authority, host, reads };
    let listener = super::listen().await?;
    loop {
        let stream = super::accept(&listener).await?;
        let proxy = proxy.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let proxy = proxy.clone();
                async move { proxy.pass(request).await }
            });
            // An error here is the client's leaving.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

impl Proxy {
    async fn pass(&self, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let (head, body) = request.into_parts();
        let mut request = Request::from_parts(head, self.body(body).await?);
        let mut uri = std::mem::take(request.uri_mut()).into_parts();
        uri.scheme = Some(self.scheme.clone());
        uri.authority = Some(self.authority.clone());
        // All parts are there; without them the client would refuse the request.
        *request.uri_mut() = Uri::from_parts(uri).unwrap_or_default();
        request.headers_mut().insert(header::HOST, self.host.clone());
        let (head, body) = self.pool.request(request).await.map_err(io::Error::other)?.into_parts();
        Ok(Response::from_parts(head, self.body(body).await?))
    }

    async fn body(&self, body: Incoming) -> io::Result<Body> {
        if !self.reads {
            return Ok(Either::Left(body));
        }
        let bytes = body.collect().await.map_err(io::Error::other)?.to_bytes();
        // Syntax and depth, and not a value kept.
        serde_json::from_slice::<IgnoredAny>(&bytes)?;
        Ok(Either::Right(Full::new(bytes)))
    }
}
