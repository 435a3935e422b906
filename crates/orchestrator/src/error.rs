//! The one error of this crate: a kind, what failed, why, and what to do about it.

use std::error::Error as StdError;
use std::fmt;

use deployer::Dossier;
use lock_model::ErrorClass;

use crate::hints::STORAGE;
use crate::report::v1::{NotRolledBack, StepLine};

/// What a failure means for the caller, and for the verdict of a report.
///
/// The order is by weight: where several failures meet, the greatest speaks for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// The question was answered, and the answer is no: unhealthy, not approved, a suite failed.
    Negative,
    /// The request or the configuration is wrong.
    Usage,
    /// A lock is unreadable, edited by hand or of an unknown version.
    Lock,
    /// The repository is not as expected: a commit or submodule is missing, lock and tree disagree.
    Repository,
    /// An image or digest is missing, or is not the one that was locked.
    Image,
    /// A forge, registry or remote refused: credentials or permission.
    Denied,
    /// A remote is unreachable or busy after retries, or another run holds the environment: the same call may succeed later.
    Temporary,
    /// A file cannot be written or read: the disk is full, read-only, or the user has no permission.
    Storage,
    /// A gate, a hold or a missing proof refused before any change.
    Refused,
    /// A deployment failed after some changes.
    Deploy,
    /// A deadline passed.
    Deadline,
    /// A fault of this program.
    Bug,
    /// The caller asked to stop.
    Interrupted,
}

impl ErrorKind {
    /// Every kind, in ascending order.
    pub const ALL: [Self; 13] = [
        Self::Negative,
        Self::Usage,
        Self::Lock,
        Self::Repository,
        Self::Image,
        Self::Denied,
        Self::Temporary,
        Self::Storage,
        Self::Refused,
        Self::Deploy,
        Self::Deadline,
        Self::Bug,
        Self::Interrupted,
    ];

