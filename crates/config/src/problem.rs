//! Problems of a configuration, and how they are shown.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use lock_model::ErrorClass;
use lock_model::escaping::{escape_short, escape_terminal, mask_credentials, mask_credentials_in_place};

use super::tree::{Origin, Place};

/// Every problem of a configuration, in the order of the file; `Display` shows all of them with excerpts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", lock_model::one_per_line(problems))]
pub struct ConfigErrors {
    problems: Vec<Problem>,
}

/// One fault of a configuration, with its place and a hint.
///
/// ```text
/// orchestrator.yaml:12:21: environments.staging.suites[1]: no suite is named `smokee`
///    |
/// 12 |   suites: [system, smokee]
///    |                    ^^^^^^
///    = hint: did you mean `smoke`?
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    file: Arc<str>,
    place: Option<Place>,
    message: String,
    hint: Option<String>,
    excerpt: Option<Excerpt>,
    pub(super) topic: Topic,
}

/// Lets a later pass see what an earlier one has said about a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Type,
    Other,
}

impl ConfigErrors {
    /// The problems; never empty.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Always [`ErrorClass::Invalid`]: the file has to be changed.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

impl Problem {
    /// The file's name as it was given.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line, counted from 1.
    pub fn line(&self) -> Option<usize> {
        self.place.as_ref().map(|place| place.line)
    }

    /// The column in characters, counted from 1.
    pub fn column(&self) -> Option<usize> {
        self.place.as_ref().map(|place| place.column)
    }

    /// The keys that lead to the place; empty at the top.
    pub fn path(&self) -> &str {
        self.place.as_ref().map_or("", |place| &place.path)
    }

    /// One sentence, without place and hint.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Place, message and hint in one line, without the excerpt.
    pub fn line_text(&self) -> String {
        let place = self.place.as_ref().map(|place| format!(":{}:{}", place.line, place.column)).unwrap_or_default();
        let hint = self.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        format!("{}{place}: {}{hint}", self.file, self.message)
    }

    /// The change that cures it, where one is known.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(place) = &self.place {
            write!(f, ":{}:{}", place.line, place.column)?;
            if !place.path.is_empty() {
                write!(f, ": {}", escape_short(&place.path, LONGEST_MESSAGE))?;
            }
        }
        write!(f, ": {}", self.message)?;
        let gutter = self.place.as_ref().map_or(1, |place| place.line.to_string().len());
        if let (Some(place), Some(Excerpt { text, indent, width })) = (&self.place, &self.excerpt) {
            write!(f, "\n{:gutter$} |\n{} | {text}", "", place.line)?;
            write!(f, "\n{:gutter$} | {:indent$}{}", "", "", "^".repeat(*width), indent = *indent)?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n{:gutter$} = hint: {hint}", "")?;
        }
        Ok(())
    }
}

/// The part of a line around a place, with nothing in it that a terminal would obey.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Excerpt {
    text: String,
    indent: usize,
    width: usize,
}

impl Excerpt {
    const LONGEST: usize = 120;

    fn new(line: &str, column: usize, width: usize) -> Self {
        let start = column.saturating_sub(1);
        let skipped = if start + width.min(40) > Self::LONGEST { start.saturating_sub(40) } else { 0 };
        let mut text = if skipped > 0 { "…".to_owned() } else { String::new() };
        let mut indent = text.chars().count();
        let mut marked = 0;
        for (index, character) in line.chars().enumerate().skip(skipped) {
            let shown = escape_terminal(character.encode_utf8(&mut [0; 4]));
            let length = shown.chars().count();
            if index < start {
                indent += length;
            } else if index < start + width {
                marked += length;
            }
            text.push_str(&shown);
            if index + 1 - skipped >= Self::LONGEST {
                text.push('…');
                break;
            }
        }
        Self { text: text.trim_end().to_owned(), indent, width: marked.max(1) }
    }
}

/// What a message may say of the file's text: nothing that a terminal obeys, no passwords, and not all of a long one.
fn shown(text: &str) -> String {
    escape_short(mask_credentials(text).as_bytes(), LONGEST_MESSAGE)
}

