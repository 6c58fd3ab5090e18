//! The words of an entry: its key, its tags, and every name and text in its value.

use serde_json::Value;

use crate::limits::INDEXED_MAX_BYTES;

/// The text that an entry is found by, at most [`INDEXED_MAX_BYTES`] of it.
pub(crate) fn of_entry(key: &str, tags: &[String], value: &str) -> String {
    let mut text = String::new();
    // A key that was made from the value says nothing.
    if !key.starts_with("sha256-") {
        add(&mut text, key);
    }
    for tag in tags {
        add(&mut text, tag);
    }
    match serde_json::from_str(value) {
        Ok(value) => walk(&mut text, &value),
        // Numbers beyond any type and half surrogates are JSON too.
        Err(_) => add(&mut text, value),
    }
    text
}

/// Appends a piece, up to the bound and never a part of a character.
fn add(text: &mut String, piece: &str) {
    if text.len() >= INDEXED_MAX_BYTES {
        return;
    }
    if !text.is_empty() {
        text.push('\n');
    }
    let mut end = piece.len().min(INDEXED_MAX_BYTES.saturating_sub(text.len()));
    while !piece.is_char_boundary(end) {
        end -= 1;
    }
    text.push_str(&piece[..end]);
}

fn walk(text: &mut String, value: &Value) {
    match value {
        Value::String(string) => add(text, string),
        Value::Number(number) => add(text, &number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| walk(text, item)),
        Value::Object(members) => {
            for (name, value) in members {
                add(text, name);
                walk(text, value);
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_says_something_is_in_the_text_and_nothing_else() {
        let value = r#"{"a\u0062":["x",1.5,null,true],"c":{"d":"y\nz"}}"#;
        assert_eq!(of_entry("key", &["tag".into()], value), "key\ntag\nab\nx\n1.5\nc\nd\ny\nz");
        assert_eq!(of_entry("sha256-00", &[], r#""text""#), "text");
        assert_eq!(of_entry("k", &[], r#""\ud800""#), "k\n\"\\ud800\"");
    }

    #[test]
    fn a_long_value_is_indexed_up_to_the_bound() {
        let text = of_entry("k", &[], &format!("\"{}\"", "é".repeat(INDEXED_MAX_BYTES)));
        assert!(text.len() <= INDEXED_MAX_BYTES && text.len() > INDEXED_MAX_BYTES - 4);
    }
}
