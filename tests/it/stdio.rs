//! An agent starts the server as its child.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Home, ended};

#[test]
fn an_agent_lists_and_calls_tools_and_then_leaves() {
    let home = Home::new();
    let mut child = home
        .command(&["mcp", "start"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut ask = |method: &str, params: Value| {
        let request = json!({ "jsonrpc": "2.0", "id": method, "method": method, "params": params });
        writeln!(input, "{request}").unwrap();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["id"], method, "{line}");
        answer["result"].clone()
    };
    let client = json!({ "name": "test", "version": "1" });
    let hello = ask(
        "initialize",
        json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client }),
    );
    assert_eq!(hello["protocolVersion"], "2025-06-18");
    assert_eq!(hello["serverInfo"]["name"], "aqe-v3");

    let listed = ask("tools/list", json!({}));
    let names: Vec<&str> =
        listed["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"qe_memory_store") && names.contains(&"qe_memory_retrieve"), "{names:?}");

    let value = json!({ "n": [1, 2.5, "three", null] });
    let arguments = json!({ "namespace": "test", "key": "k", "value": value });
    let stored = ask("tools/call", json!({ "name": "qe_memory_store", "arguments": arguments }));
    assert_ne!(stored["isError"], true, "{stored}");
    let arguments = json!({ "namespace": "test", "key": "k" });
    let retrieved = ask("tools/call", json!({ "name": "qe_memory_retrieve", "arguments": arguments }));
    assert_eq!(retrieved["structuredContent"]["value"], value, "{retrieved}");

    drop(input);
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "", "nothing but answers on standard output");
    assert_eq!(ended(&mut child).code(), Some(0));
    let mut log = String::new();
    child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert_eq!(log, "", "nothing to say means nothing said");
}

#[test]
fn the_line_of_json_stays_off_the_protocol() {
    let home = Home::new();
    let ran = home.command(&["mcp", "start", "--transport", "stdio", "--json"]).output().unwrap();
    assert_eq!(ran.stdout, b"");
    let line: Value = serde_json::from_slice(&ran.stderr).unwrap();
    assert_eq!(line["url"], Value::Null);
    assert!(line["pid"].is_u64());
    assert_eq!(ran.status.code(), Some(0));
}
