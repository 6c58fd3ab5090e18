//! Result files: what one recording found, on which machine and how; and tables made from them.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::Result;
use crate::report::{Cell, Goal, Section};
use crate::stats::{Ratio, Spread};

/// What stands before and after a generated part of a page.
const ALL: &str = "<!-- results -->";
const TABLE: &str = "<!-- table ";
const END: &str = "<!-- end -->";

/// What one recording found.
#[derive(Debug, Clone)]
pub(crate) struct Recording {
    /// The file's content.
    pub(crate) all: Value,
}

/// A section of a recording.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) key: String,
    pub(crate) title: String,
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

/// The folder of this crate, and the one above with the project's pages.
pub(crate) fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A section for a result file.
pub(crate) fn to_json(key: &str, section: &Section) -> Value {
    let columns = section.columns.iter().enumerate().map(|(at, name)| {
        let digits = section.rows.iter().find_map(|row| match row.get(at) {
            Some(Cell::Figure(_, digits) | Cell::Ratio(_, digits)) => Some(*digits),
            _ => None,
        });
        json!({ "name": name, "digits": digits })
    });
    let mut all = Map::new();
    all.insert("key".into(), json!(key));
    all.insert("columns".into(), columns.collect());
    let Value::Object(rest) = section.json() else { return Value::Object(all) };
    all.extend(rest);
    Value::Object(all)
}

impl Recording {
    /// The newest one that is kept: files are named by their date.
    pub(crate) fn latest() -> Result<Self> {
        let entries = fs::read_dir(folder().join("results"))?.collect::<std::io::Result<Vec<_>>>()?;
        let paths = entries.into_iter().map(|entry| entry.path());
        let path: PathBuf = paths
            .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
            .max()
            .ok_or("no result file in bench/results")?;
        let all = serde_json::from_str(&fs::read_to_string(&path)?)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { all })
    }

    /// Its sections in their order.
    pub(crate) fn tables(&self) -> Vec<Table> {
        self.all["sections"].as_array().into_iter().flatten().filter_map(Table::of).collect()
    }

    /// The cell of a section by the first cell of its row and the name of its column.
    ///
    /// # Errors
    /// What of it is not there.
    pub(crate) fn cell(&self, key: &str, row: &str, column: &str) -> std::result::Result<Cell, String> {
        let mut tables = self.tables();
        let table = tables.iter_mut().find(|table| table.key == key).ok_or(format!("no section {key:?}"))?;
        let at = table.columns.iter().position(|name| name == column);
        let at = at.ok_or(format!("no column {column:?} in {key}"))?;
        let named = |cells: &&Vec<Cell>| matches!(cells.first(), Some(Cell::Text(name)) if name == row);
        let cells = table.rows.iter().find(named).ok_or(format!("no row {row:?} in {key}"))?;
        Ok(cells[at].clone())
    }

    /// A page with its generated parts made anew.
    ///
    /// # Errors
    /// If a part has no end, or a table is asked for that there is not.
    pub(crate) fn fill(&self, page: &str) -> Result<String> {
        let mut out = String::new();
        let mut rest = page;
        while let Some(start) = [ALL, TABLE].iter().filter_map(|mark| rest.find(mark)).min() {
            let line = start + rest[start..].find("-->").ok_or("a mark has no end")? + 3;
            let (mark, after) = (&rest[start..line], &rest[line..]);
            let end = after.find(END).ok_or_else(|| format!("no {END} after {mark}"))?;
            out += &rest[..line];
            let part = match mark.strip_prefix(TABLE) {
                Some(wanted) => self.excerpt(wanted.trim_end_matches("-->").trim())?,
                None => self.everything(),
            };
            let _ = write!(out, "\n\n{}\n\n{END}", part.trim_end());
            rest = &after[end + END.len()..];
        }
        Ok(out + rest)
    }

    /// Some columns of a table: `KEY: COLUMN, COLUMN`.
    fn excerpt(&self, wanted: &str) -> Result<String> {
        let (key, columns) = wanted.split_once(':').ok_or_else(|| format!("no columns in {wanted:?}"))?;
        let tables = self.tables();
        let table =
            tables.iter().find(|table| table.key == key).ok_or_else(|| format!("no section {key:?}"))?;
        let at = columns.split(',').map(|name| {
            let at = table.columns.iter().position(|column| column == name.trim());
            at.ok_or_else(|| format!("no column {name:?} in {key}").into())
        });
        let mut text = table.markdown(&at.collect::<Result<Vec<_>>>()?, false);
        if self.all["provisional"].is_string() {
            text += "\nProvisional figures, of a machine that did other work meanwhile.\n";
        }
        Ok(text)
    }

    fn everything(&self) -> String {
        let text = |pointer: &str| match self.all.pointer(pointer) {
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => "unknown".into(),
        };
        let mut page = format!(
            "Recorded {} in {} minutes. {}, {} processors, {} GiB of memory, Linux {}; aqe-v3 {} at commit {}, {}, Node.js {}, \
             Python {}.\n",
            text("/recorded"),
            text("/minutes"),
            text("/machine/cpu"),
            text("/machine/processors"),
            text("/machine/memory_gib"),
            text("/machine/kernel"),
            text("/versions/aqe-v3"),
            text("/versions/commit"),
            text("/versions/rustc"),
            text("/versions/node"),
            text("/versions/python"),
        );
        if let Some(reason) = self.all["provisional"].as_str() {
            let _ = write!(page, "\n**Provisional:** {reason}\n");
        }
        for table in self.tables() {
            let all: Vec<usize> = (0..table.columns.len()).collect();
            let _ =
                write!(page, "\n#### `{}`\n\n{}.\n\n{}", table.key, table.title, table.markdown(&all, true));
        }
        page
    }
}

