//! Reads a table key by key, with its declarations at hand, and reports whatever does not fit.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use super::env::{Dialect, Environment, clip, expand};
use super::keys::{
    Choice, Codes, Flag, Group, Int, Key, Map, OptChoice, OptInt, OptReal, Real, SectionKeys, Tables, Text,
    Texts, one_of, whole_number,
};
use super::place::{Place, Severity, Sink};
use super::secret::Expanded;
use super::suggest::{nearest, unknown_key};
use super::tree::{Entry, Node, Span, Value};

/// Most entries of a list or table whose entries the user chooses: upstreams, arguments, variables.
const MAX_ENTRIES: usize = 1000;

/// One file in the course of being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    /// The file as the user would name it.
    pub(super) source: &'a Arc<str>,
    /// Its text, for lines and columns.
    pub(super) text: &'a str,
    /// The folder that relative paths in it are relative to.
    pub(super) folder: &'a Path,
    pub(super) env: &'a Environment,
    pub(super) dialect: Dialect<'a>,
    pub(super) sink: &'a Sink,
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(super) struct Spot<T> {
    pub(super) value: T,
    pub(super) at: Span,
}

impl Context<'_> {
    /// Line and column of a byte offset.
    pub(super) fn place(&self, at: &Span) -> Place {
        // Parsers give offsets between characters; were one not to, the nearest place before it serves.
        let end = (0..=at.start.min(self.text.len())).rev().find(|i| self.text.is_char_boundary(*i));
        Place::after(Arc::clone(self.source), &self.text[..end.unwrap_or(0)])
    }

    pub(super) fn fault(&self, at: &Span, message: impl Into<String>) {
        // Past the limit only the count matters, and looking up lines would be quadratic.
        let place = if self.sink.is_full() { Place::whole("") } else { self.place(at) };
        self.sink.fault(place, message.into());
    }

    pub(super) fn note(&self, severity: Severity, at: &Span, message: impl Into<String>) {
        if !self.sink.is_full_of_notes() {
            self.sink.note(severity, Some(self.place(at)), message.into());
        }
    }

    /// How many of `count` entries to read: all, or, with a fault, as many as anybody needs.
    pub(super) fn limit(&self, key: &str, at: &Span, count: usize) -> usize {
        if count > MAX_ENTRIES {
            self.fault(at, format!("\"{key}\" has {count} entries; {MAX_ENTRIES} are allowed"));
        }
        count.min(MAX_ENTRIES)
    }

    /// Replaces `${…}` in `text`.
    pub(super) fn expand(&self, key: &str, text: &str, at: &Span) -> Option<Expanded> {
        match expand(text, self.env, self.dialect) {
            Ok(expanded) if expanded.value().contains('\0') => {
                self.fault(at, format!("\"{key}\" holds a NUL character"));
                None
            }
            Ok(expanded) => Some(expanded),
            Err(errors) => {
                for error in errors {
                    self.fault(at, format!("\"{key}\": {error}"));
                }
                None
            }
        }
    }
}

/// What a value is, for "found …". The value itself is shown only where `show` says that it can be no
/// secret.
pub(super) fn describe(value: &Value, show: bool) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) if !show => "true or false".to_owned(),
        Value::Int(_) | Value::Real(_) if !show => "a number".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Int(Some(int)) => int.to_string(),
        Value::Int(None) => "a number beyond 64 bits".to_owned(),
        Value::Real(real) => real.to_string(),
        Value::Text(text) if show => format!("the string \"{}\"", clip(text)),
        Value::Text(_) => "a string".to_owned(),
        Value::Date => "a date".to_owned(),
        Value::List(_) => "a list".to_owned(),
        Value::Table(_) => "a table".to_owned(),
    }
}

/// A table being read.
#[derive(Debug)]
pub(super) struct Section<'t, 'c> {
    pub(super) cx: Context<'c>,
    keys: &'static SectionKeys,
    entries: &'t [Entry],
    /// The whole table, for faults that no single key has.
    pub(super) at: Span,
}

impl<'t, 'c> Section<'t, 'c> {
    /// Opens a table and reports every key in it that `keys` does not have. An absent table reads as
    /// an empty one, that is, as all defaults.
    pub(super) fn open(cx: Context<'c>, keys: &'static SectionKeys, node: Option<&'t Node>) -> Self {
        let mut section = Self { cx, keys, entries: &[], at: 0..0 };
        if let Some(node) = node {
            section.at = node.at.clone();
            match &node.value {
                Value::Table(entries) => section.entries = entries,
                other => cx.fault(
                    &node.at,
                    format!("\"{}\" must be a table; found {}", keys.path, describe(other, true)),
                ),
            }
        }
        for entry in section.entries {
            if !keys.keys.iter().any(|k| k.name() == entry.key) {
                cx.fault(&entry.key_at, unknown_key(&cx, keys, &entry.key));
            }
        }
        section
    }

