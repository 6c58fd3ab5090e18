//! The TCP and TLS connections to upstreams, kept open and shared by all who talk to the same origin.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio::net::TcpStream;
use tower_service::Service;

use super::super::CallError;
use super::background::Background;
use super::spec::{HttpSpec, SpecError};

/// Idle TCP connections that one origin may keep. One POST holds one, so this is the concurrency that costs no
/// connect.
const MAX_IDLE_PER_ORIGIN: usize = 256;
/// How long a TCP connection may lie idle. A server that closes earlier is noticed at once.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// When a silent connection is probed: a dead peer ends a waiting event stream after about two minutes.
const KEEPALIVE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_PROBES: u32 = 3;

pub(super) type Pool = Client<Connector, Full<Bytes>>;
type BoxError = Box<dyn Error + Send + Sync>;

/// The process's HTTP client: create it once and share it.
#[derive(Default)]
pub struct HttpClient {
    pools: Mutex<Vec<(PoolKey, Pool)>>,
    background: Background,
}

/// What makes connections unfit for sharing: whom they trust, and how long they may take.
#[derive(PartialEq, Eq)]
struct PoolKey {
    roots_pem: Option<Vec<u8>>,
    connect_timeout: Duration,
}

impl HttpClient {
    /// A client without connections.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(super) fn background(&self) -> &Background {
        &self.background
    }

    /// The pool for a specification: one for all, except where trust or connect time-out differ.
    pub(super) fn pool(&self, spec: &HttpSpec, connect_timeout: Duration) -> Result<Pool, SpecError> {
        let fault =
            |reason: String| SpecError::CaFile { path: spec.ca_file.clone().unwrap_or_default(), reason };
        let roots_pem = match &spec.ca_file {
            Some(path) => Some(std::fs::read(path).map_err(|error| fault(error.to_string()))?),
            None => None,
        };
        let key = PoolKey { roots_pem, connect_timeout };
        // Nothing below the lock leaves the list half changed.
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, pool)) = pools.iter().find(|(other, _)| *other == key) {
            return Ok(pool.clone());
        }
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(pem) = &key.roots_pem {
            let mut added = 0;
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| fault(error.to_string()))?;
                roots.add(certificate).map_err(|error| fault(error.to_string()))?;
                added += 1;
            }
            if added == 0 {
                return Err(fault("no certificate found".into()));
            }
        }
        let pool = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE_PER_ORIGIN)
            .pool_timer(TokioTimer::new())
            // Repeats a request only when it was queued for a reused connection that ended before the first
            // byte of the request was written: the server cannot have seen it.
            .retry_canceled_requests(true)
            .build(Connector::new(roots, connect_timeout)?);
        pools.push((key, pool.clone()));
        Ok(pool)
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").finish_non_exhaustive()
    }
}

/// Connects by TCP and, for https, TLS, within one time limit.
#[derive(Clone)]
pub(super) struct Connector {
    inner: HttpsConnector<HttpConnector>,
    limit: Duration,
}

impl Connector {
    fn new(roots: RootCertStore, limit: Duration) -> Result<Self, SpecError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
        tcp.set_keepalive_retries(Some(KEEPALIVE_PROBES));
        let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { inner: HttpsConnector::from((tcp, tls)), limit })
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.inner.call(uri);
        let limit = self.limit;
        Box::pin(async move {
            tokio::time::timeout(limit, connecting).await.unwrap_or_else(|_| {
                let reason = format!("no connection within {} ms", limit.as_millis());
                Err(io::Error::new(io::ErrorKind::TimedOut, reason).into())
            })
        })
    }
}

/// What a failed exchange means for the call. Only what provably never left is [`CallError::NotSent`].
pub(super) fn transport_error(error: &hyper_util::client::legacy::Error) -> CallError {
    let hyper = error.source().and_then(|source| source.downcast_ref::<hyper::Error>());
    if error.is_connect() || hyper.is_some_and(hyper::Error::is_canceled) {
        CallError::NotSent(causes(error))
    } else if hyper.is_some_and(hyper::Error::is_parse) {
        CallError::Malformed(causes(error))
    } else {
        CallError::Closed(causes(error))
    }
}

/// The causes of an error in one line, without the client library's own wrapping. Holds no header and no URL.
pub(super) fn causes(error: &dyn Error) -> String {
    let mut text = String::new();
    let mut cause = Some(error.source().unwrap_or(error));
    while let Some(error) = cause {
        let part = error.to_string();
        // Many errors repeat their source in their own text.
        if !text.ends_with(&part) {
            text.push_str(if text.is_empty() { "" } else { ": " });
            text.push_str(&part);
        }
        cause = error.source();
    }
    text
}
