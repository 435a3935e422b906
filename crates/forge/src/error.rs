use std::path::PathBuf;
use std::time::Duration;

use git::GitError;
use lock_model::{ErrorClass, IdentifierError};

/// A question to the forge that has no answer, or a write that it did not accept.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    /// There is no such thing.
    #[error("{what} does not exist")]
    NotFound {
        /// What was asked for, with its number or name.
        what: String,
    },
    /// The forge's rules forbid it.
    #[error("the forge refuses to {action}: {}", reasons.join("; "))]
    Refused {
        /// What was to be done.
        action: String,
        /// Every reason, not the first.
        reasons: Vec<String>,
    },
    /// What was sent cannot be stored.
    #[error("{what} is not acceptable: {problem}")]
    Invalid {
        /// What was sent.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A name that no forge would accept.
    #[error(transparent)]
    Name(#[from] IdentifierError),
    /// Another process writes all the time, or was stopped while it wrote.
    #[error("the forge at `{}` was locked by another writer for {} s", path.display(), waited.as_secs())]
    Busy {
        /// The lock file.
        path: PathBuf,
        /// How long was waited.
        waited: Duration,
    },
    /// A file of the forge cannot be read or written.
    #[error("cannot {action} `{}`", path.display())]
    File {
        /// What was to be done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file of the forge holds something else than what the forge writes.
    #[error("`{}` is damaged: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A file of the forge was written by a newer program.
    #[error("`{}` has version {version}; this program knows version 1", path.display())]
    UnknownVersion {
        /// The file.
        path: PathBuf,
        /// The version in it.
        version: u64,
    },
    /// Git did not do its part.
    #[error("git failed in the forge's repository")]
    Git(#[from] GitError),
}

impl ForgeError {
    /// What kind of failure this is.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NotFound { .. } => ErrorClass::NotFound,
            Self::Refused { .. } => ErrorClass::Denied,
            Self::Invalid { .. } | Self::Name(_) | Self::Damaged { .. } | Self::UnknownVersion { .. } => {
                ErrorClass::Invalid
            }
            Self::Busy { .. } => ErrorClass::Temporary,
            Self::File { source, .. } => match source.kind() {
                std::io::ErrorKind::NotFound => ErrorClass::NotFound,
                std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => ErrorClass::Denied,
                _ => ErrorClass::Temporary,
            },
            Self::Git(error) => error.class(),
        }
    }
}
