//! Servers, callers and recorders for the tests.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use aqe_core::envelope::Message;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Version};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Collected};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::tls::Tls;
use crate::upstream::{
    CallError, CallTag, Connection, Events, HttpClient, HttpConnection, HttpLimits, HttpSpec, Item,
    LongReply, Negotiated, Outgoing, PendingCall, next_item,
};

/// Longer than anything here takes; a test that reaches it has found a hang.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A request as a server saw it.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) version: Version,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The JSON-RPC id of the body, raw.
    pub(super) fn id(&self) -> String {
        let message =
            Message::parse(self.body.clone().into(), aqe_core::envelope::Limits::default()).unwrap();
        message.id().unwrap_or("none").to_owned()
    }

    pub(super) fn is(&self, text: &str) -> bool {
        self.body.contains(text)
    }
}

/// A response body: pieces as the test sends them.
pub(super) struct Pieces(mpsc::Receiver<io::Result<Bytes>>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

pub(super) type Sender = mpsc::Sender<io::Result<Bytes>>;
pub(super) type Reply = Response<Pieces>;

pub(super) async fn write(sender: &Sender, text: &str) {
    let _ = sender.send(Ok(Bytes::copy_from_slice(text.as_bytes()))).await;
}

/// A response whose body the returned sender writes.
pub(super) fn open(status: u16, content_type: &str) -> (Sender, Reply) {
    let (sender, receiver) = mpsc::channel(64);
    let reply = Response::builder().status(status).header("content-type", content_type);
    (sender, reply.body(Pieces(receiver)).unwrap())
}

pub(super) fn reply(status: u16, content_type: &str, body: &str) -> Reply {
    let (sender, reply) = open(status, content_type);
    if !body.is_empty() {
        sender.try_send(Ok(Bytes::copy_from_slice(body.as_bytes()))).unwrap();
    }
    reply
}

pub(super) fn json(body: &str) -> Reply {
    reply(200, "application/json", body)
}

/// A finished event stream.
pub(super) fn events(body: &str) -> Reply {
    reply(200, "text/event-stream", body)
}

pub(super) fn result(id: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"ok":true}}}}"#)
}

pub(super) fn progress(token: &str, progress: usize) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":{progress}}}}}"#
    )
}

pub(super) fn data(message: &str) -> String {
    format!("data: {message}\n\n")
}

/// An HTTP server that answers as told and remembers what it was asked.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) connections: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<Seen>>>,
    scheme: &'static str,
}

impl Server {
    pub(super) async fn start<H, F>(handler: H) -> Self
    where
        H: Fn(Seen) -> F + Send + Sync + 'static,
        F: Future<Output = Reply> + Send + 'static,
    {
        let handler = Arc::new(handler);
        Self::listen("http", move |stream, log| serve(TokioIo::new(stream), log, Arc::clone(&handler))).await
    }

    /// The same over TLS; offers these protocols, and speaks the one that is chosen.
    pub(super) async fn start_tls<H, F>(tls: &Tls, protocols: &[&str], handler: H) -> Self
    where
        H: Fn(Seen) -> F + Send + Sync + 'static,
        F: Future<Output = Reply> + Send + 'static,
    {
        let (acceptor, handler) = (tls.acceptor(protocols), Arc::new(handler));
        Self::listen("https", move |stream, log| {
            let (acceptor, handler) = (acceptor.clone(), Arc::clone(&handler));
            async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                    serve_http2(TokioIo::new(stream), log, handler).await;
                } else {
                    serve(TokioIo::new(stream), log, handler).await;
                }
            }
        })
        .await
    }

    /// Serves each connection with `serve`, which writes down what it sees.
    async fn listen<S, F>(scheme: &'static str, serve: S) -> Self
    where
        S: Fn(TcpStream, Arc<Mutex<Vec<Seen>>>) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (counted, log) = (Arc::clone(&connections), Arc::clone(&seen));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, Arc::clone(&log)));
            }
        });
        Self { address, connections, seen, scheme }
    }

    pub(super) fn url(&self) -> String {
        // The name that certificates are for.
        let host =
            if self.scheme == "https" { "localhost".to_owned() } else { self.address.ip().to_string() };
        format!("{}://{host}:{}/mcp", self.scheme, self.address.port())
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Waits until a request was seen that fits.
    pub(super) async fn saw(&self, fits: impl Fn(&Seen) -> bool) -> Seen {
        until(|| self.seen().into_iter().find(&fits)).await
    }
}

/// Serves one stream, of TCP or TLS.
async fn serve<I, H, F>(io: I, log: Arc<Mutex<Vec<Seen>>>, handler: Arc<H>)
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    H: Fn(Seen) -> F + Send + Sync + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    let service = service_fn(move |request| answered(request, Arc::clone(&log), Arc::clone(&handler)));
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
}

/// The same in HTTP/2.
async fn serve_http2<I, H, F>(io: I, log: Arc<Mutex<Vec<Seen>>>, handler: Arc<H>)
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    H: Fn(Seen) -> F + Send + Sync + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    let service = service_fn(move |request| answered(request, Arc::clone(&log), Arc::clone(&handler)));
    let _ =
        hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await;
}

async fn answered<H, F>(
    request: Request<Incoming>,
    log: Arc<Mutex<Vec<Seen>>>,
    handler: Arc<H>,
) -> Result<Reply, Infallible>
where
    H: Fn(Seen) -> F + Send + Sync + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
    let seen = Seen {
        version: head.version,
        method: head.method,
        path: head.uri.path_and_query().map_or_else(String::new, ToString::to_string),
        headers: head.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    log.lock().unwrap().push(seen.clone());
    Ok(handler(seen).await)
}

