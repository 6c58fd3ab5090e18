//! Writing JSON-RPC messages of our own.

use aqe_core::envelope::encode_string;
use bytes::Bytes;

/// `{"jsonrpc":"2.0","id":ID,"result":RESULT}`; `id` and `result` are raw JSON.
pub fn result(id: &str, result: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(result.len() + id.len() + 40);
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    out.extend_from_slice(id.as_bytes());
    out.extend_from_slice(b",\"result\":");
    out.extend_from_slice(result);
    out.push(b'}');
    out
}

/// An error response. `id` and `data` are raw JSON; without an id it is `null`, as JSON-RPC 2.0 section 5 asks.
pub fn error(id: Option<&str>, code: i32, message: &str, data: Option<&str>) -> Vec<u8> {
    let id = id.unwrap_or("null");
    let message = encode_string(message);
    let data = data.map(|data| format!(",\"data\":{data}")).unwrap_or_default();
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":{message}{data}}}}}"#)
        .into_bytes()
}

/// A request; `params` is raw JSON.
pub fn request(id: u64, method: &str, params: &str) -> Bytes {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#).into()
}

/// A notification; `params` is raw JSON.
pub fn notification(method: &str, params: Option<&str>) -> Bytes {
    match params {
        Some(params) => format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#).into(),
        None => format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#).into(),
    }
}

/// A JSON-RPC batch of complete messages.
pub fn batch(messages: &[Bytes]) -> Bytes {
    let mut out = vec![b'['];
    out.extend_from_slice(&messages.join(&b","[..]));
    out.push(b']');
    out.into()
}
