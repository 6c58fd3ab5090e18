//! Tables for people, and the same as JSON.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::stats::{Ratio, Spread};

/// How much wider than its lower end an interval may be before it is not shown.
const UNCLEAR: f64 = 100.0;

/// One cell.
#[derive(Debug, Clone)]
pub(crate) enum Cell {
    /// A name.
    Text(String),
    /// A figure with this many digits after the point; the range is shown where there is one.
    Figure(Spread, usize),
    /// A ratio with its interval, and digits.
    Ratio(Ratio, usize),
    /// What design.md 8 asks for, and whether it is so.
    Goal(Option<Goal>),
}

/// A limit on a figure.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    /// The figure, and the most that it may be.
    AtMost(f64, f64),
    /// The figure, and the least that it may be.
    AtLeast(f64, f64),
}

impl Goal {
    /// Whether it is so.
    pub(crate) fn is_met(self) -> bool {
        match self {
            Self::AtMost(figure, limit) => figure <= limit,
            Self::AtLeast(figure, limit) => figure >= limit,
        }
    }

    fn text(self) -> String {
        let (sign, limit) = match self {
            Self::AtMost(_, limit) => ('≤', limit),
            Self::AtLeast(_, limit) => ('≥', limit),
        };
        format!("{sign} {limit} {}", if self.is_met() { "met" } else { "MISSED" })
    }
}

impl Cell {
    /// A name.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A ratio, or a dash.
    pub(crate) fn ratio(ratio: Option<Ratio>, digits: usize) -> Self {
        ratio.map_or_else(|| Self::text("–"), |ratio| Self::Ratio(ratio, digits))
    }

    pub(crate) fn print(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            // Few rounds that lie far apart tell next to nothing.
            Self::Ratio(Ratio { ratio, low, high }, digits) if high / low > UNCLEAR => {
                format!("{ratio:.digits$} (unclear)")
            }
            Self::Ratio(Ratio { ratio, low, high }, digits) => {
                format!("{ratio:.digits$} ({low:.digits$}..{high:.digits$})")
            }
            Self::Figure(spread, digits) => {
                let middle = format!("{:.digits$}", spread.median);
                let (min, max) = (format!("{:.digits$}", spread.min), format!("{:.digits$}", spread.max));
                if min == max { middle } else { format!("{middle} ({min}..{max})") }
            }
            Self::Goal(goal) => goal.map(Goal::text).unwrap_or_default(),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Figure(spread, _) => json!(spread),
            Self::Ratio(ratio, _) => json!(ratio),
            Self::Goal(None) => Value::Null,
            Self::Goal(Some(goal)) => {
                let (key, limit) = match goal {
                    Goal::AtMost(_, limit) => ("at_most", limit),
                    Goal::AtLeast(_, limit) => ("at_least", limit),
                };
                json!({ key: limit, "met": goal.is_met() })
            }
        }
    }
}

/// A table.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) title: String,
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

impl Section {
    /// As JSON: each row an object by column.
    pub(crate) fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let members =
                self.columns.iter().zip(row).map(|(column, cell)| ((*column).to_owned(), cell.json()));
            Value::Object(members.collect::<Map<_, _>>())
        });
        json!({ "title": self.title, "rows": rows.collect::<Vec<_>>() })
    }

    /// Goals that are not met.
    pub(crate) fn missed(&self) -> usize {
        let missed = |cell: &&Cell| matches!(cell, Cell::Goal(Some(goal)) if !goal.is_met());
        self.rows.iter().flatten().filter(missed).count()
    }

    /// As text: names to the left, figures to the right.
    pub(crate) fn text(&self) -> String {
        let cells: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.iter().map(Cell::print).collect()).collect();
        let width = |column: usize| {
            let cells = cells.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain([self.columns[column].chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let line = |row: &mut dyn Iterator<Item = &str>, is_left: &dyn Fn(usize) -> bool| {
            let mut line = String::new();
            for (column, (cell, width)) in row.zip(&widths).enumerate() {
                // Writing to a string cannot fail.
                let _ = if is_left(column) {
                    write!(line, "{cell:<width$}  ")
                } else {
                    write!(line, "{cell:>width$}  ")
                };
            }
            line.trim_end().to_owned() + "\n"
        };
        let is_left = |column: usize| {
            self.rows
                .first()
                .and_then(|row| row.get(column))
                .is_none_or(|cell| !matches!(cell, Cell::Figure(..) | Cell::Ratio(..)))
        };
        let mut text = format!("{}\n", self.title);
        text += &line(&mut self.columns.iter().copied(), &is_left);
        for row in &cells {
            text += &line(&mut row.iter().map(String::as_str), &is_left);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_and_its_json_say_the_same() {
        let section = Section {
            title: "calls".into(),
            columns: vec!["case", "ratio", "goal"],
            rows: vec![
                vec![
                    Cell::text("ping"),
                    Cell::Figure(Spread { median: 1.25, min: 1.0, max: 1.5 }, 2),
                    Cell::Goal(Some(Goal::AtMost(1.25, 1.3))),
                ],
                vec![Cell::text("→"), Cell::Figure(Spread::exactly(2.0), 2), Cell::Goal(None)],
            ],
        };
        let expected = "calls\n\
                        case              ratio  goal\n\
                        ping  1.25 (1.00..1.50)  ≤ 1.3 met\n\
                        →                  2.00\n";
        assert_eq!(section.text(), expected);
        let json = section.json();
        assert_eq!(json["rows"][0]["ratio"]["median"], 1.25);
        assert_eq!(json["rows"][0]["goal"], json!({ "at_most": 1.3, "met": true }));
        assert_eq!(json["rows"][1]["goal"], Value::Null);
        assert!(!Goal::AtLeast(1.0, 2.0).is_met());
        assert_eq!(section.missed(), 0);
    }
}
