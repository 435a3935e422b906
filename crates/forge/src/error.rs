use std::error::Error;
use std::path::Path;
use std::time::Duration;

use git::GitError;
use lock_model::ErrorClass;

/// What went wrong, as far as a caller can act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ForgeErrorKind {
    /// The forge has no such commit, branch, review or release, or there is no forge.
    NotFound,
    /// The forge has no pull request with this number.
    PullRequestNotFound,
    /// The forge's rules forbid it: [`ForgeError::reasons`] has every reason.
    Refused,
    /// The state of what the request names forbids it, such as a pull request that is merged or closed:
    /// [`ForgeError::reasons`] has every reason.
    State,
    /// The request cannot be stored: a text that is too long, a name that is none.
    Invalid,
    /// Another writer held the forge for as long as this one waited.
    Busy,
    /// A file of the forge is damaged.
    Damaged,
    /// A file of the forge has a newer format version than this program knows.
    UnknownVersion,
    /// A file of the forge cannot be read or written.
    File,
    /// The `git` program failed in the forge's repository.
    Git,
}

/// A question to the forge that has no answer, or a write that it did not accept.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ForgeError {
    kind: ForgeErrorKind,
    class: ErrorClass,
    message: String,
    reasons: Vec<String>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl ForgeError {
    /// What went wrong.
    pub fn kind(&self) -> ForgeErrorKind {
        self.kind
    }

    /// Whether a retry can help, and whose fault it is.
    ///
    /// | kind | class |
    /// |---|---|
    /// | `NotFound` | `NotFound` |
    /// | `Refused` | `Denied` |
    /// | `State`, `Invalid`, `Damaged`, `UnknownVersion` | `Invalid` |
    /// | `Busy` | `Temporary` |
    /// | `File` | `NotFound` or `Denied` where the system says so, otherwise `Temporary` |
    /// | `Git` | that of the [`GitError`] |
    pub fn class(&self) -> ErrorClass {
        self.class
    }

    /// Every rule that a refused request breaks, everything of its state that forbids it, or every branch that is missing;
    /// empty for other kinds.
    pub fn reasons(&self) -> &[String] {
        &self.reasons
    }

    fn new(kind: ForgeErrorKind, class: ErrorClass, message: String) -> Self {
        Self { kind, class, message, reasons: Vec::new(), source: None }
    }

    pub(crate) fn not_found(subject: impl std::fmt::Display) -> Self {
        Self::new(ForgeErrorKind::NotFound, ErrorClass::NotFound, format!("{subject} does not exist"))
    }

    pub(crate) fn pull_request_not_found(number: u64) -> Self {
        Self { kind: ForgeErrorKind::PullRequestNotFound, ..Self::not_found(format!("pull request {number}")) }
    }

    pub(crate) fn refused(action: impl std::fmt::Display, reasons: Vec<String>) -> Self {
        let message = format!("the forge refuses to {action}: {}", reasons.join("; "));
        Self { reasons, ..Self::new(ForgeErrorKind::Refused, ErrorClass::Denied, message) }
    }

    pub(crate) fn state(action: impl std::fmt::Display, reasons: Vec<String>) -> Self {
        Self { kind: ForgeErrorKind::State, class: ErrorClass::Invalid, ..Self::refused(action, reasons) }
    }

    pub(crate) fn missing(action: impl std::fmt::Display, reasons: Vec<String>) -> Self {
        Self { kind: ForgeErrorKind::NotFound, class: ErrorClass::NotFound, ..Self::refused(action, reasons) }
    }

    pub(crate) fn invalid(subject: impl std::fmt::Display, problem: impl std::fmt::Display) -> Self {
        let message = format!("{subject} is not acceptable: {problem}");
        Self::new(ForgeErrorKind::Invalid, ErrorClass::Invalid, message)
    }

    pub(crate) fn busy(lock: &Path, waited: Duration) -> Self {
        let message =
            format!("the forge at `{}` was locked by another writer for {} s", lock.display(), waited.as_secs());
        Self::new(ForgeErrorKind::Busy, ErrorClass::Temporary, message)
    }

    pub(crate) fn damaged(path: &Path, problem: impl std::fmt::Display) -> Self {
        let message = format!("`{}` is damaged: {problem}", path.display());
        Self::new(ForgeErrorKind::Damaged, ErrorClass::Invalid, message)
    }

    pub(crate) fn unknown_version(path: &Path, version: u64) -> Self {
        let message = format!("`{}` has version {version}; this program knows version 1", path.display());
        Self::new(ForgeErrorKind::UnknownVersion, ErrorClass::Invalid, message)
    }

    pub(crate) fn file(action: &str, path: &Path, source: std::io::Error) -> Self {
        let class = match source.kind() {
            std::io::ErrorKind::NotFound => ErrorClass::NotFound,
            _ => ErrorClass::of_io(&source, ErrorClass::Temporary),
        };
        let message = format!("cannot {action} `{}`", path.display());
        Self { source: Some(source.into()), ..Self::new(ForgeErrorKind::File, class, message) }
    }
}

impl From<GitError> for ForgeError {
    fn from(error: GitError) -> Self {
        let message = "git failed in the forge's repository".to_owned();
        let failed = Self::new(ForgeErrorKind::Git, error.class(), message);
        Self { source: Some(error.into()), ..failed }
    }
}
