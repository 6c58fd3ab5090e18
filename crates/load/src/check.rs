//! Whether a reply is what was asked for, and what was wrong with those that are not, counted by kind.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::message::{self, Message};

/// Kinds of faults that are told apart; more are counted together.
const KINDS: usize = 32;
/// Longest example of a fault in characters.
const EXAMPLE: usize = 300;

/// What a reply must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Expect {
    /// A result with the request's id, of the same shape as the first one.
    #[default]
    Result,
    /// An error with the request's id: a JSON-RPC error, or a tool's.
    Error,
    /// Anything with status 200: the server's replies are always the same, whatever the id.
    Anything,
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nobody answers at the address.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The conversation broke off.
    #[error("broke off: {0}")]
    Broken(String),
    /// No reply in time.
    #[error("no reply within {0:?}")]
    Timeout(Duration),
    /// An HTTP status that is not 200, and the start of the body.
    #[error("HTTP status {0}: {1}")]
    Status(u16, String),
    /// No JSON-RPC response.
    #[error("no JSON-RPC response: {0}")]
    NoResponse(String),
    /// A response to something else.
    #[error("a response with another id: {0}")]
    WrongId(String),
    /// A JSON-RPC error: code and message.
    #[error("error {0}: {1}")]
    Error(i64, String),
    /// A tool's result with `isError`.
    #[error("the tool reports an error: {0}")]
    Tool(String),
    /// A result that is built differently from the first one.
    #[error("the first result was {first}, this one is {this}")]
    Shape {
        /// Outline of the first result.
        first: String,
        /// Outline of this one.
        this: String,
    },
    /// A result where an error was expected.
    #[error("a result, not an error")]
    Unexpected,
}

impl Fault {
    /// What such faults are counted as.
    pub fn kind(&self) -> String {
        match self {
            Self::Connect(_) => "cannot connect".into(),
            Self::Broken(_) => "broke off".into(),
            Self::Timeout(_) => "timed out".into(),
            Self::Status(status, _) => format!("HTTP status {status}"),
            Self::NoResponse(_) => "no JSON-RPC response".into(),
            Self::WrongId(_) => "wrong id".into(),
            Self::Error(code, _) => format!("error {code}"),
            Self::Tool(_) => "tool error".into(),
            Self::Shape { .. } => "other shape".into(),
            Self::Unexpected => "result instead of error".into(),
        }
    }
}

/// Faults of one kind.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Kind {
    /// How many.
    pub count: u64,
    /// What the first of them said.
    pub first: String,
}

/// Faults by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct Faults {
    kinds: BTreeMap<String, Kind>,
}

impl Faults {
    /// Counts one.
    pub fn add(&mut self, fault: &Fault) {
        let first = || fault.to_string().chars().take(EXAMPLE).collect();
        self.count(fault.kind(), 1, first);
    }

    /// Counts those of another round.
    pub fn merge(&mut self, other: &Self) {
        for (kind, faults) in &other.kinds {
            self.count(kind.clone(), faults.count, || faults.first.clone());
        }
    }

    /// All.
    pub fn total(&self) -> u64 {
        self.kinds.values().map(|kind| kind.count).sum()
    }

    /// By kind.
    pub fn kinds(&self) -> &BTreeMap<String, Kind> {
        &self.kinds
    }

    fn count(&mut self, kind: String, count: u64, first: impl FnOnce() -> String) {
        let is_full = self.kinds.len() >= KINDS && !self.kinds.contains_key(&kind);
        let kind = if is_full { "other".into() } else { kind };
        self.kinds.entry(kind).or_insert_with(|| Kind { count: 0, first: first() }).count += count;
    }
}

/// Checks the replies of one server to one request.
///
/// Most servers answer a call with the same bytes but for the id, so the first good reply is kept, cut at the id (and
/// wherever else the request's number is repeated): a reply that equals it costs a comparison, any other is parsed.
#[derive(Debug, Default)]
pub struct Checker {
    expect: Expect,
    shape: Option<String>,
    pattern: Vec<Vec<u8>>,
}

