//! What the server looks at in a message; everything else stays the bytes that came.

use std::net::SocketAddr;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::options::Era;
use crate::http1::Headers;

/// `_meta` key that makes a request a modern one (revision 2026-07-28, basic).
pub(super) const PROTOCOL_VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";

/// One message from the client, owned.
#[derive(Debug)]
pub(super) struct Request {
    /// The line (without its line end) or the HTTP body.
    pub(super) bytes: Bytes,
    /// The HTTP request's header fields.
    pub(super) headers: Option<Headers>,
    /// Where the HTTP request came from.
    pub(super) peer: Option<SocketAddr>,
    /// The id's exact text; `None` for notifications (and for an id of null).
    pub(super) id: Option<String>,
    /// `None` for a response.
    pub(super) method: Option<String>,
    /// Whether it is to be treated as a request of revision 2026-07-28.
    pub(super) modern: bool,
    /// The few members of `params` that matter here.
    pub(super) params: Params,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: Option<String>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

/// The members of `params` that the server reads; of a shape it does not expect, none.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Params {
    pub(super) name: Option<String>,
    pub(super) uri: Option<String>,
    pub(super) cursor: Option<String>,
    pub(super) protocol_version: Option<String>,
    pub(super) arguments: Option<Box<RawValue>>,
    pub(super) request_id: Option<Box<RawValue>>,
    pub(super) input_responses: Option<Box<RawValue>>,
    #[serde(rename = "_meta")]
    pub(super) meta: Option<Meta>,
}

/// The members of `params._meta` that the server reads.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Meta {
    #[serde(rename = "progressToken")]
    pub(super) progress_token: Option<Box<RawValue>>,
    #[serde(rename = "io.modelcontextprotocol/protocolVersion")]
    pub(super) protocol_version: Option<String>,
    #[serde(rename = "io.modelcontextprotocol/logLevel")]
    pub(super) log_level: Option<String>,
}

impl Request {
    /// Reads a message; a server of the legacy era alone sees nothing modern in it.
    pub(super) fn parse(bytes: Bytes, headers: Option<Headers>, era: Era) -> Result<Self, serde_json::Error> {
        let envelope: Envelope<'_> = serde_json::from_slice(&bytes)?;
        let id = envelope.id.map(|id| id.get().to_owned());
        let method = envelope.method;
        let params = envelope.params.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        let mut request = Self { bytes, headers, peer: None, id, method, modern: false, params };
        request.modern =
            era != Era::Legacy && request.method() != "initialize" && request.modern_version().is_some();
        Ok(request)
    }

    /// The revision that the request declares in its `_meta`.
    pub(super) fn modern_version(&self) -> Option<&str> {
        self.params.meta.as_ref()?.protocol_version.as_deref()
    }

    pub(super) fn method(&self) -> &str {
        self.method.as_deref().unwrap_or_default()
    }

    /// The id's text, `null` when there is none.
    pub(super) fn id_text(&self) -> &str {
        self.id.as_deref().unwrap_or("null")
    }

    /// The tool arguments as `T`; the message says what is wrong with them.
    pub(super) fn arguments<'a, T: Deserialize<'a>>(&'a self) -> Result<T, String> {
        let raw = self.params.arguments.as_ref().map_or("{}", |raw| raw.get());
        serde_json::from_str(raw).map_err(|error| error.to_string())
    }
}

/// `text` as a JSON string, quotes included.
pub(super) fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
