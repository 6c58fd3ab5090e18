//! POSTs to URLs that the user has configured: a collector, a webhook.
//!
//! One attempt each: whether and when to try again is the caller's decision, for it knows what repeating means. No
//! redirect is followed, since the headers may hold credentials. Nothing of a header or of the URL's path and query is
//! in an error or in `Debug`.

use std::fmt;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioTimer;
use tokio::time::{Instant, timeout_at};

use crate::upstream::causes;
use crate::{tasks, tls};

/// Bytes of a reply's body that are kept; a collector's or a webhook's answer is short, and the rest is not read.
pub const MAX_REPLY_BYTES: usize = 64 * 1024;
/// How long an unused connection is kept: longer than the intervals at which we send.
const IDLE: Duration = Duration::from_secs(90);
/// Unused connections that are kept to one server.
const MAX_IDLE: usize = 2;

/// Where to post, and what every request carries.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// An absolute `http` or `https` URL without credentials in it.
    pub url: Uri,
    /// Headers of every request; they may be secret.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// A PEM file with further root certificates, trusted in addition to the public ones.
    pub ca_file: Option<PathBuf>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Target")
            .field("host", &self.url.host())
            .field("headers", &names)
            .field("ca_file", &self.ca_file)
            .finish_non_exhaustive()
    }
}

/// A target that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The URL is not an absolute `http` or `https` URL.
    #[error("the URL must be http://host… or https://host…")]
    Url,
    /// The URL holds credentials.
    #[error("the URL must not hold credentials: give them as a header")]
    Credentials,
    /// The file with root certificates cannot be used.
    #[error("certificates in {}: {reason}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The TLS library refuses its own defaults.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// Why no status came back. The server may have taken the request nevertheless, unless it could not be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// No connection: name lookup, TCP or TLS failed. The request was not sent.
    #[error("not connected: {0}")]
    Connect(String),
    /// The connection broke, or what came back is not HTTP.
    #[error("no reply: {0}")]
    Broken(String),
    /// No status within the time limit.
    #[error("no reply within {} ms", .0.as_millis())]
    Timeout(Duration),
}

/// What the server answered.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status, whichever it is.
    pub status: StatusCode,
    /// `Retry-After`, as a time from now.
    pub retry_after: Option<Duration>,
    /// The first [`MAX_REPLY_BYTES`] bytes of the body, or fewer where the rest did not come in time.
    pub body: Bytes,
}

impl Reply {
    /// The beginning of the body in one line, for a log; empty where it is not text.
    pub fn excerpt(&self) -> String {
        const CHARS: usize = 200;
        match std::str::from_utf8(&self.body) {
            Ok(text) => text
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .take(CHARS)
                .collect::<String>()
                .trim()
                .into(),
            Err(_) => String::new(),
        }
    }
}

/// Posts to one target over connections of its own.
pub struct Outbound {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: Uri,
    headers: HeaderMap,
}

impl Outbound {
    /// A client for `target`, without a connection yet. Reads `target.ca_file`.
    ///
    /// # Errors
    /// If the target cannot be used; see [`TargetError`].
    pub fn new(target: &Target) -> Result<Self, TargetError> {
        let authority = target.url.authority().filter(|authority| !authority.host().is_empty());
        let authority = authority.ok_or(TargetError::Url)?;
        if !matches!(target.url.scheme_str(), Some("http" | "https")) {
            return Err(TargetError::Url);
        }
        if authority.as_str().contains('@') {
            return Err(TargetError::Credentials);
        }
        let roots = match &target.ca_file {
            Some(path) => {
                let fault = |reason: String| TargetError::CaFile { path: path.clone(), reason };
                let pem = std::fs::read(path).map_err(|error| fault(error.to_string()))?;
                tls::roots_with(&pem).map_err(fault)?
            }
            None => tls::public_roots(),
        };
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let connector = HttpsConnector::from((tcp, Arc::new(tls::client(roots)?)));
        let client = Client::builder(NamedTasks)
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MAX_IDLE)
            .build(connector);
        let mut headers = HeaderMap::new();
        let agent = HeaderValue::from_static(concat!("aqe-v3/", env!("CARGO_PKG_VERSION")));
        headers.insert(header::USER_AGENT, agent);
        for (name, value) in &target.headers {
            let mut value = value.clone();
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(Self { client, url: target.url.clone(), headers })
    }

    /// Posts `body` with the target's headers and these, which win over them. `limit` is for everything, from the
    /// name lookup to the end of the reply.
    ///
    /// # Errors
    /// If no status came back; see [`PostError`]. A status of failure is no error here.
    pub async fn post(
        &self,
        headers: &[(HeaderName, HeaderValue)],
        body: Bytes,
        limit: Duration,
    ) -> Result<Reply, PostError> {
        let until = Instant::now() + limit;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.url.clone();
        *request.headers_mut() = self.headers.clone();
        for (name, value) in headers {
            request.headers_mut().insert(name, value.clone());
        }
        let response = timeout_at(until, self.client.request(request)).await;
        let response = response.map_err(|_| PostError::Timeout(limit))?.map_err(|error| {
            if error.is_connect() {
                PostError::Connect(causes(&error))
            } else {
                PostError::Broken(causes(&error))
            }
        })?;
        let (head, body) = response.into_parts();
        let retry_after = retry_after(&head.headers, SystemTime::now());
        Ok(Reply { status: head.status, retry_after, body: beginning(body, until).await })
    }
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("host", &self.url.host()).finish_non_exhaustive()
    }
}

/// The first bytes of a body. The status has said what counts, so a body that breaks off or is late is only shorter.
async fn beginning(body: hyper::body::Incoming, until: Instant) -> Bytes {
    let mut body = pin!(body);
    let mut read = BytesMut::new();
    while let Ok(Some(Ok(frame))) = timeout_at(until, body.frame()).await {
        let Ok(data) = frame.into_data() else { continue };
        let room = MAX_REPLY_BYTES - read.len();
        read.extend_from_slice(&data[..data.len().min(room)]);
        if read.len() == MAX_REPLY_BYTES {
            break;
        }
    }
    read.freeze()
}

/// `Retry-After` in either form, seconds or a date (RFC 9110 section 10.2.3).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    // A date that has passed means now.
    Some(httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default())
}

/// Runs the client's connections as tasks with a name.
#[derive(Clone, Copy)]
struct NamedTasks;

impl<F> hyper::rt::Executor<F> for NamedTasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        tasks::spawn("outbound", future);
    }
}

#[cfg(test)]
mod tests;
