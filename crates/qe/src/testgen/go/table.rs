//! Several cases of one function as one table test.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::super::candidates::Block;
use super::super::files;
use super::items::Call;
use super::{Titles, imports};

/// One case of a function that returns.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// Which of the functions it is of.
    pub(super) call: usize,
    pub(super) values: Vec<String>,
    /// What is said of its results, as a literal.
    pub(super) want: String,
}

/// Of each test that may be a row, its text and the row.
pub(super) type Rows = BTreeMap<String, Row>;

/// The tests of a file: functions with several cases that return have them in a table. A row is called by the number that
/// the test has in the result.
pub(super) fn tests(kept: &[Block], calls: &[Call], rows: &Rows, titles: Titles) -> Vec<String> {
    let named = files::named(kept);
    let mut of_call: BTreeMap<usize, Vec<(&str, &Row)>> = BTreeMap::new();
    for (block, (name, _)) in kept.iter().zip(&named) {
        let number = name.rsplit('_').next().unwrap_or_default();
        let row = rows.get(&block.strong).filter(|row| {
            calls.get(row.call).is_some_and(|call| call.receiver.is_none()) && number.parse::<u32>().is_ok()
        });
        if let Some(row) = row {
            of_call.entry(row.call).or_default().push((number, row));
        }
    }
    of_call.retain(|_, rows| rows.len() > 1);
    let mut done: BTreeSet<usize> = BTreeSet::new();
    let mut found = Vec::new();
    for (block, (name, text)) in kept.iter().zip(&named) {
        let row = rows.get(&block.strong);
        match row.and_then(|row| Some((row.call, calls.get(row.call)?, of_call.get(&row.call)?))) {
            Some((number, call, rows)) => {
                if done.insert(number) {
                    found.push(table(call, rows, titles));
                }
            }
            None => found.push(text.replacen(name, &titles.title(name), 1)),
        }
    }
    found
}

/// A whole test file of these tests.
pub(super) fn whole(head: &str, package: &str, tests: &[String]) -> String {
    format!("{head}\n\npackage {package}\n\n{}\n{}", imports(tests), tests.join("\n"))
}

fn table(call: &Call, rows: &[(&str, &Row)], titles: Titles) -> String {
    let mut fields: Vec<(String, String)> = Vec::new();
    for (at, kind) in call.parameters.iter().enumerate() {
        let name = call.names.get(at).map_or("_", String::as_str);
        let is_taken = matches!(name, "_" | "name" | "want") || fields.iter().any(|(other, _)| other == name);
        let name = if is_taken { format!("a{at}") } else { name.to_owned() };
        fields.push((name, kind.trim_start_matches("...").to_owned()));
    }
    let arguments: Vec<String> = fields.iter().map(|(name, _)| format!("tt.{name}")).collect();
    let (called, said) = call.called(&arguments, 'v');
    let Some(said) = said else { return String::new() };
    let mut all = vec![("name".to_owned(), "string".to_owned())];
    all.extend(fields.iter().cloned());
    all.push(("want".into(), "string".into()));
    // As gofmt aligns them.
    let width = all.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let mut text = format!(
        "func {}(t *testing.T) {{\n\ttests := []struct {{\n",
        titles.title(&format!("test_{}", call.name))
    );
    for (name, kind) in &all {
        let _ = writeln!(text, "\t\t{name:<width$} {kind}");
    }
    text.push_str("\t}{\n");
    for (name, row) in rows {
        let values: Vec<String> =
            row.values.iter().zip(&fields).map(|(value, (_, kind))| plain(value, kind)).collect();
        let mut parts = vec![format!("\"{name}\"")];
        parts.extend(values);
        parts.push(row.want.clone());
        let _ = writeln!(text, "\t\t{{{}}},", parts.join(", "));
    }
    let _ = write!(
        text,
        "\t}}\n\tfor _, tt := range tests {{\n\t\tt.Run(tt.name, func(t *testing.T) {{\n\t\t\t{called}\n\
         \t\t\tif got := {said}; got != tt.want {{\n\t\t\t\tt.Errorf(\"got %s, want %s\", got, tt.want)\n\t\t\t}}\n\t\t}})\n\t}}\n}}\n"
    );
    text
}

/// A number needs no conversion where the field has its type.
fn plain(value: &str, kind: &str) -> String {
    let inner = value.strip_prefix(kind).and_then(|rest| rest.strip_prefix('(')?.strip_suffix(')'));
    let is_number =
        |text: &&str| text.trim_start_matches('-').chars().all(|one| one.is_ascii_digit() || one == '.');
    inner.filter(is_number).unwrap_or(value).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_of_a_function_are_rows_of_one_test() {
        let call = Call {
            target: "Price".into(),
            name: "Price".into(),
            receiver: None,
            names: vec!["size".into(), "name".into()],
            parameters: vec!["string".into(), "int".into()],
            results: vec!["int".into()],
            values: Vec::new(),
            is_out: false,
        };
        let row = |values: [&str; 2], want: &str| Row {
            call: 0,
            values: values.map(str::to_owned).to_vec(),
            want: want.into(),
        };
        let (first, second) = (row(["\"a\"", "int(-3)"], "\"0\""), row(["\"b\"", "int(4)"], "\"9\""));
        let text = table(&call, &[("1", &first), ("2", &second)], Titles(None));
        for part in [
            "func TestPriceCharacterization(t *testing.T) {",
            "\t\tname string\n\t\tsize string\n\t\ta1   int\n\t\twant string\n",
            "{\"1\", \"a\", -3, \"0\"},",
            "r0 := Price(tt.size, tt.a1)",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
