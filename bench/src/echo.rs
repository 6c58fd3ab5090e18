//! An MCP server that costs as little as possible: it looks for the id, the method and the tool's name in the bytes
//! and answers with prepared text. It speaks both eras, and proves nothing about its input.

use memchr::memmem;

use crate::message::{LEGACY, MODERN, nested};

/// The tools that are called, with the size of their result in bytes.
pub(crate) const TOOLS: [(&str, usize); 3] = [("echo_0k", 200), ("echo_7k", 7_000), ("echo_175k", 175_000)];

/// Tools in a page of the list: some 700 KB.
const PAGE: usize = 1_000;

/// The prepared answers.
#[derive(Debug)]
pub(crate) struct Echo {
    /// The pages of the list, each as the members of a result.
    pages: Vec<String>,
    /// What follows the query in each tool's result.
    results: Vec<(&'static str, String)>,
}

/// What stands before the query in arguments, and before the query that comes back.
const QUERY: &[u8] = br#""query":""#;
const HEAD: &str = r#""content":[{"type":"text","text":"ok"}],"structuredContent":{"query":""#;

const SERVER: &str = r#"{"name":"aqe-bench","version":"1"}"#;
const CAPABILITIES: &str = r#"{"tools":{}}"#;
/// Members of a modern result; it is complete, and may not be kept.
const COMPLETE: &str = r#","resultType":"complete""#;
const UNCACHED: &str = r#","ttlMs":0,"cacheScope":"private""#;

impl Echo {
    /// A server that lists `tools` tools, those of [`TOOLS`] last.
    pub(crate) fn new(tools: usize) -> Self {
        let own = TOOLS.iter().map(|(name, _)| (*name).to_owned()).take(tools);
        let more = (TOOLS.len()..tools).map(|index| format!("tool_{index:05}"));
        let list: Vec<String> = more.chain(own).map(|name| definition(&name)).collect();
        let page = |(index, tools): (usize, &[String])| {
            let next = index + 1;
            let next = (next * PAGE < list.len()).then(|| format!(r#","nextCursor":"{next}""#));
            format!(r#""tools":[{}]{}"#, tools.join(","), next.unwrap_or_default())
        };
        let pages = list.chunks(PAGE).enumerate().map(page).collect();
        let results = TOOLS.iter().map(|(name, bytes)| {
            let structure = nested(*bytes);
            // From the end of the query on.
            let rest = structure.find(r#"","rows""#).map(|at| structure[at..].to_owned());
            (*name, rest.unwrap_or_default())
        });
        Self { pages, results: results.collect() }
    }

    /// Appends the response to a message; nothing if it is a notification.
    pub(crate) fn answer(&self, message: &[u8], out: &mut Vec<u8>) {
        let Some(id) = after(message, b"\"id\":").map(|at| token(&message[at..])) else { return };
        let method = after(message, b"\"method\":\"").map(|at| text(&message[at..])).unwrap_or_default();
        let modern = memmem::find(message, b"io.modelcontextprotocol/protocolVersion").is_some();
        out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
        out.extend_from_slice(id);
        match method {
            b"tools/call" => {
                // A client's `_meta` may name the client first; none is named so.
                let name = memmem::find(message, b"\"name\":\"echo_").map(|at| text(&message[at + 8..]));
                let name = name.unwrap_or_default();
                match self.results.iter().find(|(tool, _)| tool.as_bytes() == name) {
                    Some((_, members)) => {
                        // The query comes back, so that each answer can be told from others.
                        let asked = after(message, QUERY).map(|at| text(&message[at..])).unwrap_or_default();
                        result(out, [HEAD.as_bytes(), asked, members.as_bytes()], modern, "");
                    }
                    None => error(out, -32602, "unknown tool"),
                }
            }
            b"tools/list" => {
                let page =
                    after(message, b"\"cursor\":\"").map_or(b"0".as_slice(), |at| text(&message[at..]));
                let page = std::str::from_utf8(page).ok().and_then(|page| page.parse::<usize>().ok());
                match page.and_then(|page| self.pages.get(page)) {
                    Some(page) => result(out, [page.as_bytes()], modern, UNCACHED),
                    None => error(out, -32602, "no such page"),
                }
            }
            b"initialize" => {
                let members = format!(
                    r#""protocolVersion":"{LEGACY}","capabilities":{CAPABILITIES},"serverInfo":{SERVER}"#
                );
                result(out, [members.as_bytes()], false, "");
            }
            b"server/discover" => {
                let members = format!(
                    r#""supportedVersions":["{MODERN}","{LEGACY}"],"capabilities":{CAPABILITIES},"serverInfo":{SERVER}"#
                );
                result(out, [members.as_bytes()], true, UNCACHED);
            }
            b"ping" => out.extend_from_slice(br#","result":{}}"#),
            _ => error(out, -32601, "method not found"),
        }
    }
}

/// A definition of about the size that real ones have: 213 of a public server take 142 KB.
fn definition(name: &str) -> String {
    let property = |name: &str| {
        format!(
            r#""{name}":{{"type":"string","description":"The {name} that the tool works on, as text of at most a few lines"}}"#
        )
    };
    format!(
        r#"{{"name":"{name}","title":"{name}","description":"Reads what is asked for and answers with rows of it; nothing is changed.","inputSchema":{{"type":"object","properties":{{"query":{{"type":"string"}},"rows":{{"type":"array","items":{{"type":"object"}}}},{},{},{}}}}},"annotations":{{"readOnlyHint":true}}}}"#,
        property("subject"),
        property("folder"),
        property("format"),
    )
}

fn result<const N: usize>(out: &mut Vec<u8>, members: [&[u8]; N], modern: bool, cache: &str) {
    out.extend_from_slice(br#","result":{"#);
    for part in members {
        out.extend_from_slice(part);
    }
    if modern {
        out.extend_from_slice(COMPLETE.as_bytes());
        out.extend_from_slice(cache.as_bytes());
    }
    out.extend_from_slice(b"}}");
}

fn error(out: &mut Vec<u8>, code: i32, message: &str) {
    out.extend_from_slice(format!(r#","error":{{"code":{code},"message":"{message}"}}}}"#).as_bytes());
}

/// Where the first `needle` ends.
fn after(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memmem::find(haystack, needle).map(|at| at + needle.len())
}

/// A number or string up to the next comma or brace.
pub(crate) fn token(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|byte| matches!(byte, b',' | b'}')).unwrap_or(bytes.len());
    &bytes[..end]
}

/// A string without escapes, up to its closing quote.
fn text(bytes: &[u8]) -> &[u8] {
    let end = memchr::memchr(b'"', bytes).unwrap_or(bytes.len());
    &bytes[..end]
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::message::{Call, Era};

    fn ask(call: &Call, tools: usize) -> Value {
        let mut out = Vec::new();
        Echo::new(tools).answer(call.line().fresh(), &mut out);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn every_answer_is_json_with_the_id_of_its_request() {
        for era in [Era::Legacy, Era::Modern] {
            for (tool, size) in TOOLS {
                let answer = ask(&Call::tool(era, tool, nested(size)), TOOLS.len());
                assert_eq!(answer["id"], 100_000_001);
                assert!(answer["result"]["structuredContent"]["rows"].is_array(), "{answer}");
                assert_eq!(answer["result"]["structuredContent"]["query"], "status:open");
                assert_eq!(answer["result"]["resultType"] == "complete", era == Era::Modern);
            }
            let list = ask(&Call::method(era, "tools/list"), 300);
            assert_eq!(list["result"]["tools"].as_array().unwrap().len(), 300);
            for method in ["server/discover", "initialize", "ping"] {
                assert!(ask(&Call::method(era, method), 1)["result"].is_object());
            }
            assert_eq!(ask(&Call::tool(era, "none", "{}"), 1)["error"]["code"], -32602);
        }
        let mut out = Vec::new();
        Echo::new(1).answer(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, &mut out);
        assert!(out.is_empty());
    }
}