/// How many characters of a message are shown; a value in it can be as long as the file.
const LONGEST_MESSAGE: usize = 1000;
/// How many problems are listed.
const MOST_PROBLEMS: usize = 1000;

/// The text of a file, for showing lines of it.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub name: Arc<str>,
    pub text: Arc<str>,
}

/// Collects problems.
#[derive(Debug)]
pub(super) struct Problems {
    source: Source,
    list: Vec<Problem>,
    /// What stands for every problem after the first thousand.
    unlisted: Problem,
    /// Names and modes of environments, for which `base` is read once each.
    environments: BTreeSet<String>,
}

impl Problems {
    pub(super) fn new(source: Source) -> Self {
        let message = format!("there are more than these {MOST_PROBLEMS} problems");
        let file = Arc::clone(&source.name);
        let unlisted = Problem { file, place: None, message, hint: None, excerpt: None, topic: Topic::Other };
        Self { source, list: Vec::new(), unlisted, environments: BTreeSet::new() }
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    /// What is wrong in `base` with each of these is said once.
    pub(super) fn join_environments(&mut self, names: BTreeSet<String>) {
        self.environments = names;
    }

    /// A message without names of environments.
    fn unnamed(&self, message: &str) -> String {
        let is_joined = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
        let words = message.split_inclusive(|c| !is_joined(c)).map(|word| {
            let name = word.trim_end_matches(|c| !is_joined(c));
            if self.environments.contains(name) { word.replacen(name, "…", 1) } else { word.to_owned() }
        });
        words.collect()
    }

    pub(super) fn add(&mut self, origin: &Origin, message: impl Into<String>) -> &mut Problem {
        self.add_at(origin.place().cloned(), message)
    }

    pub(super) fn add_at(&mut self, place: Option<Place>, message: impl Into<String>) -> &mut Problem {
        if self.list.len() == MOST_PROBLEMS {
            // What is said now would only be counted.
            return &mut self.unlisted;
        }
        let excerpt = place.as_ref().and_then(|place| {
            let line = self.source.text.lines().nth(place.line.saturating_sub(1))?;
            Some(Excerpt::new(&mask_credentials_in_place(line), place.column, place.width))
        });
        let file = Arc::clone(&self.source.name);
        let message = shown(&message.into());
        let problem = Problem { file, place, message, hint: None, excerpt, topic: Topic::Other };
        // Base is read once for each environment: the same sentence about the same place is said once.
        let is_base = problem.place.as_ref().is_some_and(|place| place.path.split('.').next() == Some("base"));
        let unnamed = is_base.then(|| self.unnamed(&problem.message));
        let is_same = |other: &Problem| match &unnamed {
            Some(unnamed) => self.unnamed(&other.message) == *unnamed,
            None => other.message == problem.message,
        };
        let known = self.list.iter().position(|other| other.place == problem.place && is_same(other));
        let index = known.unwrap_or_else(|| {
            self.list.push(problem);
            self.list.len() - 1
        });
        self.list.get_mut(index).expect("the index is of an element that was found or pushed")
    }

    /// Whether an unknown key or name was taken for a misspelt `word`.
    pub(super) fn suggests(&self, word: &str) -> bool {
        let hint = did_you_mean(word);
        self.list.iter().any(|problem| problem.hint.as_ref() == Some(&hint))
    }

    pub(super) fn has_type_problem_at(&self, origin: &Origin) -> bool {
        self.list.iter().any(|problem| problem.topic == Topic::Type && problem.place.as_ref() == origin.place())
    }

    /// Forgets what an earlier pass has said about the type of a value: a later one knows more.
    pub(super) fn forget_type_problem_at(&mut self, origin: &Origin) {
        self.list.retain(|problem| problem.topic != Topic::Type || problem.place.as_ref() != origin.place());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The problems of a list that makes nothing an error.
    pub(super) fn into_list(self) -> Vec<Problem> {
        self.into_errors().problems
    }

    pub(super) fn into_errors(mut self) -> ConfigErrors {
        self.list.sort_by_key(|problem| problem.place.as_ref().map(|place| (place.line, place.column)));
        if self.list.len() == MOST_PROBLEMS {
            self.list.push(self.unlisted);
        }
        ConfigErrors { problems: self.list }
    }
}

impl Problem {
    pub(super) fn with_hint(&mut self, hint: impl Into<String>) -> &mut Self {
        self.hint = Some(shown(&hint.into()));
        self
    }

    /// Adds `did you mean …?` where a known word is close to the unknown one.
    pub(super) fn suggest<'a>(&mut self, word: &str, known: impl IntoIterator<Item = &'a str>) -> &mut Self {
        if let Some(near) = nearest(word, known) {
            self.with_hint(did_you_mean(near));
        }
        self
    }

    pub(super) fn about_type(&mut self) {
        self.topic = Topic::Type;
    }
}

fn did_you_mean(word: &str) -> String {
    format!("did you mean `{word}`?")
}

/// How many characters the beginning of a word has at least.
const BEGINNING: usize = 3;

/// The known word with the fewest edits to `word`, at most a third of its length; otherwise the only one that begins with it.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1);
    let known: BTreeSet<&str> = known.into_iter().collect();
    let mut longer = known.iter().copied().filter(|candidate| candidate.starts_with(word));
    let only = longer.next().filter(|_| longer.next().is_none() && word.chars().count() >= BEGINNING);
    known
        .iter()
        .copied()
        .map(|candidate| (edits(word, candidate), shape(word) != shape(candidate), candidate))
        .filter(|(distance, _, _)| *distance <= limit)
        // Of two that are equally near the one with another number: `sha8` is meant as `sha7`, and not as `sha`.
        .min()
        .map(|(_, _, candidate)| candidate)
        .or(only)
}

