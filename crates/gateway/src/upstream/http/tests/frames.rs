//! An HTTP/2 server frame by frame (RFC 9113 section 4), for what no library's server does on demand.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::server::TlsStream;

use super::tls::Tls;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const ACK: u8 = 1;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

/// Error codes (section 7).
pub(super) const NO_ERROR: u32 = 0;
pub(super) const INTERNAL_ERROR: u32 = 2;
pub(super) const REFUSED_STREAM: u32 = 7;
pub(super) const CANCEL: u32 = 8;

/// `:status: 200` and `content-type: application/json` (RFC 7541 section 6: indexed, and literal without indexing).
pub(super) fn ok() -> Vec<u8> {
    [&[0x88, 0x0f, 0x10, 16][..], b"application/json"].concat()
}

/// One connection, after the preface.
pub(super) struct Peer<S = TlsStream<TcpStream>> {
    stream: S,
    bodies: HashMap<u32, Vec<u8>>,
    /// Streams that the client has reset.
    pub(super) resets: Vec<u32>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    /// The server's end of a stream. Reads the preface.
    pub(super) async fn new(mut stream: S) -> Self {
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).await.unwrap();
        assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        Self { stream, bodies: HashMap::new(), resets: Vec::new() }
    }

    pub(super) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend_from_slice(&[kind, flags]);
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        let _ = self.stream.write_all(&frame).await;
        let _ = self.stream.flush().await;
    }

    /// Bytes that need not be frames.
    pub(super) async fn raw(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
        let _ = self.stream.flush().await;
    }

    pub(super) async fn settings(&mut self, max_concurrent_streams: Option<u32>) {
        let payload =
            max_concurrent_streams.map_or_else(Vec::new, |max| [&[0, 3][..], &max.to_be_bytes()].concat());
        self.send(SETTINGS, 0, 0, &payload).await;
    }

    pub(super) async fn reset(&mut self, stream: u32, code: u32) {
        self.send(RST_STREAM, 0, stream, &code.to_be_bytes()).await;
    }

    pub(super) async fn go_away(&mut self, last: u32, code: u32) {
        self.send(GOAWAY, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat()).await;
    }

    pub(super) async fn answer(&mut self, stream: u32, body: &str) {
        self.send(HEADERS, END_HEADERS, stream, &ok()).await;
        self.send(DATA, END_STREAM, stream, body.as_bytes()).await;
    }

    /// The next frame: kind, flags, stream and payload.
    async fn frame(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload).await.ok()?;
        Some((head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload))
    }

    /// The next whole request: its stream and body. `None` when the client has gone.
    pub(super) async fn request(&mut self) -> Option<(u32, String)> {
        loop {
            let (kind, flags, stream, payload) = self.frame().await?;
            match kind {
                SETTINGS if flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[]).await,
                PING if flags & ACK == 0 => self.send(PING, ACK, 0, &payload).await,
                RST_STREAM => self.resets.push(stream),
                HEADERS | DATA => {
                    let body = self.bodies.entry(stream).or_default();
                    if kind == DATA {
                        body.extend_from_slice(&payload);
                    }
                    if flags & END_STREAM != 0 {
                        let body = self.bodies.remove(&stream)?;
                        return Some((stream, String::from_utf8(body).unwrap()));
                    }
                }
                _ => {}
            }
        }
    }

    /// Takes whatever comes, and answers nothing, until the client has gone.
    pub(super) async fn ignore(&mut self) {
        while self.frame().await.is_some() {}
    }
}

/// Serves each connection, after the preface, by `talk`, which is told its number. Returns the URL, and how many there
/// were.
pub(super) async fn talking<F>(
    tls: &Tls,
    talk: impl Fn(usize, Peer) -> F + Send + Sync + 'static,
) -> (String, Arc<AtomicUsize>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/mcp", listener.local_addr().unwrap().port());
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    let acceptor = tls.acceptor(&["h2"]);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let peer = Peer::new(acceptor.accept(stream).await.unwrap()).await;
            tokio::spawn(talk(count.fetch_add(1, Ordering::Relaxed), peer));
        }
    });
    (url, connections)
}
