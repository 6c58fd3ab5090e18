//! Just enough HTTP/1.1: the head of a reply, and one exchange at a time.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use memchr::memmem;
use serde_json::Value;

use crate::Result;
use crate::message::{Call, Era, LEGACY};

/// How long one reply may take.
const REPLY: Duration = Duration::from_secs(60);

/// The head of a reply.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// Where the body starts.
    pub(crate) body_at: usize,
    /// Bytes of the body.
    pub(crate) length: usize,
}

impl Head {
    /// Reads a head; `None` if it is not complete yet.
    ///
    /// # Errors
    /// If its body has no stated length: none of the servers here sends one.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Self>> {
        let Some(end) = memmem::find(bytes, b"\r\n\r\n") else { return Ok(None) };
        let status = std::str::from_utf8(bytes.get(9..12).unwrap_or_default()).unwrap_or_default();
        let status = status.parse().unwrap_or(0);
        let length = header(&bytes[..end], "content-length").and_then(|value| value.parse().ok());
        // Those need not say that they have no body.
        let length = length.or_else(|| matches!(status, 202 | 204).then_some(0));
        let length = length
            .ok_or_else(|| format!("reply without length: {}", String::from_utf8_lossy(&bytes[..end])))?;
        Ok(Some(Self { status, body_at: end + 4, length }))
    }
}

/// The value of a header in a head.
pub(crate) fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    head.split(|byte| *byte == b'\n').find_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (key, value) = line.split_at(colon);
        key.eq_ignore_ascii_case(name.as_bytes())
            .then(|| std::str::from_utf8(&value[1..]).ok().map(str::trim))?
    })
}

/// Where a server listens.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// The session of legacy requests, if the server wants one.
    session: Option<String>,
}

impl Server {
    /// The server at `http://ADDRESS:PORT/mcp`.
    pub(crate) fn at(url: &str) -> Result<Self> {
        let authority = url.strip_prefix("http://").and_then(|rest| rest.split('/').next());
        let address = authority.and_then(|authority| authority.parse().ok());
        Ok(Self { address: address.ok_or_else(|| format!("no address in {url:?}"))?, session: None })
    }

    /// Shakes hands with a legacy server.
    pub(crate) fn initialize(&mut self) -> Result<()> {
        let (head, _) = self.exchange(self.opening().as_bytes())?;
        self.take_session_of(&head);
        self.exchange(self.opened().as_bytes())?;
        Ok(())
    }

    /// The first message of the handshake.
    pub(crate) fn opening(&self) -> String {
        self.post("", &initialize())
    }

    /// Keeps the session that the head of its answer names.
    pub(crate) fn take_session_of(&mut self, head: &[u8]) {
        self.session = header(head, "mcp-session-id").map(str::to_owned);
    }

    /// The second message of the handshake, which ends it.
    pub(crate) fn opened(&self) -> String {
        self.post(&self.session_headers(), INITIALIZED)
    }

    /// The end of the session.
    pub(crate) fn farewell(&self) -> String {
        format!("DELETE /mcp HTTP/1.1\r\nHost: {}\r\n{}\r\n", self.address, self.session_headers())
    }

    /// The headers of a legacy message after `initialize`.
    fn session_headers(&self) -> String {
        let session = self.session.as_ref().map(|key| format!("Mcp-Session-Id: {key}\r\n"));
        format!("MCP-Protocol-Version: {LEGACY}\r\n{}", session.unwrap_or_default())
    }

    /// A message of the handshake, with further headers.
    fn post(&self, headers: &str, text: &str) -> String {
        format!(
            "POST /mcp HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nAccept: application/json, \
             text/event-stream\r\n{headers}Content-Length: {}\r\n\r\n{text}",
            self.address,
            text.len()
        )
    }

    /// Names another server's session in requests, so that they have the same bytes.
    pub(crate) fn take_session(&mut self, other: &Self) {
        self.session.clone_from(&other.session);
    }

    /// The request that this server gets for a call.
    pub(crate) fn request(&self, call: &Call) -> crate::message::Request {
        let session = self.session.as_deref().filter(|_| call.era == Era::Legacy);
        call.post(&self.address.to_string(), session)
    }

    /// Sends one call and returns its reply.
    pub(crate) fn ask(&self, call: &Call) -> Result<Value> {
        Ok(serde_json::from_slice(&self.ask_raw(call)?)?)
    }

    /// The same, as bytes.
    pub(crate) fn ask_raw(&self, call: &Call) -> Result<Vec<u8>> {
        self.exchange(self.request(call).fresh()).map(|(_, body)| body)
    }

    fn exchange(&self, request: &[u8]) -> Result<(Vec<u8>, Vec<u8>)> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(REPLY))?;
        stream.set_nodelay(true)?;
        exchange(stream, request)
    }
}

/// Sends a request and reads its reply: head and body.
///
/// # Errors
/// Also for any status but those of success.
pub(crate) fn exchange(mut stream: impl Read + Write, request: &[u8]) -> Result<(Vec<u8>, Vec<u8>)> {
    stream.write_all(request)?;
    let mut reply = Vec::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let read = stream.read(&mut chunk)?;
        reply.extend_from_slice(&chunk[..read]);
        if let Some(head) = Head::parse(&reply)?
            && reply.len() >= head.body_at + head.length
        {
            let body = reply.split_off(head.body_at);
            if !(200..300).contains(&head.status) {
                return Err(format!("status {}: {}", head.status, String::from_utf8_lossy(&body)).into());
            }
            return Ok((reply, body));
        }
        if read == 0 {
            return Err(format!("broke off: {}", String::from_utf8_lossy(&reply)).into());
        }
    }
}

/// `initialize`, as a client of the newest legacy revision sends it.
pub(crate) fn initialize() -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{LEGACY}","capabilities":{{}},"clientInfo":{{"name":"aqe-bench","version":"1"}}}}}}"#
    )
}

/// What follows its answer.
pub(crate) const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_complete() {
        let reply = b"HTTP/1.1 200 OK\r\nX: 1\r\nCONTENT-length:  5 \r\n\r\nhello";
        assert_eq!(Head::parse(&reply[..40]).unwrap(), None);
        assert_eq!(
            Head::parse(reply).unwrap(),
            Some(Head { status: 200, body_at: reply.len() - 5, length: 5 })
        );
        let accepted = b"HTTP/1.1 202 Accepted\r\n\r\n";
        assert_eq!(
            Head::parse(accepted).unwrap(),
            Some(Head { status: 202, body_at: accepted.len(), length: 0 })
        );
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }
}
