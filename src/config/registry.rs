//! `[registry]`: how tools are named and found.

use super::env::clip;
use super::glob::Glob;
use super::keys::{Choice, Int, Map, Real, SectionKeys, Text};
use super::section::{Section, Spot};

/// Longest separator; a name has 64 characters in all.
const MAX_SEPARATOR: usize = 8;

/// How names are indexed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Index {
    /// By hash: exact names at once.
    Hash,
    /// By a trie: also lists all names with one beginning.
    Trie,
}

/// What becomes of a name that no tool has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fuzzy {
    /// The nearest tool runs where that is safe; otherwise the error names it.
    Resolve,
    /// The error names the nearest tool.
    Suggest,
    /// The error says only that there is none.
    Off,
}

/// When the name of its upstream stands before a tool's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// When there are several upstreams.
    Auto,
    /// Always.
    Always,
    /// Only where two tools would otherwise have one name.
    Never,
}

/// When upstreams are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the first call that needs one.
    Lazy,
    /// In the background as soon as the server runs.
    Eager,
}

/// `[registry]`.
#[derive(Clone, Debug)]
pub struct Registry {
    /// How names are indexed.
    pub index: Index,
    /// Fuzzily resolved names that are remembered; 0 remembers none.
    pub cache_size: usize,
    /// What becomes of a name that no tool has.
    pub fuzzy: Fuzzy,
    /// Likeness from which two names are near, 0 to 1.
    pub fuzzy_threshold: f64,
    /// When the upstream's name stands before a tool's.
    pub prefix: Prefix,
    /// What stands between them.
    pub separator: String,
    /// When upstreams are connected.
    pub start: Start,
    /// Categories and the names, as clients see them, that belong to each; the first that fits counts.
    pub categories: Vec<(String, Vec<Glob>)>,
}

static INDEX: Choice<Index> = Choice {
    name: "index",
    options: &[("hash", Index::Hash), ("trie", Index::Trie)],
    meaning: "How names are indexed. `trie` also lists all names with one beginning.",
};
static CACHE_SIZE: Int = Int {
    name: "cache_size",
    default: 1000,
    min: 0,
    max: 1_000_000,
    meaning: "Fuzzily resolved names that are remembered.",
};
static FUZZY: Choice<Fuzzy> = Choice {
    name: "fuzzy",
    options: &[("resolve", Fuzzy::Resolve), ("suggest", Fuzzy::Suggest), ("off", Fuzzy::Off)],
    meaning: "What becomes of a name that no tool has. `resolve` runs the nearest one where that is safe \
              (built-in or of a `trusted` upstream, read-only, clearly nearest); elsewhere, and with \
              `suggest`, the error names it.",
};
static FUZZY_THRESHOLD: Real = Real {
    name: "fuzzy_threshold",
    default: 0.8,
    min: 0.5,
    max: 1.0,
    meaning: "Likeness from which two names are near; 1 is equality.",
};
static PREFIX: Choice<Prefix> = Choice {
    name: "prefix",
    options: &[("auto", Prefix::Auto), ("always", Prefix::Always), ("never", Prefix::Never)],
    meaning: "Whether the upstream's name stands before a tool's. `auto`: when there are several upstreams; \
              `never`: only where two tools would otherwise have one name.",
};
static SEPARATOR: Text = Text {
    name: "separator",
    kind: "1 to 8 characters of A-Z a-z 0-9 _ . -",
    absent: "`\"__\"`",
    meaning: "What stands between the upstream's name and the tool's.",
};
static START: Choice<Start> = Choice {
    name: "start",
    options: &[("lazy", Start::Lazy), ("eager", Start::Eager)],
    meaning: "When upstreams are connected: with the first call that needs one, or in the background as soon \
              as the server runs.",
};
static CATEGORIES: Map = Map {
    name: "categories",
    kind: "a table of lists of patterns",
    meaning: "Categories and the tool names that belong to each: `{ testing = [\"qe_test_*\"] }`. `*` stands \
              for any characters, `?` for one. The first category in the file that fits counts.",
};

pub(super) static KEYS: SectionKeys = SectionKeys {
    path: "registry",
    repeated: false,
    meaning: "How tools are named and found.",
    keys: &[&INDEX, &CACHE_SIZE, &FUZZY, &FUZZY_THRESHOLD, &PREFIX, &SEPARATOR, &START, &CATEGORIES],
};

impl Registry {
    pub(super) fn read(section: &Section<'_, '_>) -> Self {
        Self {
            index: section.choice(&INDEX),
            cache_size: section.int(&CACHE_SIZE) as usize,
            fuzzy: section.choice(&FUZZY),
            fuzzy_threshold: section.real(&FUZZY_THRESHOLD),
            prefix: section.choice(&PREFIX),
            separator: separator(section).unwrap_or_else(|| "__".to_owned()),
            start: section.choice(&START),
            categories: categories(section),
        }
    }
}

/// Whether a character may stand in the name of a tool.
pub(super) fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_.-".contains(c)
}

fn separator(section: &Section<'_, '_>) -> Option<String> {
    let Spot { value, at } = section.text(&SEPARATOR)?;
    if value.is_empty() || value.len() > MAX_SEPARATOR || !value.chars().all(is_name_character) {
        let message = format!("\"separator\" must be {}; found \"{}\"", SEPARATOR.kind, clip(value));
        section.cx.fault(&at, message);
        return None;
    }
    if value.chars().all(char::is_alphanumeric) {
        let message = format!("\"separator\": \"{value}\" could be part of any name; put _ . or - in it");
        section.cx.fault(&at, message);
        return None;
    }
    Some(value.to_owned())
}

fn categories(section: &Section<'_, '_>) -> Vec<(String, Vec<Glob>)> {
    let mut categories = Vec::new();
    for (name, patterns) in section.texts_map(&CATEGORIES) {
        if !is_category(name.value) {
            let message = format!("the category \"{}\" must be {CATEGORY}", clip(name.value));
            section.cx.fault(&name.at, message);
        }
        let mut globs = Vec::with_capacity(patterns.len());
        for pattern in patterns {
            match Glob::new(pattern.value) {
                Ok(glob) => globs.push(glob),
                Err(fault) => {
                    let message = format!("\"categories\": \"{}\" {fault}", clip(pattern.value));
                    section.cx.fault(&pattern.at, message);
                }
            }
        }
        categories.push((name.value.to_owned(), globs));
    }
    categories
}

/// The form of a category's name, in words.
pub(super) const CATEGORY: &str = "1 to 64 characters of A-Z a-z 0-9 _ . -";

/// Whether text can name a category.
pub(super) fn is_category(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.chars().all(is_name_character)
}
