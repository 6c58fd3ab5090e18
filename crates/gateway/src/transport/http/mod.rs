//! Streamable HTTP towards clients, both eras, on an accept loop of our own: every wait has a limit. HTTP/1.1, and HTTP/2
//! for those who begin with it.

mod body;
mod compression;
mod connections;
mod get;
mod guard;
mod headers;
mod http2;
mod long;
mod post;
mod reply;
mod web;

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aqe_core::revision::Era;
use bytes::{Bytes, BytesMut};
use http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

pub use compression::{Compression, When};
use connections::{Connections, Counted, Patience, Reply, Word};
pub use guard::EdgePolicy;
pub use reply::ReplyBody;

use super::EdgeLimits;
use super::rewound::Rewound;
use crate::admin::{self, Feeds};
use crate::monitor::Turned;
use crate::proxy::Gateway;
use crate::tasks;

/// Header bytes of one request; also what hyper may buffer before it has seen their end.
const MAX_HEADER_BYTES: usize = 64 * 1024;
/// Room for what tells the protocol of a connection: most first requests, whole.
const FIRST_BYTES: usize = 4 * 1024;
/// Header lines of one request.
const MAX_HEADERS: usize = 100;
/// Pause before the next attempt to accept a connection after one that failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where HTTP comes in: the listeners' shared state.
#[derive(Debug)]
pub struct Edge {
    /// What answers.
    pub gateway: Arc<Gateway>,
    /// Bounds.
    pub limits: EdgeLimits,
    policy: guard::Policy,
    compression: Compression,
    permits: Arc<Semaphore>,
    stop: watch::Sender<bool>,
    open: Arc<Connections>,
    feeds: Feeds,
}

/// What a TCP listener serves beside `/healthz` and `/readyz`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paths {
    /// `/mcp`.
    pub mcp: bool,
    /// The dashboard, what it reads of the admin API, and `/metrics`.
    pub monitoring: bool,
}

impl Edge {
    /// An edge without listeners.
    pub fn new(
        gateway: Arc<Gateway>,
        limits: EdgeLimits,
        policy: EdgePolicy,
        compression: Compression,
    ) -> Arc<Self> {
        let open = Arc::<Connections>::default();
        open.watch(Patience {
            head: limits.header_timeout,
            idle: limits.keep_alive_timeout,
            places: limits.max_connections,
        });
        let feeds = Feeds::new(gateway.settings.dashboard_interval);
        Arc::new(Self {
            gateway,
            limits,
            policy: guard::Policy::new(policy),
            compression,
            permits: Arc::new(Semaphore::new(limits.max_connections)),
            stop: watch::Sender::new(false),
            open,
            feeds,
        })
    }

    /// No new connections; open ones end after the request in hand.
    pub fn stop(&self) {
        self.stop.send_replace(true);
        self.open.stop();
    }

