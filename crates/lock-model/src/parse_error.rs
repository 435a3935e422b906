use std::fmt;

use crate::ErrorClass;
use crate::problem::{Position, Problem};

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
pub struct ParseError {
    pub(crate) file: String,
    pub(crate) kind: ParseErrorKind,
    pub(crate) problems: Vec<Problem>,
    pub(crate) hint: Option<&'static str>,
}

/// In which way a file cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ParseErrorKind {
    /// More bytes or more values than any such file has; nothing was looked at.
    TooLarge,
    /// Bytes that are not UTF-8.
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

impl ParseError {
    pub(crate) fn at(file: &str, kind: ParseErrorKind, problem: Problem, hint: Option<&'static str>) -> Self {
        Self { file: file.to_owned(), kind, problems: vec![problem], hint }
    }

    pub(crate) fn too_large(file: &str, bytes: usize, limit: usize) -> Self {
        let message = format!("the file has {bytes} bytes; at most {limit} are read");
        Self::at(file, ParseErrorKind::TooLarge, Problem::new("", None, Vec::new(), &message), None)
    }

    pub(crate) fn not_text(file: &str, bytes: &[u8], error: std::str::Utf8Error) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let at = Position::of(&text, error.valid_up_to());
        let problem = Problem::new(&text, Some(at), Vec::new(), "not UTF-8 from here on");
        Self::at(file, ParseErrorKind::NotText, problem, None)
    }

    /// In which way the file cannot be used.
    pub fn kind(&self) -> ParseErrorKind {
        self.kind
    }

    /// The file's name as it was handed in.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Line of the first problem, from 1; absent when it is about the whole file.
    pub fn line(&self) -> Option<usize> {
        self.problems.first().and_then(Problem::line)
    }

    /// Column of the first problem in characters, from 1; absent when it is about the whole file.
    pub fn column(&self) -> Option<usize> {
        self.problems.first().and_then(Problem::column)
    }

    /// Path of the first problem, such as `services.cart.image.digest`; empty at the top.
    pub fn path(&self) -> String {
        self.problems.first().map(Problem::path).unwrap_or_default()
    }

    /// Every problem that was found, in the order of the file; at least one.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
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

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let line_feed = if index > 0 { "\n" } else { "" };
            let space = if problem.line().is_none() { " " } else { "" };
            write!(f, "{line_feed}{}:{space}{problem}", self.file)?;
        }
        Ok(())
    }
}

impl std::error::Error for ParseError {}
