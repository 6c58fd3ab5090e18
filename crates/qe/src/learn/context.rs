//! In what surroundings something was tried: language, framework and more, and the wider surroundings that it is part of.

use serde::{Deserialize, Serialize};

use crate::memory::secrets;
use crate::reply::Refusal;

/// Bytes of one word of a context.
const WORD_MAX_BYTES: usize = 200;
/// Between the words of a context's name; no word has it.
const BETWEEN: char = '\u{1f}';

/// As a caller sends it. What is left out is not known.
#[derive(Debug, Clone, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Surroundings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) framework: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) task_kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file_glob: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error_signature: Option<String>,
}

/// How much of the surroundings a level says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum Level {
    #[serde(rename = "context")]
    Whole,
    #[serde(rename = "language+framework")]
    Framework,
    #[serde(rename = "language")]
    Language,
    #[serde(rename = "any")]
    Any,
}

impl Surroundings {
    /// In one spelling.
    ///
    /// # Errors
    /// For words that are too long, have control characters or contain a credential.
    pub(crate) fn normal(mut self) -> Result<Self, Refusal> {
        if let Some(secret) = self.error_signature.as_deref().and_then(secrets::find) {
            return Err(Refusal(format!("not stored: `context.error_signature` contains {secret}")));
        }
        self.error_signature = self.error_signature.map(|text| signature(&text));
        for (name, word) in [
            ("language", &mut self.language),
            ("framework", &mut self.framework),
            ("task_kind", &mut self.task_kind),
            ("file_glob", &mut self.file_glob),
            ("error_signature", &mut self.error_signature),
        ] {
            let Some(text) = word else { continue };
            let trimmed = text.trim();
            if trimmed.len() > WORD_MAX_BYTES || trimmed.chars().any(char::is_control) {
                return Err(Refusal(format!(
                    "`context.{name}` must be one line of at most {WORD_MAX_BYTES} bytes"
                )));
            }
            if let Some(secret) = secrets::find(trimmed) {
                return Err(Refusal(format!("not stored: `context.{name}` contains {secret}")));
            }
            let is_word = matches!(name, "language" | "framework" | "task_kind");
            let text = if is_word { trimmed.to_lowercase() } else { trimmed.to_owned() };
            *word = (!text.is_empty()).then_some(text);
        }
        Ok(self)
    }

    /// The names under which it is counted, the narrowest first, with what they say. "Any" has no name.
    pub(crate) fn levels(&self) -> Vec<(String, Level)> {
        let words =
            [&self.language, &self.framework, &self.task_kind, &self.file_glob, &self.error_signature];
        let words = words.map(|word| word.as_deref().unwrap_or_default());
        let name = |words: &[&str]| words.join(&BETWEEN.to_string());
        let [language, framework, rest @ ..] = words;
        let mut levels = Vec::new();
        if rest.iter().any(|word| !word.is_empty()) || (language.is_empty() && !framework.is_empty()) {
            levels.push((name(&words), Level::Whole));
        }
        if !language.is_empty() {
            if !framework.is_empty() {
                levels.push((name(&[language, framework]), Level::Framework));
            }
            levels.push((language.to_owned(), Level::Language));
        }
        levels
    }

    /// From the name of a level.
    pub(crate) fn of_name(name: &str) -> Self {
        let mut words = name.split(BETWEEN).map(|word| (!word.is_empty()).then(|| word.to_owned()));
        let mut next = || words.next().flatten();
        Self {
            language: next(),
            framework: next(),
            task_kind: next(),
            file_glob: next(),
            error_signature: next(),
        }
    }
}

/// An error's text without what differs from one time to the next: numbers and addresses become `#`, the rest one line.
fn signature(text: &str) -> String {
    let mut short = String::new();
    for word in text.split_whitespace() {
        if !short.is_empty() {
            short.push(' ');
        }
        let mut digits = false;
        for letter in word.chars().filter(|letter| !letter.is_control()) {
            let is_digit = letter.is_ascii_digit() || (digits && letter.is_ascii_hexdigit());
            if !is_digit {
                short.push(letter);
            } else if !digits {
                short.push('#');
            }
            digits = is_digit;
        }
        if short.len() > WORD_MAX_BYTES {
            break;
        }
    }
    super::cut(&mut short, WORD_MAX_BYTES);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(language: &str, framework: &str, error: &str) -> Surroundings {
        let word = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let (language, framework, error_signature) = (word(language), word(framework), word(error));
        Surroundings { language, framework, error_signature, ..Surroundings::default() }.normal().unwrap()
    }

    #[test]
    fn what_is_narrow_counts_in_what_is_wider() {
        let names = |context: &Surroundings| {
            context
                .levels()
                .into_iter()
                .map(|(name, level)| (name.replace(BETWEEN, "/"), level))
                .collect::<Vec<_>>()
        };
        let whole = context(" Python", "pytest", "E at line 12");
        assert_eq!(
            names(&whole),
            [
                ("python/pytest///E at line #".into(), Level::Whole),
                ("python/pytest".into(), Level::Framework),
                ("python".into(), Level::Language)
            ]
        );
        assert_eq!(names(&context("go", "", "")), [("go".into(), Level::Language)]);
        assert_eq!(names(&context("", "jest", "")), [("/jest///".into(), Level::Whole)]);
        assert!(names(&context("", "", "")).is_empty());
        for (name, _) in whole.levels() {
            let again = Surroundings::of_name(&name);
            assert!(again.levels().iter().any(|(other, _)| *other == name), "{name}");
        }
    }

    #[test]
    fn the_same_error_has_one_signature() {
        let one = signature("KeyError: 'x'\n  at 0x7f3a12 line 31");
        assert_eq!(one, signature("KeyError: 'x' at 0x99ab00 line 7"));
        assert_ne!(one, signature("ValueError: 'x' at 0x99ab00 line 7"));
        assert!(signature(&"é ".repeat(500)).len() <= WORD_MAX_BYTES);
    }
}
