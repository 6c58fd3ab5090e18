//! Writing JSON-RPC messages of our own.

use aqe_core::envelope::encode_string;
use bytes::Bytes;

/// `{"jsonrpc":"2.0","id":ID,"result":RESULT}`; `id` and `result` are raw JSON.
pub fn result(id: &str, result: &[u8]) -> Vec<u8> {
    let id = id.as_bytes();
    joined(&[br#"{"jsonrpc":"2.0","id":"#, id, br#","result":"#, result, b"}"])
}

/// The same with `members`, which are raw and not empty, in front of the result's own. `result` is an object.
pub fn result_with(id: &str, members: &str, result: &[u8]) -> Vec<u8> {
    let (id, members) = (id.as_bytes(), members.as_bytes());
    let own = result.strip_prefix(b"{").unwrap_or(result);
    let comma: &[u8] = if own.trim_ascii_start().starts_with(b"}") { b"" } else { b"," };
    joined(&[br#"{"jsonrpc":"2.0","id":"#, id, br#","result":{"#, members, comma, own, b"}"])
}

/// The pieces in a row, in no more memory than they need, which `Bytes` then takes over as it is.
fn joined(pieces: &[&[u8]]) -> Vec<u8> {
    pieces.concat()
}

/// An error response. `id` and `data` are raw JSON; without an id it is `null`, as JSON-RPC 2.0 section 5 asks.
pub fn error(id: Option<&str>, code: i32, message: &str, data: Option<&str>) -> Vec<u8> {
    error_of(id.unwrap_or("null"), error_object(code, message, data).as_bytes())
}

/// The same with an error that is there; all is raw JSON.
pub fn error_of(id: &str, error: &[u8]) -> Vec<u8> {
    joined(&[br#"{"jsonrpc":"2.0","id":"#, id.as_bytes(), br#","error":"#, error, b"}"])
}

/// `{"code":CODE,"message":MESSAGE,"data":DATA}`; `data` is raw JSON.
pub fn error_object(code: i32, message: &str, data: Option<&str>) -> String {
    let message = encode_string(message);
    let data = data.map(|data| format!(",\"data\":{data}")).unwrap_or_default();
    format!(r#"{{"code":{code},"message":{message}{data}}}"#)
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
