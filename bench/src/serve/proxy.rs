//! An HTTP proxy that copies: hyper's server in front, hyper-util's pooled client behind, bodies streamed.

use http::uri::{Authority, Scheme};
use http::{HeaderValue, Request, Response, Uri, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::Result;

type Pool = Client<HttpConnector, Incoming>;

/// Where requests go.
#[derive(Clone)]
pub(super) struct Target {
    scheme: Scheme,
    authority: Authority,
    host: HeaderValue,
}

impl Target {
    pub(super) fn new(upstream: &str) -> Result<Self> {
        let uri: Uri = upstream.parse()?;
        let authority = uri.authority().cloned().ok_or("the upstream's URL has no host")?;
        let host = HeaderValue::from_str(authority.as_str())?;
        Ok(Self { scheme: Scheme::HTTP, authority, host })
    }

    /// Addresses a request to it.
    pub(super) fn address<B>(&self, request: &mut Request<B>) {
        let mut uri = std::mem::take(request.uri_mut()).into_parts();
        uri.scheme = Some(self.scheme.clone());
        uri.authority = Some(self.authority.clone());
        // All parts are there; without them the client would refuse the request.
        *request.uri_mut() = Uri::from_parts(uri).unwrap_or_default();
        request.headers_mut().insert(header::HOST, self.host.clone());
    }
}

#[derive(Clone)]
struct Proxy {
    pool: Pool,
    target: Target,
}

pub(super) async fn serve(upstream: &str) -> Result<()> {
    let target = Target::new(upstream)?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let pool = Client::builder(TokioExecutor::new()).build(connector);
    let proxy = Proxy { pool, target };
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
    async fn pass(&self, mut request: Request<Incoming>) -> std::result::Result<Response<Incoming>, Error> {
        self.target.address(&mut request);
        self.pool.request(request).await
    }
}
