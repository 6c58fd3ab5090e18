//! The requests that are sent, as bytes with a place for the id.

use std::fmt::Write as _;

use memchr::memmem;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::http::Server;

/// Ids are written over a first one of this many digits, so that a request's length never changes.
const FIRST_ID: u64 = 100_000_000;
/// Ids after which they start again; none of those is in flight any more.
const IDS: u64 = 900_000_000;
/// What stands for the running number in a call's arguments.
pub const PLACEHOLDER: &str = "{number}";
/// What stands for so many bytes in a call's arguments: see [`with_payload`].
pub const PAYLOAD: &str = "{payload}";
/// The newest legacy revision.
pub const LEGACY: &str = "2025-11-25";
/// The modern revision.
pub const MODERN: &str = "2026-07-28";

/// The two ways to speak MCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// Handshake and session.
    Legacy,
    /// Stateless: every request says everything.
    Modern,
}

impl Era {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Modern => "modern",
        }
    }
}

/// A request.
#[derive(Debug, Clone)]
pub struct Call {
    /// How it is spoken.
    pub era: Era,
    /// The JSON-RPC method.
    pub method: &'static str,
    /// `params.name`, for `tools/call`.
    pub tool: Option<String>,
    /// `params.arguments` as JSON text, in which each `{number}` stands for the request's running number: nine digits,
    /// so that all requests have the same length.
    pub arguments: String,
    /// `params.cursor`, for a further page of a list.
    pub cursor: Option<String>,
}

impl Call {
    /// A method without parameters.
    pub fn method(era: Era, method: &'static str) -> Self {
        Self { era, method, tool: None, arguments: String::new(), cursor: None }
    }

    /// `tools/call`.
    pub fn tool(era: Era, tool: &str, arguments: impl Into<String>) -> Self {
        Self {
            era,
            method: "tools/call",
            tool: Some(tool.to_owned()),
            arguments: arguments.into(),
            cursor: None,
        }
    }

