//! Changes of submodules that a reviewer should look at.

use std::collections::BTreeMap;
use std::fmt;

use lock_model::{CommitId, GitSource, Lock, RepositoryUrl, TreePath};

use crate::sources::owner;
use crate::{Direction, Scan};

/// The pins of a tree or lock: repository and commit, by the path of the submodule.
pub type Pins = BTreeMap<TreePath, GitSource>;

impl Scan {
    /// The pins of the submodules without problems.
    pub fn pins(&self) -> Pins {
        let pins = self.submodules.iter().map(|one| {
            let pin = GitSource::new(one.url.clone(), one.commit.clone());
            (one.path.clone(), pin)
        });
        pins.collect()
    }
}

/// The pins of the services of a lock.
pub fn lock_pins(lock: &Lock) -> Pins {
    lock.services().values().map(|service| (service.path.clone(), service.git.clone())).collect()
}

/// A change of a submodule that a reviewer should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubmoduleChange {
    /// It comes from another repository.
    RepositoryChanged {
        /// The path of the submodule.
        path: TreePath,
        /// The repository before.
        before: RepositoryUrl,
        /// The repository now.
        after: RepositoryUrl,
        /// Whether host or owner are others, too.
        owner_changed: bool,
    },
    /// It went back to an ancestor of its commit.
    Backward {
        /// The path of the submodule.
        path: TreePath,
        /// The commit before.
        before: CommitId,
        /// The commit now.
        after: CommitId,
    },
    /// It went to a commit that is neither a descendant nor an ancestor.
    Diverged {
        /// The path of the submodule.
        path: TreePath,
        /// The commit before.
        before: CommitId,
        /// The commit now.
        after: CommitId,
        /// Whether the two have no common ancestor.
        unrelated: bool,
    },
    /// It went to another commit, and how that lies in history is not known.
    UnknownDirection {
        /// The path of the submodule.
        path: TreePath,
        /// The commit before.
        before: CommitId,
        /// The commit now.
        after: CommitId,
    },
}

impl SubmoduleChange {
    /// A stable word, such as `owner-changed`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::RepositoryChanged { owner_changed: true, .. } => "owner-changed",
            Self::RepositoryChanged { owner_changed: false, .. } => "repository-changed",
            Self::Backward { .. } => "backward",
            Self::Diverged { unrelated: true, .. } => "unrelated",
            Self::Diverged { unrelated: false, .. } => "diverged",
            Self::UnknownDirection { .. } => "unknown-direction",
        }
    }

    /// The submodule's path.
    pub fn path(&self) -> &TreePath {
        match self {
            Self::RepositoryChanged { path, .. }
            | Self::Backward { path, .. }
            | Self::Diverged { path, .. }
            | Self::UnknownDirection { path, .. } => path,
        }
    }
}

impl fmt::Display for SubmoduleChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RepositoryChanged { path, before, after, owner_changed } => {
                let whose = if *owner_changed { ", of another owner" } else { "" };
                write!(f, "`{path}` comes from `{after}`{whose}, and came from `{before}`")
            }
            Self::Backward { path, before, after } => {
                write!(f, "`{path}` goes back from {} to {}", before.short(12), after.short(12))
            }
            Self::Diverged { path, before, after, unrelated } => {
                let what = if *unrelated { "shares no history with" } else { "is no descendant of" };
                write!(f, "`{path}` goes to {}, which {what} {}", after.short(12), before.short(12))
            }
            Self::UnknownDirection { path, before, after } => {
                let (before, after) = (before.short(12), after.short(12));
                write!(f, "`{path}` goes from {before} to {after}, forward or back is not known")
            }
        }
    }
}

/// The changes between two trees or locks that a reviewer should look at, by path.
///
/// `directions` has what is known of the submodules that moved; a forward move needs no review, and one whose direction
/// is missing there is a change of its own.
pub fn changes_to_review(
    before: &Pins,
    after: &Pins,
    directions: &BTreeMap<TreePath, Direction>,
) -> Vec<SubmoduleChange> {
    let mut changes = Vec::new();
    for (path, new) in after {
        let Some(old) = before.get(path) else { continue };
        let path = path.clone();
        if old.url != new.url {
            changes.push(SubmoduleChange::RepositoryChanged {
                path: path.clone(),
                before: old.url.clone(),
                after: new.url.clone(),
                owner_changed: owner(&old.url) != owner(&new.url),
            });
        }
        if old.commit == new.commit {
            continue;
        }
        let direction = directions.get(&path).copied();
        let (before, after) = (old.commit.clone(), new.commit.clone());
        match direction {
            Some(Direction::Forward) => {}
            Some(Direction::Backward) => changes.push(SubmoduleChange::Backward { path, before, after }),
            Some(Direction::Diverged) => {
                changes.push(SubmoduleChange::Diverged { path, before, after, unrelated: false });
            }
            Some(Direction::Unrelated) => {
                changes.push(SubmoduleChange::Diverged { path, before, after, unrelated: true });
            }
            // `Same` is an answer about other commits: these two differ.
            Some(Direction::Same) | None => changes.push(SubmoduleChange::UnknownDirection { path, before, after }),
        }
    }
    changes
}
