//! What is wrong with a YAML file, in the words of the file and not of the program that reads it.

use serde_saphyr::Error;

use crate::problem::{DeployProblem, ProblemKind, escaped};

/// A fault of a text that is not readable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Counted from 1; absent where the fault is that of the whole text.
    pub(crate) line: Option<u64>,
    pub(crate) column: Option<u64>,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn of(error: &Error, text: &str) -> Self {
        if let Some(line) = (1..).zip(text.lines()).find_map(|(number, line)| is_conflict(line).then_some(number)) {
            let message = "the lines of a merge conflict are still in it".to_owned();
            return Self { line: Some(line), column: None, message };
        }
        let place = error.location().filter(|place| place.line() > 0);
        let line = place.map(|place| place.line());
        let message = match words(error.without_snippet()) {
            Words::TooLarge => "too large once its aliases are written out".to_owned(),
            Words::Wrong(message) => {
                let is_template = line.and_then(|line| text.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?));
                let more = if is_template.is_some_and(|line| line.contains("{{")) { TEMPLATE } else { "" };
                format!("not readable as YAML: {message}{more}")
            }
        };
        Self { line, column: place.map(|place| place.column()), message }
    }

    pub(crate) fn problem(self) -> DeployProblem {
        DeployProblem::new(ProblemKind::Unreadable, self.message).at(None, self.line).column(self.column)
    }
}

/// Plain manifests go through no template.
const TEMPLATE: &str = " (`{{` is that of a template, and only a chart has templates)";

fn is_conflict(line: &str) -> bool {
    ["<<<<<<< ", ">>>>>>> "].iter().any(|mark| line.starts_with(mark))
}

enum Words {
    TooLarge,
    Wrong(String),
}

fn words(error: &Error) -> Words {
    let message = match error {
        Error::AliasError { error, .. } => return words(error),
        Error::Budget { .. }
        | Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => return Words::TooLarge,
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("key `{}` is in this map a second time", escaped(key))
        }
        Error::DuplicateMappingKey { key: None, .. } => "a key is in this map a second time".to_owned(),
        Error::NonFiniteFloat { value, .. } => format!("`{}` is no number that JSON has", escaped(value)),
        Error::UnknownAnchor { .. } => "this alias (`*…`) has no anchor (`&…`) above it in its document".to_owned(),
        Error::RecursiveReferencesRequireWeakTypes { .. } => "this alias stands within its own anchor".to_owned(),
        Error::MergeValueNotMapOrSeqOfMaps { .. } => "`<<` takes a map, or a list of maps, and this is none".to_owned(),
        Error::NullIntoString { .. } | Error::Unexpected { .. } => "a key is text, and this is none".to_owned(),
        other => of_parser(&other.to_string()),
    };
    Words::Wrong(message)
}

/// What the parser writes of a syntax error, and what that means.
const PARSER: [(&str, &str); 13] = [
    ("mapping values are not allowed", "a `:` where no key can be: look at the indentation, or quote the text"),
    ("tabs disallowed", "this line is indented by a tab, and YAML takes spaces"),
    ("while parsing a flow mapping", "a `{` is not closed, or a comma is missing"),
    ("while parsing a flow sequence", "a `[` is not closed, or a comma is missing"),
    ("while parsing a block collection", "the list goes on with a line that does not begin with `-`"),
    ("while parsing a block mapping", "this line belongs to no map or list above it: look at the indentation"),
    ("block sequence entries are not allowed", "a list begins in a line of its own"),
    ("\"-\" is only valid inside a block", "a list begins in a line of its own"),
    ("unclosed quote", "a quote is not closed"),
    ("misplaced bracket", "a bracket is closed that was not opened"),
    ("invalid trailing content after", "text follows after the closing quote"),
    (
        "while parsing a quoted scalar, found unknown escape",
        "a `\\` that begins no escape: write `\\\\`, or use single quotes",
    ),
    ("invalid ", "the value is not what its tag (`!!…`) says"),
];

fn of_parser(text: &str) -> String {
    let text = text.lines().next().unwrap_or("unreadable");
    // The place is said apart.
    let text = text.rsplit_once(" at line ").map_or(text, |(said, _)| said);
    if let Some((_, meant)) = PARSER.iter().find(|(begin, _)| text.starts_with(begin)) {
        return (*meant).to_owned();
    }
    let quoted = |begin: &str, end: &str| text.strip_prefix(begin)?.strip_suffix(end);
    if let Some(bracket) = quoted("unclosed bracket '", "'") {
        return format!("`{}` is not closed", escaped(bracket));
    }
    if let Some((open, closed)) = quoted("mismatched bracket '", "'").and_then(|both| both.split_once("' closed by '"))
    {
        return format!("`{}` is closed by `{}`", escaped(open), escaped(closed));
    }
    if let Some(character) = quoted("unexpected character: `", "'") {
        return format!("text that begins with `{}` is written in quotes", escaped(character));
    }
    if let Some(tag) = text.strip_prefix("unsupported tag ") {
        return format!("tag {} has no meaning here", escaped(tag));
    }
    escaped(text)
}
