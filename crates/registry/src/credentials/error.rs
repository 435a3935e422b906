use std::fmt;
use std::path::{Path, PathBuf};

use lock_model::ErrorClass;

/// A file with logins that must not, or cannot, be used.
#[derive(Debug)]
pub struct CredentialError {
    path: PathBuf,
    kind: CredentialErrorKind,
}

/// Why a file with logins is not used. No variant holds anything of the file's content but names.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialErrorKind {
    /// The file belongs to the checkout, so that whoever can change the checkout could choose logins and programs.
    #[error("lies inside the work tree `{}`: files of a checkout name no logins and no programs", work_tree.display())]
    InsideWorkTree {
        /// The work tree.
        work_tree: PathBuf,
    },
    /// The file cannot be read.
    #[error("cannot be read")]
    Unreadable(#[source] std::io::Error),
    /// The file is larger than any such file.
    #[error("is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// The file is not what docker or podman write.
    // NOTE: the parser's own message would quote what it found, which may be a password.
    #[error("is not a file with logins: line {line}, column {column}")]
    NotReadable {
        /// The line, from 1.
        line: usize,
        /// The column.
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
        /// The name.
        name: String,
    },
}

impl CredentialError {
    pub(crate) fn new(path: &Path, kind: CredentialErrorKind) -> Self {
        Self { path: path.to_owned(), kind }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Why it is not used.
    pub fn kind(&self) -> &CredentialErrorKind {
        &self.kind
    }

    /// What kind of failure this is.
    pub fn class(&self) -> ErrorClass {
        match &self.kind {
            CredentialErrorKind::InsideWorkTree { .. }
            | CredentialErrorKind::Unreadable(_)
            | CredentialErrorKind::TooLarge { .. }
            | CredentialErrorKind::NotReadable { .. }
            | CredentialErrorKind::HelperName { .. } => ErrorClass::Invalid,
        }
    }
}

impl fmt::Display for CredentialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.path.display(), self.kind)
    }
}

impl std::error::Error for CredentialError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.kind)
    }
}