impl Table {
    fn of(section: &Value) -> Option<Self> {
        let columns = section["columns"].as_array()?;
        let named = |column: &Value| column["name"].as_str().map(str::to_owned);
        let names = columns.iter().map(named).collect::<Option<Vec<_>>>()?;
        let cells = |row: &Value| {
            let cells = columns.iter().zip(&names);
            cells
                .map(|(column, name)| cell(&row[name], column["digits"].as_u64().unwrap_or(0) as usize))
                .collect()
        };
        let rows = section["rows"].as_array()?.iter().map(cells).collect();
        let text = |name: &str| section[name].as_str().map(str::to_owned);
        Some(Self { key: text("key")?, title: text("title")?, columns: names, rows })
    }

    /// Some columns of it, figures with or without the range in which they lie. Columns in which nothing stands are left
    /// out.
    fn markdown(&self, columns: &[usize], ranges: bool) -> String {
        let print = |cell: &Cell| {
            let text = cell.print();
            let short = match cell {
                Cell::Figure(..) | Cell::Ratio(..) if !ranges => text.split(" (").next().unwrap_or_default(),
                _ => text.as_str(),
            };
            short.replace('|', "\\|").replace('<', "&lt;")
        };
        let filled = |at: &&usize| self.rows.iter().any(|row| !print(&row[**at]).is_empty());
        let columns: Vec<usize> = columns.iter().filter(filled).copied().collect();
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut text = line(columns.iter().map(|at| self.columns[*at].replace('_', " ")).collect());
        text += &line(columns.iter().map(|_| "---".to_owned()).collect());
        for row in &self.rows {
            text += &line(columns.iter().map(|at| print(&row[*at])).collect());
        }
        text
    }
}

/// A cell as [`Section::json`] has written it.
fn cell(value: &Value, digits: usize) -> Cell {
    let number = |name: &str| value[name].as_f64();
    if let (Some(median), Some(min), Some(max)) = (number("median"), number("min"), number("max")) {
        return Cell::Figure(Spread { median, min, max }, digits);
    }
    if let (Some(ratio), Some(low), Some(high)) = (number("ratio"), number("low"), number("high")) {
        return Cell::Ratio(Ratio { ratio, low, high }, digits);
    }
    // What was met is kept as a figure at its limit: the figure itself is in another column.
    let met = value["met"].as_bool().unwrap_or(false);
    let goal = |limit: f64, sign: f64| if met { limit } else { limit + sign * limit.abs().max(1.0) };
    if let Some(limit) = number("at_most") {
        return Cell::Goal(Some(Goal::AtMost(goal(limit, 1.0), limit)));
    }
    if let Some(limit) = number("at_least") {
        return Cell::Goal(Some(Goal::AtLeast(goal(limit, -1.0), limit)));
    }
    value.as_str().map_or(Cell::Goal(None), Cell::text)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A recording with one section.
    pub(crate) fn recording() -> Recording {
        let section = Section {
            title: "calls".into(),
            columns: vec!["case", "ratio", "goal", "times", "note"],
            rows: vec![
                vec![
                    Cell::text("ping"),
                    Cell::Figure(Spread { median: 1.25, min: 1.0, max: 1.5 }, 2),
                    Cell::Goal(Some(Goal::AtMost(1.25, 1.3))),
                    Cell::Ratio(Ratio { ratio: 4.44, low: 4.0, high: 5.0 }, 1),
                    Cell::text(""),
                ],
                vec![
                    Cell::text("a|b"),
                    Cell::Figure(Spread::exactly(12_345.0), 2),
                    Cell::Goal(Some(Goal::AtLeast(1.0, 2.0))),
                    Cell::text("–"),
                    Cell::text(""),
                ],
            ],
        };
        Recording { all: json!({ "sections": [to_json("calls", &section)] }) }
    }

    #[test]
    fn a_table_from_a_file_says_what_was_measured() {
        let page = "a\n<!-- table calls: case, ratio, goal, times -->\nold\n<!-- end -->\nb\n";
        let filled = recording().fill(page).unwrap();
        let expected = "a\n<!-- table calls: case, ratio, goal, times -->\n\n\
                        | case | ratio | goal | times |\n| --- | --- | --- | --- |\n\
                        | ping | 1.25 | ≤ 1.3 met | 4.4 |\n| a\\|b | 12345.00 | ≥ 2 MISSED | – |\n\n<!-- end -->\nb\n";
        assert_eq!(filled, expected);
        assert_eq!(recording().fill(&filled).unwrap(), filled);
        let all = recording().fill("<!-- results -->\n<!-- end -->").unwrap();
        assert!(all.contains("| ping | 1.25 (1.00..1.50) | ≤ 1.3 met | 4.4 (4.0..5.0) |\n"), "{all}");
        assert!(recording().fill("<!-- table none: x -->\n<!-- end -->").is_err());
        assert!(recording().fill("<!-- results -->").is_err());
    }

    #[test]
    fn the_tables_in_the_benchmarks_readme_are_those_of_the_latest_result() {
        let page = fs::read_to_string(folder().join("README.md")).unwrap();
        let filled = Recording::latest().unwrap().fill(&page).unwrap();
        assert!(page == filled, "run: cargo run --release -p aqe-bench -- tables");
    }
}
