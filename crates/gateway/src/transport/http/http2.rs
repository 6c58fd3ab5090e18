//! HTTP/2 from clients that know beforehand that it is spoken (RFC 9113 section 3.3): reverse proxies, which end TLS for
//! us. The same port and paths, the same limits; what HTTP/1.1 bounds by connections is bounded by streams here.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::connections::{self, Guest, STREAM_AFTER, Visit, Word};
use super::reply::{self, ReplyBody};
use super::{Edge, MAX_HEADER_BYTES, MAX_HEADERS, Peer};
use crate::proxy::Broken;
use crate::tasks;

/// What such a client says first (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Streams of one connection at one time: as many as RFC 9113 section 6.5.2 asks for at least.
const MAX_STREAMS: u32 = 100;
/// Bytes of bodies that a client may send before they are read.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 4 * STREAM_WINDOW;
/// Bytes of one reply that may wait for its client.
const SEND_BUFFER: usize = 64 * 1024;
/// How long a client that has nothing under way may take to agree that the connection ends.
const PARTING: Duration = Duration::from_secs(1);

/// Reads until it is clear whether HTTP/2 is spoken. What was read is in `first`.
pub(super) async fn is_spoken(
    stream: &mut (impl AsyncRead + Unpin),
    first: &mut BytesMut,
) -> io::Result<bool> {
    loop {
        let compared = first.len().min(PREFACE.len());
        if first[..compared] != PREFACE[..compared] {
            return Ok(false);
        }
        if compared == PREFACE.len() {
            return Ok(true);
        }
        if stream.read_buf(first).await? == 0 {
            return Ok(false);
        }
    }
}

/// Serves one connection.
pub(super) async fn serve(
    edge: Arc<Edge>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    visit: &Visit,
    peer: Peer,
) {
    let guest = visit.guest();
    let service = service_fn(move |request| {
        let (edge, stream) = (Arc::clone(&edge), Stream::of(&guest));
        async move { Ok::<_, Infallible>(answer(edge, request, peer, stream).await) }
    });
    let connection = hyper::server::conn::http2::Builder::new(Tasks)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES as u32)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let mut heard = None;
    let ended = loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => break ended,
            word = visit.word(heard) => {
                heard = Some(word);
                // GOAWAY: the streams in hand go on, and the client takes new ones elsewhere.
                connection.as_mut().graceful_shutdown();
                if word == Word::Leave {
                    match timeout(PARTING, connection.as_mut()).await {
                        Ok(ended) => break ended,
                        Err(_) => return tracing::debug!("http/2 connection closed: its client does not part"),
                    }
                }
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "http/2 connection");
    }
}

async fn answer(
    edge: Arc<Edge>,
    mut request: Request<Incoming>,
    peer: Peer,
    mut stream: Stream,
) -> Response<Reply> {
    let response = match edge.place() {
        None => busy(),
        Some(_) if request.headers().len() > MAX_HEADERS => {
            reply::text(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "too many header fields\n")
        }
        Some(place) => {
            stream.place = Some(place);
            name_host(&mut request);
            let mut answered = pin!(edge.answer(request, peer, &stream.request));
            tokio::select! {
                biased;
                response = &mut answered => response,
                // The connection's own task would be told of it, but this is another one.
                () = tokio::time::sleep(STREAM_AFTER) => {
                    stream.request.note_slow();
                    answered.await
                }
            }
        }
    };
    // Nothing is asked of a body that is empty.
    stream.ended = response.body().is_end_stream();
    response.map(|body| Reply { body, stream })
}

/// What there is no place for. Over HTTP/1.1 it would be a connection that is not accepted yet.
fn busy() -> Response<ReplyBody> {
    let mut response = reply::text(StatusCode::SERVICE_UNAVAILABLE, "too many requests at one time\n");
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// Says in `Host` what the authority is (RFC 9113 section 8.3.1), where nothing else is said there: that is where it is
/// checked.
fn name_host(request: &mut Request<Incoming>) {
    let authority = request.uri().authority().and_then(|it| HeaderValue::from_str(it.as_str()).ok());
    if let Some(authority) = authority {
        request.headers_mut().entry(header::HOST).or_insert(authority);
    }
}

/// One request and its response.
#[derive(Debug)]
struct Stream {
    guest: Arc<Guest>,
    /// The whole reply was taken.
    ended: bool,
    /// Ends when this is dropped.
    request: connections::Request,
    /// As many places as for connections of HTTP/1.1, which carry one request at a time.
    place: Option<OwnedSemaphorePermit>,
}

impl Stream {
    fn of(guest: &Arc<Guest>) -> Self {
        let request = connections::Request::of(guest);
        Self { guest: Arc::clone(guest), ended: false, request, place: None }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if !self.ended {
            self.guest.count_reset();
        }
    }
}

/// The body of a response, with its stream.
#[derive(Debug)]
struct Reply {
    body: ReplyBody,
    stream: Stream,
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        // Of a body that says where it ends nothing more is asked, and what we break off is not its doing.
        self.stream.ended = matches!(frame, Poll::Ready(None | Some(Err(_)))) || self.body.is_end_stream();
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Where the library's tasks run: one for each stream.
#[derive(Debug, Clone, Copy)]
struct Tasks;

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, future: F) {
        tasks::spawn("http/2 stream", future);
    }
}
