//! HTTP/1.1 requests with nothing hidden.

use std::{
    fmt::Write,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{DEADLINE, RawSocket, Response, must, socket::status, within};
use crate::http1::{self, Framing};

/// Connections kept for reuse; more are closed.
const IDLE: usize = 64;

/// Where the server is.
#[derive(Debug, Clone)]
enum Target {
    Tcp(String),
    Unix(PathBuf),
}

/// Connections whose last response was read to its end.
#[derive(Debug, Clone, Default)]
pub(super) struct IdleConnections(Arc<Mutex<Vec<RawSocket>>>);

impl IdleConnections {
    fn take(&self) -> Option<RawSocket> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    pub(super) fn put(&self, socket: RawSocket) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(socket);
        }
    }
}

/// A client of one HTTP endpoint. Clones share the idle connections.
#[derive(Debug, Clone)]
pub struct HttpClient {
    target: Target,
    host: String,
    path: String,
    headers: Vec<(String, String)>,
    idle: IdleConnections,
    deadline: Duration,
}

impl HttpClient {
    /// A client of `http://HOST:PORT/PATH`.
    pub fn new(url: &str) -> Self {
        let Some(rest) = url.strip_prefix("http://") else { panic!("expected an http:// URL, got {url}") };
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        Self::to(Target::Tcp(host.to_owned()), host, &format!("/{path}"))
    }

    /// A client of an endpoint behind a Unix socket.
    pub fn unix(socket: &Path, path: &str) -> Self {
        Self::to(Target::Unix(socket.to_path_buf()), "localhost", path)
    }

    fn to(target: Target, host: &str, path: &str) -> Self {
        Self {
            target,
            host: host.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            idle: IdleConnections::default(),
            deadline: DEADLINE,
        }
    }

    /// Adds a header field to every request.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the deadline of every wait.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The same server at another path, with the same idle connections.
    #[must_use]
    pub fn at(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// A new connection to the server.
    pub async fn socket(&self) -> RawSocket {
        must(self.try_socket().await, &format!("expected to connect to {:?}", self.target))
    }

    /// A new connection to the server; an error is a server that is not there.
    pub async fn try_socket(&self) -> io::Result<RawSocket> {
        let mut socket = match &self.target {
            Target::Tcp(address) => RawSocket::tcp(address).await?,
            Target::Unix(path) => RawSocket::unix(path).await?,
        };
        socket.set_deadline(self.deadline);
        Ok(socket)
    }

    /// The text of a request as [`HttpClient::send`] writes it: `Host` and `Content-Length` are added
    /// unless given; a later field replaces an earlier default of the same name.
    pub fn head(&self, method: &str, headers: &[(&str, &str)], body: usize) -> String {
        let given = |name: &str| headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
        let mut head = format!("{method} {} HTTP/1.1\r\n", self.path);
        let mut add = |name: &str, value: &str| {
            // Writing to a string cannot fail.
            let _ = write!(head, "{name}: {value}\r\n");
        };
        if !given("host") {
            add("host", &self.host);
        }
        for (name, value) in self.headers.iter().filter(|(name, _)| !given(name)) {
            add(name, value);
        }
        for (name, value) in headers {
            add(name, value);
        }
        if (body > 0 || method == "POST") && !given("content-length") && !given("transfer-encoding") {
            add("content-length", &body.to_string());
        }
        head.push_str("\r\n");
        head
    }

    /// Sends a request and waits for the head of its response. An idle connection is used if there is
    /// one that the server has not closed.
    pub async fn send(&self, method: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        must(self.try_send(method, headers, body).await, "expected a response head")
    }

    /// As [`HttpClient::send`]; an error is a server that is not there or closes instead of answering.
    pub async fn try_send(
        &self,
        method: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Response> {
        let mut request = self.head(method, headers, body.len()).into_bytes();
        request.extend_from_slice(body);
        let mut socket = loop {
            match self.idle.take() {
                Some(mut idle) => {
                    if !idle.closes_within(Duration::ZERO).await {
                        break idle;
                    }
                }
                None => break self.try_socket().await?,
            }
        };
        socket.try_send(&request).await?;
        let head = within(self.deadline, "a response head", http1::read_head(&mut socket.stream)).await?;
        let head = head.ok_or_else(|| {
            io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection instead")
        })?;
        let status = status(&head);
        let empty = method == "HEAD" || matches!(status, 204 | 304);
        let framing = if empty { Framing::Length(0) } else { Framing::of(&head.headers, Framing::Close) };
        Ok(Response::new(status, head.headers, framing, socket, self.idle.clone(), self.deadline))
    }

    /// Sends a POST with the content type and `Accept` of MCP, unless given otherwise.
    pub async fn post(&self, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let mut all =
            vec![("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
        all.retain(|(name, _)| !headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name)));
        all.extend_from_slice(headers);
        self.send("POST", &all, body).await
    }

    /// Opens a GET event stream, with the `Accept` of MCP.
    pub async fn get_stream(&self, headers: &[(&str, &str)]) -> Response {
        let mut all = vec![("accept", "text/event-stream")];
        all.extend_from_slice(headers);
        self.send("GET", &all, b"").await
    }

    /// Sends a plain GET to `path` of the same server.
    pub async fn get(&self, path: &str) -> Response {
        self.clone().at(path).send("GET", &[], b"").await
    }
}
