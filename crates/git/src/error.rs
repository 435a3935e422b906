use std::path::PathBuf;

use lock_model::ErrorClass;

use process::ProcessError;

/// Why git could not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GitError {
    /// The folder is in no git repository.
    #[error("`{}` is not a git repository", folder.display())]
    NotARepository {
        /// The folder.
        folder: PathBuf,
    },
    /// The repository belongs to another user, whose configuration could run programs as us.
    #[error("repository `{}` belongs to another user", folder.display())]
    ForeignOwner {
        /// The folder.
        folder: PathBuf,
    },
    /// The installed git is too old.
    #[error("git {found} is too old: {minimum} or newer is needed")]
    TooOld {
        /// What was found.
        found: String,
        /// What is needed.
        minimum: String,
    },
    /// A revision, tree, or remote ref does not exist.
    #[error("`{what}` does not exist in the repository")]
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// A remote repository did not do what it was asked.
    #[error("remote `{remote}`: {what}")]
    Remote {
        /// The remote, without credentials.
        remote: String,
        /// The kind of failure, read from git's messages.
        class: ErrorClass,
        /// What failed, in a word.
        what: &'static str,
        /// What git said.
        source: Box<ProcessError>,
    },
    /// We were about to hand git something that it would misunderstand.
    #[error("`{value}` is not usable as {what}")]
    Operand {
        /// What it was meant to be.
        what: &'static str,
        /// The value, escaped.
        value: String,
    },
    /// Git ended well, but its answer is not what its manual says.
    #[error("answer of `{command}` not understood: {what}")]
    Answer {
        /// The command.
        command: String,
        /// What was expected.
        what: &'static str,
    },
    /// A temporary file could not be written.
    #[error("cannot write in `{}`", folder.display())]
    Temporary {
        /// The folder.
        folder: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Git could not be run, or said no.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

impl GitError {
    /// The kind of failure.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NotARepository { .. } | Self::NotFound { .. } => ErrorClass::NotFound,
            Self::ForeignOwner { .. } => ErrorClass::Denied,
            Self::TooOld { .. } | Self::Operand { .. } | Self::Temporary { .. } => ErrorClass::Invalid,
            Self::Answer { .. } => ErrorClass::Bug,
            Self::Remote { class, .. } => *class,
            Self::Process(error) => error.class(),
        }
    }

    /// Whether a deadline passed.
    pub fn is_deadline(&self) -> bool {
        match self {
            Self::Process(error) => error.is_deadline(),
            Self::Remote { source, .. } => source.is_deadline(),
            _ => false,
        }
    }
}
