//! The part of a value that shows why it was found.

/// Characters of a snippet.
const SNIPPET_CHARS: usize = 240;
/// Characters that it shows before the first word of the query.
const BEFORE: usize = 60;

/// A value as text (a JSON string without its quotes and escapes), cut to where the query's words begin to stand.
pub(super) fn of(value: &str, query: &str) -> String {
    let text = serde_json::from_str::<String>(value).unwrap_or_else(|_| value.to_owned());
    let chars: Vec<char> = text.chars().collect();
    if chars.len() <= SNIPPET_CHARS {
        return text;
    }
    let start = first_word(&chars, query).saturating_sub(BEFORE).min(chars.len() - SNIPPET_CHARS);
    let end = start + SNIPPET_CHARS;
    let mut snippet: String = if start > 0 { "…".into() } else { String::new() };
    snippet.extend(&chars[start..end]);
    if end < chars.len() {
        snippet.push('…');
    }
    snippet
}

/// Where a word of the query stands first, or the beginning. Words of fewer than four letters stand everywhere.
fn first_word(text: &[char], query: &str) -> usize {
    let small = |char: char| char.to_lowercase().next().unwrap_or(char);
    let text: Vec<char> = text.iter().copied().map(small).collect();
    query
        .split(|char: char| !char.is_alphanumeric())
        .map(|word| word.chars().map(small).collect::<Vec<_>>())
        .filter(|word| word.len() >= 4)
        .filter_map(|word| text.windows(word.len()).position(|window| window == word))
        .min()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_value_is_shown_whole() {
        assert_eq!(of(r#""a \"b\"""#, "x"), "a \"b\"");
        assert_eq!(of(r#"{"a":1}"#, "x"), r#"{"a":1}"#);
    }

    #[test]
    fn a_long_value_is_shown_where_it_speaks_of_the_query() {
        let value = format!("\"{} the Needle is here {}\"", "hay ".repeat(200), "hay ".repeat(200));
        let snippet = of(&value, "a needle");
        assert!(
            snippet.starts_with('…') && snippet.ends_with('…') && snippet.contains("Needle"),
            "{snippet}"
        );
        assert_eq!(snippet.chars().count(), SNIPPET_CHARS + 2);
        assert!(of(&value, "nothing of it").starts_with("hay"));
    }
}
