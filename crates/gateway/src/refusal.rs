//! JSON-RPC errors that the gateway itself answers with.
//!
//! Codes: JSON-RPC 2.0 section 5.1 and MCP 2026-07-28, "Errors". A call that an upstream could not answer is
//! -32603 with `data` that says which upstream, a reason for programs and whether trying again can help.

use std::fmt::Write as _;

use aqe_core::envelope::{Fault, encode_string};
use aqe_core::monitor::ErrorKind;
use aqe_core::revision::Revision;

use crate::wire;

/// An error response before it is written: code, message, data, and the HTTP status that goes with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// JSON-RPC error code.
    pub code: i32,
    /// Text for people.
    pub message: String,
    /// Raw JSON of `error.data`.
    pub data: Option<String>,
    /// HTTP status where the reply is a whole HTTP response to a modern client; legacy clients get 200.
    pub status: u16,
    /// How it is counted.
    pub kind: ErrorKind,
}

/// Why an upstream did not answer, as a word for programs (`data.reason`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamReason {
    /// It could not be started or reached.
    Unavailable,
    /// It was not asked: more calls are waiting for it than it takes.
    Overloaded,
    /// It ended, or its connection did, during the call.
    Closed,
    /// What it answered is no valid response.
    Malformed,
    /// It did not answer in time.
    Timeout,
    /// It answered with an HTTP status and no JSON-RPC message.
    HttpStatus,
    /// The client did not read what it sent.
    ClientTooSlow,
    /// Its answer was passed on and not kept for a client that comes back.
    NotKept,
}

impl UpstreamReason {
    fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "upstream_unavailable",
            Self::Overloaded => "overloaded",
            Self::Closed => "upstream_closed",
            Self::Malformed => "upstream_malformed",
            Self::Timeout => "upstream_timeout",
            Self::HttpStatus => "upstream_http_status",
            Self::ClientTooSlow => "client_too_slow",
            Self::NotKept => "reply_not_kept",
        }
    }

    fn kind(self) -> ErrorKind {
        match self {
            Self::Unavailable => ErrorKind::Unavailable,
            Self::Overloaded => ErrorKind::Overloaded,
            Self::Closed => ErrorKind::Closed,
            Self::Malformed => ErrorKind::Malformed,
            Self::Timeout => ErrorKind::Timeout,
            Self::HttpStatus => ErrorKind::HttpStatus,
            Self::ClientTooSlow => ErrorKind::ClientTooSlow,
            Self::NotKept => ErrorKind::Internal,
        }
    }
}

impl Refusal {
    fn new(code: i32, status: u16, message: impl Into<String>) -> Self {
        let kind = if code == -32603 { ErrorKind::Internal } else { ErrorKind::InvalidRequest };
        Self { code, message: message.into(), data: None, status, kind }
    }

    /// -32600.
    pub fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(-32600, 400, message)
    }

    /// -32601: no such method in the client's revision. Modern HTTP answers it with 404.
    pub fn method_not_found(method: &str) -> Self {
        Self::new(-32601, 404, format!("method not found: {}", shorten(method)))
    }

    /// -32602 within a well-formed request (HTTP 200).
    pub fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(-32602, 200, message)
    }

    /// -32602 for `_meta` that a modern request must carry (HTTP 400).
    pub fn invalid_meta(message: impl Into<String>) -> Self {
        Self::new(-32602, 400, message)
    }

    /// -32603.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(-32603, 200, message)
    }

    /// -32020: an `Mcp-*` header is missing, malformed, or not what the body says.
    pub fn header_mismatch(message: impl Into<String>) -> Self {
        Self::new(-32020, 400, message)
    }

    /// -32021: the request does not declare what its answer needs; `required` is raw JSON, shaped as `ClientCapabilities`.
    pub fn missing_capability(required: &str) -> Self {
        let data = format!(r#"{{"requiredCapabilities":{required}}}"#);
        Self { data: Some(data), ..Self::new(-32021, 400, "missing required client capability") }
    }

    /// -32022 with what we support.
    pub fn unsupported_version(requested: &str) -> Self {
        let supported: Vec<String> = Revision::ALL.iter().map(|revision| format!("\"{revision}\"")).collect();
        let data =
            format!(r#"{{"supported":[{}],"requested":{}}}"#, supported.join(","), encode_string(requested));
        let message = format!("unsupported protocol version: {}", shorten(requested));
        Self { data: Some(data), ..Self::new(-32022, 400, message) }
    }

    /// -32602: no such tool, prompt or resource; names the nearest ones.
    pub fn unknown(kind: &str, name: &str, suggestions: &[String]) -> Self {
        let mut message = format!("unknown {kind}: {}", shorten(name));
        if let [first, rest @ ..] = suggestions {
            let _ = write!(message, "; did you mean {first}");
            for other in rest {
                let _ = write!(message, " or {other}");
            }
            message.push('?');
        }
        Self::invalid_params(message)
    }

    /// -32603: the upstream did not answer.
    pub fn upstream(upstream: &str, reason: UpstreamReason, detail: &str) -> Self {
        let retryable = matches!(reason, UpstreamReason::Unavailable | UpstreamReason::Overloaded);
        let data = format!(
            r#"{{"upstream":{},"reason":"{}","retryable":{retryable}}}"#,
            encode_string(upstream),
            reason.as_str()
        );
        let message = format!("upstream {upstream}: {detail}");
        Self { data: Some(data), kind: reason.kind(), ..Self::internal(message) }
    }

    /// -32603: a person has cancelled the call from outside.
    pub fn by_operator() -> Self {
        Self { kind: ErrorKind::Operator, ..Self::internal("cancelled by an operator of this gateway") }
    }

    /// Raw JSON of the error itself.
    pub fn object(&self) -> String {
        wire::error_object(self.code, &self.message, self.data.as_deref())
    }

    /// The error response for the request `id` (raw JSON).
    pub fn to_bytes(&self, id: Option<&str>) -> Vec<u8> {
        wire::error(id, self.code, &self.message, self.data.as_deref())
    }
}

impl From<&Fault> for Refusal {
    fn from(fault: &Fault) -> Self {
        Self::new(fault.code(), 400, fault.reason.clone())
    }
}

/// At most 80 characters of a peer's text, so that an error does not echo a megabyte.
fn shorten(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
