//! HTTP/1.1 over a server's Unix socket.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

/// Longest answer in bytes: the list of 100,000 tools has some 40 MB.
const MAX_ANSWER: usize = 256 * 1024 * 1024;
/// How long a server on this machine may take for anything but a call.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why a server did not answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    /// Nobody listens.
    #[error("cannot connect to the server: {0}")]
    Connect(#[from] std::io::Error),
    /// The conversation broke off.
    #[error("the server broke off: {0}")]
    Broken(Box<dyn std::error::Error + Send + Sync>),
    /// It took too long.
    #[error("the server did not answer within {} s", TIMEOUT.as_secs())]
    Slow,
    /// It refused.
    #[error("the server refuses ({status}): {message}")]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// The text of the refusal.
        message: String,
    },
    /// What it answered is not what its admin API answers.
    #[error("the server's answer is not understood: {0}")]
    Answer(#[from] serde_json::Error),
}

impl From<hyper::Error> for ClientError {
    fn from(error: hyper::Error) -> Self {
        Self::Broken(error.into())
    }
}

/// Asks for a path.
pub(super) async fn get(socket: &Path, path: &str) -> Result<Value, ClientError> {
    Ok(serde_json::from_slice(&text(socket, path).await?)?)
}

/// Asks for a path whose answer is not JSON, or not to be read as it.
pub(super) async fn text(socket: &Path, path: &str) -> Result<Bytes, ClientError> {
    let answer = tokio::time::timeout(TIMEOUT, exchange(socket, Method::GET, path, Bytes::new()));
    answer.await.map_err(|_| ClientError::Slow)?
}

/// Posts a body; waits as long as the server does.
pub(super) async fn post(socket: &Path, path: &str, body: Bytes) -> Result<Bytes, ClientError> {
    exchange(socket, Method::POST, path, body).await
}

async fn exchange(socket: &Path, method: Method, path: &str, body: Bytes) -> Result<Bytes, ClientError> {
    let stream = TokioIo::new(UnixStream::connect(socket).await?);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(body))
        .map_err(|error| ClientError::Broken(error.into()))?;
    let answer = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
        Ok((status, body.map_err(ClientError::Broken)?.to_bytes()))
    };
    let mut answer = std::pin::pin!(answer);
    let (status, body) = tokio::select! {
        answer = &mut answer => answer,
        // It ends with the answer, or else there is none.
        ended = connection => match ended {
            Ok(()) => answer.await,
            Err(error) => Err(ClientError::from(error)),
        },
    }?;
    if status.is_success() {
        return Ok(body);
    }
    let told = serde_json::from_slice::<Value>(&body).ok();
    let told = told.and_then(|value| Some(value.get("error")?.as_str()?.to_owned()));
    let message = told.unwrap_or_else(|| String::from_utf8_lossy(&body).trim().to_owned());
    Err(ClientError::Refused { status, message })
}

/// A value for a query (RFC 3986, 2.3: all but the unreserved characters are encoded).
pub(super) fn encode(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let text = value
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") });
    text.collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_could_end_a_value_is_encoded() {
        assert_eq!(super::encode("a_b-1.~ &=%é"), "a_b-1.~%20%26%3D%25%C3%A9");
    }
}
