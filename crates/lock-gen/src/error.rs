use std::path::PathBuf;
use std::sync::Arc;

use git::GitError;
use lock_model::{CommitId, ErrorClass, TreePath};

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
    /// An object that others refer to is not here: it was left out of a partial clone, or got lost.
    #[error("{kind} `{id}` {}", if *partial { "was left out of this partial clone" } else { "is missing from this clone" })]
    Missing {
        /// The kind of object.
        kind: &'static str,
        /// Its id.
        id: String,
        /// Whether the clone is a partial one.
        partial: bool,
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

    /// What to do about it, where something can be done.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotFound { .. } => None,
            Self::Missing { partial: true, .. } => Some(
                "clone without `--filter`, or bring everything with `git -c remote.origin.partialclonefilter= fetch --refetch`",
            ),
            Self::Missing { partial: false, .. } => {
                Some("`git fsck --connectivity-only` lists what is lost; a new clone brings it back")
            }
            Self::Unreadable { .. } => Some("`git fsck` shows what is broken; a new clone brings it back"),
        }
    }
}

/// Why the history of a remote could not be looked at. It says nothing about what is in that history.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The remote could not be asked.
    #[error("the history of `{url}` could not be fetched")]
    Remote {
        /// The remote, without credentials.
        url: String,
        /// What git said.
        source: Arc<GitError>,
    },
    /// The remote has no such commit, and neither has the clone.
    #[error("commit `{sha}` is not at `{url}`")]
    NotPublished {
        /// The commit.
        sha: CommitId,
        /// The remote, without credentials.
        url: String,
    },
    /// The folder for what is fetched cannot be used.
    #[error("cache `{}` cannot be used", folder.display())]
    Cache {
        /// The folder.
        folder: PathBuf,
        /// The reason.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// Another process used the folder all the time.
    #[error("cache `{}` is in use by another process", folder.display())]
    Busy {
        /// The folder.
        folder: PathBuf,
    },
    /// Objects are there, but cannot be read.
    #[error("the history of `{url}` cannot be read")]
    Read {
        /// The remote, without credentials.
        url: String,
        /// The reason.
        source: Arc<ReadError>,
    },
}

impl HistoryError {
    /// The kind of failure.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Remote { source, .. } => source.class(),
            Self::NotPublished { .. } => ErrorClass::NotFound,
            Self::Cache { .. } => ErrorClass::Invalid,
            Self::Busy { .. } => ErrorClass::Temporary,
            Self::Read { source, .. } => source.class(),
        }
    }

    /// Whether a deadline passed.
    pub fn is_deadline(&self) -> bool {
        match self {
            Self::Remote { source, .. } => source.is_deadline(),
            Self::Busy { .. } => true,
            Self::NotPublished { .. } | Self::Cache { .. } | Self::Read { .. } => false,
        }
    }

    pub(crate) fn cache(folder: &std::path::Path, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Cache { folder: folder.to_owned(), source: Arc::new(source) }
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
