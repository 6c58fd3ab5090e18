//! Credentials noticed before they are stored.
//!
//! Only such as can be told from ordinary text ([`forms`]), so that text is never refused for what it looks like: tokens
//! with a known prefix, private keys, JSON Web Tokens, cloud keys beside their names, passwords in URLs. Other passwords
//! and random strings are not noticed.

mod forms;
mod place;

use std::borrow::Cow;

use forms::Found;

/// What happens to a credential that is to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Secrets {
    /// Nothing is stored.
    #[default]
    Refuse,
    /// A word stands in its place.
    Mask,
}

/// A credential that was masked.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Mark {
    /// What it was.
    pub(crate) kind: &'static str,
    /// Where, as a JSON Pointer behind the argument's name.
    pub(crate) at: String,
}

/// What credential the text contains, if it contains one that is recognised.
pub(crate) fn find(text: &str) -> Option<&'static str> {
    forms::all(text).next().map(|found| found.what)
}

/// The text with a word in the place of each credential, and where these words begin.
fn masked(text: &str) -> (Cow<'_, str>, Vec<(usize, &'static str)>) {
    let mut all: Vec<Found> = forms::all(text).collect();
    if all.is_empty() {
        return (Cow::Borrowed(text), Vec::new());
    }
    // What stands within another goes with that.
    all.sort_by_key(|found| (found.range.start, std::cmp::Reverse(found.range.end)));
    let mut safe = String::with_capacity(text.len());
    let mut marks = Vec::new();
    let mut copied = 0;
    for Found { what, range } in all {
        if range.start >= copied {
            safe.push_str(&text[copied..range.start]);
            let kind = what.split_once(' ').map_or(what, |(_article, kind)| kind);
            marks.push((safe.len(), kind));
            safe.extend(["[masked: ", kind, "]"]);
        }
        copied = copied.max(range.end);
    }
    safe.push_str(&text[copied..]);
    (Cow::Owned(safe), marks)
}

/// The text without credentials, for whatever is shown or logged.
pub(crate) fn hidden(text: &str) -> Cow<'_, str> {
    masked(text).0
}

/// Masks the credentials of a JSON text, which stays one: none has a quote or half of an escape. Adds to `marks` what was
/// masked and where.
pub(crate) fn mask<'a>(json: &'a str, argument: &str, marks: &mut Vec<Mark>) -> Cow<'a, str> {
    let (safe, words) = masked(json);
    let places: Vec<usize> = words.iter().map(|(at, _)| *at).collect();
    let pointers = place::pointers(&safe, &places);
    let found = words.iter().zip(pointers);
    marks.extend(found.map(|((_, kind), pointer)| Mark { kind, at: format!("{argument}{pointer}") }));
    safe
}

#[cfg(test)]
mod tests;
