//! The upstream of `mcp bench --self`: an MCP server on standard input and output that answers each call with its
//! arguments.

use std::io::{BufRead as _, BufReader, BufWriter, Write as _, stdin, stdout};

use clap::Args;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::Failure;

/// The hidden command's name.
pub(super) const COMMAND: &str = "bench-echo";
/// The revisions that it speaks.
const REVISIONS: [&str; 2] = [aqe_load::message::MODERN, aqe_load::message::LEGACY];

/// `mcp bench-echo`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  aqe-v3 mcp bench -- aqe-v3 mcp bench-echo --tools 213")]
pub(in super::super) struct Echo {
    /// Tools to list.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    tools: u16,
}

/// The name of a tool.
pub(super) fn tool(at: u16) -> String {
    format!("echo_{at:05}")
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: Option<&'a str>,
    #[serde(borrow)]
    params: Option<Params<'a>>,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

impl Echo {
    pub(in super::super) fn run(&self) -> Result<(), Failure> {
        let (mut input, mut out) = (BufReader::new(stdin().lock()), BufWriter::new(stdout().lock()));
        let list: Vec<Value> = (0..self.tools).map(|at| definition(&tool(at))).collect();
        let mut line = Vec::new();
        while input.read_until(b'\n', &mut line)? > 0 {
            if let Ok(Request { id: Some(id), method: Some(method), params }) = serde_json::from_slice(&line)
            {
                let answer = match result(method, params.and_then(|params| params.arguments), &list) {
                    Some(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
                    None => json!({
                        "jsonrpc": "2.0", "id": id, "error": { "code": -32601, "message": "method not found" }
                    }),
                };
                serde_json::to_writer(&mut out, &answer).map_err(std::io::Error::from)?;
                out.write_all(b"\n")?;
            }
            line.clear();
            // What has come together is answered together.
            if input.buffer().is_empty() {
                out.flush()?;
            }
        }
        Ok(())
    }
}

fn definition(name: &str) -> Value {
    json!({
        "name": name,
        "description": "Answers with its arguments.",
        "inputSchema": { "type": "object", "properties": { "text": { "type": "string" } } },
        "annotations": { "readOnlyHint": true },
    })
}

fn result(method: &str, arguments: Option<&RawValue>, list: &[Value]) -> Option<Value> {
    let server = json!({ "name": COMMAND, "version": env!("CARGO_PKG_VERSION") });
    let capabilities = json!({ "tools": {} });
    Some(match method {
        "initialize" => {
            json!({ "protocolVersion": REVISIONS[1], "capabilities": capabilities, "serverInfo": server })
        }
        "server/discover" => json!({
            "supportedVersions": REVISIONS, "capabilities": capabilities, "serverInfo": server,
            "resultType": "complete", "ttlMs": 0, "cacheScope": "private",
        }),
        "tools/list" => {
            json!({ "tools": list, "resultType": "complete", "ttlMs": 0, "cacheScope": "private" })
        }
        "tools/call" => {
            let text = arguments.map_or("{}", RawValue::get);
            json!({ "content": [{ "type": "text", "text": text }], "resultType": "complete" })
        }
        "ping" => json!({}),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_answered_with_its_arguments() {
        let arguments = RawValue::from_string(r#"{"text":"x"}"#.into()).unwrap();
        let answer = result("tools/call", Some(&arguments), &[]).unwrap();
        assert_eq!(answer["content"][0]["text"], r#"{"text":"x"}"#);
        assert_eq!(result("resources/list", None, &[]), None);
    }
}
