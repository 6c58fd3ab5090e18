//! Finding the id of a message that cannot be parsed, so that its call fails at once and not at its deadline.

/// The id (raw JSON text) that a broken message seems to carry: the first plain `"id":` member near its start, or
/// else the last one near its end. A guess: use it only to fail a call that is waiting under this very id.
pub fn recover_id(head: &[u8], tail: &[u8]) -> Option<String> {
    // A nested "id" may come first or last; the envelope's is the one outside "result" and "error" members.
    let end = ["\"result\"", "\"error\"", "\"params\""]
        .iter()
        .filter_map(|key| memchr::memmem::find(head, key.as_bytes()))
        .min()
        .unwrap_or(head.len());
    let front = &head[..end];
    if let Some(at) = memchr::memmem::find(front, b"\"id\"") {
        return id_after(&head[at + 4..]);
    }
    let at = memchr::memmem::rfind(tail, b"\"id\"")?;
    id_after(&tail[at + 4..])
}

fn id_after(text: &[u8]) -> Option<String> {
    let text = text.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let length = if text.first() == Some(&b'"') {
        memchr::memchr(b'"', &text[1..])? + 2
    } else {
        text.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'-').count()
    };
    let id = std::str::from_utf8(&text[..length]).ok()?;
    (!id.is_empty()).then(|| id.to_owned())
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
    }
}
