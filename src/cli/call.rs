//! `mcp tools call`.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use super::ask::{on_server, text};
use super::output::printable;
use super::{Failure, Server, client, output};

/// Runs a tool and prints what it answers: its text for people, its result as it came for `--json`.
pub(super) fn call(server: &Server, name: &str, arguments: &str) -> Result<(), Failure> {
    let arguments: Box<RawValue> = serde_json::from_str(arguments)
        .map_err(|error| Failure::Usage(format!("the arguments are not JSON: {error}")))?;
    if !arguments.get().starts_with('{') {
        return Err(Failure::Usage(
            "the arguments must be a JSON object, such as '{\"key\": \"plan\"}'".into(),
        ));
    }
    let name = Value::from(name);
    let body = format!(r#"{{"name":{name},"arguments":{arguments}}}"#);
    let answer =
        on_server(
            server,
            |socket| async move { Ok(client::post(&socket, "/admin/call", body.into()).await?) },
        )?;
    let answer: BTreeMap<String, Box<RawValue>> =
        serde_json::from_slice(&answer).map_err(client::ClientError::from)?;
    let Some(result) = answer.get("result") else {
        return refused(server, answer.get("error").map_or("null", |error| error.get()));
    };
    // Nested deeper, or with numbers larger, than we read: then it is shown as it came.
    let parsed = serde_json::from_str(result.get()).unwrap_or(Value::Null);
    if server.json || parsed.is_null() {
        output::line(result.get())?;
    } else {
        output::line(&show(&parsed))?;
    }
    if parsed["isError"] == Value::Bool(true) { Err(Failure::Told) } else { Ok(()) }
}

fn refused(server: &Server, error: &str) -> Result<(), Failure> {
    if server.json {
        output::line(&format!(r#"{{"error":{error}}}"#))?;
        return Err(Failure::Told);
    }
    let parsed: Value = serde_json::from_str(error).unwrap_or_default();
    Err(Failure::Failed(printable(&text(&parsed["message"]))))
}

/// The contents for a person: text as it is, the rest named.
fn show(result: &Value) -> String {
    let contents = super::ask::items(&result["content"]);
    let mut shown: Vec<String> = contents.iter().map(content).collect();
    if let Some(structured) = result.get("structuredContent").filter(|_| shown.is_empty()) {
        shown.push(format!("{structured:#}"));
    }
    if shown.is_empty() { "(no content)".into() } else { shown.join("\n") }
}

fn content(content: &Value) -> String {
    let size = |value: &Value| value.as_str().map_or(0, str::len) / 4 * 3;
    match content["type"].as_str() {
        Some("text") => printable(&text(&content["text"])),
        Some(kind @ ("image" | "audio")) => {
            format!(
                "({kind}, {}, about {} bytes)",
                printable(&text(&content["mimeType"])),
                size(&content["data"])
            )
        }
        Some("resource_link") => printable(&text(&content["uri"])),
        Some("resource") => {
            let resource = &content["resource"];
            match resource["text"].as_str() {
                Some(text) => printable(text),
                None => printable(&text(&resource["uri"])),
            }
        }
        _ => printable(&content.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::show;

    #[test]
    fn text_is_shown_plainly_and_the_rest_is_named() {
        let result = json!({ "content": [
            { "type": "text", "text": "one\u{1b}[2J" },
            { "type": "image", "mimeType": "image/png", "data": "AAAAAAAA" },
            { "type": "resource", "resource": { "uri": "file:///a", "text": "two" } },
            { "type": "resource_link", "uri": "file:///b" },
        ]});
        assert_eq!(show(&result), "one\u{fffd}[2J\n(image, image/png, about 6 bytes)\ntwo\nfile:///b");
    }

    #[test]
    fn structured_content_stands_in_where_there_is_no_other() {
        assert_eq!(show(&json!({ "content": [], "structuredContent": { "n": 1 } })), "{\n  \"n\": 1\n}");
        assert_eq!(show(&json!({ "content": [] })), "(no content)");
    }
}
