//! A server over HTTP/1.1: its URL, its session, and one exchange at a time.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::Result;
use crate::endpoint::Endpoint;
use crate::message::{Call, Era, LEGACY, MODERN, Request};
pub use crate::reply::header;
use crate::reply::{Incoming, Progress};

/// How long one reply may take, where nothing else is said.
pub const REPLY: Duration = Duration::from_secs(60);
/// How long connecting may take when a name has several addresses.
const CONNECT: Duration = Duration::from_secs(2);

/// Where a server listens, and how it wants to be spoken to.
#[derive(Debug, Clone)]
pub struct Server {
    /// Its address.
    pub address: SocketAddr,
    endpoint: Endpoint,
    patience: Duration,
    /// As the URL names it.
    host: String,
    path: String,
    /// Further headers, each with its line end.
    headers: String,
    /// The legacy revision that was agreed upon.
    revision: String,
    /// The session of legacy requests, if the server wants one.
    session: Option<String>,
}

impl Server {
    /// The server at `http://HOST:PORT/PATH` or `https://HOST:PORT/PATH`.
    ///
    /// # Errors
    /// If it is no such URL, or the name has no address.
    pub fn at(url: &str) -> Result<Self> {
        Self::trusting(url, None)
    }

    /// The same; for `https` the authorities in this PEM file are trusted beside the public ones.
    ///
    /// # Errors
    /// As for [`Self::at`], or if the file has no certificate.
    pub fn trusting(url: &str, roots: Option<&Path>) -> Result<Self> {
        let plain = url.strip_prefix("http://").map(|rest| (rest, 80));
        let secure = || url.strip_prefix("https://").map(|rest| (rest, 443));
        let (rest, port) =
            plain.or_else(secure).ok_or_else(|| format!("{url}: no http:// or https:// URL"))?;
        let (host, path) =
            rest.split_once('/').map_or((rest, String::new()), |(host, path)| (host, path.into()));
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if host.is_empty() || !plain(host) || !plain(&path) || host.contains('@') {
            return Err(format!("{url}: no address in it").into());
        }
        let (name, has_port) = match host.rsplit_once(':') {
            Some((name, port)) if port.parse::<u16>().is_ok() => (name, true),
            _ => (host, false),
        };
        let full = if has_port { host.to_owned() } else { format!("{host}:{port}") };
        let addresses: Vec<_> =
            full.to_socket_addrs().map_err(|error| format!("{url}: no address: {error}"))?.collect();
        let mut address = *addresses.first().ok_or_else(|| format!("{url}: no address"))?;
        if addresses.len() > 1 {
            // Such as localhost, of which many servers have but one address.
            let answers = |address: &&SocketAddr| TcpStream::connect_timeout(address, CONNECT).is_ok();
            address = addresses.iter().find(answers).copied().unwrap_or(address);
        }
        let endpoint = if port == 443 {
            Endpoint::tls(address, name, roots).map_err(|error| format!("{url}: {error}"))?
        } else {
            address.into()
        };
        Ok(Self {
            address,
            endpoint,
            patience: REPLY,
            host: host.to_owned(),
            path: format!("/{path}"),
            headers: String::new(),
            revision: LEGACY.to_owned(),
            session: None,
        })
    }

