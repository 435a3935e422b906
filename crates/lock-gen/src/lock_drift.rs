//! Whether a lock belongs to a tree.

use std::collections::BTreeMap;
use std::fmt;

use lock_model::{CommitId, Lock, RepositoryUrl, Service, ServiceName, TreePath};

use crate::{Finding, Scan};

/// One way in which a lock and a tree disagree.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockDrift {
    /// The gitlink names another commit than the lock.
    Commit {
        /// The service that is locked.
        service: ServiceName,
        /// The path of its submodule.
        path: TreePath,
        /// The commit in the lock.
        lock: CommitId,
        /// The commit of the gitlink.
        tree: CommitId,
    },
    /// `.gitmodules` names another repository than the lock.
    Url {
        /// The service that is locked.
        service: ServiceName,
        /// The path of its submodule.
        path: TreePath,
        /// The repository in the lock.
        lock: RepositoryUrl,
        /// The repository in `.gitmodules`.
        tree: RepositoryUrl,
    },
    /// The lock has a service at a path where the tree has no submodule.
    NotInTree {
        /// The service that is locked.
        service: ServiceName,
        /// The path in the lock.
        path: TreePath,
    },
    /// The tree has a submodule at a path where the lock has no service.
    NotInLock {
        /// The path of the submodule.
        path: TreePath,
        /// The commit of the gitlink.
        tree: CommitId,
    },
    /// The tree itself has a problem, so that no lock belongs to it.
    Tree(Finding),
}

impl LockDrift {
    /// The path that it is about; for a problem of the tree, its subject.
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

impl fmt::Display for LockDrift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commit { service, path, lock, tree } => {
                write!(f, "`{service}` is locked at {}, but `{path}` is at {}", lock.short(12), tree.short(12))
            }
            Self::Url { service, path, lock, tree } => {
                write!(f, "`{service}` is locked from `{lock}`, but `{path}` comes from `{tree}`")
            }
            Self::NotInTree { service, path } => {
                write!(f, "`{service}` is locked, but `{path}` is no submodule of the tree")
            }
            Self::NotInLock { path, tree } => {
                write!(f, "`{path}` is a submodule at {}, but not locked", tree.short(12))
            }
            Self::Tree(finding) => finding.fmt(f),
        }
    }
}

/// All drift between a lock and a tree, sorted by path; empty where the gitlinks and `.gitmodules` are as locked.
///
/// Services and submodules meet by path. The tree's own id is not compared: the commit that adds the lock changes it.
pub fn lock_drift(lock: &Lock, scan: &Scan) -> Vec<LockDrift> {
    drift(lock.services(), scan)
}

pub(crate) fn drift(services: &BTreeMap<ServiceName, Service>, scan: &Scan) -> Vec<LockDrift> {
    let mut unlocked: BTreeMap<&TreePath, _> = scan.submodules.iter().map(|one| (&one.path, one)).collect();
    let mut drifts: Vec<LockDrift> = scan.problems.iter().cloned().map(LockDrift::Tree).collect();
    for (service, locked) in services {
        let (service, path) = (service.clone(), locked.path.clone());
        let Some(submodule) = unlocked.remove(&path) else {
            // The submodule is there, and left out of the scan because of the problem.
            if !scan.has_problem_at(&path) {
                drifts.push(LockDrift::NotInTree { service, path });
            }
            continue;
        };
        if locked.git.commit != submodule.commit {
            let (lock, tree) = (locked.git.commit.clone(), submodule.commit.clone());
            drifts.push(LockDrift::Commit { service: service.clone(), path: path.clone(), lock, tree });
        }
        if locked.git.url != submodule.url {
            let (lock, tree) = (locked.git.url.clone(), submodule.url.clone());
            drifts.push(LockDrift::Url { service, path, lock, tree });
        }
    }
    let not_in_lock = |(path, submodule): (&TreePath, &crate::Submodule)| LockDrift::NotInLock {
        path: path.clone(),
        tree: submodule.commit.clone(),
    };
    drifts.extend(unlocked.into_iter().map(not_in_lock));
    drifts.sort_by(|a, b| a.path().cmp(b.path()));
    drifts
}
