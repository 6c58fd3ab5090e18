//! What the baselines on hyper have in common: the accept loop in front, the pooled client behind, where requests go.

use std::error::Error;
use std::future::Future;

use http::uri::{Authority, Scheme};
use http::{HeaderValue, Request, Response, Uri, header};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::Result;

/// Listens on a free port and answers each request with what `answer` makes of it.
pub(super) async fn serve<Answer, Reply, Fault, Answering>(answer: Answer) -> Result<()>
where
    Answer: Fn(Request<Incoming>) -> Answering + Clone + Send + 'static,
    Answering: Future<Output = std::result::Result<Response<Reply>, Fault>> + Send,
    Reply: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    Fault: Into<Box<dyn Error + Send + Sync>>,
{
    let listener = super::listen(0).await?;
    loop {
        let stream = super::accept(&listener).await?;
        let answer = answer.clone();
        tokio::spawn(async move {
            // An error here is the client's leaving.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await;
        });
    }
}

/// A client that keeps its connections.
pub(super) fn client<Sent>() -> Client<HttpConnector, Sent>
where
    Sent: Body<Data: Send> + Send,
{
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new()).build(connector)
}

/// Where requests go.
#[derive(Debug, Clone)]
pub(super) struct Target {
    scheme: Scheme,
    authority: Authority,
    host: HeaderValue,
}

impl Target {
    /// The server of a URL.
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