    /// Where its connections go.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Waits so long for each reply.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Sends this header with every request.
    ///
    /// # Errors
    /// If it is none.
    pub fn add_header(&mut self, name: &str, value: &str) -> Result<()> {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(format!("{name:?} is no name of a header").into());
        }
        if value.chars().any(char::is_control) {
            return Err(format!("the value of the header {name} has control characters").into());
        }
        // Writing to a string cannot fail.
        let _ = write!(self.headers, "{name}: {value}\r\n");
        Ok(())
    }

    /// Shakes hands with a legacy server, and returns what it answers.
    pub fn initialize(&mut self) -> Result<Value> {
        let (head, body) = self.exchange(self.opening().as_bytes())?;
        let answer: Value = serde_json::from_slice(&body)?;
        if let Some(revision) = answer["result"]["protocolVersion"].as_str() {
            revision.clone_into(&mut self.revision);
        }
        self.take_session_of(&head);
        self.exchange(self.opened().as_bytes())?;
        Ok(answer)
    }

    /// The first message of the handshake.
    pub fn opening(&self) -> String {
        self.post("", &initialize())
    }

    /// Keeps the session that the head of its answer names.
    pub fn take_session_of(&mut self, head: &[u8]) {
        self.session = header(head, "mcp-session-id").map(str::to_owned);
    }

    /// The second message of the handshake, which ends it.
    pub fn opened(&self) -> String {
        self.post(&self.session_headers(), INITIALIZED)
    }

    /// The end of the session.
    pub fn farewell(&self) -> String {
        let Self { host, path, headers, .. } = self;
        format!("DELETE {path} HTTP/1.1\r\nHost: {host}\r\n{headers}{}\r\n", self.session_headers())
    }

    /// Ends the session, if there is one. A server need not allow it.
    pub fn leave(&mut self) {
        if self.session.is_some() {
            let _ = self.exchange(self.farewell().as_bytes());
            self.session = None;
        }
    }

    /// The headers of a legacy message after `initialize`.
    fn session_headers(&self) -> String {
        let session = self.session.as_ref().map(|key| format!("Mcp-Session-Id: {key}\r\n"));
        format!("MCP-Protocol-Version: {}\r\n{}", self.revision, session.unwrap_or_default())
    }

    /// A message of the handshake, with further headers.
    fn post(&self, headers: &str, text: &str) -> String {
        format!("{}{headers}Content-Length: {}\r\n\r\n{text}", self.start(), text.len())
    }

    /// The start of a request, which lacks its length and the empty line.
    pub(crate) fn post_head(&self, era: Era) -> String {
        let version = match era {
            Era::Modern => format!("MCP-Protocol-Version: {MODERN}\r\n"),
            Era::Legacy => self.session_headers(),
        };
        self.start() + &version
    }

    fn start(&self) -> String {
        let Self { host, path, headers, .. } = self;
        format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nAccept: application/json, \
             text/event-stream\r\n{headers}"
        )
    }

    /// Names another server's session in requests, so that they have the same bytes.
    pub fn take_session(&mut self, other: &Self) {
        self.session.clone_from(&other.session);
    }

    /// The request that this server gets for a call.
    pub fn request(&self, call: &Call) -> Request {
        call.post(self)
    }

    /// Sends one call and returns its reply.
    pub fn ask(&self, call: &Call) -> Result<Value> {
        Ok(serde_json::from_slice(&self.ask_raw(call)?)?)
    }

    /// The same, as bytes.
    pub fn ask_raw(&self, call: &Call) -> Result<Vec<u8>> {
        self.exchange(self.request(call).fresh()).map(|(_, body)| body)
    }

    fn exchange(&self, request: &[u8]) -> Result<(Vec<u8>, Vec<u8>)> {
        exchange(self.endpoint.connect(self.patience)?, request)
    }
}

/// Sends a request and reads its reply: head and message.
///
/// # Errors
/// Also for any status but those of success.
pub fn exchange(mut stream: impl Read + Write, request: &[u8]) -> Result<(Vec<u8>, Vec<u8>)> {
    stream.write_all(request)?;
    let mut incoming = Incoming::default();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let read = stream.read(&mut chunk)?;
        incoming.buffer().extend_from_slice(&chunk[..read]);
        if incoming.advance(read == 0)? > Progress::Waiting {
            let (status, body) = (incoming.status(), incoming.message());
            if !(200..300).contains(&status) {
                return Err(format!("status {status}: {}", String::from_utf8_lossy(body)).into());
            }
            return Ok((incoming.head().to_vec(), body.to_vec()));
        }
    }
}

/// `initialize`, as a client of the newest legacy revision sends it.
pub fn initialize() -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{LEGACY}","capabilities":{{}},"clientInfo":{{"name":"aqe-bench","version":"1"}}}}}}"#
    )
}

/// What follows its answer.
pub const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_to_connect_and_what_to_ask_for() {
        let mut server = Server::at("http://127.0.0.1:8765/a/mcp?x=1").unwrap();
        server.add_header("Authorization", "Bearer x").unwrap();
        assert_eq!(server.address.to_string(), "127.0.0.1:8765");
        let request = server.opening();
        assert!(request.starts_with("POST /a/mcp?x=1 HTTP/1.1\r\nHost: 127.0.0.1:8765\r\n"), "{request}");
        assert!(request.contains("\r\nAuthorization: Bearer x\r\n"));
        assert_eq!(Server::at("http://127.0.0.1").unwrap().address.port(), 80);
        assert_eq!(Server::at("https://127.0.0.1/mcp").unwrap().address.port(), 443);
        assert_eq!(Server::at("https://[::1]:9/mcp").unwrap().address.to_string(), "[::1]:9");
        assert_eq!(Server::at("http://[::1]:9/mcp").unwrap().address.to_string(), "[::1]:9");
        for wrong in ["ftp://127.0.0.1/mcp", "127.0.0.1:80", "http://", "http://a b/", "http:///mcp"] {
            assert!(Server::at(wrong).is_err(), "{wrong}");
        }
        for (name, value) in [("", "x"), ("a b", "x"), ("a", "x\r\nb: y")] {
            assert!(server.add_header(name, value).is_err(), "{name}");
        }
    }

    #[test]
    fn a_message_in_a_stream_of_events_is_read_like_any_other() {
        struct Stream(&'static [u8]);
        impl Read for Stream {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                self.0.read(buffer)
            }
        }
        impl Write for Stream {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let events = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nMcp-Session-Id: s\r\n\r\n\
                       data: {\"id\":0,\"result\":{}}\n\n";
        let (head, body) = exchange(Stream(events), b"").unwrap();
        assert_eq!(
            (header(&head, "mcp-session-id"), body.as_slice()),
            (Some("s"), &b"{\"id\":0,\"result\":{}}"[..])
        );
        assert!(exchange(Stream(b"HTTP/1.1 404 No\r\nContent-Length: 1\r\n\r\nx"), b"").is_err());
    }
}
