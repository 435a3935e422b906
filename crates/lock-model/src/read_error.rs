use std::fmt;

use crate::ErrorClass;
use crate::escaping::{escape_terminal, mask_credentials};

/// How many characters of a long line are shown around the fault.
const SHOWN_BEFORE: usize = 60;
const SHOWN_AFTER: usize = 60;

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

/// A file that cannot be used, and where it fails.
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
    pub(crate) file: String,
    pub(crate) kind: ReadErrorKind,
    pub(crate) faults: Vec<Fault>,
    pub(crate) hint: Option<&'static str>,
}

/// In which way a file cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReadErrorKind {
    /// More bytes or more values than any such file has; nothing was looked at.
    TooLarge,
    /// Not UTF-8.
    NotText,
    /// Broken syntax, or YAML with what a lock never uses: anchors, aliases, tags, merge keys, duplicate keys.
    Unreadable,
    /// No version, or one that this program does not know.
    UnknownVersion,
    /// A field is missing, unknown or wrong, or parts contradict each other.
    Invalid,
    /// A lock, but not the bytes that the writer would write: a hand edit, another line ending.
    NotCanonical,
    /// A lock whose id is not that of its content: what is pinned was changed by hand.
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
    /// About one place.
    pub(crate) fn at(file: &str, kind: ReadErrorKind, fault: Fault, hint: Option<&'static str>) -> Self {
        Self { file: file.to_owned(), kind, faults: vec![fault], hint }
    }

    /// About the size: nothing is shown.
    pub(crate) fn too_large(file: &str, bytes: usize, limit: usize) -> Self {
        let message = format!("the file has {bytes} bytes; at most {limit} are read");
        Self::at(file, ReadErrorKind::TooLarge, Fault::new("", None, Vec::new(), &message), None)
    }

    /// About the encoding.
    pub(crate) fn not_text(file: &str, bytes: &[u8], error: std::str::Utf8Error) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let at = Position::of(&text, error.valid_up_to());
        let fault = Fault::new(&text, Some(at), Vec::new(), "not UTF-8 from here on");
        Self::at(file, ReadErrorKind::NotText, fault, None)
    }

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
    pub(crate) fn new(text: &str, at: Option<Position>, keys: Vec<String>, message: &str) -> Self {
        let excerpt = at.map(|at| excerpt(text, at)).unwrap_or_default();
        Self { at, keys, message: escape_terminal(message), excerpt }
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
        escape_terminal(&self.keys.join("."))
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
    let after = mask_credentials(&line.chars().skip(column).collect::<String>()).into_owned();
    let before = mask_credentials(&line.chars().take(column).collect::<String>()).into_owned();
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
    fn a_long_line_is_cut_around_the_fault() {
        let line = format!("{}X{}", "a".repeat(500), "b".repeat(500));
        let shown = excerpt(&line, Position { line: 1, column: 501 });
        assert_eq!(shown, format!("  |\n1 | …{}X{}…\n  | {}^", "a".repeat(60), "b".repeat(59), " ".repeat(61)));
    }
}
