//! Results in the form of MCP's `CallToolResult`.

mod twice;

use serde::Serialize;

use crate::memory::secrets;

/// Why a tool did not do what it was asked; says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) String);

/// Characters of a refusal: it may quote what was sent, which may be long.
const REFUSAL_MAX_CHARS: usize = 400;

/// Bytes that most results fit in, and their JSON alone. Allocators keep blocks of up to 1 KiB at hand.
const REPLY_BYTES: usize = 1_024;
const JSON_BYTES: usize = 400;

/// A result with `structuredContent`, and the same as text for clients that read only that.
pub(crate) fn structured(result: &impl Serialize) -> Result<Vec<u8>, Refusal> {
    let mut json = Vec::with_capacity(JSON_BYTES);
    let mut reply = Vec::with_capacity(REPLY_BYTES);
    reply.extend_from_slice(br#"{"content":[{"type":"text","text":""#);
    twice::write(result, &mut json, &mut reply)
        .map_err(|error| Refusal(format!("the result cannot be written: {error}")))?;
    reply.extend_from_slice(br#""}],"structuredContent":"#);
    reply.extend_from_slice(&json);
    reply.push(b'}');
    Ok(reply)
}

/// A result with `isError: true`, for the model to read and do better (SEP-1303).
pub(crate) fn refused(refusal: &Refusal) -> Vec<u8> {
    // It may quote a credential that stands where it does not belong.
    let text = secrets::hidden(&refusal.0);
    let text: String = match text.char_indices().nth(REFUSAL_MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    };
    serde_json::json!({ "content": [{ "type": "text", "text": text }], "isError": true })
        .to_string()
        .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_says_what_the_structure_says() {
        let reply = structured(&serde_json::json!({ "a": "\"\n\u{1}é" })).unwrap();
        let reply: serde_json::Value = serde_json::from_slice(&reply).unwrap();
        let text: serde_json::Value =
            serde_json::from_str(reply["content"][0]["text"].as_str().unwrap()).unwrap();
        assert_eq!(text, reply["structuredContent"]);
    }

    #[test]
    fn a_refusal_is_bounded() {
        let reply = refused(&Refusal("é".repeat(10_000)));
        assert!(reply.len() < 1_000, "{}", reply.len());
        assert!(serde_json::from_slice::<serde_json::Value>(&reply).unwrap()["isError"].as_bool().unwrap());
    }
}