/// The word with every digit alike.
fn shape(word: &str) -> String {
    word.chars().map(|character| if character.is_ascii_digit() { '0' } else { character }).collect()
}

/// Number of inserted, removed, replaced and swapped characters.
fn edits(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().take(64).collect();
    let right: Vec<char> = right.chars().take(64).collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (row, &a) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, &b) in right.iter().enumerate() {
            let mut best = (last[column] + usize::from(a != b)).min(last[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && a == right[column - 1] && left[row - 1] == b {
                best = best.min(before_last[column - 1] + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let known = ["smoke", "system", "load"];
        for (word, expected) in [
            ("smokee", Some("smoke")),
            ("sytsem", Some("system")),
            ("laod", Some("load")),
            ("xyz", None),
            ("", None),
            ("sys", Some("system")),
            ("sy", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
        let variables = ["name", "short", "short_", "sha", "sha7", "sha12", "id8", "image.tag"];
        for (word, expected) in [
            ("sha8", Some("sha7")),
            ("shaa", Some("sha")),
            ("sha13", Some("sha12")),
            ("id7", Some("id8")),
            ("shorts", Some("short")),
            ("image.tags", Some("image.tag")),
        ] {
            assert_eq!(nearest(word, variables), expected, "{word}");
        }
    }

    #[test]
    fn t36_lines_are_shown_without_what_a_terminal_obeys() {
        let excerpt = Excerpt::new("a: \u{1b}[31m\u{202e}x", 4, 2);
        assert_eq!(excerpt.text, "a: \\u{1b}[31m\\u{202e}x");
        assert_eq!((excerpt.indent, excerpt.width), (3, 7));
    }

    #[test]
    fn long_lines_are_cropped_around_the_place() {
        let line = format!("{}needle{}", "a".repeat(300), "b".repeat(300));
        let excerpt = Excerpt::new(&line, 301, 6);
        assert!(excerpt.text.chars().count() <= 122);
        let marked: String = excerpt.text.chars().skip(excerpt.indent).take(excerpt.width).collect();
        assert_eq!(marked, "needle");
    }
}
