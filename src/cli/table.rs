//! Columns, aligned.

use unicode_width::UnicodeWidthStr as _;

use super::output::printable;

/// Rows under a heading. A column is as wide as its widest cell; the last one is not padded.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    /// The columns whose cells stand to the right.
    right: Vec<usize>,
}

impl Table {
    /// A table with this heading.
    pub(super) fn new(heading: &[&str]) -> Self {
        Self { rows: vec![heading.iter().map(|&cell| cell.to_owned()).collect()], right: Vec::new() }
    }

    /// Lets the cells of these columns stand to the right.
    pub(super) fn right(self, columns: impl IntoIterator<Item = usize>) -> Self {
        Self { right: columns.into_iter().collect(), ..self }
    }

    /// Adds a row with as many cells as the heading has.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| printable(&cell).replace('\n', " ")).collect());
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for (at, row) in self.rows.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let fill = std::iter::repeat_n(' ', width - cell.width());
                if self.right.contains(&column) {
                    line.extend(fill);
                    line.push_str(cell);
                } else {
                    line.push_str(cell);
                    line.extend(fill);
                }
                line.push_str("  ");
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

    #[test]
    fn figures_stand_to_the_right_and_wide_letters_count_twice() {
        let mut table = Table::new(&["name", "calls", "why"]).right([1]);
        table.row(["漢字".into(), "7".into(), "x".into()]);
        table.row(["a".into(), "123456".into(), String::new()]);
        assert_eq!(table.to_string(), "name   calls  why\n漢字       7  x\na     123456");
    }
}
