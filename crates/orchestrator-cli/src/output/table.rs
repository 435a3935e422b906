//! Results that people compare: aligned columns, no frame, so that they paste well.

use lock_model::escaping::escape_terminal;

/// Rows under headings.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new<S: AsRef<str>>(headings: &[S]) -> Self {
        let headings = headings.iter().map(|heading| escape_terminal(heading.as_ref())).collect();
        Self { headings, rows: Vec::new() }
    }

    /// Adds a row; control characters in a cell are shown, not sent to the terminal.
    pub(crate) fn row<I>(&mut self, cells: I)
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.rows.push(cells.into_iter().map(|cell| escape_terminal(cell.as_ref())).collect());
    }

    /// True where there is no row.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The aligned text, each line ended by a line feed.
    pub(crate) fn render(&self) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_content_arrangement(comfy_table::ContentArrangement::Disabled);
        table.set_header(self.headings.iter().map(|heading| heading.to_ascii_uppercase()));
        for row in &self.rows {
            table.add_row(row);
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let mut text = String::new();
        for line in table.lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}
