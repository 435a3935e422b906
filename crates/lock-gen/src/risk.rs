//! Changes of submodules that a person should look at.

use std::collections::BTreeMap;
use std::fmt;

use lock_model::{CommitId, Lock, RepositoryUrl, TreePath};

use crate::sources::owner;
use crate::{Direction, Scan};

/// Where a submodule's code comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// Its repository.
    pub url: RepositoryUrl,
    /// Its commit.
    pub sha: CommitId,
}

/// The pins of a tree or lock, by path.
pub type Pins = BTreeMap<TreePath, Pin>;

impl Scan {
    /// The pins of the submodules without problems.
    pub fn pins(&self) -> Pins {
        let pins = self.submodules.iter().map(|one| {
            let pin = Pin { url: one.url.clone(), sha: one.sha.clone() };
            (one.path.clone(), pin)
        });
        pins.collect()
    }
}

/// The pins of a lock.
pub fn lock_pins(lock: &Lock) -> Pins {
    let pins = lock.services().values().map(|service| {
        let pin = Pin { url: service.git.url.clone(), sha: service.git.commit.clone() };
        (service.path.clone(), pin)
    });
    pins.collect()
}

/// One change that a person should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Risk {
    /// A submodule comes from another repository.
    RepositoryChanged {
        /// The submodule's path.
        path: TreePath,
        /// The repository before.
        before: RepositoryUrl,
        /// The repository now.
        after: RepositoryUrl,
        /// Whether it belongs to another host or owner, too.
        owner_changed: bool,
    },
    /// A submodule went back to an older commit.
    Backward {
        /// The submodule's path.
        path: TreePath,
        /// The commit before.
        before: CommitId,
        /// The commit now.
        after: CommitId,
    },
    /// A submodule left the line of history that it was on.
    Sideways {
        /// The submodule's path.
        path: TreePath,
        /// The commit before.
        before: CommitId,
        /// The commit now.
        after: CommitId,
        /// Whether the two have no common ancestor.
        unrelated: bool,
    },
    /// A submodule moved, and in which direction is not known.
    UnknownDirection {
        /// The submodule's path.
        path: TreePath,
        /// The commit before.
        before: CommitId,
        /// The commit now.
        after: CommitId,
    },
}

impl Risk {
    /// A stable word for machines.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::RepositoryChanged { owner_changed: true, .. } => "owner-changed",
            Self::RepositoryChanged { owner_changed: false, .. } => "repository-changed",
            Self::Backward { .. } => "backward",
            Self::Sideways { unrelated: true, .. } => "unrelated",
            Self::Sideways { unrelated: false, .. } => "diverged",
            Self::UnknownDirection { .. } => "unknown-direction",
        }
    }

    /// The submodule's path.
    pub fn path(&self) -> &TreePath {
        match self {
            Self::RepositoryChanged { path, .. }
            | Self::Backward { path, .. }
            | Self::Sideways { path, .. }
            | Self::UnknownDirection { path, .. } => path,
        }
    }
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RepositoryChanged { path, before, after, owner_changed } => {
                let whose = if *owner_changed { ", of another owner" } else { "" };
                write!(f, "`{path}` comes from `{after}`{whose}, and came from `{before}`")
            }
            Self::Backward { path, before, after } => {
                write!(f, "`{path}` goes back from {} to {}", before.short(12), after.short(12))
            }
            Self::Sideways { path, before, after, unrelated } => {
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

/// The risks between two trees or locks, by path. `directions` has what is known of the submodules that moved; one
/// that moved and is not there is a risk of its own.
pub fn risks(before: &Pins, after: &Pins, directions: &BTreeMap<TreePath, Direction>) -> Vec<Risk> {
    let mut risks = Vec::new();
    for (path, new) in after {
        let Some(old) = before.get(path) else { continue };
        let path = path.clone();
        if old.url != new.url {
            risks.push(Risk::RepositoryChanged {
                path: path.clone(),
                before: old.url.clone(),
                after: new.url.clone(),
                owner_changed: owner(&old.url) != owner(&new.url),
            });
        }
        if old.sha == new.sha {
            continue;
        }
        let direction = directions.get(&path).copied();
        let (before, after) = (old.sha.clone(), new.sha.clone());
        match direction {
            Some(Direction::Forward) => {}
            Some(Direction::Backward) => risks.push(Risk::Backward { path, before, after }),
            Some(Direction::Diverged) => risks.push(Risk::Sideways { path, before, after, unrelated: false }),
            Some(Direction::Unrelated) => risks.push(Risk::Sideways { path, before, after, unrelated: true }),
            // Different commits are never the same: whoever says so asked about others.
            Some(Direction::Same) | None => risks.push(Risk::UnknownDirection { path, before, after }),
        }
    }
    risks
}
