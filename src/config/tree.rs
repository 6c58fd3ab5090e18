//! One tree with positions for both file formats, so that TOML and JSON share every check after
//! their syntax.

use std::ops::Range;

use jsonc_parser::ast;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Byte range of a value in its file.
pub(super) type Span = Range<usize>;

/// A value and where it stands.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) at: Span,
}

/// What TOML and JSON have in common.
#[derive(Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// A whole number; `None` when it does not fit 64 bits.
    Int(Option<i64>),
    Real(f64),
    Text(String),
    /// TOML's date or time; no key takes one.
    Date,
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// A key of a table, with its value, in the order of the file.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_at: Span,
    pub(super) node: Node,
}

/// A fault of syntax: where it stands, when the parser knows, and what it is.
pub(super) type SyntaxFault = (Option<Span>, String);

/// Parses TOML. The tree holds whatever could be read; the faults are all that the parser found.
pub(super) fn from_toml(text: &str) -> (Node, Vec<SyntaxFault>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let faults = errors.iter().map(|e| (e.span(), one_line(e.message()))).collect();
    let at = table.span();
    (Node { value: Value::Table(toml_entries(table.into_inner())), at }, faults)
}

/// Parses JSON, with the comments and trailing commas that editors allow in these files.
pub(super) fn from_json(text: &str) -> Result<Node, SyntaxFault> {
    let collect = jsonc_parser::CollectOptions::default();
    let options = jsonc_parser::ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    match jsonc_parser::parse_to_ast(text, &collect, &options) {
        Ok(parsed) => match parsed.value {
            Some(value) => Ok(json_node(value)),
            None => Err((None, "the file is empty".to_owned())),
        },
        Err(error) => {
            let range = error.range();
            Err((Some(range.start..range.end), lower_first(&one_line(&error.kind().to_string()))))
        }
    }
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join("; ")
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

fn toml_entries(table: DeTable<'_>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = table
        .into_iter()
        .map(|(key, value)| {
            let key_at = key.span();
            Entry { key: key.into_inner().into_owned(), key_at, node: toml_node(value) }
        })
        .collect();
    entries.sort_by_key(|e| e.key_at.start);
    entries
}

fn toml_node(spanned: Spanned<DeValue<'_>>) -> Node {
    let at = spanned.span();
    let value = match spanned.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(int) => Value::Int(i64::from_str_radix(int.as_str(), int.radix()).ok()),
        DeValue::Float(real) => Value::Real(real.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(flag) => Value::Bool(flag),
        DeValue::Datetime(_) => Value::Date,
        DeValue::Array(items) => Value::List(items.into_iter().map(toml_node).collect()),
        DeValue::Table(table) => Value::Table(toml_entries(table)),
    };
    Node { value, at }
}

fn json_node(value: ast::Value<'_>) -> Node {
    use jsonc_parser::common::Ranged;
    let range = value.range();
    let at = range.start..range.end;
    let value = match value {
        ast::Value::NullKeyword(_) => Value::Null,
        ast::Value::BooleanLit(lit) => Value::Bool(lit.value),
        ast::Value::StringLit(lit) => Value::Text(lit.value.into_owned()),
        ast::Value::NumberLit(lit) if lit.value.contains(['.', 'e', 'E']) => {
            Value::Real(lit.value.parse().unwrap_or(f64::NAN))
        }
        ast::Value::NumberLit(lit) => Value::Int(lit.value.parse().ok()),
        ast::Value::Array(array) => Value::List(array.elements.into_iter().map(json_node).collect()),
        ast::Value::Object(object) => Value::Table(object.properties.into_iter().map(json_entry).collect()),
    };
    Node { value, at }
}

fn json_entry(property: ast::ObjectProp<'_>) -> Entry {
    use jsonc_parser::common::Ranged;
    let range = property.name.range();
    let key = match property.name {
        ast::ObjectPropName::String(lit) => lit.value.into_owned(),
        ast::ObjectPropName::Word(word) => word.value.to_owned(),
    };
    Entry { key, key_at: range.start..range.end, node: json_node(property.value) }
}
