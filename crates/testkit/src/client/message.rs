//! Messages as text.

use std::fmt::{Display, Write};

/// A revision of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Revision {
    V2024_11_05,
    V2025_03_26,
    V2025_06_18,
    V2025_11_25,
    V2026_07_28,
}

impl Revision {
    /// Every revision, oldest first.
    pub const ALL: [Self; 5] =
        [Self::V2024_11_05, Self::V2025_03_26, Self::V2025_06_18, Self::V2025_11_25, Self::V2026_07_28];

    /// The revision's name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// Whether the revision is stateless (no handshake, no sessions).
    pub const fn is_modern(self) -> bool {
        matches!(self, Self::V2026_07_28)
    }
}

/// A request or notification under construction. Values are JSON text and reach the wire as given.
#[derive(Debug, Clone)]
pub struct Message {
    id: Option<String>,
    method: String,
    params: Vec<(String, String)>,
    meta: Vec<(String, String)>,
    capabilities: String,
    /// What `Mcp-Name` says.
    subject: Option<String>,
}

impl Message {
    /// A request; `id` is JSON text (`7`, `"\"a\""`).
    pub fn request(id: impl Display, method: &str) -> Self {
        Self { id: Some(id.to_string()), ..Self::notification(method) }
    }

    /// A notification.
    pub fn notification(method: &str) -> Self {
        Self {
            id: None,
            method: method.to_owned(),
            params: Vec::new(),
            meta: Vec::new(),
            capabilities: "{}".to_owned(),
            subject: None,
        }
    }

    /// `tools/call` with `arguments` as JSON text.
    pub fn call(id: impl Display, tool: &str, arguments: &str) -> Self {
        let mut message =
            Self::request(id, "tools/call").param("name", &quote(tool)).param("arguments", arguments);
        message.subject = Some(tool.to_owned());
        message
    }

