//! The process's HTTP client: pools of connections, and how they are made.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_service::Service;

use super::background::Background;
use super::http2;
use super::pool::Pool;
use super::spec::{HttpSpec, Origin, SpecError};
use crate::tls;

/// When a silent connection is probed: a dead peer ends a waiting event stream after about two minutes.
const KEEPALIVE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_PROBES: u32 = 3;

/// The process's HTTP client: create it once and share it. It keeps the TCP and TLS connections to upstreams open;
/// all who talk to the same origin share them.
#[derive(Default)]
pub struct HttpClient {
    pools: Mutex<Vec<(PoolKey, Weak<Pool>)>>,
    public_roots: OnceLock<Arc<ClientConfig>>,
    background: Background,
}

/// What connections must have in common to be shared.
#[derive(PartialEq, Eq)]
struct PoolKey {
    origin: Origin,
    roots_pem: Option<Vec<u8>>,
    connect_timeout: Duration,
    http2: bool,
}

impl HttpClient {
    /// A client without connections.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(super) fn background(&self) -> &Background {
        &self.background
    }

    /// The pool for a specification.
    pub(super) fn pool(&self, spec: &HttpSpec, connect_timeout: Duration) -> Result<Arc<Pool>, SpecError> {
        let roots_pem = match &spec.ca_file {
            Some(path) => Some(
                std::fs::read(path)
                    .map_err(|error| SpecError::CaFile { path: path.clone(), reason: error.to_string() })?,
            ),
            None => None,
        };
        let key = PoolKey { origin: spec.origin()?, roots_pem, connect_timeout, http2: spec.http2 };
        // Nothing below the lock leaves the list half changed.
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|(_, pool)| pool.strong_count() > 0);
        if let Some(pool) = pools.iter().find(|(other, _)| *other == key).and_then(|(_, pool)| pool.upgrade())
        {
            return Ok(pool);
        }
        let mut config = match (&key.roots_pem, &spec.ca_file) {
            (Some(pem), Some(path)) => tls::roots_with(pem)
                .map_err(|reason| SpecError::CaFile { path: path.clone(), reason })
                .and_then(|roots| Ok(Arc::new(tls::client(roots)?)))?,
            _ => self.public_tls()?,
        };
        if key.http2 {
            Arc::make_mut(&mut config).alpn_protocols = vec![http2::ALPN.to_vec(), b"http/1.1".to_vec()];
        }
        let pool = Arc::new(Pool::new(Connector::new(config, &key), spec.url.clone()));
        pools.push((key, Arc::downgrade(&pool)));
        Ok(pool)
    }

    fn public_tls(&self) -> Result<Arc<ClientConfig>, SpecError> {
        if let Some(config) = self.public_roots.get() {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(tls::client(tls::public_roots())?);
        Ok(Arc::clone(self.public_roots.get_or_init(|| config)))
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
    offers_http2: bool,
}

impl Connector {
    fn new(tls: Arc<ClientConfig>, key: &PoolKey) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
        tcp.set_keepalive_retries(Some(KEEPALIVE_PROBES));
        Self {
            inner: HttpsConnector::from((tcp, tls)),
            limit: key.connect_timeout,
            // In clear the two could only guess.
            offers_http2: key.http2 && key.origin.is_https(),
        }
    }

    /// Time for name lookup, TCP and TLS together.
    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// Whether the server is asked if it speaks HTTP/2.
    pub(super) fn offers_http2(&self) -> bool {
        self.offers_http2
    }

    /// A connection to the origin of `uri`.
    pub(super) async fn connect(
        &self,
        uri: Uri,
    ) -> Result<MaybeHttpsStream<TokioIo<TcpStream>>, Box<dyn Error + Send + Sync>> {
        let limit = self.limit;
        // Neither the TCP nor the TLS connector keeps a readiness: `call` may come at any time.
        timeout(limit, self.inner.clone().call(uri)).await.unwrap_or_else(|_| {
            let reason = format!("no connection within {} ms", limit.as_millis());
            Err(io::Error::new(io::ErrorKind::TimedOut, reason).into())
        })
    }
}

/// Whether the server has chosen HTTP/2 in the TLS handshake (RFC 7301).
pub(super) fn chose_http2(io: &MaybeHttpsStream<TokioIo<TcpStream>>) -> bool {
    match io {
        MaybeHttpsStream::Http(_) => false,
        MaybeHttpsStream::Https(tls) => tls.inner().get_ref().1.alpn_protocol() == Some(http2::ALPN),
    }
}

/// An error and its causes in one line. Those of the HTTP library hold no header and no URL.
pub(crate) fn causes(error: &dyn Error) -> String {
    let mut text = String::new();
    let mut cause = Some(error);
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
