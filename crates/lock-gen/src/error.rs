use std::path::PathBuf;
use std::sync::Arc;

use git::GitError;
use lock_model::{CommitId, ErrorClass, TreePath};

use crate::Finding;

pub(crate) type Source = Box<dyn std::error::Error + Send + Sync>;

/// A repository that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder is in no git repository, or in a broken one.
    #[error("`{}` is not a git repository", folder.display())]
    NotARepository {
        /// The folder that was given.
        folder: PathBuf,
        /// The reason of the reader of git repositories.
        source: Source,
    },
    /// The repository belongs to another user.
    #[error("repository `{}` belongs to another user", folder.display())]
    ForeignOwner {
        /// Its git folder.
        folder: PathBuf,
    },
}

impl OpenError {
    /// Not found, or denied for a repository of another user.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NotARepository { .. } => ErrorClass::NotFound,
            Self::ForeignOwner { .. } => ErrorClass::Denied,
        }
    }
}

/// An object of a repository that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// There is no such revision or object.
    #[error("`{what}` does not exist in the repository")]
    NotFound {
        /// The revision or id.
        what: String,
    },
    /// An object that others refer to is not in the clone: it was left out of a partial one, or got lost.
    #[error("{kind} `{id}` {}", if *partial { "was left out of this partial clone" } else { "is missing from this clone" })]
    Missing {
        /// `tree` or `blob`.
        kind: &'static str,
        /// The id of the object.
        id: String,
        /// Whether the clone is a partial one.
        partial: bool,
    },
    /// The object is there, and broken or of another kind.
    #[error("`{what}` cannot be read")]
    Unreadable {
        /// The revision or id.
        what: String,
        /// The reason of the reader of git repositories.
        source: Source,
    },
}

impl ReadError {
    /// Not found, or invalid for an object that is broken or of another kind.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NotFound { .. } | Self::Missing { .. } => ErrorClass::NotFound,
            Self::Unreadable { .. } => ErrorClass::Invalid,
        }
    }

    /// The command that fixes it, where there is one.
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

/// A history that could not be read. That says nothing about the commits in it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The history could not be fetched.
    #[error("the history of `{url}` could not be fetched")]
    Remote {
        /// The remote, without credentials.
        url: String,
        /// The error of git.
        source: Arc<GitError>,
    },
    /// Neither the remote nor the clone has the commit.
    #[error("commit `{commit}` is not at `{url}`")]
    NotPublished {
        /// The commit.
        commit: CommitId,
        /// The remote, without credentials.
        url: String,
    },
    /// The cache cannot be read or written.
    #[error("cache `{}` cannot be used", folder.display())]
    Cache {
        /// The folder.
        folder: PathBuf,
        /// The cause.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// Another process held the lock of the cache until the deadline.
    #[error("cache `{}` is in use by another process", folder.display())]
    Busy {
        /// The folder.
        folder: PathBuf,
    },
    /// The history was fetched, but cannot be read.
    #[error("the history of `{url}` cannot be read")]
    Read {
        /// The remote, without credentials.
        url: String,
        /// The cause.
        source: Arc<ReadError>,
    },
}

impl HistoryError {
    /// That of the source for a remote and for objects; temporary for a busy cache, invalid for a broken one.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Remote { source, .. } => source.class(),
            Self::NotPublished { .. } => ErrorClass::NotFound,
            Self::Cache { source, .. } => class_of_cache(&**source),
            Self::Busy { .. } => ErrorClass::Temporary,
            Self::Read { source, .. } => source.class(),
        }
    }

    /// Whether it failed because a deadline passed.
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

/// A cache that cannot be used: the disk is full or not to be written to, or what is there is broken.
fn class_of_cache(source: &(dyn std::error::Error + Send + Sync + 'static)) -> ErrorClass {
    if let Some(error) = source.downcast_ref::<GitError>()
        && error.class() == ErrorClass::Storage
    {
        return ErrorClass::Storage;
    }
    let io = source.downcast_ref::<std::io::Error>();
    io.map_or(ErrorClass::Invalid, |error| ErrorClass::of_io(error, ErrorClass::Invalid))
}

/// Files of a tree or submodule that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// The remote does not have the commit that the gitlink names.
    #[error("commit `{commit}` of `{path}` is not at `{url}`")]
    NotPublished {
        /// The submodule's path.
        path: TreePath,
        /// The commit.
        commit: CommitId,
        /// The remote, without credentials.
        url: String,
        /// The error of git.
        source: Box<GitError>,
    },
    /// The commit could not be fetched.
    #[error("commit `{commit}` of `{path}` could not be fetched")]
    Fetch {
        /// The submodule's path.
        path: TreePath,
        /// The commit.
        commit: CommitId,
        /// The error of git.
        source: Box<GitError>,
    },
    /// Some entries of the tree cannot be written safely: see [`Finding::kind`].
    #[error("{} of the files in {what} cannot be used:{}", problems.len(), list(problems))]
    Unsafe {
        /// The tree or submodule.
        what: String,
        /// A finding for each of them, sorted.
        problems: Vec<Finding>,
    },
    /// The cache cannot be read or written.
    #[error("cache `{}` cannot be used", folder.display())]
    Cache {
        /// The cache's folder.
        folder: PathBuf,
        /// The cause.
        source: Source,
    },
    /// An object could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl ContentError {
    /// That of the source for a fetch and for objects; invalid for unsafe entries and a broken cache.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NotPublished { .. } => ErrorClass::NotFound,
            Self::Fetch { source, .. } => source.class(),
            Self::Unsafe { .. } => ErrorClass::Invalid,
            Self::Cache { source, .. } => class_of_cache(&**source),
            Self::Read(error) => error.class(),
        }
    }

    /// Whether it failed because a deadline passed.
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
