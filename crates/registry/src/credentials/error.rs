use std::fmt;
use std::path::{Path, PathBuf};

use lock_model::ErrorClass;

use crate::text::joined;

/// A file with logins that must not, or cannot, be used. Displayed are all its problems.
#[derive(Debug)]
pub struct CredentialError {
    path: PathBuf,
    problems: Vec<CredentialProblem>,
}

/// Why a file with logins is not used. Nothing in it holds anything of the file's content but names.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialProblem {
    /// The file belongs to the checkout: anyone with write access to it could choose logins and programs.
    #[error("lies inside the work tree `{}`: files of a checkout name no logins and no programs", work_tree.display())]
    InsideWorkTree {
        /// The root of the checkout.
        work_tree: PathBuf,
    },
    /// The file cannot be read.
    #[error("cannot be read")]
    Unreadable(#[source] std::io::Error),
    /// The file is larger than any such file.
    #[error("is larger than {limit} bytes")]
    TooLarge {
        /// In bytes.
        limit: u64,
    },
    /// The file is not what docker or podman write.
    // NOTE: the parser's own message would quote what it found, which may be a password.
    #[error("is not a file with logins: line {line}, column {column}")]
    NotReadable {
        /// From 1.
        line: usize,
        /// From 1, in bytes.
        column: usize,
    },
    /// A helper's name is not a plain word, so that it could name a program elsewhere.
    #[error(
        "`{setting}` names the credential helper `{}`: only letters, digits, `.`, `_` and `-` may be in it",
        lock_model::escaping::escape_terminal(name)
    )]
    HelperName {
        /// Where in the file it stands.
        setting: String,
        /// As the file spells it.
        name: String,
    },
}

impl CredentialError {
    pub(crate) fn new(path: &Path, problems: impl Into<Vec<CredentialProblem>>) -> Self {
        Self { path: path.to_owned(), problems: problems.into() }
    }

    /// The file as the caller named it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Why it is not used: at least one reason.
    pub fn problems(&self) -> &[CredentialProblem] {
        &self.problems
    }

    /// What kind of failure this is: `Invalid`, since the file stays what it is.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

impl fmt::Display for CredentialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.path.display(), joined(&self.problems))
    }
}

impl std::error::Error for CredentialError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.problems.first()?.source()
    }
}
