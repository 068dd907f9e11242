//! Tables of text whose columns are aligned.

/// How the cells of a column are aligned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Align {
    Left,
    Right,
}

/// A table being filled in. It is as wide as it has to be.
pub struct Table {
    columns: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub fn new(columns: impl IntoIterator<Item = Align>) -> Table {
        Table {
            columns: columns.into_iter().collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; cells at its end may be missing.
    pub fn row<const N: usize>(&mut self, cells: [&str; N]) {
        self.rows.push(cells.map(str::to_owned).to_vec());
    }

    /// The lines, each behind `indent`.
    pub fn render(&self, indent: &str) -> String {
        let mut widths = vec![0; self.columns.len()];
        for row in &self.rows {
            // The last cell of a short row may stick out; it has nothing beside it.
            let last = row.len().saturating_sub(1);
            let short = row.len() < self.columns.len();
            for (index, (width, cell)) in widths.iter_mut().zip(row).enumerate() {
                if !(short && index == last) {
                    *width = (*width).max(cell.chars().count());
                }
            }
        }
        let mut text = String::new();
        for row in &self.rows {
            let mut line = indent.to_owned();
            for ((cell, align), width) in row.iter().zip(&self.columns).zip(&widths) {
                let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
                match align {
                    Align::Left => line.extend([cell, padding.as_str(), "  "]),
                    Align::Right => line.extend([padding.as_str(), cell, "  "]),
                }
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new([Align::Left, Align::Right, Align::Left]);
        table.row(["tier", "µs", "name"]);
        table.row(["0", "1,000", "f"]);
        table.row(["a much longer cell"]);
        assert_eq!(
            table.render("  "),
            "  tier     µs  name\n  0     1,000  f\n  a much longer cell\n"
        );
    }
}
