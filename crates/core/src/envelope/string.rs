//! JSON strings (RFC 8259 section 7): decoded to be compared or shown, encoded to be sent.

use std::borrow::Cow;

use memchr::memchr;

/// Decodes a JSON string with its quotes; `None` if the value is no string.
pub fn decode_quoted(value: &[u8]) -> Option<Cow<'_, str>> {
    Some(decode_string(value.strip_prefix(b"\"")?.strip_suffix(b"\"")?))
}

/// Decodes the content of a JSON string (without quotes). A lone surrogate becomes U+FFFD: decoded text is only
/// compared or shown, never sent on.
pub fn decode_string(raw: &[u8]) -> Cow<'_, str> {
    decode_text(std::str::from_utf8(raw).unwrap_or_default())
}

/// The same for what is known to be text.
pub(super) fn decode_text(text: &str) -> Cow<'_, str> {
    if memchr(b'\\', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    let mut high: Option<u32> = None;
    while let Some(char) = chars.next() {
        let decoded = if char == '\\' {
            match chars.next() {
                Some('b') => '\u{8}',
                Some('f') => '\u{c}',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some('u') => {
                    let digits = chars.as_str().get(..4).unwrap_or_default();
                    let unit = u32::from_str_radix(digits, 16).unwrap_or(0xFFFD);
                    chars = chars.as_str().get(4..).unwrap_or_default().chars();
                    if (0xD800..0xDC00).contains(&unit) {
                        if high.replace(unit).is_some() {
                            out.push('\u{FFFD}');
                        }
                        continue;
                    }
                    match (high.take(), (0xDC00..0xE000).contains(&unit)) {
                        (Some(high), true) => {
                            let code = 0x1_0000 + ((high - 0xD800) << 10) + (unit - 0xDC00);
                            char::from_u32(code).unwrap_or('\u{FFFD}')
                        }
                        (Some(_), false) => {
                            out.push('\u{FFFD}');
                            char::from_u32(unit).unwrap_or('\u{FFFD}')
                        }
                        (None, _) => char::from_u32(unit).unwrap_or('\u{FFFD}'),
                    }
                }
                Some(other) => other,
                None => break,
            }
        } else {
            char
        };
        if high.take().is_some() {
            out.push('\u{FFFD}');
        }
        out.push(decoded);
    }
    if high.is_some() {
        out.push('\u{FFFD}');
    }
    Cow::Owned(out)
}

/// Writes `text` as a JSON string with its quotes.
pub fn encode_string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    // Most are plain, as names of tools are.
    let is_plain = text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\');
    let (plain, rest) = if is_plain { (text, "") } else { ("", text) };
    out.push_str(plain);
    for char in rest.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            char if char < ' ' => {
                out.push_str("\\u00");
                for nibble in [char as u32 >> 4, char as u32 & 15] {
                    out.push(char::from_digit(nibble, 16).unwrap_or('0'));
                }
            }
            char => out.push(char),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decodes_escapes_and_surrogates() {
        assert_eq!(decode_string(br"a\u00e9\ud83d\ude00\n\/"), "aé😀\n/");
        assert_eq!(decode_string(br"\ud83dx\ude00"), "\u{fffd}x\u{fffd}");
        assert_eq!(decode_string(br"\ud83d"), "\u{fffd}");
    }

    proptest! {
        #[test]
        fn strings_survive_encoding_and_decoding(text in any::<String>()) {
            let encoded = encode_string(&text);
            prop_assert_eq!(serde_json::from_str::<String>(&encoded).unwrap(), text.clone());
            let decoded = decode_string(&encoded.as_bytes()[1..encoded.len() - 1]).into_owned();
            prop_assert_eq!(decoded, text);
        }
    }
}