impl Checker {
    /// One that has seen nothing yet.
    pub fn new(expect: Expect) -> Self {
        Self { expect, ..Self::default() }
    }

    /// Checks a reply over HTTP to the request with the id `id`.
    pub fn check_http(&mut self, id: &[u8], status: u16, body: &[u8]) -> Result<(), Fault> {
        // An error that was asked for may come with a status of its own.
        if status == 200 || (self.expect == Expect::Error && message::read(body).is_some()) {
            return self.check(id, body);
        }
        Err(match message::read(body).and_then(|message| message.error()) {
            Some((code, text)) => Fault::Error(code, format!("{text} (HTTP status {status})")),
            None => Fault::Status(status, start(body)),
        })
    }

    /// Checks a message.
    pub fn check(&mut self, id: &[u8], body: &[u8]) -> Result<(), Fault> {
        if self.expect == Expect::Anything || (!self.pattern.is_empty() && self.is_usual(id, body)) {
            return Ok(());
        }
        let message = message::read(body).filter(Message::is_response);
        let message = message.ok_or_else(|| Fault::NoResponse(start(body)))?;
        if !message.has_id(id) {
            return Err(Fault::WrongId(start(body)));
        }
        let outcome = if let Some(result) = message.result {
            outline(result)
        } else {
            let (code, text) = message.error().unwrap_or_default();
            Err(Fault::Error(code, text))
        };
        match (self.expect, outcome) {
            (Expect::Error, Ok(_)) => Err(Fault::Unexpected),
            (Expect::Error, Err(_)) => Ok(()),
            (_, Err(fault)) => Err(fault),
            (_, Ok(shape)) => self.compare(id, shape, body),
        }
    }

    fn compare(&mut self, id: &[u8], shape: String, body: &[u8]) -> Result<(), Fault> {
        match &self.shape {
            Some(first) if *first != shape => Err(Fault::Shape { first: first.clone(), this: shape }),
            Some(_) => Ok(()),
            None => {
                self.shape = Some(shape);
                self.pattern = cut(body, id);
                Ok(())
            }
        }
    }

    fn is_usual(&self, id: &[u8], body: &[u8]) -> bool {
        let mut rest = Some(body);
        for (at, part) in self.pattern.iter().enumerate() {
            if at > 0 {
                rest = rest.and_then(|rest| rest.strip_prefix(id));
            }
            rest = rest.and_then(|rest| rest.strip_prefix(part.as_slice()));
        }
        rest.is_some_and(<[u8]>::is_empty)
    }
}

fn cut(body: &[u8], at: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    let mut start = 0;
    for found in memchr::memmem::find_iter(body, at) {
        parts.push(body[start..found].to_vec());
        start = found + at.len();
    }
    parts.push(body[start..].to_vec());
    parts
}

fn start(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(EXAMPLE)]).into_owned()
}

/// A tool's result, as far as its shape goes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolResult<'a> {
    #[serde(default, borrow)]
    content: Vec<Content<'a>>,
    #[serde(default, borrow)]
    structured_content: Option<&'a RawValue>,
    #[serde(default)]
    is_error: bool,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(default, borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(default, borrow)]
    text: Option<Cow<'a, str>>,
}

