use std::fmt;

use crate::ErrorClass;

/// How many characters of a long line are shown around the fault.
const SHOWN_BEFORE: usize = 60;
const SHOWN_AFTER: usize = 60;

/// A place in a text: line and column from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Position {
    pub(super) const START: Self = Self { line: 1, column: 1 };
}

/// A lock file that cannot be used, and where it fails.
///
/// Its text names file, line, column and the path of keys, and shows the line:
///
/// ```text
/// locks/lock.yaml:23:15: `services.cart.image.digest`: `sha256:12` is not a valid digest: …
///    |
/// 23 |       digest: sha256:12
///    |               ^
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError {
    pub(super) file: String,
    pub(super) kind: ReadErrorKind,
    pub(super) faults: Vec<Fault>,
    pub(super) hint: Option<&'static str>,
}

/// In which way a lock file cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReadErrorKind {
    /// More bytes or more values than any lock has; nothing was looked at.
    TooLarge,
    /// Not UTF-8.
    NotText,
    /// Not YAML, or YAML with what a lock never uses: anchors, aliases, tags, merge keys, duplicate keys.
    Unreadable,
    /// No version, or one that this program does not know.
    UnknownVersion,
    /// A field is missing, unknown or wrong, or parts contradict each other.
    Invalid,
    /// Not the bytes that the writer would write: a hand edit, another line ending.
    NotCanonical,
    /// The id is not that of the content: what is pinned was changed by hand.
    WrongId,
}

/// One fault of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    at: Option<Position>,
    keys: Vec<String>,
    message: String,
    excerpt: String,
}

impl ReadError {
    /// In which way the file cannot be used.
    pub fn kind(&self) -> ReadErrorKind {
        self.kind
    }

    /// The file's name as it was handed in.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Line of the first fault, from 1; absent when it is about the whole file.
    pub fn line(&self) -> Option<usize> {
        self.faults.first().and_then(Fault::line)
    }

    /// Column of the first fault in characters, from 1; absent when it is about the whole file.
    pub fn column(&self) -> Option<usize> {
        self.faults.first().and_then(Fault::column)
    }

    /// Path of the first fault, such as `services.cart.image.digest`; empty at the top.
    pub fn path(&self) -> String {
        self.faults.first().map(Fault::path).unwrap_or_default()
    }

    /// Every fault that was found; at least one.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        self.hint
    }

    /// Always [`ErrorClass::Invalid`]: the same bytes stay wrong.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

impl Fault {
    pub(super) fn new(text: &str, at: Option<Position>, keys: Vec<String>, message: String) -> Self {
        let excerpt = at.map(|at| excerpt(text, at)).unwrap_or_default();
        Self { at, keys, message: visible(&message), excerpt }
    }

    /// The line, from 1.
    pub fn line(&self) -> Option<usize> {
        self.at.map(|at| at.line)
    }

    /// The column in characters, from 1.
    pub fn column(&self) -> Option<usize> {
        self.at.map(|at| at.column)
    }

    /// The path of keys, such as `services.cart.image.digest`; a position in a list is a number from 0.
    pub fn path(&self) -> String {
        visible(&self.keys.join("."))
    }

    /// What is wrong, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The line and a caret under the place; empty when the fault is about the whole file.
    pub fn excerpt(&self) -> &str {
        &self.excerpt
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&self.file)?;
            if let Some(at) = fault.at {
                write!(f, ":{}:{}", at.line, at.column)?;
            }
            f.write_str(": ")?;
            if !fault.keys.is_empty() {
                write!(f, "`{}`: ", fault.path())?;
            }
            f.write_str(&fault.message)?;
            if !fault.excerpt.is_empty() {
                write!(f, "\n{}", fault.excerpt)?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ReadError {}

/// The line with its number and a caret below the column.
fn excerpt(text: &str, at: Position) -> String {
    let line = text.split('\n').nth(at.line - 1).unwrap_or_default();
    let column = at.column - 1;
    let start = column.saturating_sub(SHOWN_BEFORE);
    let shown_before: String = line.chars().skip(start).take(column - start).flat_map(visible_char).collect();
    let shown_after: String = line.chars().skip(column).take(SHOWN_AFTER).flat_map(visible_char).collect();
    let more_before = if start > 0 { "…" } else { "" };
    let more_after = if line.chars().count() > column + SHOWN_AFTER { "…" } else { "" };
    let number = at.line.to_string();
    let margin = " ".repeat(number.len());
    let indent = " ".repeat(more_before.chars().count() + shown_before.chars().count());
    format!("{margin} |\n{number} | {more_before}{shown_before}{shown_after}{more_after}\n{margin} | {indent}^",)
}

/// Text from a file, safe for a terminal: what it cannot show or would obey is escaped.
pub(super) fn visible(text: &str) -> String {
    text.chars().flat_map(visible_char).collect()
}

fn visible_char(c: char) -> impl Iterator<Item = char> {
    let escaped = crate::identifier::is_hidden(c);
    let (escape, plain) = if escaped { (Some(c.escape_default()), None) } else { (None, Some(c)) };
    escape.into_iter().flatten().chain(plain)
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
    fn a_long_line_is_cut_around_the_fault() {
        let line = format!("{}X{}", "a".repeat(500), "b".repeat(500));
        let shown = excerpt(&line, Position { line: 1, column: 501 });
        assert_eq!(shown, format!("  |\n1 | …{}X{}…\n  | {}^", "a".repeat(60), "b".repeat(59), " ".repeat(61)));
    }
}