    /// `initialize` of a handshake revision.
    pub fn initialize(id: impl Display, revision: Revision) -> Self {
        Self::request(id, "initialize")
            .param("protocolVersion", &quote(revision.as_str()))
            .param("clientInfo", r#"{"name":"raw-client","version":"1"}"#)
    }

    /// `notifications/initialized`.
    pub fn initialized() -> Self {
        Self::notification("notifications/initialized")
    }

    /// `server/discover` of the stateless revision.
    pub fn discover(id: impl Display) -> Self {
        Self::request(id, "server/discover")
    }

    /// `notifications/cancelled` for the request with this id (JSON text).
    pub fn cancelled(id: impl Display) -> Self {
        Self::notification("notifications/cancelled").param("requestId", &id.to_string())
    }

    /// Adds a member of `params`, `value` as JSON text.
    #[must_use]
    pub fn param(mut self, name: &str, value: &str) -> Self {
        if matches!(name, "uri" | "taskId") || (name == "name" && self.method == "prompts/get") {
            self.subject = serde_json::from_str(value).ok();
        }
        self.params.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a member of `params._meta`, `value` as JSON text.
    #[must_use]
    pub fn meta(mut self, key: &str, value: &str) -> Self {
        self.meta.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Asks for progress under this token (JSON text).
    #[must_use]
    pub fn progress_token(self, token: impl Display) -> Self {
        self.meta("progressToken", &token.to_string())
    }

    /// Declares client capabilities (JSON text of the object): in `initialize`, or in `_meta` of a
    /// stateless request. None are declared otherwise.
    #[must_use]
    pub fn capabilities(mut self, capabilities: &str) -> Self {
        capabilities.clone_into(&mut self.capabilities);
        self
    }

    /// The id's text.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The message as one line of JSON, with what `revision` demands in `_meta`.
    pub fn text(&self, revision: Revision) -> String {
        let mut params = self.params.clone();
        let mut meta = self.meta.clone();
        if self.method == "initialize" {
            params.insert(0, ("capabilities".to_owned(), self.capabilities.clone()));
        } else if revision.is_modern() && self.id.is_some() {
            let key = |name: &str| format!("io.modelcontextprotocol/{name}");
            meta.push((key("protocolVersion"), quote(revision.as_str())));
            meta.push((key("clientCapabilities"), self.capabilities.clone()));
            meta.push((key("clientInfo"), r#"{"name":"raw-client","version":"1"}"#.to_owned()));
        }
        if !meta.is_empty() {
            params.push(("_meta".to_owned(), object(&meta)));
        }
        let mut text = String::from(r#"{"jsonrpc":"2.0""#);
        if let Some(id) = &self.id {
            // Writing to a string cannot fail.
            let _ = write!(text, r#","id":{id}"#);
        }
        let _ = write!(text, r#","method":{}"#, quote(&self.method));
        if !params.is_empty() {
            let _ = write!(text, r#","params":{}"#, object(&params));
        }
        text.push('}');
        text
    }

    /// The HTTP header fields that `revision` demands beside this message (names lower-cased).
    pub fn headers(&self, revision: Revision) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        let mut add = |name: &str, value: &str| headers.push((name.to_owned(), value.to_owned()));
        if revision >= Revision::V2025_06_18 && self.method != "initialize" {
            add("mcp-protocol-version", revision.as_str());
        }
        if revision.is_modern() {
            add("mcp-method", &self.method);
            if let Some(subject) = &self.subject {
                add("mcp-name", &header_value(subject));
            }
        }
        headers
    }
}

/// A value as the `Mcp-*` header fields carry it: in base64 between sentinels when it is no plain ASCII
/// (2026-07-28, streamable HTTP, value encoding).
fn header_value(text: &str) -> String {
    let plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~')) && text.trim() == text;
    if plain && !text.starts_with("=?base64?") {
        return text.to_owned();
    }
    format!("=?base64?{}?=", base64(text.as_bytes()))
}

/// Base64 with the standard alphabet and padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let value = bits >> (18 - 6 * digit) & 63;
            text.push(if digit > group.len() { '=' } else { char::from(ALPHABET[value as usize]) });
        }
    }
    text
}

/// `text` as a JSON string.
fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn object(members: &[(String, String)]) -> String {
    let members: Vec<_> = members.iter().map(|(name, value)| format!("{}:{value}", quote(name))).collect();
    format!("{{{}}}", members.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_text_reaches_the_message_unchanged() {
        let message = Message::call("\"a\"", "reply", r#"{"b":1e400, "a":null}"#).progress_token("1.0");
        assert_eq!(
            message.text(Revision::V2025_11_25),
            r#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"reply","arguments":{"b":1e400, "a":null},"_meta":{"progressToken":1.0}}}"#
        );
        assert_eq!(
            message.headers(Revision::V2025_11_25),
            [("mcp-protocol-version".to_owned(), "2025-11-25".to_owned())]
        );
    }

    #[test]
    fn a_stateless_request_carries_what_its_revision_demands() {
        let message = Message::call(1, "x", "{}").capabilities(r#"{"sampling":{}}"#);
        let text = message.text(Revision::V2026_07_28);
        assert!(text.contains(r#""io.modelcontextprotocol/clientCapabilities":{"sampling":{}}"#), "{text}");
        let fields = message.headers(Revision::V2026_07_28);
        assert!(fields.contains(&("mcp-name".to_owned(), "x".to_owned())), "{fields:?}");
    }

    #[test]
    fn names_that_no_header_can_carry_are_encoded() {
        for (name, expected) in [
            ("plain name", "plain name"),
            ("\u{e9}", "=?base64?w6k=?="),
            (" a", "=?base64?IGE=?="),
            ("abc\n", "=?base64?YWJjCg==?="),
            ("a\tb", "=?base64?YQli?="),
            ("=?base64?", "=?base64?PT9iYXNlNjQ/?="),
        ] {
            assert_eq!(header_value(name), expected);
        }
    }
}
