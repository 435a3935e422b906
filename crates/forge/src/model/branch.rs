use lock_model::{CommitId, TreePath, UserName};
use serde::{Deserialize, Serialize};

/// Short name of the branch that holds the ledger.
///
/// Whether it is protected or not, a forge lets it only go forward, by commits that add one valid record each, and never
/// deletes it.
pub const LEDGER_BRANCH: &str = "orchestrator/ledger";

/// The rules of one protected branch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct BranchRules {
    /// Statuses that the head of a pull request into the branch needs before it can be merged.
    #[serde(default)]
    pub required_statuses: Vec<RequiredStatus>,
    /// Users who may push to the branch; force pushes and deletions stay refused for them too.
    #[serde(default)]
    pub bypass: Vec<UserName>,
}

impl BranchRules {
    /// Protects a branch with these required statuses and this bypass list.
    pub fn new(required_statuses: Vec<RequiredStatus>, bypass: Vec<UserName>) -> Self {
        Self { required_statuses, bypass }
    }
}

/// A status context that must be successful before a pull request can be merged.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RequiredStatus {
    /// Such as `orchestrator/lock`.
    pub context: String,
    /// The only user whose status counts; when absent, every user's does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<UserName>,
}

impl RequiredStatus {
    /// Requires the context, from `source` alone where one is given.
    pub fn new(context: impl Into<String>, source: Option<UserName>) -> Self {
        Self { context: context.into(), source }
    }
}

/// A change of one file in a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileChange {
    /// The file has these bytes afterwards, and is not executable.
    Write {
        /// Path from the root of the tree.
        path: TreePath,
        /// The whole content.
        bytes: Vec<u8>,
    },
    /// The file is gone afterwards.
    Remove {
        /// Path from the root of the tree.
        path: TreePath,
    },
}

/// Answer to a commit on a branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// The branch is at this new commit.
    Committed(CommitId),
    /// The tip has this content already, from an attempt whose answer was lost or because nothing changes.
    AlreadyThere(CommitId),
    /// The branch is not at the expected head; nothing was written.
    Moved {
        /// The branch's tip; absent when there is no such branch.
        actual: Option<CommitId>,
    },
    /// The branch's rules forbid it.
    Refused {
        /// Every reason, not the first.
        reasons: Vec<String>,
    },
}
