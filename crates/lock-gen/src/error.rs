use std::path::PathBuf;

use lock_model::{CommitId, ErrorClass, TreePath};
use process::git::GitError;

use crate::Finding;

pub(crate) type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a repository cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder is in no git repository.
    #[error("`{}` is not a git repository", folder.display())]
    NotARepository {
        /// The folder.
        folder: PathBuf,
        /// The reader's reason.
        source: Source,
    },
    /// The repository belongs to another user.
    #[error("repository `{}` belongs to another user", folder.display())]
    ForeignOwner {
        /// The repository's folder.
        folder: PathBuf,
    },
}

impl OpenError {
    /// The kind of failure.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NotARepository { .. } => ErrorClass::NotFound,
            Self::ForeignOwner { .. } => ErrorClass::Denied,
        }
    }
}

/// Why an object of a repository cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// There is no such revision or object.
    #[error("`{what}` does not exist in the repository")]
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// An object that others refer to is not here: the clone is shallow or partial.
    #[error("{kind} `{id}` is not in this clone, which is shallow or partial")]
    Missing {
        /// The kind of object.
        kind: &'static str,
        /// Its id.
        id: String,
    },
    /// The object is there, and broken or of another kind.
    #[error("`{what}` cannot be read")]
    Unreadable {
        /// What was asked for.
        what: String,
        /// The reader's reason.
        source: Source,
    },
}

impl ReadError {
    /// The kind of failure.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NotFound { .. } | Self::Missing { .. } => ErrorClass::NotFound,
            Self::Unreadable { .. } => ErrorClass::Invalid,
        }
    }
}

/// Why the files of a tree or submodule cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// The remote does not have the commit that the gitlink names.
    #[error("commit `{sha}` of `{path}` is not at `{url}`")]
    NotPublished {
        /// The submodule's path.
        path: TreePath,
        /// The commit.
        sha: CommitId,
        /// Where it was looked for.
        url: String,
        /// What git said.
        source: Box<GitError>,
    },
    /// The remote could not be asked.
    #[error("commit `{sha}` of `{path}` could not be fetched")]
    Fetch {
        /// The submodule's path.
        path: TreePath,
        /// The commit.
        sha: CommitId,
        /// What git said.
        source: Box<GitError>,
    },
    /// Files that are not safe to hand on.
    #[error("{} of the files in {what} cannot be used:{}", problems.len(), list(problems))]
    Unsafe {
        /// The tree or submodule.
        what: String,
        /// All of them.
        problems: Vec<Finding>,
    },
    /// The cache could not be used.
    #[error("cache `{}` cannot be used", folder.display())]
    Cache {
        /// The cache's folder.
        folder: PathBuf,
        /// The reason.
        source: Source,
    },
    /// An object could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl ContentError {
    /// The kind of failure.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NotPublished { .. } => ErrorClass::NotFound,
            Self::Fetch { source, .. } => source.class(),
            Self::Unsafe { .. } | Self::Cache { .. } => ErrorClass::Invalid,
            Self::Read(error) => error.class(),
        }
    }

    /// Whether a deadline passed.
    pub fn is_deadline(&self) -> bool {
        match self {
            Self::NotPublished { source, .. } | Self::Fetch { source, .. } => source.is_deadline(),
            Self::Unsafe { .. } | Self::Cache { .. } | Self::Read(_) => false,
        }
    }
}

fn list(problems: &[Finding]) -> String {
    problems.iter().fold(String::new(), |list, problem| format!("{list}\n  {problem}"))
}
