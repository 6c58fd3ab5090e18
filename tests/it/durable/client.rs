//! A client that learns of its server's death as an error, not as a panic, after everything that was answered before.

use std::io::{BufRead, BufReader, ErrorKind, Result, Write};
use std::net::TcpStream;
use std::process::{ChildStdin, ChildStdout};

use serde_json::{Value, json};

use crate::support::PATIENCE;

/// Calls on their way over a pipe at once. Over HTTP there is one: the next waits for its answer.
const IN_FLIGHT: u64 = 8;

/// One connection, stateless revision.
pub(super) struct Client {
    input: Box<dyn Write + Send>,
    output: Box<dyn BufRead + Send>,
    /// Of the server over HTTP.
    host: Option<String>,
    number: u64,
}

impl Client {
    pub(super) fn http(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let input = Box::new(stream.try_clone()?);
        Ok(Self {
            input,
            output: Box::new(BufReader::new(stream)),
            host: Some(address.to_owned()),
            number: 0,
        })
    }

    pub(super) fn stdio(input: ChildStdin, output: ChildStdout) -> Self {
        Self { input: Box::new(input), output: Box::new(BufReader::new(output)), host: None, number: 0 }
    }

    pub(super) fn in_flight(&self) -> u64 {
        if self.host.is_some() { 1 } else { IN_FLIGHT }
    }

    /// Sends a call; answers with its id.
    pub(super) fn send(&mut self, tool: &str, arguments: &Value) -> Result<u64> {
        self.number += 1;
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let params = json!({ "name": tool, "arguments": arguments, "_meta": meta });
        let request =
            json!({ "jsonrpc": "2.0", "id": self.number, "method": "tools/call", "params": params });
        let request = match &self.host {
            None => format!("{request}\n"),
            Some(host) => {
                let request = request.to_string();
                format!(
                    "POST /mcp HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
                     Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n\
                     Mcp-Method: tools/call\r\nMcp-Name: {tool}\r\nContent-Length: {}\r\n\r\n{request}",
                    request.len()
                )
            }
        };
        self.input.write_all(request.as_bytes())?;
        self.input.flush()?;
        Ok(self.number)
    }

    /// The next answer: the id of its call, and the result.
    pub(super) fn receive(&mut self) -> Result<(u64, Value)> {
        let answer = if self.host.is_some() { self.body()? } else { self.line()?.into_bytes() };
        let mut answer: Value = serde_json::from_slice(&answer)?;
        let id = answer["id"].as_u64().unwrap_or_else(|| panic!("{answer}"));
        assert!(answer["result"].is_object(), "{answer}");
        Ok((id, answer["result"].take()))
    }

    /// A call and its answer, with nothing else on its way.
    pub(super) fn call(&mut self, tool: &str, arguments: &Value) -> Result<Value> {
        let sent = self.send(tool, arguments)?;
        let (id, result) = self.receive()?;
        assert_eq!(id, sent);
        Ok(result)
    }

    /// What a call that must succeed came to.
    #[track_caller]
    pub(super) fn done(&mut self, tool: &str, arguments: &Value) -> Value {
        let mut result = self.call(tool, arguments).unwrap();
        assert_ne!(result["isError"], true, "{tool} {arguments}: {result}");
        result["structuredContent"].take()
    }

    /// A whole line: half of one is none.
    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        if line.ends_with('\n') { Ok(line) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }

    fn body(&mut self) -> Result<Vec<u8>> {
        let (mut head, mut length) = (String::new(), None);
        loop {
            let line = self.line()?;
            if line.trim_end().is_empty() {
                break;
            }
            let line = line.to_ascii_lowercase();
            length =
                line.strip_prefix("content-length:").and_then(|text| text.trim().parse().ok()).or(length);
            head += &line;
        }
        assert!(head.starts_with("http/1.1 200"), "{head}");
        let mut body = vec![0; length.unwrap_or_else(|| panic!("no length: {head}"))];
        self.output.read_exact(&mut body)?;
        Ok(body)
    }
}
