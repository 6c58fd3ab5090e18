//! From the raw text of arguments to a tool's own type, with messages that help to do better.

use std::borrow::Cow;

use aqe_core::inprocess::InProcessError;
use jiff::Timestamp;
use serde::Deserialize;

use crate::reply::Refusal;

/// The arguments' text, `{}` if there were none.
pub(crate) fn object(arguments: &str) -> Result<&str, InProcessError> {
    match arguments.bytes().find(|byte| !byte.is_ascii_whitespace()) {
        None => Ok("{}"),
        Some(b'{') => Ok(arguments),
        Some(_) => Err(InProcessError::ArgumentsNotAnObject),
    }
}

/// Reads a tool's arguments. Their type says `deny_unknown_fields`.
pub(crate) fn parse<'a, T: Deserialize<'a>>(arguments: &'a str) -> Result<T, Refusal> {
    // Keeping track of the path costs as much as reading does, and only a refusal needs it.
    serde_json::from_str(arguments).or_else(|_| parse_tracking(arguments))
}

fn parse_tracking<'a, T: Deserialize<'a>>(arguments: &'a str) -> Result<T, Refusal> {
    let mut json = serde_json::Deserializer::from_str(arguments);
    let parsed = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let message = error.into_inner().to_string();
        // The place in the text helps nobody who did not write the text by hand.
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
        explain(&path, message)
    })?;
    json.end().map_err(|error| Refusal(format!("bad arguments: {error}")))?;
    Ok(parsed)
}

/// Serde's words, with the argument's name before them or the nearest right word after them.
fn explain(path: &str, message: &str) -> Refusal {
    let at = if path == "." { String::new() } else { format!(" in `{path}`") };
    if !message.starts_with("unknown ") {
        return Refusal(format!("bad arguments{at}: {message}"));
    }
    Refusal(match nearest(message) {
        Some(word) => format!("bad arguments: {message}; did you mean `{word}`?"),
        None => format!("bad arguments: {message}"),
    })
}

/// The right word that is nearest to the wrong one, in what Serde says of an unknown field or variant.
pub(crate) fn nearest(message: &str) -> Option<&str> {
    // "unknown field `ttl`, expected one of `namespace`, `key`": what was sent and what would be right.
    let mut words = message.strip_prefix("unknown ")?.split('`').skip(1).step_by(2);
    let sent = words.next().unwrap_or_default();
    // Signs are not misspelt, but mistaken.
    let nearest = words
        .filter(|word| word.starts_with(char::is_alphabetic))
        .map(|word| (strsim::osa_distance(&sent.chars().take(64).collect::<String>(), word), word))
        .filter(|(distance, word)| {
            // A word of one letter is near to whatever is as short.
            (*distance <= word.len().div_ceil(2) && *distance < word.len())
                || (!sent.is_empty() && (word.contains(sent) || sent.contains(word)))
        })
        .min();
    nearest.map(|(_, word)| word)
}

/// Text, borrowed from the arguments unless it has escapes. (An `Option<Cow<str>>` would always be a copy: Serde borrows
/// where the field itself is a `Cow`.)
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// A moment, written as RFC 3339 with any offset; kept to the millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) i64);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Text(text) = Text::deserialize(deserializer)?;
        let parsed: Result<Timestamp, _> = text.parse();
        parsed.map(|timestamp| Self(timestamp.as_millisecond())).map_err(|_| {
            serde::de::Error::custom("expected a time as in RFC 3339, such as 2026-11-21T09:30:00Z")
        })
    }
}

/// A moment as RFC 3339 in UTC.
pub fn rfc3339(moment: i64) -> String {
    // Outside of the years -9999 to 9999 there is no such text.
    Timestamp::from_millisecond(moment).map_or_else(|_| moment.to_string(), |timestamp| timestamp.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        #[serde(rename = "ttl_s")]
        _ttl_s: Option<u64>,
        #[serde(rename = "since")]
        _since: Option<Moment>,
        #[serde(rename = "inner")]
        _inner: Option<Box<Example>>,
    }

    fn refusal(arguments: &str) -> String {
        parse::<Example>(arguments).unwrap_err().0
    }

    #[test]
    fn a_misspelt_argument_is_answered_with_the_nearest_right_one() {
        let text = refusal(r#"{"ttls":1}"#);
        assert!(text.ends_with("did you mean `ttl_s`?"), "{text}");
        let text = refusal(r#"{"inner":{"sinc":1}}"#);
        assert!(text.ends_with("did you mean `since`?"), "{text}");
        let text = refusal(r#"{"ttl":1}"#);
        assert!(text.ends_with("did you mean `ttl_s`?"), "{text}");
        let text = refusal(r#"{"completely_else":1}"#);
        assert!(
            text.contains("expected one of `ttl_s`, `since`, `inner`") && !text.contains("mean"),
            "{text}"
        );
    }

    #[test]
    fn a_wrong_type_is_answered_with_the_arguments_name() {
        let text = refusal(r#"{"inner":{"ttl_s":"60"}}"#);
        assert_eq!(text, "bad arguments in `inner.ttl_s`: invalid type: string \"60\", expected u64");
        let text = refusal(r#"{"since":"yesterday"}"#);
        assert!(text.contains("`since`") && text.contains("RFC 3339"), "{text}");
    }

    #[test]
    fn moments_keep_offset_and_milliseconds() {
        let moment: Moment = serde_json::from_str(r#""2026-11-21T10:30:00.125+02:00""#).unwrap();
        assert_eq!(rfc3339(moment.0), "2026-11-21T08:30:00.125Z");
        assert_eq!(rfc3339(i64::MAX), i64::MAX.to_string());
    }

    #[test]
    fn only_objects_are_arguments() {
        assert_eq!(object(" \n").unwrap(), "{}");
        assert_eq!(object(" {\"a\":1}").unwrap(), " {\"a\":1}");
        for other in ["[]", "null", "1", "\"{}\""] {
            assert_eq!(object(other), Err(InProcessError::ArgumentsNotAnObject));
        }
    }
}
