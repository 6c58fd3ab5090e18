//! The opening of a conversation: which era the server speaks and what it declares.
//!
//! Modern: `server/discover` (2026-07-28, "Discovery"). Legacy: `initialize` and `notifications/initialized`
//! (2025-11-25, "Lifecycle"). Which one is found out by asking for the modern one first; any answer but those
//! that only a modern server gives means legacy (2026-07-28, "Versioning").

use std::sync::Arc;
use std::time::Duration;

use aqe_core::envelope::{Field, Kind, Message, encode_string};
use aqe_core::revision::{Era, Revision};
use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use super::{CallError, CallTag, Connection, Item, Negotiated, Outgoing, next_item};
use crate::wire;

/// What the server has said of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The era the conversation is in.
    pub era: Era,
    /// Whether the server says that it speaks the other era too.
    pub dual: bool,
    /// The revision agreed on, as the server wrote it.
    pub revision: String,
    /// Raw JSON of `capabilities`.
    pub capabilities: Bytes,
    /// `instructions`.
    pub instructions: Option<String>,
    /// Raw JSON of `serverInfo`.
    pub server_info: Option<Bytes>,
}

/// Why a handshake failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The server is of the other era: try that one. The connection may have ended.
    #[error("the server does not speak the {0:?} era: {1}")]
    OtherEra(Era, String),
    /// It cannot be talked to.
    #[error("{0}")]
    Failed(String),
}

/// How long a server may take to answer the question for its era before it counts as legacy.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// The owner of the gateway's own calls.
pub(crate) const OWN: CallTag = CallTag { owner: 0, wants_log: false, repeatable: false };

/// Our name and version as an MCP `Implementation`.
pub fn implementation() -> &'static str {
    concat!(r#"{"name":"aqe-v3","title":"aqe-v3","version":""#, env!("CARGO_PKG_VERSION"), r#""}"#)
}

/// The members of `_meta` that every modern request must carry, for requests of our own.
pub fn own_meta() -> String {
    modern_meta(Some(implementation()), "{}")
}

