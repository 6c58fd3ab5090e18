//! Bad answers that are one message, whatever carries it.

use super::{Arguments, good};
use crate::raw::{
    channel::success,
    request::{Request, quote},
    results::complete,
};

/// Size of a `long` answer unless told otherwise: more than the 16 MiB that clients commonly accept.
const LONG_BYTES: usize = 17 * 1024 * 1024;

/// The message of a mode, `None` when the mode is more than one message.
pub(super) fn of(request: &Request, arguments: &Arguments) -> Option<Vec<u8>> {
    let id = request.id_text();
    let good = good(request);
    let result = || complete(request.modern, false, r#""content":[]"#);
    let text = match arguments.mode.as_str() {
        "garbage" => "this is not JSON".to_owned(),
        "invalid-utf8" => {
            // The text of the good answer with its first letter made an invalid byte.
            let mut bytes = good.into_bytes();
            if let Some(letter) = bytes.windows(4).position(|window| window == b"good") {
                bytes[letter] = 0xff;
            }
            return Some(bytes);
        }
        "truncated" => good.get(..good.len() - 10)?.to_owned(),
        "depth-200" => deep(request, 200),
        "depth-100000" => deep(request, 100_000),
        "nan" => success(request, &complete(request.modern, false, r#""content":[],"x":NaN"#)),
        "result-and-error" => format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{},"error":{{"code":-32603,"message":"both"}}}}"#,
            result()
        ),
        "neither" => format!(r#"{{"jsonrpc":"2.0","id":{id}}}"#),
        "duplicate-id" => format!(r#"{{"jsonrpc":"2.0","id":{id},"id":{id},"result":{}}}"#, result()),
        "unknown-id" => format!(r#"{{"jsonrpc":"2.0","id":"never asked","result":{}}}"#, result()),
        // The text of the id as a string, also when it is a string already.
        "string-id" => format!(r#"{{"jsonrpc":"2.0","id":{},"result":{}}}"#, quote(id), result()),
        "null-id" => format!(r#"{{"jsonrpc":"2.0","id":null,"result":{}}}"#, result()),
        "wrong-jsonrpc" => format!(r#"{{"jsonrpc":"1.0","id":{id},"result":{}}}"#, result()),
        "wrong-shape" => success(request, "\"just a string\""),
        "null-result" => success(request, "null"),
        "batch" => format!("[{good}]"),
        "bom" => format!("\u{feff}{good}"),
        "crlf" => format!("{good}\r"),
        "long" => {
            let text = "x".repeat(arguments.bytes.unwrap_or(LONG_BYTES));
            let members = format!(r#""content":[{{"type":"text","text":"{text}"}}]"#);
            success(request, &complete(request.modern, false, &members))
        }
        _ => return None,
    };
    Some(text.into_bytes())
}

/// A good answer with arrays nested to this depth beside its content.
fn deep(request: &Request, depth: usize) -> String {
    let members = format!(r#""content":[],"x":{}{}"#, "[".repeat(depth), "]".repeat(depth));
    success(request, &complete(request.modern, false, &members))
}
