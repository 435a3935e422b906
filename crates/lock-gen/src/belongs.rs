use std::collections::BTreeMap;
use std::fmt;

use lock_model::{CommitId, Lock, RepositoryUrl, ServiceName, TreePath};

use crate::{Finding, Scan};

/// One way in which a lock and a tree disagree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// The gitlink names another commit than the lock.
    Commit {
        /// The service.
        service: ServiceName,
        /// The submodule's path.
        path: TreePath,
        /// The lock's commit.
        lock: CommitId,
        /// The tree's commit.
        tree: CommitId,
    },
    /// `.gitmodules` names another repository than the lock.
    Url {
        /// The service.
        service: ServiceName,
        /// The submodule's path.
        path: TreePath,
        /// The lock's repository.
        lock: RepositoryUrl,
        /// The tree's repository.
        tree: RepositoryUrl,
    },
    /// The lock has a service that is no submodule of the tree.
    NotInTree {
        /// The service.
        service: ServiceName,
        /// The submodule's path.
        path: TreePath,
        /// The lock's commit.
        lock: CommitId,
    },
    /// The tree has a submodule that the lock does not know.
    NotInLock {
        /// The submodule's path.
        path: TreePath,
        /// The tree's commit.
        tree: CommitId,
    },
    /// The tree itself has a problem.
    Tree(Finding),
}

impl Mismatch {
    /// The path that it is about.
    pub fn path(&self) -> &str {
        match self {
            Self::Commit { path, .. }
            | Self::Url { path, .. }
            | Self::NotInTree { path, .. }
            | Self::NotInLock { path, .. } => path.as_str(),
            Self::Tree(finding) => &finding.subject,
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commit { service, path, lock, tree } => {
                write!(f, "`{service}` is locked at {}, but `{path}` is at {}", lock.short(12), tree.short(12))
            }
            Self::Url { service, path, lock, tree } => {
                write!(f, "`{service}` is locked from `{lock}`, but `{path}` comes from `{tree}`")
            }
            Self::NotInTree { service, path, .. } => {
                write!(f, "`{service}` is locked, but `{path}` is no submodule of the tree")
            }
            Self::NotInLock { path, tree } => {
                write!(f, "`{path}` is a submodule at {}, but not locked", tree.short(12))
            }
            Self::Tree(finding) => finding.fmt(f),
        }
    }
}

/// Whether a lock belongs to a tree: nothing where its gitlinks and `.gitmodules` are the tree's.
///
/// Services and submodules meet by path. The tree's own id is not compared: the commit that adds the lock changes it.
pub fn compare(lock: &Lock, scan: &Scan) -> Vec<Mismatch> {
    let mut unlocked: BTreeMap<&TreePath, _> = scan.submodules.iter().map(|one| (&one.path, one)).collect();
    let mut mismatches: Vec<Mismatch> = scan.problems.iter().cloned().map(Mismatch::Tree).collect();
    for (service, locked) in lock.services() {
        let (service, path) = (service.clone(), locked.path.clone());
        let Some(submodule) = unlocked.remove(&path) else {
            // What a problem hides is not said to be missing as well.
            if !scan.problems.iter().any(|problem| problem.subject == path.as_str()) {
                mismatches.push(Mismatch::NotInTree { service, path, lock: locked.git.commit.clone() });
            }
            continue;
        };
        if locked.git.commit != submodule.sha {
            let (lock, tree) = (locked.git.commit.clone(), submodule.sha.clone());
            mismatches.push(Mismatch::Commit { service: service.clone(), path: path.clone(), lock, tree });
        }
        if locked.git.url != submodule.url {
            let (lock, tree) = (locked.git.url.clone(), submodule.url.clone());
            mismatches.push(Mismatch::Url { service, path, lock, tree });
        }
    }
    for (path, submodule) in unlocked {
        mismatches.push(Mismatch::NotInLock { path: path.clone(), tree: submodule.sha.clone() });
    }
    mismatches.sort_by(|a, b| a.path().cmp(b.path()));
    mismatches
}