/// What a raw server does after its bytes.
#[derive(Clone, Copy)]
pub(super) enum Then {
    Close,
    Reset,
    Hang,
}

/// A server that answers the first request of each connection with these bytes.
pub(super) async fn raw(bytes: impl Into<String>, then: Then) -> String {
    let bytes = bytes.into();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let bytes = bytes.clone();
            tokio::spawn(async move {
                read_request(&mut stream).await;
                stream.write_all(bytes.as_bytes()).await.unwrap();
                match then {
                    Then::Close => {}
                    Then::Reset => stream.set_zero_linger().unwrap(),
                    Then::Hang => std::future::pending().await,
                }
            });
        }
    });
    url
}

async fn read_request(stream: &mut TcpStream) {
    let mut read = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk).await.unwrap();
        read.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&read).to_ascii_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return;
            }
        }
        assert!(count > 0, "the request ended early");
    }
}

/// Remembers what a connection reports outside of calls.
#[derive(Default)]
pub(super) struct Recorder {
    pub(super) unsolicited: Mutex<Vec<String>>,
    pub(super) closed: Mutex<Vec<String>>,
}

impl Events for Recorder {
    fn unsolicited(&self, message: Message) {
        self.unsolicited.lock().unwrap().push(text(&message));
    }

    fn session_lost(&self) {
        self.closed("the server has lost the session");
    }

    fn closed(&self, reason: &str) {
        self.closed.lock().unwrap().push(reason.to_owned());
    }
}

fn text(message: &Message) -> String {
    String::from_utf8(message.bytes().to_vec()).unwrap()
}

pub(super) fn spec(url: &str) -> HttpSpec {
    HttpSpec { url: url.parse().unwrap(), headers: Vec::new(), ca_file: None, http2: true }
}

pub(super) fn connect_through(
    client: &Arc<HttpClient>,
    spec: &HttpSpec,
    limits: HttpLimits,
) -> (Arc<HttpConnection>, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::default());
    let events: Arc<dyn Events> = Arc::clone(&recorder) as Arc<dyn Events>;
    (HttpConnection::new("test", client, spec, limits, events).unwrap(), recorder)
}

pub(super) fn connect_with(spec: &HttpSpec, limits: HttpLimits) -> (Arc<HttpConnection>, Arc<Recorder>) {
    connect_through(&HttpClient::new(), spec, limits)
}

pub(super) fn connect(url: &str) -> (Arc<HttpConnection>, Arc<Recorder>) {
    connect_with(&spec(url), HttpLimits::default())
}

pub(super) fn negotiate(connection: &Arc<HttpConnection>, version: &str) {
    let modern = version >= "2026-07-28";
    Arc::clone(connection).negotiated(Negotiated { protocol_version: version.into(), modern });
    Arc::clone(connection).listen();
}

pub(super) fn outgoing(method: &str, bytes: String) -> Outgoing {
    Outgoing {
        bytes: bytes.into(),
        method: method.to_owned().into(),
        name: None,
        headers: Vec::new(),
        pass_from: None,
    }
}

/// Starts a call of `method`; sent with the first poll.
pub(super) fn request(connection: &Arc<HttpConnection>, method: &str) -> Box<dyn PendingCall> {
    let id = connection.next_id();
    let bytes = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{}}}}"#);
    request_with(connection, id, outgoing(method, bytes))
}

pub(super) fn request_with(connection: &Arc<HttpConnection>, id: u64, out: Outgoing) -> Box<dyn PendingCall> {
    Arc::clone(connection).call(id, out, CallTag { owner: 1, wants_log: false, repeatable: false })
}

pub(super) fn notification(method: &str) -> Outgoing {
    outgoing(method, format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#))
}

pub(super) fn header(name: &'static str, value: &'static str) -> (HeaderName, HeaderValue) {
    (HeaderName::from_static(name), HeaderValue::from_static(value))
}

/// Opens a session `s1` on a server that offers it.
pub(super) async fn open_session(connection: &Arc<HttpConnection>, version: &str) {
    answer(request(connection, "initialize")).await.unwrap();
    negotiate(connection, version);
}

pub(super) async fn next(call: &mut dyn PendingCall) -> Item {
    tokio::time::timeout(PATIENCE, next_item(call)).await.expect("an item in time")
}

/// All items of a call before the last one, as text, and how it ended.
pub(super) async fn all(mut call: Box<dyn PendingCall>) -> (Vec<String>, Result<String, CallError>) {
    let mut before = Vec::new();
    loop {
        match next(call.as_mut()).await {
            Item::Notification(message) | Item::Request(message) => before.push(text(&message)),
            Item::Answer(message) => return (before, Ok(text(&message))),
            Item::Failed(error) => return (before, Err(error)),
            Item::Long(long) => return (before, whole(long).await),
        }
    }
}

/// The text of an answer that is handed out while it comes.
pub(super) async fn whole(mut long: LongReply) -> Result<String, CallError> {
    let mut text = long.head.to_vec();
    while let Some(piece) = std::future::poll_fn(|cx| long.rest.poll_piece(cx)).await? {
        text.extend_from_slice(&piece);
    }
    Ok(String::from_utf8(text).unwrap())
}

/// How a call without notifications ended.
pub(super) async fn answer(call: Box<dyn PendingCall>) -> Result<String, CallError> {
    let (before, answer) = all(call).await;
    assert!(before.is_empty(), "{before:?}");
    answer
}

/// Waits for a condition.
pub(super) async fn until<T>(mut condition: impl FnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(value) = condition() {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("the condition in time")
}
