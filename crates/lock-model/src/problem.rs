use std::fmt;

use crate::escaping::{escape_short, escape_terminal, mask_credentials_in_place};

/// How many characters of a long line are shown around the place.
const SHOWN_BEFORE: usize = 60;
const SHOWN_AFTER: usize = 60;
/// How many characters of a message are shown; a value in it can be as long as the file.
const LONGEST: usize = 1000;

/// One fault of an input: what is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    at: Option<Position>,
    keys: Vec<String>,
    message: String,
    excerpt: String,
}

/// A place in a text: line and column from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Position {
    pub(crate) const START: Self = Self { line: 1, column: 1 };

    /// The place of a byte in a text.
    pub(crate) fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Self { line, column }
    }
}

impl Problem {
    /// At a key, without a text that it stands in.
    pub(crate) fn at_keys(keys: &[&str], message: &str) -> Self {
        Self::new("", None, keys.iter().map(|&key| key.to_owned()).collect(), message)
    }

    pub(crate) fn new(text: &str, at: Option<Position>, keys: Vec<String>, message: &str) -> Self {
        let excerpt = at.map(|at| excerpt(text, at)).unwrap_or_default();
        Self { at, keys, message: escape_short(message, LONGEST), excerpt }
    }

    /// The line, from 1; absent when the problem is about the whole file, or the input is not a file.
    pub fn line(&self) -> Option<usize> {
        self.at.map(|at| at.line)
    }

    /// The column in characters, from 1; absent as the line is.
    pub fn column(&self) -> Option<usize> {
        self.at.map(|at| at.column)
    }

    /// The keys that lead to the value; a position in a list is a number from 0.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// The keys as text, such as `services.cart.image.digest`; empty at the top.
    pub fn path(&self) -> String {
        escape_short(self.keys.join("."), LONGEST)
    }

    /// What is wrong, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The line and a caret under the place; empty where there is no line.
    pub fn excerpt(&self) -> &str {
        &self.excerpt
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = self.at {
            write!(f, "{}:{}: ", at.line, at.column)?;
        }
        if !self.keys.is_empty() {
            write!(f, "`{}`: ", self.path())?;
        }
        f.write_str(&self.message)?;
        if !self.excerpt.is_empty() {
            write!(f, "\n{}", self.excerpt)?;
        }
        Ok(())
    }
}

/// Problems as the text of one error: each begins a line.
pub fn one_per_line<P: fmt::Display>(problems: &[P]) -> String {
    problems.iter().map(P::to_string).collect::<Vec<_>>().join("\n")
}

/// The line with its number and a caret below the column.
fn excerpt(text: &str, at: Position) -> String {
    let line = text.split('\n').nth(at.line - 1).unwrap_or_default();
    let column = at.column - 1;
    // Before the line is cut: the column may lie within a password.
    let line = mask_credentials_in_place(line);
    let after: String = line.chars().skip(column).collect();
    let before: String = line.chars().take(column).collect();
    let start = before.chars().count().saturating_sub(SHOWN_BEFORE);
    let shown_before = escape_terminal(&before.chars().skip(start).collect::<String>());
    let shown_after = escape_terminal(&after.chars().take(SHOWN_AFTER).collect::<String>());
    let more_before = if start > 0 { "…" } else { "" };
    let more_after = if after.chars().nth(SHOWN_AFTER).is_some() { "…" } else { "" };
    let number = at.line.to_string();
    let margin = " ".repeat(number.len());
    let space = if line.is_empty() { "" } else { " " };
    let indent = " ".repeat(more_before.chars().count() + shown_before.chars().count());
    format!("{margin} |\n{number} |{space}{more_before}{shown_before}{shown_after}{more_after}\n{margin} | {indent}^")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t36_an_excerpt_escapes_what_a_terminal_would_obey() {
        let text = "a: 1\nb: \u{1b}[31mred\u{202e}\r\n";
        assert_eq!(
            excerpt(text, Position { line: 2, column: 9 }),
            "  |\n2 | b: \\u{1b}[31mred\\u{202e}\\r\n  |              ^"
        );
    }

    #[test]
    fn credentials_are_hidden_in_an_excerpt() {
        let cut = format!("url: https://{}:secret@host/a", "u".repeat(200));
        assert!(!excerpt(&cut, Position { line: 1, column: 6 }).contains("uuu"));
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let line = format!("{}X{}", "a".repeat(500), "b".repeat(500));
        let shown = excerpt(&line, Position { line: 1, column: 501 });
        assert_eq!(shown, format!("  |\n1 | …{}X{}…\n  | {}^", "a".repeat(60), "b".repeat(59), " ".repeat(61)));
    }
}
