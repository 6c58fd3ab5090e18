//! The admin API of a running gateway: HTTP on its Unix socket.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::Result;
use crate::http::exchange;

/// How long one answer may take, also under full load.
const ANSWER: Duration = Duration::from_secs(10);

/// Where it is.
#[derive(Debug, Clone)]
pub(crate) struct Admin {
    socket: PathBuf,
}

impl Admin {
    /// On this socket.
    pub(crate) fn at(socket: &str) -> Self {
        Self { socket: socket.into() }
    }

    /// Asks for a path.
    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        self.send("GET", path, "")
    }

    /// Posts a change.
    pub(crate) fn post(&self, path: &str, change: &Value) -> Result<Value> {
        self.send("POST", path, &change.to_string())
    }

    fn send(&self, method: &str, path: &str, body: &str) -> Result<Value> {
        let stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(ANSWER))?;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: \
             {}\r\n\r\n{body}",
            body.len()
        );
        let (_, answer) = exchange(stream, request.as_bytes()).map_err(|error| format!("{path}: {error}"))?;
        Ok(serde_json::from_slice(&answer)?)
    }
}
