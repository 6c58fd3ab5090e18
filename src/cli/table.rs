//! Columns, aligned.

use super::output::printable;

/// Rows under a heading. A column is as wide as its widest cell; the last one is not padded.
#[derive(Debug)]
pub(super) struct Table(Vec<Vec<String>>);

impl Table {
    /// A table with this heading.
    pub(super) fn new(heading: &[&str]) -> Self {
        Self(vec![heading.iter().map(|&cell| cell.to_owned()).collect()])
    }

    /// Adds a row with as many cells as the heading has.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.0.push(cells.into_iter().map(|cell| printable(&cell).replace('\n', " ")).collect());
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns = self.0.first().map_or(0, Vec::len);
        let width = |column: usize| {
            self.0
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for (at, row) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', width + 2 - cell.chars().count()));
            }
            f.write_str(line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_have_no_tail() {
        let mut table = Table::new(&["name", "calls"]);
        table.row(["é".into(), "12".into()]);
        table.row(["longer\u{1b}[2J".into(), String::new()]);
        assert_eq!(table.to_string(), "name        calls\né           12\nlonger\u{fffd}[2J");
    }
}
