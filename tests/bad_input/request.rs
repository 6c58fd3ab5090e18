//! HTTP requests of which a test decides every byte, and what must come back.

use std::time::{Duration, Instant};

use aqe_testkit::client::{HttpClient, RawSocket};
use serde_json::Value;

use super::support::Faults;

/// No refusal is longer, whatever the request was.
pub(crate) const MAX_REFUSAL: usize = 2_048;
/// No refusal takes longer. A debug build on a busy machine is slow; a hang is slower.
pub(crate) const SOON: Duration = Duration::from_secs(3);

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    line: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Request {
    /// A request with no more than a host.
    pub(crate) fn new(line: &str) -> Self {
        Self { line: format!("{line} HTTP/1.1"), headers: Vec::new(), body: Vec::new() }
            .with("host", "127.0.0.1")
    }

    /// A POST to `/mcp` with the headers of MCP.
    pub(crate) fn post(body: impl Into<Vec<u8>>) -> Self {
        let mut request = Self::new("POST /mcp")
            .with("content-type", "application/json")
            .with("accept", "application/json, text/event-stream");
        request.body = body.into();
        request
    }

    /// The request line, with its version.
    pub(crate) fn line(mut self, line: &str) -> Self {
        line.clone_into(&mut self.line);
        self
    }

    /// The path and method of another request, with these headers and body.
    pub(crate) fn at(self, line: &str) -> Self {
        self.line(&format!("{line} HTTP/1.1"))
    }

    /// A header in place of those of the same name.
    pub(crate) fn with(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.without(name).also(name, value)
    }

    /// One more header.
    pub(crate) fn also(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// No header of this name.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(given, _)| !given.eq_ignore_ascii_case(name));
        self
    }

    /// As it is sent.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let has = |name: &str| self.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
        let mut bytes = format!("{}\r\n", self.line).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        if !self.body.is_empty() && !has("content-length") && !has("transfer-encoding") {
            bytes.extend_from_slice(format!("content-length: {}\r\n", self.body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// What must come back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expect {
    status: u16,
    /// Code and id (JSON text) of a JSON-RPC error.
    error: Option<(i64, &'static str)>,
    /// The id (JSON text) of a result.
    result: Option<&'static str>,
    /// A word of the body.
    word: &'static str,
    /// The body is an event stream without an end.
    stream: bool,
}

/// A plain refusal or reply of HTTP.
pub(crate) const fn status(status: u16, word: &'static str) -> Expect {
    Expect { status, error: None, result: None, word, stream: false }
}

/// A JSON-RPC error.
pub(crate) const fn error(status: u16, code: i64, id: &'static str, word: &'static str) -> Expect {
    Expect { status, error: Some((code, id)), result: None, word, stream: false }
}

/// A JSON-RPC result.
pub(crate) const fn result(id: &'static str) -> Expect {
    Expect { status: 200, error: None, result: Some(id), word: "", stream: false }
}

/// The head of an event stream.
pub(crate) const STREAM: Expect = Expect { status: 200, error: None, result: None, word: "", stream: true };

/// One row of a table.
pub(crate) type Case = (String, Request, Expect);

/// A row.
pub(crate) fn case(name: impl Into<String>, request: Request, expect: Expect) -> Case {
    (name.into(), request, expect)
}

/// Sends each request and checks its answer, then that a GET on the same connection works, unless the answer says that
/// it closes.
pub(crate) async fn check_all(client: &HttpClient, cases: Vec<Case>) {
    let count = cases.len();
    let mut faults = Faults::default();
    let mut kept: Option<RawSocket> = None;
    for (name, request, expect) in cases {
        let mut socket = match kept.take() {
            Some(socket) => socket,
            None => client.socket().await,
        };
        match check(&mut socket, &request, &expect).await {
            Ok(true) => kept = Some(socket),
            Ok(false) => {}
            Err(fault) => faults.add(&name, fault),
        }
    }
    faults.report(count);
}

/// Whether the connection can be used again, or what is wrong.
async fn check(socket: &mut RawSocket, request: &Request, expect: &Expect) -> Result<bool, String> {
    let started = Instant::now();
    // The gateway may refuse and close before it has read everything.
    let _ = socket.try_send(request.bytes()).await;
    if expect.stream {
        let head = socket.receive().await.ok_or("closed without an answer")?;
        let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let fine = head.starts_with("http/1.1 200") && head.contains("text/event-stream");
        return if fine { Ok(false) } else { Err(format!("no event stream: {head}")) };
    }
    let answer = tokio::time::timeout(SOON, socket.response()).await.map_err(|_| "no answer".to_owned())?;
    let (status, head, body) = answer.ok_or("closed without an answer")?;
    if started.elapsed() > SOON {
        return Err(format!("answered after {:?}", started.elapsed()));
    }
    let json = head.headers.begins("content-type", "application/json");
    let is_sse = head.headers.begins("content-type", "text/event-stream");
    let body = String::from_utf8(body.to_vec()).map_err(|_| "a body that is no UTF-8")?;
    let body = if is_sse { events_data(&body) } else { body };
    judge(expect, status, &body, json || is_sse)
        .map_err(|fault| format!("{fault}; got {status} {body:.400}"))?;
    if head.headers.begins("connection", "close") {
        return if socket.closes_within(SOON).await {
            Ok(false)
        } else {
            Err("said close, and did not".into())
        };
    }
    socket.try_send(Request::new("GET /healthz").bytes()).await.map_err(|error| error.to_string())?;
    match tokio::time::timeout(SOON, socket.response()).await {
        Ok(Some((200, _, body))) if &*body == b"ok\n" => Ok(true),
        Ok(Some((status, _, body))) => Err(format!("the next request got {status} {body:?}")),
        Ok(None) => Err("the connection closed without having said so".into()),
        Err(_) => Err("the next request got no answer".into()),
    }
}

/// The data of the last event.
fn events_data(body: &str) -> String {
    body.lines().filter_map(|line| line.strip_prefix("data: ")).next_back().unwrap_or_default().to_owned()
}

fn judge(expect: &Expect, status: u16, body: &str, json: bool) -> Result<(), String> {
    if status != expect.status {
        return Err(format!("expected status {}", expect.status));
    }
    if !body.contains(expect.word) {
        return Err(format!("expected {:?} in the body", expect.word));
    }
    if let Some(id) = expect.result {
        return judge_message(body, json, id, None).map(drop);
    }
    if body.len() > MAX_REFUSAL {
        return Err(format!("a refusal of {} bytes", body.len()));
    }
    match expect.error {
        Some((code, id)) => judge_message(body, json, id, Some(code)),
        None if json => Err("expected plain text".into()),
        None if body.chars().any(|char| char.is_control() && char != '\n') => {
            Err("control characters".into())
        }
        None => Ok(()),
    }
}

fn judge_message(body: &str, json: bool, id: &str, code: Option<i64>) -> Result<(), String> {
    if !json {
        return Err("expected JSON".into());
    }
    judge_answer(body, id, code)
}

/// Checks a JSON-RPC answer: its id, and its code if it is to be an error.
pub(crate) fn judge_answer(text: &str, id: &str, code: Option<i64>) -> Result<(), String> {
    let message: Value = serde_json::from_str(text).map_err(|error| format!("no JSON: {error}"))?;
    if !text.contains(&format!("\"id\":{id}")) {
        return Err(format!("expected the id {id}"));
    }
    match code {
        Some(code) if message["error"]["code"] != code => Err(format!("expected the code {code}")),
        Some(_) if message["error"]["message"].as_str().is_none_or(str::is_empty) => {
            Err("expected a message".into())
        }
        None if message.get("result").is_none() => Err("expected a result".into()),
        _ => Ok(()),
    }
}