    /// The kind in one word, as records and statuses write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Negative => "negative",
            Self::Usage => "usage",
            Self::Lock => "lock",
            Self::Repository => "repository",
            Self::Image => "image",
            Self::Denied => "denied",
            Self::Temporary => "temporary",
            Self::Storage => "storage",
            Self::Refused => "refused",
            Self::Deploy => "deploy",
            Self::Deadline => "deadline",
            Self::Bug => "bug",
            Self::Interrupted => "interrupted",
        }
    }

    /// The kind of a class of failure, where `not_found` and `invalid` depend on what was looked for.
    pub fn of(class: ErrorClass, not_found: Self, invalid: Self) -> Self {
        match class {
            ErrorClass::NotFound => not_found,
            ErrorClass::Denied => Self::Denied,
            ErrorClass::Temporary => Self::Temporary,
            ErrorClass::Storage => Self::Storage,
            ErrorClass::Invalid => invalid,
            ErrorClass::Bug => Self::Bug,
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One fault of several that a failure lists: what it is about, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Problem {
    /// What it is about: a service, a file, a gate.
    pub subject: String,
    /// What is wrong.
    pub message: String,
    /// What was tried or seen, a line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
}

impl Problem {
    /// A problem without details.
    pub fn new(subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self { subject: subject.into(), message: message.into(), details: Vec::new() }
    }

    /// Adds lines about what was tried or seen.
    #[must_use]
    pub fn details(mut self, details: impl IntoIterator<Item = String>) -> Self {
        self.details.extend(details);
        self
    }

    /// Subject and message in one sentence, without the details.
    pub(crate) fn sentence(&self) -> String {
        if self.subject.is_empty() { self.message.clone() } else { format!("{}: {}", self.subject, self.message) }
    }
}

/// Where in a file a fault is, and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// The file, as the repository names it.
    pub file: String,
    /// The line, counted from 1.
    pub line: Option<usize>,
    /// The column in characters, counted from 1.
    pub column: Option<usize>,
    /// What is wrong, one sentence.
    pub message: String,
    /// The change that cures it, where one is known.
    pub hint: Option<String>,
}

/// A problem as machines read it: with its place, where it is in a file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[non_exhaustive]
pub struct ListedProblem {
    /// What it is about: a service, a file, a gate.
    pub subject: String,
    /// What is wrong.
    pub message: String,
    /// What was tried or seen, a line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
    /// The file, as the repository names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The column in characters, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// The change that cures it, where one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl From<Problem> for ListedProblem {
    fn from(Problem { subject, message, details }: Problem) -> Self {
        Self { subject, message, details, file: None, line: None, column: None, hint: None }
    }
}

impl ListedProblem {
    /// A problem whose place is known.
    pub fn at(problem: Problem, place: Option<&Place>) -> Self {
        let Some(Place { file, line, column, message: _, hint }) = place.cloned() else { return problem.into() };
        let Problem { subject, message, details } = problem;
        Self { subject, message, details, file: Some(file), line, column, hint }
    }
}

impl From<Place> for ListedProblem {
    fn from(Place { file, line, column, message, hint }: Place) -> Self {
        Self { subject: file.clone(), message, details: Vec::new(), file: Some(file), line, column, hint }
    }
}

/// Why a call did not do what it was asked for.
///
/// [`Display`](fmt::Display) shows the message and every problem; the cause is the [`source`](StdError::source).
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    problems: Vec<Problem>,
    hints: Vec<String>,
    places: Box<[Place]>,
    run: Option<Box<EndedRun>>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What a run had done when an error ended it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndedRun {
    /// The steps that it took, in order; the last one is what failed.
    pub steps: Vec<StepLine>,
    /// What is known of a deployment that did not come through.
    pub dossier: Option<Dossier>,
    /// What the rollback that followed it by itself did not take back.
    pub not_rolled_back: Vec<NotRolledBack>,
}

/// The result of this crate's calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error with nothing but its first line.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            problems: Vec::new(),
            hints: Vec::new(),
            places: Box::default(),
            run: None,
            source: None,
        }
    }

    /// An error of a library below, with what was being done.
    pub fn from_source(
        kind: ErrorKind,
        context: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { source: Some(source.into()), ..Self::new(kind, context) }
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Takes a hint back that does not fit any more.
    #[must_use]
    pub(crate) fn without_hint(mut self, hint: &str) -> Self {
        self.hints.retain(|known| known != hint);
        self
    }

    /// Adds problems.
    #[must_use]
    pub fn problems(mut self, problems: impl IntoIterator<Item = Problem>) -> Self {
        self.problems.extend(problems);
        self
    }

    /// Adds places in files; the message or a problem says the same for people.
    #[must_use]
    pub(crate) fn at(mut self, places: impl IntoIterator<Item = Place>) -> Self {
        self.places = self.places.into_iter().chain(places).collect();
        self
    }

    /// Adds what is known of the deployment that failed.
    #[must_use]
    pub(crate) fn with_dossier(mut self, dossier: Option<&Dossier>) -> Self {
        if let Some(dossier) = dossier {
            self.run.get_or_insert_default().dossier = Some(dossier.clone());
        }
        self
    }

    /// Adds what an automatic rollback does not take back.
    #[must_use]
    pub(crate) fn not_rolled_back(mut self, services: Vec<NotRolledBack>) -> Self {
        if !services.is_empty() {
            self.run.get_or_insert_default().not_rolled_back = services;
        }
        self
    }

    /// Adds the steps that a run took until it failed.
    #[must_use]
    pub(crate) fn after(mut self, steps: &[StepLine]) -> Self {
        self.run.get_or_insert_default().steps = steps.to_vec();
        self
    }

    /// What the run had done that the error ended; `None` where none had begun.
    pub fn ended_run(&self) -> Option<&EndedRun> {
        self.run.as_deref()
    }

    /// The places in files that are at fault, where they are known.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// What the failure means.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What failed, in one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// All problems, where there are several or where they have subjects of their own.
    pub fn all_problems(&self) -> &[Problem] {
        &self.problems
    }

    /// What to do about it, each a sentence of its own.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }

    /// Why, from the outside in: the text of the source, of its source, and so on.
    pub fn causes(&self) -> Vec<String> {
        causes(self.source())
    }
}

/// A file that cannot be read or written: [`ErrorKind::Storage`] where the disk or a permission is the reason, else
/// `otherwise`.
pub(crate) fn storage(otherwise: ErrorKind, context: impl Into<String>, error: std::io::Error) -> Error {
    let kind = ErrorKind::of(ErrorClass::of_io(&error, ErrorClass::Invalid), otherwise, otherwise);
    let error = Error::from_source(kind, context, error);
    if kind == ErrorKind::Storage { error.hint(STORAGE) } else { error }
}

/// The texts of an error and of its sources, from the outside in.
pub(crate) fn causes(error: Option<&(dyn StdError + 'static)>) -> Vec<String> {
    let mut texts = Vec::new();
    let mut next = error;
    while let Some(error) = next {
        texts.push(error.to_string());
        next = error.source();
    }
    texts
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for problem in &self.problems {
            write!(f, "\n  {}: {}", problem.subject, problem.message)?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| -> &(dyn StdError + 'static) { source })
    }
}