/// The members (without braces) of a modern `_meta`; the arguments are raw JSON.
pub fn modern_meta(client_info: Option<&str>, client_capabilities: &str) -> String {
    let info = client_info
        .map(|info| format!(r#","io.modelcontextprotocol/clientInfo":{info}"#))
        .unwrap_or_default();
    format!(
        r#""io.modelcontextprotocol/protocolVersion":"{}"{info},"io.modelcontextprotocol/clientCapabilities":{client_capabilities}"#,
        Revision::NEWEST_MODERN
    )
}

/// Sends a request of our own and returns its answer; what comes before the answer is dropped.
///
/// # Errors
/// If there is no answer within `timeout`.
pub async fn ask(
    connection: &Arc<dyn Connection>,
    method: &'static str,
    params: &str,
    headers: Vec<(HeaderName, HeaderValue)>,
    timeout: Duration,
) -> Result<Message, CallError> {
    let id = connection.next_id();
    let bytes = wire::request(id, method, params);
    let out = Outgoing { bytes, method: method.into(), name: None, headers, pass_from: None };
    let mut call = Arc::clone(connection).call(id, out, OWN);
    let answer = async {
        loop {
            match next_item(&mut *call).await {
                Item::Answer(message) => return Ok(message),
                Item::Failed(error) => return Err(error),
                Item::Long(_) => return Err(CallError::Malformed("an answer that is too long".into())),
                Item::Notification(_) | Item::Request(_) => {}
            }
        }
    };
    match tokio::time::timeout(timeout, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(CallError::Closed(format!("no answer to {method} within {} ms", timeout.as_millis()))),
    }
}

fn header(name: &'static str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    Some((HeaderName::from_static(name), HeaderValue::from_str(value).ok()?))
}

/// Opens the conversation in `era`.
///
/// # Errors
/// [`HandshakeError::OtherEra`] if the server's answer means that it is of the other era.
pub async fn shake(
    connection: &Arc<dyn Connection>,
    era: Era,
    timeout: Duration,
) -> Result<Peer, HandshakeError> {
    match era {
        Era::Modern => discover(connection, timeout).await,
        Era::Legacy => initialize(connection, timeout).await,
    }
}

async fn discover(connection: &Arc<dyn Connection>, timeout: Duration) -> Result<Peer, HandshakeError> {
    let revision = Revision::NEWEST_MODERN.as_str();
    let headers = [header("mcp-protocol-version", revision), header("mcp-method", "server/discover")];
    let params = format!(r#"{{"_meta":{{{}}}}}"#, own_meta());
    let headers = headers.into_iter().flatten().collect();
    let legacy = |why: String| HandshakeError::OtherEra(Era::Modern, why);
    let answer = ask(connection, "server/discover", &params, headers, timeout.min(PROBE_TIMEOUT)).await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(CallError::NotSent(why)) => return Err(HandshakeError::Failed(why)),
        Err(CallError::Http { status: 401 | 403, .. }) => {
            return Err(HandshakeError::Failed(
                "the server refuses us (HTTP 401 or 403): check `headers`".into(),
            ));
        }
        Err(error) => return Err(legacy(error.to_string())),
    };
    if answer.kind() == Kind::Error {
        return Err(match answer.raw(Field::Code) {
            Some("-32022") if supports_legacy(&answer) => legacy("it supports older revisions only".into()),
            Some("-32020" | "-32021" | "-32022") => HandshakeError::Failed(error_text(&answer)),
            _ => legacy(error_text(&answer)),
        });
    }
    let versions = answer.raw(Field::SupportedVersions).unwrap_or_default();
    if !versions.contains(revision) {
        return Err(legacy(format!("it supports {versions}")));
    }
    Arc::clone(connection).negotiated(Negotiated { protocol_version: revision.into(), modern: true });
    let dual = Revision::ALL
        .iter()
        .any(|revision| revision.era() == Era::Legacy && versions.contains(revision.as_str()));
    Ok(Peer {
        era: Era::Modern,
        dual,
        revision: revision.into(),
        capabilities: answer.raw_bytes(Field::Capabilities).unwrap_or_else(|| Bytes::from_static(b"{}")),
        instructions: answer.string(Field::Instructions).map(Into::into),
        server_info: answer.raw_bytes(Field::MetaServerInfo),
    })
}

fn supports_legacy(answer: &Message) -> bool {
    let data = answer.raw(Field::Data).unwrap_or_default();
    Revision::ALL.iter().any(|revision| revision.era() == Era::Legacy && data.contains(revision.as_str()))
}

async fn initialize(connection: &Arc<dyn Connection>, timeout: Duration) -> Result<Peer, HandshakeError> {
    // Everything that the gateway can relay; a request for a client that lacks it is refused when it comes.
    let params = format!(
        r#"{{"protocolVersion":"{}","capabilities":{{"roots":{{"listChanged":true}},"sampling":{{}},"elicitation":{{"form":{{}},"url":{{}}}}}},"clientInfo":{}}}"#,
        Revision::NEWEST_LEGACY,
        implementation()
    );
    let answer = ask(connection, "initialize", &params, Vec::new(), timeout)
        .await
        .map_err(|error| HandshakeError::Failed(format!("initialize: {error}")))?;
    if answer.kind() == Kind::Error {
        let text = error_text(&answer);
        return Err(match answer.raw(Field::Code) {
            Some("-32022" | "-32601") => HandshakeError::OtherEra(Era::Legacy, text),
            _ => HandshakeError::Failed(format!("initialize: {text}")),
        });
    }
    let revision = answer.string(Field::ProtocolVersion).unwrap_or_default().into_owned();
    if Revision::parse(&revision).is_none_or(|revision| revision.era() != Era::Legacy) {
        return Err(HandshakeError::Failed(format!("the server wants unknown revision {revision:?}")));
    }
    let initialized = Outgoing {
        bytes: wire::notification("notifications/initialized", None),
        method: "notifications/initialized".into(),
        name: None,
        headers: header("mcp-protocol-version", &revision).into_iter().collect(),
        pass_from: None,
    };
    let sent = connection.send(initialized).await;
    sent.map_err(|error| HandshakeError::Failed(format!("notifications/initialized: {error}")))?;
    let negotiated = Negotiated { protocol_version: revision.clone(), modern: false };
    Arc::clone(connection).negotiated(negotiated);
    Ok(Peer {
        era: Era::Legacy,
        dual: false,
        revision,
        capabilities: answer.raw_bytes(Field::Capabilities).unwrap_or_else(|| Bytes::from_static(b"{}")),
        instructions: answer.string(Field::Instructions).map(Into::into),
        server_info: answer.raw_bytes(Field::ServerInfo),
    })
}

/// Code and message of an error response, for our own messages.
pub(crate) fn error_text(answer: &Message) -> String {
    let code = answer.raw(Field::Code).unwrap_or("?");
    let message = answer.string(Field::ErrorMessage).unwrap_or_default();
    let message: String = message.chars().take(300).collect();
    format!("error {code}: {}", encode_string(&message))
}