/// An object's members, unread.
type Members<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// How a result is built: its members, the kinds of its content, the members of its structured content. `_meta` does
/// not count: it says how the answer was made.
fn outline(result: &RawValue) -> Result<String, Fault> {
    let broken = |_| Fault::NoResponse(start(result.get().as_bytes()));
    let members: Members<'_> = serde_json::from_str(result.get()).map_err(broken)?;
    let mut parts = Vec::new();
    let has_content = members.contains_key("content") || members.contains_key("structuredContent");
    let tool = has_content.then(|| serde_json::from_str::<ToolResult<'_>>(result.get()).map_err(broken));
    let tool = tool.transpose()?;
    if let Some(tool) = tool.as_ref().filter(|tool| tool.is_error) {
        let text: Vec<_> = tool.content.iter().filter_map(|content| content.text.as_deref()).collect();
        return Err(Fault::Tool(text.join(" ")));
    }
    for member in members.keys().filter(|member| *member != "_meta") {
        parts.push(match (member.as_ref(), &tool) {
            ("content", Some(tool)) => {
                let kinds: BTreeSet<_> = tool.content.iter().map(|content| content.kind.as_ref()).collect();
                format!("content[{}]", kinds.into_iter().collect::<Vec<_>>().join(" "))
            }
            ("structuredContent", Some(ToolResult { structured_content: Some(value), .. })) => {
                let members = serde_json::from_str::<Members<'_>>(value.get());
                let names: Vec<_> = members.iter().flatten().map(|(name, _)| name.as_ref()).collect();
                format!("structuredContent{{{}}}", names.join(" "))
            }
            (other, _) => other.to_owned(),
        });
    }
    Ok(format!("{{{}}}", parts.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(id: u64, result: &str) -> Vec<u8> {
        format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#).into_bytes()
    }

    const RESULT: &str = r#"{"content":[{"type":"text","text":"key-100000001"}]}"#;

    #[test]
    fn the_first_result_is_the_measure_of_the_others() {
        let mut checker = Checker::new(Expect::Result);
        checker.check(b"100000001", &reply(100_000_001, RESULT)).unwrap();
        let repeated = RESULT.replace('1', "2");
        assert!(checker.is_usual(b"200000002", &reply(200_000_002, &repeated)));
        // Not the same bytes, but the same shape.
        let other = r#"{"_meta":{"x":1},"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}"#;
        checker.check(b"100000003", &reply(100_000_003, other)).unwrap();
        let image = r#"{"content":[{"type":"image","data":"AA"}]}"#;
        let fault = checker.check(b"100000004", &reply(100_000_004, image)).unwrap_err();
        assert_eq!(fault.to_string(), "the first result was {content[text]}, this one is {content[image]}");
    }

    #[test]
    fn every_way_to_fail_has_its_kind() {
        let mut checker = Checker::new(Expect::Result);
        checker.check(b"100000001", &reply(100_000_001, RESULT)).unwrap();
        let error = br#"{"jsonrpc":"2.0","id":100000002,"error":{"code":-32602,"message":"no"}}"#;
        let tool = reply(100_000_002, r#"{"content":[{"type":"text","text":"no"}],"isError":true}"#);
        let mut faults = Faults::default();
        for (status, body, kind) in [
            (200, &error[..], "error -32602"),
            (400, &error[..], "error -32602"),
            (200, &tool, "tool error"),
            (200, &reply(100_000_001, RESULT), "wrong id"),
            (503, &b"busy"[..], "HTTP status 503"),
            (200, &b"<html>"[..], "no JSON-RPC response"),
            (200, &br#"{"jsonrpc":"2.0","method":"x"}"#[..], "no JSON-RPC response"),
            (200, &reply(100_000_002, r#"{"tools":[]}"#), "other shape"),
        ] {
            let fault = checker.check_http(b"100000002", status, body).unwrap_err();
            assert_eq!(fault.kind(), kind, "{fault}");
            faults.add(&fault);
        }
        assert_eq!(faults.total(), 8);
        assert_eq!(faults.kinds()["error -32602"].count, 2);
    }

    #[test]
    fn an_expected_error_is_a_good_reply_and_a_result_is_not() {
        let mut checker = Checker::new(Expect::Error);
        let error = br#"{"jsonrpc":"2.0","id":100000002,"error":{"code":-32602,"message":"no"}}"#;
        checker.check_http(b"100000002", 400, error).unwrap();
        let result = reply(100_000_001, RESULT);
        assert_eq!(checker.check_http(b"100000001", 200, &result), Err(Fault::Unexpected));
    }
}
