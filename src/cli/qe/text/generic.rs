//! Any result: its members, one below the other, and lists of like things as tables.

use serde_json::{Map, Value};

use crate::cli::table::Table;

/// Columns of a table; what does not fit is in the JSON.
const COLUMNS: usize = 7;

/// Characters of one cell.
const CELL: usize = 60;

pub(super) fn of(result: &Value) -> Vec<String> {
    let Value::Object(members) = result else { return vec![cell(result)] };
    let mut lines = Vec::new();
    write(members, 0, &mut lines);
    lines
}

fn write(members: &Map<String, Value>, depth: usize, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    let below = |text: &str| text.lines().map(|line| format!("{indent}  {line}")).collect::<Vec<_>>();
    for (name, value) in members {
        match value {
            Value::Object(inner) if is_flat(inner) => {
                let parts: Vec<_> =
                    inner.iter().map(|(name, value)| format!("{name} {}", cell(value))).collect();
                lines.push(format!("{indent}{name}: {}", parts.join(", ")));
            }
            Value::Object(inner) => {
                lines.push(format!("{indent}{name}:"));
                write(inner, depth + 1, lines);
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                lines.extend([String::new(), format!("{indent}{name}:")]);
                lines.extend(below(&table(items).to_string()));
                lines.push(String::new());
            }
            Value::String(long) if long.contains('\n') => {
                lines.push(format!("{indent}{name}:"));
                lines.extend(below(long));
            }
            value => lines.push(format!("{indent}{name}: {}", plain(value))),
        }
    }
}

fn is_flat(members: &Map<String, Value>) -> bool {
    members.len() <= COLUMNS && members.values().all(|value| !value.is_object() && !value.is_array())
}

/// What says which thing a row is about; other columns follow by their names, for members have no order here.
const FIRST: [&str; 9] = ["file", "path", "range", "line", "namespace", "key", "id", "name", "status"];

/// One row for each; the columns are the members of the first rows.
fn table(items: &[Value]) -> Table {
    let mut names: Vec<&str> = Vec::new();
    for member in items.iter().take(20).filter_map(Value::as_object).flat_map(Map::keys) {
        if !names.contains(&member.as_str()) {
            names.push(member);
        }
    }
    names.sort_by_key(|name| FIRST.iter().position(|first| first == name).unwrap_or(FIRST.len()));
    names.truncate(COLUMNS);
    let numbers = |name: &&str| items.iter().any(|item| item[*name].is_number());
    let right: Vec<usize> = (0..names.len()).filter(|&at| numbers(&names[at])).collect();
    let mut table = Table::new(&names).right(right);
    for item in items {
        table.row(names.iter().map(|name| cell(&item[*name])));
    }
    table
}

fn cell(value: &Value) -> String {
    let text = plain(value);
    match text.char_indices().nth(CELL) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "–".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "none".into(),
        Value::Array(items) if items.iter().all(|item| item.is_string() || item.is_number()) => {
            items.iter().map(plain).collect::<Vec<_>>().join(", ")
        }
        Value::Object(members) if is_flat(members) => members
            .iter()
            .map(|(name, value)| format!("{name} {}", plain(value)))
            .collect::<Vec<_>>()
            .join(", "),
        other => other.to_string(),
    }
}
