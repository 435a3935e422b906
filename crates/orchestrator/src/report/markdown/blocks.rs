//! Pieces of Markdown. Cells and paragraphs are Markdown already: foreign text went through `text` before.

use std::fmt::Write as _;

/// The longest comment that is written; forges take a little more.
pub const MAX_COMMENT_CHARACTERS: usize = 65_000;

/// A table; nothing where there are no rows.
pub(super) fn table(headers: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut text = String::new();
    row(&mut text, headers.iter().map(|header| (*header).to_owned()));
    row(&mut text, headers.iter().map(|_| "---".to_owned()));
    for cells in rows {
        row(&mut text, cells.iter().map(|cell| escape_pipes(cell)));
    }
    text
}

/// A list; nothing where there are no items.
pub(super) fn list(items: &[String]) -> String {
    let mut text = String::new();
    for item in items {
        writeln!(text, "- {item}").expect("a string takes everything");
    }
    text
}

/// A heading and what belongs to it; nothing where there is nothing.
pub(super) fn section(heading: &str, body: &str) -> String {
    if body.is_empty() { String::new() } else { format!("\n### {heading}\n\n{body}") }
}

/// Cuts Markdown at the end of a line so that it has at most `most` characters, and says how much was left out and where
/// it can be read. What comes first stays.
pub fn limited(text: &str, most: usize, rest_is_in: &str) -> String {
    let total = text.chars().count();
    if total <= most {
        return text.to_owned();
    }
    let notice = |lines: usize| format!("\n*{lines} more lines were left out: {rest_is_in}.*\n");
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let room = most.saturating_sub(notice(lines.len()).chars().count() + CLOSING_FENCE.len());
    let mut kept = String::new();
    let mut used = 0;
    let mut count = 0;
    for line in &lines {
        let length = line.chars().count();
        if used + length > room {
            break;
        }
        used += length;
        count += 1;
        kept.push_str(line);
    }
    let fences = kept.lines().filter(|line| line.starts_with("```")).count();
    if fences % 2 == 1 {
        kept.push_str(CLOSING_FENCE);
    }
    kept.push_str(&notice(lines.len() - count));
    kept
}

const CLOSING_FENCE: &str = "```\n";

fn row(text: &mut String, cells: impl Iterator<Item = String>) {
    text.push('|');
    for cell in cells {
        write!(text, " {cell} |").expect("a string takes everything");
    }
    text.push('\n');
}

/// A pipe ends a cell even inside a code span, unless it is escaped.
fn escape_pipes(cell: &str) -> String {
    let mut escaped = String::with_capacity(cell.len());
    let mut backslashes = 0;
    for character in cell.chars() {
        match character {
            '|' if backslashes % 2 == 0 => escaped.push_str("\\|"),
            '\n' => escaped.push(' '),
            other => escaped.push(other),
        }
        backslashes = if character == '\\' { backslashes + 1 } else { 0 };
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b44_a_long_text_is_cut_at_a_line_end_and_keeps_its_head() {
        let text: String = (0..10_000).fold("head\n".to_owned(), |mut text, number| {
            writeln!(text, "| line {number} with an ü |").unwrap();
            text
        });
        let cut = limited(&text, 1000, "in the artefact");
        assert!(cut.chars().count() <= 1000);
        assert!(cut.starts_with("head\n| line 0 with an ü |\n"));
        assert!(cut.lines().all(|line| line.is_empty()
            || line == "head"
            || line.ends_with('|')
            || line.ends_with("more lines were left out: in the artefact.*")));
        assert_eq!(limited("short\n", 1000, "x"), "short\n");
    }

    #[test]
    fn b44_an_open_code_block_is_closed() {
        let text = format!("head\n```text\n{}```\n", "x\n".repeat(1000));
        let cut = limited(&text, 200, "elsewhere");
        assert!(cut.chars().count() <= 200);
        assert_eq!(cut.lines().filter(|line| line.starts_with("```")).count(), 2);
    }

    #[test]
    fn t37_a_pipe_stays_in_its_cell() {
        assert_eq!(table(&["a"], &[vec!["`x|y` \\| z".to_owned()]]), "| a |\n| --- |\n| `x\\|y` \\| z |\n");
    }
}
