//! The requests that are sent, as bytes with a place for the id.

use std::fmt::Write as _;

use memchr::memmem;

/// Ids are written over a first one of this many digits, so that a request's length never changes.
const FIRST_ID: u64 = 100_000_000;
/// Ids after which they start again; none of those is in flight any more.
const IDS: u64 = 900_000_000;
/// The newest revision of each era.
pub(crate) const LEGACY: &str = "2025-11-25";
pub(crate) const MODERN: &str = "2026-07-28";

/// The two ways to speak MCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Era {
    /// Handshake and session.
    Legacy,
    /// Stateless: every request says everything.
    Modern,
}

impl Era {
    /// Its name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Modern => "modern",
        }
    }
}

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) era: Era,
    pub(crate) method: &'static str,
    /// `params.name`, for `tools/call`.
    pub(crate) tool: Option<String>,
    /// `params.arguments` as JSON text.
    pub(crate) arguments: String,
}

impl Call {
    /// A method without parameters.
    pub(crate) fn method(era: Era, method: &'static str) -> Self {
        Self { era, method, tool: None, arguments: String::new() }
    }

    /// `tools/call`.
    pub(crate) fn tool(era: Era, tool: &str, arguments: impl Into<String>) -> Self {
        Self { era, method: "tools/call", tool: Some(tool.to_owned()), arguments: arguments.into() }
    }

    /// The JSON text, with [`FIRST_ID`].
    fn json(&self) -> String {
        let mut params = Vec::new();
        if let Some(tool) = &self.tool {
            params.push(format!(r#""name":"{tool}""#));
        }
        if self.era == Era::Modern {
            params.push(format!(
                r#""_meta":{{"io.modelcontextprotocol/protocolVersion":"{MODERN}","io.modelcontextprotocol/clientInfo":{{"name":"aqe-bench","version":"1"}},"io.modelcontextprotocol/clientCapabilities":{{}}}}"#
            ));
        }
        if !self.arguments.is_empty() {
            params.push(format!(r#""arguments":{}"#, self.arguments));
        }
        let mut json = format!(r#"{{"jsonrpc":"2.0","id":{FIRST_ID},"method":"{}""#, self.method);
        if !params.is_empty() {
            // Writing to a string cannot fail.
            let _ = write!(json, r#","params":{{{}}}"#, params.join(","));
        }
        json.push('}');
        json
    }

    /// The request as a line.
    pub(crate) fn line(&self) -> Request {
        Request::new(format!("{}\n", self.json()))
    }

    /// The request as an HTTP POST to `host`, in a session if there is one.
    pub(crate) fn post(&self, host: &str, session: Option<&str>) -> Request {
        let json = self.json();
        let version = if self.era == Era::Modern { MODERN } else { LEGACY };
        let mut text = format!(
            "POST /mcp HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nAccept: application/json, \
             text/event-stream\r\nMCP-Protocol-Version: {version}\r\nContent-Length: {}\r\n",
            json.len()
        );
        // Writing to a string cannot fail.
        if let Some(session) = session {
            let _ = write!(text, "Mcp-Session-Id: {session}\r\n");
        }
        if self.era == Era::Modern {
            let _ = write!(text, "Mcp-Method: {}\r\n", self.method);
            if let Some(tool) = &self.tool {
                let _ = write!(text, "Mcp-Name: {tool}\r\n");
            }
        }
        text.push_str("\r\n");
        text.push_str(&json);
        Request::new(text)
    }
}

/// The bytes of a request, whose id can be changed in place.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    bytes: Vec<u8>,
    id_at: usize,
    next: u64,
    is_echoed: bool,
}

impl Request {
    fn new(text: String) -> Self {
        let id_at = text.find(&FIRST_ID.to_string()).unwrap_or_default();
        Self { bytes: text.into_bytes(), id_at, next: 0, is_echoed: true }
    }

    /// The bytes, with the given number as id.
    pub(crate) fn numbered(&mut self, number: u64) -> &[u8] {
        let id = FIRST_ID + number % IDS;
        let digits = id.to_string();
        self.bytes[self.id_at..self.id_at + digits.len()].copy_from_slice(digits.as_bytes());
        &self.bytes
    }

    /// The bytes, with an id that was not used before.
    pub(crate) fn fresh(&mut self) -> &[u8] {
        self.next += 1;
        self.numbered(self.next)
    }

    /// The same for a server whose reply is always the same, whatever the id.
    pub(crate) fn with_canned_reply(self) -> Self {
        Self { is_echoed: false, ..self }
    }

    /// Whether a reply's body has a result for this request.
    pub(crate) fn is_answered_by(&self, body: &[u8]) -> bool {
        let has = |bytes| memmem::find(body, bytes).is_some();
        !self.is_echoed || (has(self.id()) && has(b"\"result\":"))
    }

    /// The id in the bytes as they are now.
    pub(crate) fn id(&self) -> &[u8] {
        &self.bytes[self.id_at..self.id_at + 9]
    }
}

/// The number that an id was made from; `None` for other ids.
pub(crate) fn number_of(id: &[u8]) -> Option<u64> {
    std::str::from_utf8(id).ok()?.parse::<u64>().ok()?.checked_sub(FIRST_ID)
}

/// A JSON object of about `bytes` bytes: objects in arrays in objects, with numbers, escapes and text.
pub(crate) fn nested(bytes: usize) -> String {
    let mut text = String::from(r#"{"query":"status:open","rows":["#);
    let mut row = 0;
    while text.len() + 170 < bytes.max(200) {
        if row > 0 {
            text.push(',');
        }
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            r#"{{"id":{row},"path":"src/module_{row}/part.rs","size":{}.5,"flags":[true,false,null],"owner":{{"name":"Zo\u00eb \"{row}\"","groups":["core","docs"]}},"note":"line\nline"}}"#,
            row * 31
        );
        row += 1;
    }
    text.push_str("]}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_json_of_the_length_that_their_header_says() {
        for era in [Era::Legacy, Era::Modern] {
            let call = Call::tool(era, "echo", nested(7_000));
            let mut post = call.post("localhost", Some("abc"));
            let text = String::from_utf8(post.fresh().to_vec()).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
            let json: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(json["id"].as_u64().and_then(|id| id.checked_sub(FIRST_ID)), Some(1));
            assert_eq!(json["params"]["name"], "echo");
            assert_eq!(number_of(post.id()), Some(1));
        }
    }

    #[test]
    fn nested_arguments_have_about_the_size_asked_for() {
        for bytes in [200, 7_000, 175_000] {
            let text = nested(bytes);
            assert!(serde_json::from_str::<serde_json::Value>(&text).unwrap().is_object());
            assert!(text.len().abs_diff(bytes) < 200, "{} for {bytes}", text.len());
        }
    }
}