    /// Resolves once [`Edge::stop`] was called.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stop = self.stop.subscribe();
        async move {
            // An error means that the edge is gone, which is a stop too.
            let _ = stop.wait_for(|stop| *stop).await;
        }
    }

    /// Resolves when no connection is open.
    pub async fn drained(&self) {
        self.open.drained().await;
    }

    /// A place for one more connection, if there is one at once.
    fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).try_acquire_owned().ok()
    }

    /// A place for one more connection.
    pub(super) async fn connections(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).acquire_owned().await.ok()
    }

    /// Accepts connections until told to stop.
    pub async fn serve_tcp(self: Arc<Self>, listener: TcpListener, paths: Paths) {
        let mut failed = 0_u64;
        loop {
            let accepted = async { (self.connections().await, listener.accept().await) };
            let (permit, stream) = tokio::select! {
                () = self.stopped() => return,
                accepted = accepted => accepted,
            };
            let (stream, peer) = match stream {
                Ok((stream, peer)) => {
                    if failed > 0 {
                        tracing::info!(attempts = failed, "connections are accepted again");
                        failed = 0;
                    }
                    (stream, peer)
                }
                Err(error) => {
                    // Out of file descriptors, most likely: those who are connected go on.
                    if failed == 0 {
                        tracing::warn!(%error, "cannot accept a connection");
                    }
                    failed += 1;
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            // Without this an SSE event waits for the client's delayed acknowledgement, about 40 ms.
            let _ = stream.set_nodelay(true);
            let edge = Arc::clone(&self);
            tasks::spawn("http connection", async move {
                let from = if peer.ip().to_canonical().is_loopback() { From::Here } else { From::Elsewhere };
                connection(edge, stream, Peer { from, paths }).await;
                drop(permit);
            });
        }
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        Peer { from, paths }: Peer,
        under_way: &connections::Request,
    ) -> Response<ReplyBody> {
        let local = from == From::User;
        if !local && let Err(refusal) = self.policy.check_origin(request.headers(), request.uri()) {
            self.gateway.turned(Turned::Origin);
            return refusal;
        }
        let path = request.uri().path();
        match path {
            "/mcp" if paths.mcp => {
                let principal = match self.policy.principal(request.headers(), local) {
                    Ok(principal) => principal,
                    Err(refusal) => {
                        self.gateway.turned(Turned::Unauthorized);
                        return refusal;
                    }
                };
                match *request.method() {
                    Method::POST => {
                        let compression = self.compression.towards(from != From::Elsewhere);
                        post::answer(&self, request, principal, local, compression, under_way).await
                    }
                    Method::GET => get::answer(&self, request.headers(), &principal),
                    Method::DELETE => get::delete(&self, request.headers(), &principal),
                    _ => reply::method_not_allowed("GET, POST, DELETE"),
                }
            }
            "/healthz" => only_get(&request, || reply::text(StatusCode::OK, "ok\n")),
            "/readyz" => only_get(&request, || {
                let unready = |why| reply::text(StatusCode::SERVICE_UNAVAILABLE, why);
                match () {
                    () if *self.stop.borrow() => unready("stopping\n"),
                    // Who lists tools now would wait, or get a part of them.
                    () if !self.gateway.is_settled() => {
                        unready("starting: not every server has told its tools\n")
                    }
                    () => reply::text(StatusCode::OK, "ready\n"),
                }
            }),
            // The admin API needs no token here, because only the user can open the socket; so the whole of it is there
            // alone.
            path if local && (path.starts_with("/admin/") || path == "/metrics") => self.admin(request).await,
            // In a box, for it is rare and would make the future of every call larger.
            _ if paths.monitoring => Box::pin(web::answer(&self, request)).await,
            _ => reply::text(StatusCode::NOT_FOUND, "not found\n"),
        }
    }

    async fn admin(&self, request: Request<Incoming>) -> Response<ReplyBody> {
        let (parts, body) = request.into_parts();
        let body = match body::collect(body, &parts.headers, &self.limits).await {
            Ok(body) => body,
            Err(refusal) => return refusal,
        };
        admin::answer(&self.gateway, &parts, body).await.map(ReplyBody::whole)
    }
}

fn only_get(
    request: &Request<Incoming>,
    answer: impl FnOnce() -> Response<ReplyBody>,
) -> Response<ReplyBody> {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        answer()
    } else {
        reply::method_not_allowed("GET, HEAD")
    }
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    /// A Unix socket, which only the user can open.
    User,
    /// This machine.
    Here,
    /// Another one.
    Elsewhere,
}

/// Who is at the other end of a connection, and what it may ask for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    from: From,
    paths: Paths,
}

impl Peer {
    /// Whoever has opened the Unix socket.
    pub(super) const USER: Self = Self { from: From::User, paths: Paths { mcp: true, monitoring: false } };
}

/// Serves one connection.
pub(super) async fn connection(
    edge: Arc<Edge>,
    mut stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
) {
    let visit = edge.open.enter();
    let mut first = BytesMut::with_capacity(FIRST_BYTES);
    let http2 = tokio::select! {
        biased;
        spoken = http2::is_spoken(&mut stream, &mut first) => spoken,
        _ = visit.word(None) => return tracing::debug!("http connection closed: nothing was said"),
    };
    let stream = Rewound::new(first.freeze(), stream);
    match http2 {
        Ok(false) => {}
        Ok(true) => return Box::pin(http2::serve(edge, stream, &visit, peer)).await,
        Err(error) => return tracing::debug!(%error, "http connection"),
    }
    let guest = visit.guest();
    let service = service_fn(move |incoming| {
        let edge = Arc::clone(&edge);
        let request = connections::Request::of(&guest);
        async move {
            let response = edge.answer(incoming, peer, &request).await;
            Ok::<_, Infallible>(response.map(|body| Reply::new(body, request)))
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .max_buf_size(MAX_HEADER_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(Counted::new(stream, visit.guest())), service);
    let ended = tasks::rerun(async {
        let mut connection = std::pin::pin!(connection);
        let mut heard = None;
        loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => break Some(ended),
                word = visit.word(heard) => match word {
                    Word::Finish => {
                        heard = Some(word);
                        connection.as_mut().graceful_shutdown();
                    }
                    Word::Leave => break None,
                },
            }
        }
    });
    match ended.await {
        Some(Ok(())) => {}
        Some(Err(error)) => tracing::debug!(%error, "http connection"),
        None => tracing::debug!("http connection closed: no request came"),
    }
}

/// Body bytes of an error reply, for peers that cannot read JSON-RPC.
pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::whole(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}

/// The HTTP status for a client of this era: a legacy client reads errors from the body alone.
pub(crate) fn status_for(era: Era, status: u16) -> StatusCode {
    match era {
        Era::Legacy => StatusCode::OK,
        Era::Modern => StatusCode::from_u16(status).unwrap_or(StatusCode::OK),
    }
}
