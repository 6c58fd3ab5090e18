//! Finding the id of a message that cannot be parsed, so that its call fails at once and not at its deadline.

use super::Scanner;

const KEY: &[u8] = b"\"id\"";

/// The id (raw JSON text of a string or number) that a broken message seems to carry: that of the first `"id":` near
/// its start, or else of the last near its end. A guess: use it only to fail a call that is waiting under this very
/// id, or to answer one that cannot be understood.
pub fn recover_id(head: &[u8], tail: &[u8]) -> Option<String> {
    // A nested "id" may come first or last; the envelope's is the one outside "result" and "error" members.
    let end = ["\"result\"", "\"error\"", "\"params\""]
        .iter()
        .filter_map(|key| memchr::memmem::find(head, key.as_bytes()))
        .min()
        .unwrap_or(head.len());
    let mut first = memchr::memmem::find_iter(&head[..end], KEY);
    let mut last = memchr::memmem::rfind_iter(tail, KEY);
    let value = first.find_map(|at| member(head, at)).or_else(|| last.find_map(|at| member(tail, at)))?;
    read(value)
}

/// What follows the key at `at` and its colon; `None` where it is no key.
fn member(text: &[u8], at: usize) -> Option<&[u8]> {
    Some(text[at + KEY.len()..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start())
}

/// The string or number that `text` begins with, if it is complete.
fn read(text: &[u8]) -> Option<String> {
    let length = if text.first() == Some(&b'"') {
        let mut escaped = false;
        let closes = |byte: &u8| {
            let closes = *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            closes
        };
        text[1..].iter().position(closes)? + 2
    } else {
        // A number ends before something else; at the very end it may have been cut.
        text.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'))?
    };
    let id = &text[..length];
    let mut scanner = Scanner::new(id, 0).ok()?;
    scanner.value().ok()?;
    scanner.end().ok()?;
    String::from_utf8(id.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_id_before_or_after_a_broken_body() {
        let both = |text: &[u8]| recover_id(text, text);
        assert_eq!(both(br#"{"jsonrpc":"2.0","id":7,"result":{"x":NaN"#).as_deref(), Some("7"));
        assert_eq!(both(br#"{"result":{"id":3,"x":NaN},"jsonrpc":"2.0","id": 7}"#).as_deref(), Some("7"));
        assert_eq!(both(br#"{"id":"a","error":"#).as_deref(), Some("\"a\""));
        assert_eq!(both(b"{garbage"), None);
        assert_eq!(both(br#"{"id":"#), None);
        assert_eq!(both(br#"{"method":"id","id":7,"params":{"x":NaN"#).as_deref(), Some("7"));
    }

    #[test]
    fn takes_an_id_whole_or_not_at_all() {
        let both = |text: &[u8]| recover_id(text, text);
        assert_eq!(both(br#"{"id":"a\"b","result":{"x":NaN"#).as_deref(), Some(r#""a\"b""#));
        assert_eq!(both(br#"{"id":1.5e+3,"result":{"x":NaN"#).as_deref(), Some("1.5e+3"));
        // Cut off within the number: the rest may hold further digits.
        assert_eq!(recover_id(br#"{"id":12"#, b"3}"), None);
        for broken in [r#""a\x""#, "\"a\tb\"", "1-2", "-", "007", "1.", "{}", "true"] {
            assert_eq!(both(format!(r#"{{"id":{broken},"result":{{"x":NaN"#).as_bytes()), None, "{broken}");
        }
        assert_eq!(both(b"{\"id\":\"\xff\",\"result\":{}}"), None);
    }

    #[test]
    fn an_unreadable_id_in_its_place_is_not_replaced_by_a_nested_one() {
        let text = br#"{"id":null,"error":{"data":{"id":5},"x":NaN}}"#;
        assert_eq!(recover_id(text, text), None);
    }
}
