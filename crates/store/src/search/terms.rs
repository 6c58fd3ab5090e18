//! From a text to the terms that it is found by.
//!
//! A term is a run of letters and digits, in lower case, without accents, and without its English ending (the Snowball
//! stemmer). Of `snake_case` each part is one; of `camelCase` each part, and the whole as well.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use rust_stemmers::{Algorithm, Stemmer};
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Letters of a term that count: what is longer is a digest or data.
const TERM_MAX_CHARS: usize = 40;

/// Words whose terms are remembered: most of what is read is some thousand words.
const REMEMBERED: usize = 50_000;

/// Words that almost every English text has. They are terms like others, but in a question among others they say nothing.
const COMMON: &[&str] = &[
    "a", "about", "after", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be", "because",
    "been", "before", "being", "but", "by", "can", "could", "did", "do", "does", "doing", "for", "from",
    "had", "has", "have", "having", "he", "her", "here", "hers", "him", "his", "how", "i", "if", "in",
    "into", "is", "it", "its", "me", "my", "no", "nor", "not", "of", "on", "or", "our", "ours", "she",
    "should", "so", "some", "such", "than", "that", "the", "their", "them", "then", "there", "these", "they",
    "this", "those", "through", "to", "too", "us", "was", "we", "were", "what", "when", "where", "which",
    "while", "who", "whom", "why", "will", "with", "would", "you", "your", "yours",
];

/// Reads texts. Keeps what it found out about words.
pub(crate) struct Reader {
    stemmer: Stemmer,
    /// Words and their terms: the whole's, and those of its parts.
    known: HashMap<Box<str>, Box<[Box<str>]>, RandomState>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("known", &self.known.len()).finish_non_exhaustive()
    }
}

impl Default for Reader {
    fn default() -> Self {
        Self { stemmer: Stemmer::create(Algorithm::English), known: HashMap::default() }
    }
}

impl Reader {
    /// Hands out the terms of a text in their order.
    pub(crate) fn terms(&mut self, text: &str, mut take: impl FnMut(&str)) {
        for word in words(text) {
            if let Some(terms) = self.known.get(word) {
                terms.iter().for_each(|term| take(term));
                continue;
            }
            if self.known.len() >= REMEMBERED {
                self.known.clear();
            }
            let parts = parts(word).filter(|part| part.len() < word.len());
            let terms: Box<[_]> = std::iter::once(word).chain(parts).map(|part| self.term(part)).collect();
            terms.iter().for_each(|term| take(term));
            self.known.insert(word.into(), terms);
        }
    }

    /// The different terms of a question, and how often it has each: what a long question repeats is what it is about. Common
    /// words count only where there are no others.
    pub(crate) fn of_query(&mut self, text: &str) -> Vec<(String, u32)> {
        let mut words: Vec<&str> = words(text).collect();
        let is_common = |word: &str| COMMON.contains(&word.to_lowercase().as_str());
        if words.iter().any(|word| !is_common(word)) {
            words.retain(|word| !is_common(word));
        }
        let mut terms: Vec<(String, u32)> = Vec::new();
        for word in words {
            self.terms(word, |term| match terms.iter_mut().find(|(known, _)| known == term) {
                Some((_, times)) => *times += 1,
                None => terms.push((term.to_owned(), 1)),
            });
        }
        terms
    }

    fn term(&self, word: &str) -> Box<str> {
        let plain: String = word
            .nfd()
            .filter(|&char| !is_combining_mark(char))
            .flat_map(char::to_lowercase)
            .take(TERM_MAX_CHARS)
            .collect();
        self.stemmer.stem(&plain).into()
    }
}

/// Runs of letters, digits and what is put upon letters.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |char: char| {
        if char.is_ascii() {
            char.is_ascii_alphanumeric()
        } else {
            char.is_alphanumeric() || is_combining_mark(char)
        }
    };
    text.split(move |char| !is_part(char)).filter(|word| !word.is_empty())
}

/// The parts of a name in camel case: a part ends before a capital that follows a small letter, and before the last capital
/// of a row of them that a small letter follows.
fn parts(word: &str) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let mut chars = rest.char_indices().peekable();
        let (_, mut before) = chars.next()?;
        let mut end = rest.len();
        while let Some((at, char)) = chars.next() {
            let small_next = chars.peek().is_some_and(|(_, next)| next.is_lowercase());
            if char.is_uppercase() && (before.is_lowercase() || (before.is_uppercase() && small_next)) {
                end = at;
                break;
            }
            before = char;
        }
        let (part, after) = rest.split_at(end);
        rest = after;
        Some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(text: &str) -> Vec<String> {
        let mut terms = Vec::new();
        Reader::default().terms(text, |term| terms.push(term.to_owned()));
        terms
    }

    #[test]
    fn endings_case_and_accents_make_no_difference() {
        assert_eq!(terms("Connected, connecting CONNECTIONS"), ["connect", "connect", "connect"]);
        assert_eq!(terms("Café cafe\u{301}"), ["cafe", "cafe"]);
    }

    #[test]
    fn names_of_programs_are_found_by_their_parts() {
        assert_eq!(terms("max_retry_count"), ["max", "retri", "count"]);
        assert_eq!(terms("getHTTPResponse"), ["gethttprespons", "get", "http", "respons"]);
        assert_eq!(terms("HTTP sha256"), ["http", "sha256"]);
    }

    #[test]
    fn common_words_count_only_where_there_are_no_others() {
        let of_query = |text: &str| Reader::default().of_query(text);
        let terms = |text: &str| of_query(text).into_iter().map(|(term, _)| term).collect::<Vec<_>>();
        assert_eq!(of_query("how do we retry the retries"), [("retri".to_owned(), 2)]);
        assert_eq!(terms("to be or not to be"), ["to", "be", "or", "not"]);
        assert!(of_query("?! …").is_empty());
    }

    #[test]
    fn long_runs_are_cut() {
        assert_eq!(terms(&"é".repeat(1_000))[0].chars().count(), TERM_MAX_CHARS);
    }
}