    /// The JSON text, with [`FIRST_ID`] as id and for each [`PLACEHOLDER`], and where those are.
    fn json(&self) -> (String, Vec<usize>) {
        let mut json = String::from(r#"{"jsonrpc":"2.0","id":"#);
        let mut places = vec![json.len()];
        let method = self.method;
        // Writing to a string cannot fail.
        let _ = write!(json, r#"{FIRST_ID},"method":"{method}""#);
        let mut params = Vec::new();
        if let Some(tool) = &self.tool {
            params.push(format!(r#""name":{}"#, serde_json::Value::from(tool.as_str())));
        }
        if let Some(cursor) = &self.cursor {
            params.push(format!(r#""cursor":{}"#, serde_json::Value::from(cursor.as_str())));
        }
        if self.era == Era::Modern {
            params.push(format!(
                r#""_meta":{{"io.modelcontextprotocol/protocolVersion":"{MODERN}","io.modelcontextprotocol/clientInfo":{{"name":"aqe-bench","version":"1"}},"io.modelcontextprotocol/clientCapabilities":{{}}}}"#
            ));
        }
        if !self.arguments.is_empty() {
            params.push(r#""arguments":"#.into());
        }
        if !params.is_empty() {
            let _ = write!(json, r#","params":{{{}"#, params.join(","));
            for (at, part) in self.arguments.split(PLACEHOLDER).enumerate() {
                if at > 0 {
                    places.push(json.len());
                    let _ = write!(json, "{FIRST_ID}");
                }
                json.push_str(part);
            }
            json.push('}');
        }
        json.push('}');
        (json, places)
    }

    /// The request as a line.
    pub fn line(&self) -> Request {
        let (json, places) = self.json();
        Request::new(format!("{json}\n"), places)
    }

    /// The request as an HTTP POST to a server, in its session if there is one.
    pub fn post(&self, server: &Server) -> Request {
        let (json, places) = self.json();
        let mut text = server.post_head(self.era);
        // Writing to a string cannot fail.
        let _ = write!(text, "Content-Length: {}\r\n", json.len());
        if self.era == Era::Modern {
            let _ = write!(text, "Mcp-Method: {}\r\n", self.method);
            if let Some(tool) = &self.tool {
                let _ = write!(text, "Mcp-Name: {tool}\r\n");
            }
        }
        text.push_str("\r\n");
        let start = text.len();
        text.push_str(&json);
        Request::new(text, places.into_iter().map(|place| start + place).collect())
    }
}

/// The bytes of a request, whose id can be changed in place.
#[derive(Debug, Clone)]
pub struct Request {
    bytes: Vec<u8>,
    /// Where the id is, and wherever else its digits are to stand.
    places: Vec<usize>,
    next: u64,
    is_echoed: bool,
}

impl Request {
    fn new(text: String, places: Vec<usize>) -> Self {
        Self { bytes: text.into_bytes(), places, next: 0, is_echoed: true }
    }

    /// The bytes, with the given number as id and for each placeholder.
    pub fn numbered(&mut self, number: u64) -> &[u8] {
        let id = FIRST_ID + number % IDS;
        let digits = id.to_string();
        for place in &self.places {
            self.bytes[*place..*place + digits.len()].copy_from_slice(digits.as_bytes());
        }
        &self.bytes
    }

    /// The bytes, with an id that was not used before.
    pub fn fresh(&mut self) -> &[u8] {
        self.next += 1;
        self.numbered(self.next)
    }

    /// Bytes of it, with its head.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it has no bytes: never.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The same for a server whose reply is always the same, whatever the id.
    #[must_use]
    pub fn with_canned_reply(self) -> Self {
        Self { is_echoed: false, ..self }
    }

    /// Whether replies name the request's id.
    pub fn is_echoed(&self) -> bool {
        self.is_echoed
    }

    /// Whether a reply's body has a result for this request.
    pub fn is_answered_by(&self, body: &[u8]) -> bool {
        let has = |bytes| memmem::find(body, bytes).is_some();
        !self.is_echoed || (has(self.id()) && has(b"\"result\":"))
    }

    /// The id in the bytes as they are now.
    pub fn id(&self) -> &[u8] {
        let at = self.places[0];
        &self.bytes[at..at + 9]
    }
}

/// A message of the server, read as far as needed.
#[derive(Debug, Deserialize)]
pub struct Message<'a> {
    /// The id as it was written.
    #[serde(default, borrow)]
    pub id: Option<&'a RawValue>,
    #[serde(default)]
    method: Option<IgnoredAny>,
    /// The result as it was written.
    #[serde(default, borrow)]
    pub result: Option<&'a RawValue>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
}

impl Message<'_> {
    /// Whether it is a response: neither a request nor a notification.
    pub fn is_response(&self) -> bool {
        self.method.is_none() && (self.result.is_some() || self.error.is_some())
    }

    /// Whether it has the id of a request.
    pub fn has_id(&self, id: &[u8]) -> bool {
        self.id.is_some_and(|own| own.get().as_bytes() == id)
    }

    /// Code and message of its error.
    pub fn error(&self) -> Option<(i64, String)> {
        let error: serde_json::Value = serde_json::from_str(self.error?.get()).ok()?;
        let message = error["message"].as_str().unwrap_or_default();
        Some((error["code"].as_i64()?, message.to_owned()))
    }
}

/// Reads a message; `None` if it is no JSON object.
pub fn read(bytes: &[u8]) -> Option<Message<'_>> {
    serde_json::from_slice(bytes).ok()
}

/// Whether a message is a response.
pub fn is_response(bytes: &[u8]) -> bool {
    usual_id(bytes).is_some() || read(bytes).is_some_and(|message| message.is_response())
}

/// The id of a response; `None` for anything else.
pub fn response_id(bytes: &[u8]) -> Option<&[u8]> {
    usual_id(bytes).or_else(|| {
        let message = read(bytes).filter(Message::is_response)?;
        message.id.map(|id| id.get().as_bytes())
    })
}

/// The id of a response whose members stand in the order in which most servers write them: no need to parse it.
fn usual_id(bytes: &[u8]) -> Option<&[u8]> {
    let rest = bytes.strip_prefix(br#"{"jsonrpc":"2.0","id":"#)?;
    let end = rest.iter().take(32).position(|byte| *byte == b',')?;
    let follows = &rest[end..];
    (follows.starts_with(b",\"result\":") || follows.starts_with(b",\"error\":")).then(|| &rest[..end])
}

/// The number that an id was made from; `None` for other ids.
pub fn number_of(id: &[u8]) -> Option<u64> {
    std::str::from_utf8(id).ok()?.parse::<u64>().ok()?.checked_sub(FIRST_ID)
}

/// A call's arguments with `bytes` bytes at each [`PAYLOAD`]: letters and digits that hardly compress where it stands
/// within a string, elsewhere an object as of [`nested`], which costs whoever parses it more.
pub fn with_payload(arguments: &str, bytes: usize) -> String {
    let (mut filled, mut is_text) = (String::new(), false);
    for (at, part) in arguments.split(PAYLOAD).enumerate() {
        if at > 0 {
            filled += &if is_text { letters(bytes) } else { nested(bytes) };
        }
        is_text ^= quotes(part) % 2 == 1;
        filled += part;
    }
    filled
}

/// Quotes in JSON text that begin or end a string.
fn quotes(json: &str) -> usize {
    let (mut count, mut is_escaped) = (0, false);
    for byte in json.bytes() {
        count += usize::from(byte == b'"' && !is_escaped);
        is_escaped = byte == b'\\' && !is_escaped;
    }
    count
}

/// Text without a pattern, the same each time.
fn letters(bytes: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut state = 1_u64;
    let next = || {
        // Knuth's generator (MMIX): its upper bits are as good as needed here.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(LETTERS[(state >> 58) as usize])
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

/// A JSON object of about `bytes` bytes: objects in arrays in objects, with numbers, escapes and text.
pub fn nested(bytes: usize) -> String {
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
            let mut post = call.post(&Server::at("http://127.0.0.1:1/x").unwrap());
            let text = String::from_utf8(post.fresh().to_vec()).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(format!("{head}\r\n").contains(&format!("Content-Length: {}\r\n", body.len())));
            let json: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(json["id"].as_u64().and_then(|id| id.checked_sub(FIRST_ID)), Some(1));
            assert_eq!(json["params"]["name"], "echo");
            assert_eq!(number_of(post.id()), Some(1));
        }
    }

    #[test]
    fn each_placeholder_becomes_the_running_number_and_nothing_else_does() {
        let call = Call::tool(Era::Legacy, "a\"b", r#"{"key":"k-{number}","n":{number},"same":100000000}"#);
        let mut line = call.line();
        for number in [7, 123_456_789] {
            let json: serde_json::Value = serde_json::from_slice(line.numbered(number)).unwrap();
            let digits = 100_000_000 + number;
            assert_eq!(json["id"], digits);
            assert_eq!(json["params"]["name"], "a\"b");
            let arguments =
                serde_json::json!({ "key": format!("k-{digits}"), "n": digits, "same": 100_000_000 });
            assert_eq!(json["params"]["arguments"], arguments);
        }
    }

    #[test]
    fn a_response_is_told_from_what_else_a_server_says() {
        for (text, id) in [
            (r#"{"jsonrpc":"2.0","id":5,"result":{"method":"x"}}"#, Some("5")),
            (r#"{"result":{"id":1,"method":"x"},"jsonrpc":"2.0","id":5}"#, Some("5")),
            (r#"{"jsonrpc":"2.0","id":5,"error":{"code":1,"message":"no"}}"#, Some("5")),
            (r#"{"jsonrpc":"2.0","id":5,"method":"sampling/createMessage"}"#, None),
            (r#"{"method":"notifications/message","params":{"result":1}}"#, None),
            ("warming up", None),
        ] {
            assert_eq!(response_id(text.as_bytes()), id.map(str::as_bytes), "{text}");
            assert_eq!(is_response(text.as_bytes()), id.is_some());
        }
    }

    #[test]
    fn a_payload_is_text_within_a_string_and_an_object_elsewhere() {
        let template = r#"{"a\"b":"x {payload} y","rows":{payload},"z":"{payload}"}"#;
        let json: serde_json::Value = serde_json::from_str(&with_payload(template, 7_000)).unwrap();
        assert_eq!(json["a\"b"].as_str().map(str::len), Some(7_004));
        assert_eq!(json["z"].as_str().map(str::len), Some(7_000));
        // Written again it has no escapes.
        assert!(json["rows"].is_object() && json["rows"].to_string().len().abs_diff(7_000) < 500);
        assert_eq!(with_payload("{}", 10), "{}");
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
