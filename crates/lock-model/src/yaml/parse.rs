use serde::Deserialize as _;

use super::node::{Node, Value};
use super::syntax::{self, SyntaxError};
use super::write::header;
use crate::json::text_of;
use crate::parse_error::{ParseError, ParseErrorKind};
use crate::problem::{Position, Problem};
use crate::wire::{LOCK_VERSION, WireLock};
use crate::{Lock, SchemaPlace};

/// The largest lock file that is read: about 20,000 services.
const MAX_BYTES: usize = 20 << 20;

const HINT_LINE_ENDINGS: &str =
    "git or an editor changed the bytes: `locks/.gitattributes` with the line `* -text` keeps git from doing so";
const HINT_HAND_EDIT: &str = "a lock is written by `orchestrator lock generate` and never edited: restore the file";
const HINT_NEWER: &str = "the file was written by a newer version of this program";
const HINT_OLDER_PIPELINE: &str = "this looks like a lock of an older pipeline, which has no digests: make a new one";

impl Lock {
    /// Parses a lock file and checks everything about it; `file` is what errors call it.
    ///
    /// The version is looked at before the shape. A file that holds a valid lock but not in the bytes that
    /// [`Lock::to_yaml`] gives is refused, and so is one whose `id` is not that of its content.
    ///
    /// ```
    /// use lock_model::{Lock, ParseErrorKind};
    ///
    /// let text = "# yaml-language-server: $schema=./schema.json\nversion: 2\nwagons: 3\n";
    /// let error = Lock::parse(text.as_bytes(), "locks/lock.yaml").unwrap_err();
    /// assert_eq!(error.kind(), ParseErrorKind::UnknownVersion);
    /// assert_eq!((error.line(), error.column(), error.path().as_str()), (Some(2), Some(10), "version"));
    /// ```
    pub fn parse(text: &[u8], file: &str) -> Result<Self, ParseError> {
        File { name: file, text: text_of(text, file, MAX_BYTES)? }.parse()
    }
}

/// A file that is text.
#[derive(Clone, Copy)]
struct File<'a> {
    name: &'a str,
    text: &'a str,
}

impl File<'_> {
    fn parse(self) -> Result<Lock, ParseError> {
        let root = syntax::parse(self.text).map_err(|SyntaxError { at, keys, message, too_large }| {
            let kind = if too_large { ParseErrorKind::TooLarge } else { ParseErrorKind::Unreadable };
            self.error(kind, at, keys, &message, None)
        })?;
        self.check_version(&root)?;
        let wire = WireLock::deserialize(&root).map_err(|mut error| {
            error.keys.reverse();
            let at = error.at.unwrap_or(root.at);
            self.error(ParseErrorKind::Invalid, at, error.keys, &error.message, None)
        })?;
        let id = wire.id.clone();
        let parts = wire.into_parts().map_err(|problems| self.invalid(&root, &problems))?;
        let lock = Lock::new(parts).map_err(|error| self.invalid(&root, error.problems()))?;
        if *lock.id() != id {
            let keys = vec!["id".to_owned()];
            let at = root.locate(&keys);
            let message = format!("the id is not that of the content, which is `{}`", lock.id());
            return Err(self.error(ParseErrorKind::WrongId, at, keys, &message, Some(HINT_HAND_EDIT)));
        }
        let said = SchemaPlace::ALL.into_iter().find(|schema| self.text.starts_with(header(*schema)));
        let lock = lock.with_schema(said.unwrap_or_default());
        self.check_canonical(&root, &lock.to_yaml())?;
        Ok(lock)
    }

    fn check_version(self, root: &Node<'_>) -> Result<(), ParseError> {
        let Value::Map(entries) = &root.value else {
            return Err(self.error(ParseErrorKind::Invalid, root.at, Vec::new(), "a lock is a map at its top", None));
        };
        let keys = vec!["version".to_owned()];
        let Some(version) = root.get("version") else {
            let looks_older = entries.iter().any(|entry| matches!(&*entry.key.text, "metadata" | "submodules"));
            let hint = looks_older.then_some(HINT_OLDER_PIPELINE);
            let message = "the file has no `version`, so it is no lock";
            return Err(self.error(ParseErrorKind::UnknownVersion, root.at, Vec::new(), message, hint));
        };
        let version = &version.value;
        match u64::deserialize(version) {
            Ok(LOCK_VERSION) => Ok(()),
            Ok(other) => {
                let message = format!("version {other} is not known to this program, which reads {LOCK_VERSION}");
                let hint = (other > LOCK_VERSION).then_some(HINT_NEWER);
                Err(self.error(ParseErrorKind::UnknownVersion, version.at, keys, &message, hint))
            }
            Err(error) => Err(self.error(ParseErrorKind::Invalid, version.at, keys, &error.message, None)),
        }
    }

    fn check_canonical(self, root: &Node<'_>, canonical: &str) -> Result<(), ParseError> {
        if self.text == canonical {
            return Ok(());
        }
        let mut ours = canonical.split('\n');
        let mut line = 0;
        for theirs in self.text.split('\n') {
            line += 1;
            let expected = ours.next();
            if expected == Some(theirs) {
                continue;
            }
            let column =
                theirs.chars().zip(expected.unwrap_or_default().chars()).take_while(|(a, b)| a == b).count() + 1;
            let changed_ending = theirs.ends_with('\r') || theirs.starts_with('\u{feff}');
            let message = match expected {
                _ if theirs.ends_with('\r') => "not canonical: the line ends with CR LF, not with LF".to_owned(),
                _ if theirs.starts_with('\u{feff}') => {
                    "not canonical: the file begins with a byte order mark".to_owned()
                }
                Some("") => "not canonical: the file should end here".to_owned(),
                Some(expected) => format!("not canonical: `{expected}` is expected here"),
                None => "not canonical: the file should have ended before".to_owned(),
            };
            let hint = if changed_ending { HINT_LINE_ENDINGS } else { HINT_HAND_EDIT };
            let keys = root.keys_at(line);
            return Err(self.error(
                ParseErrorKind::NotCanonical,
                Position { line, column },
                keys,
                &message,
                Some(hint),
            ));
        }
        let at = Position { line, column: self.text.split('\n').next_back().unwrap_or_default().chars().count() + 1 };
        let message = "not canonical: the file should end with a line feed";
        Err(self.error(ParseErrorKind::NotCanonical, at, Vec::new(), message, Some(HINT_HAND_EDIT)))
    }

    fn invalid(self, root: &Node<'_>, problems: &[Problem]) -> ParseError {
        let problems = problems.iter().map(|problem| {
            let at = root.locate(problem.keys());
            Problem::new(self.text, Some(at), problem.keys().to_vec(), problem.message())
        });
        ParseError {
            file: self.name.to_owned(),
            kind: ParseErrorKind::Invalid,
            problems: problems.collect(),
            hint: None,
        }
    }

    fn error(
        self,
        kind: ParseErrorKind,
        at: Position,
        keys: Vec<String>,
        message: &str,
        hint: Option<&'static str>,
    ) -> ParseError {
        ParseError::at(self.name, kind, Problem::new(self.text, Some(at), keys, message), hint)
    }
}
