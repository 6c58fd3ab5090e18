//! Languages whose sources are understood, told by the name of the file.

use std::path::Path;

use serde::Serialize;

/// A language, or a dialect that has a grammar of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Language {
    Go,
    Java,
    JavaScript,
    Python,
    Rust,
    Tsx,
    TypeScript,
}

/// In the order of the enum.
pub(super) const LANGUAGES: [Language; 7] = [
    Language::Go,
    Language::Java,
    Language::JavaScript,
    Language::Python,
    Language::Rust,
    Language::Tsx,
    Language::TypeScript,
];

impl Language {
    /// By the extension of a file's name; `None` if it is not one of ours.
    pub(crate) fn of(path: impl AsRef<Path>) -> Option<Self> {
        Some(match path.as_ref().extension()?.to_str()? {
            "go" => Self::Go,
            "java" => Self::Java,
            "js" | "mjs" | "cjs" | "jsx" => Self::JavaScript,
            "py" | "pyi" => Self::Python,
            "rs" => Self::Rust,
            "tsx" => Self::Tsx,
            "ts" | "mts" | "cts" => Self::TypeScript,
            _ => return None,
        })
    }

    /// Between the parts of a qualified name.
    pub(super) const fn separator(self) -> &'static str {
        if matches!(self, Self::Rust) { "::" } else { "." }
    }

    pub(super) fn grammar(self) -> tree_sitter::Language {
        match self {
            Self::Go => tree_sitter_go::LANGUAGE,
            Self::Java => tree_sitter_java::LANGUAGE,
            Self::JavaScript => tree_sitter_javascript::LANGUAGE,
            Self::Python => tree_sitter_python::LANGUAGE,
            Self::Rust => tree_sitter_rust::LANGUAGE,
            Self::Tsx => tree_sitter_typescript::LANGUAGE_TSX,
            Self::TypeScript => tree_sitter_typescript::LANGUAGE_TYPESCRIPT,
        }
        .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_told_by_the_name_of_the_file() {
        for (name, language) in [
            ("a/b.rs", Some(Language::Rust)),
            ("b.test.tsx", Some(Language::Tsx)),
            ("b.d.ts", Some(Language::TypeScript)),
            ("b.mjs", Some(Language::JavaScript)),
            ("Makefile", None),
            (".py", None),
            ("a.py.orig", None),
        ] {
            assert_eq!(Language::of(name), language, "{name}");
        }
    }

    #[test]
    fn every_grammar_is_one_that_the_parser_takes() {
        for language in LANGUAGES {
            tree_sitter::Parser::new().set_language(&language.grammar()).unwrap();
        }
    }
}