    fn find(&self, key: &dyn Key) -> Option<&'t Entry> {
        // A key that is read but not declared would be refused as unknown: the fault is ours.
        debug_assert!(self.keys.keys.iter().any(|k| k.name() == key.name()), "undeclared {}", key.name());
        self.entries.iter().find(|e| e.key == key.name())
    }

    /// Reports a value that no secret can stand in for.
    fn wrong(&self, key: &dyn Key, node: &Node) {
        let found = describe(&node.value, true);
        self.cx.fault(&node.at, format!("\"{}\" must be {}; found {found}", key.name(), key.kind()));
    }

    /// Reports a value of the wrong type without showing it.
    fn wrong_type(&self, key: &dyn Key, node: &Node) {
        let found = describe(&node.value, false);
        self.cx.fault(&node.at, format!("\"{}\" must be {}; found {found}", key.name(), key.kind()));
    }

    /// Where a key is written, if it is.
    pub(super) fn key_at(&self, name: &str) -> Option<Span> {
        self.entries.iter().find(|e| e.key == name).map(|e| e.key_at.clone())
    }

    pub(super) fn int(&self, key: &Int) -> u64 {
        self.find(key).and_then(|e| self.bounded(key, &e.node, key.min, key.max)).unwrap_or(key.default)
    }

    pub(super) fn opt_int(&self, key: &OptInt) -> Option<u64> {
        self.bounded(key, &self.find(key)?.node, key.min, key.max)
    }

    fn bounded(&self, key: &dyn Key, node: &Node, min: u64, max: u64) -> Option<u64> {
        let value = match node.value {
            Value::Int(Some(int)) => u64::try_from(int).ok().filter(|v| (min..=max).contains(v)),
            _ => None,
        };
        if value.is_none() {
            self.wrong(key, node);
        }
        value
    }

    pub(super) fn real(&self, key: &Real) -> f64 {
        self.find(key).and_then(|e| self.fraction(key, &e.node, key.min, key.max)).unwrap_or(key.default)
    }

    pub(super) fn opt_real(&self, key: &OptReal) -> Option<f64> {
        self.fraction(key, &self.find(key)?.node, key.min, key.max)
    }

    fn fraction(&self, key: &dyn Key, node: &Node, min: f64, max: f64) -> Option<f64> {
        let value = match node.value {
            Value::Real(real) => Some(real),
            // Those that convert exactly.
            Value::Int(Some(int)) if int.unsigned_abs() <= 1 << f64::MANTISSA_DIGITS => Some(int as f64),
            _ => None,
        };
        // NaN is in no range.
        let value = value.filter(|v| (min..=max).contains(v));
        if value.is_none() {
            self.wrong(key, node);
        }
        value
    }

    pub(super) fn flag(&self, key: &Flag) -> bool {
        let Some(entry) = self.find(key) else { return key.default };
        if let Value::Bool(flag) = entry.node.value {
            return flag;
        }
        self.wrong(key, &entry.node);
        key.default
    }

    pub(super) fn choice<T: Copy + std::fmt::Debug + Sync>(&self, key: &Choice<T>) -> T {
        self.word(key, key.options).unwrap_or(key.options[0].1)
    }

    pub(super) fn opt_choice<T: Copy + std::fmt::Debug + Sync>(&self, key: &OptChoice<T>) -> Option<T> {
        self.word(key, key.options)
    }

    fn word<T: Copy>(&self, key: &dyn Key, options: &'static [(&'static str, T)]) -> Option<T> {
        let entry = self.find(key)?;
        let Value::Text(text) = &entry.node.value else {
            self.wrong(key, &entry.node);
            return None;
        };
        if let Some((_, value)) = options.iter().find(|(word, _)| word == text) {
            return Some(*value);
        }
        let words = || options.iter().map(|(word, _)| *word);
        let mut message = format!("\"{}\" must be {}; found \"{}\"", key.name(), one_of(words()), clip(text));
        if let Some(near) = nearest(text, words()) {
            let _ = write!(message, "; did you mean \"{near}\"?");
        }
        self.cx.fault(&entry.node.at, message);
        None
    }

    pub(super) fn text(&self, key: &Text) -> Option<Spot<&'t str>> {
        let entry = self.find(key)?;
        if let Value::Text(text) = &entry.node.value {
            return Some(Spot { value: text, at: entry.node.at.clone() });
        }
        self.wrong_type(key, &entry.node);
        None
    }

    /// A text with its `${…}` replaced.
    pub(super) fn expanded(&self, key: &Text) -> Option<Spot<Expanded>> {
        let Spot { value, at } = self.text(key)?;
        let value = self.cx.expand(key.name, value, &at)?;
        Some(Spot { value, at })
    }

    pub(super) fn texts(&self, key: &Texts) -> Vec<Spot<&'t str>> {
        match self.find(key) {
            Some(entry) => self.texts_of(key, &entry.node),
            None => Vec::new(),
        }
    }

    fn texts_of(&self, key: &dyn Key, node: &'t Node) -> Vec<Spot<&'t str>> {
        let Value::List(items) = &node.value else {
            self.wrong_type(key, node);
            return Vec::new();
        };
        let limit = self.cx.limit(key.name(), &node.at, items.len());
        let mut texts = Vec::with_capacity(limit);
        for item in &items[..limit] {
            match &item.value {
                Value::Text(text) => texts.push(Spot { value: text.as_str(), at: item.at.clone() }),
                other => self.cx.fault(
                    &item.at,
                    format!("\"{}\" must hold strings only; found {}", key.name(), describe(other, false)),
                ),
            }
        }
        texts
    }

    /// Exit codes, from 0 to 255; `None` if nothing is said.
    pub(super) fn codes(&self, key: &Codes) -> Option<Vec<i32>> {
        let entry = self.find(key)?;
        let Value::List(items) = &entry.node.value else {
            self.wrong_type(key, &entry.node);
            return None;
        };
        let code = |item: &Node| match item.value {
            Value::Int(Some(code)) => u8::try_from(code).ok().map(i32::from),
            _ => None,
        };
        let codes: Option<Vec<i32>> = items.iter().map(code).collect();
        if codes.is_none() {
            self.cx.fault(
                &entry.node.at,
                format!("\"{}\" must hold whole numbers from 0 to 255 only", key.name),
            );
        }
        codes
    }

    /// The entries of a table whose keys the user chooses.
    pub(super) fn map(&self, key: &Map) -> &'t [Entry] {
        let Some(entry) = self.find(key) else { return &[] };
        if let Value::Table(entries) = &entry.node.value {
            return &entries[..self.cx.limit(key.name, &entry.key_at, entries.len())];
        }
        self.wrong_type(key, &entry.node);
        &[]
    }

    /// The entries of a table of texts; the texts may be secrets and are not shown.
    pub(super) fn text_map(&self, key: &Map) -> Vec<(Spot<&'t str>, Spot<&'t str>)> {
        let mut pairs = Vec::new();
        for entry in self.map(key) {
            let name = Spot { value: entry.key.as_str(), at: entry.key_at.clone() };
            match &entry.node.value {
                Value::Text(text) => {
                    pairs.push((name, Spot { value: text.as_str(), at: entry.node.at.clone() }));
                }
                other => self.cx.fault(
                    &entry.node.at,
                    format!(
                        "\"{}.{}\" must be a string; found {}",
                        key.name,
                        clip(&entry.key),
                        describe(other, false)
                    ),
                ),
            }
        }
        pairs
    }

    /// The entries of a table of whole numbers.
    pub(super) fn int_map(&self, key: &Map, min: u64, max: u64) -> Vec<(&'t str, u64)> {
        let entries = self.map(key).iter();
        entries
            .filter_map(|entry| {
                let value = match entry.node.value {
                    Value::Int(Some(int)) => u64::try_from(int).ok().filter(|v| (min..=max).contains(v)),
                    _ => None,
                };
                if value.is_none() {
                    let kind = whole_number(key.name, min, max);
                    let found = describe(&entry.node.value, true);
                    let message =
                        format!("\"{}.{}\" must be {kind}; found {found}", key.name, clip(&entry.key));
                    self.cx.fault(&entry.node.at, message);
                }
                Some((entry.key.as_str(), value?))
            })
            .collect()
    }

    /// The entries of a table of lists of texts.
    pub(super) fn texts_map(&self, key: &Map) -> Vec<(Spot<&'t str>, Vec<Spot<&'t str>>)> {
        let entries = self.map(key).iter();
        entries
            .map(|entry| {
                let name = Spot { value: entry.key.as_str(), at: entry.key_at.clone() };
                (name, self.texts_of(key, &entry.node))
            })
            .collect()
    }

    /// The tables that are written `[[key]]`, or as a list within another table.
    pub(super) fn tables(&self, key: &Tables) -> Vec<&'t Node> {
        let Some(entry) = self.find(key) else { return Vec::new() };
        let wrong = |at: &Span, value: &Value| {
            let found = describe(value, false);
            let name = key.name;
            let message = if self.keys.path.is_empty() {
                format!("\"{name}\" is written [[{name}]], once for each; found {found}")
            } else {
                format!("\"{name}\" must be a list of tables; found {found}")
            };
            self.cx.fault(at, message);
        };
        let Value::List(nodes) = &entry.node.value else {
            wrong(&entry.key_at, &entry.node.value);
            return Vec::new();
        };
        let limit = self.cx.limit(key.name, &entry.key_at, nodes.len());
        let (tables, others): (Vec<_>, Vec<_>) =
            nodes[..limit].iter().partition(|node| matches!(node.value, Value::Table(_)));
        for node in others {
            wrong(&node.at, &node.value);
        }
        tables
    }

    /// A table within this one.
    pub(super) fn group(&self, key: &Group, keys: &'static SectionKeys) -> Section<'t, 'c> {
        Section::open(self.cx, keys, self.find(key).map(|e| &e.node))
    }
}
