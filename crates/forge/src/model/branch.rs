use std::fmt;

use lock_model::{CommitId, TreePath, UserName};
use serde::{Deserialize, Serialize};

use super::{Status, StatusState};

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

    /// The required statuses that keep this head out, with the base branch at `base`; `statuses` are those of the head.
    pub fn unmet(&self, statuses: &[Status], head: &CommitId, base: &CommitId) -> Vec<UnmetStatus> {
        let why = |required: &RequiredStatus| {
            let Some(status) = statuses.iter().find(|status| status.context == required.context) else {
                return Some(Unmet::Missing);
            };
            match &required.source {
                Some(source) if *source != status.by => {
                    Some(Unmet::Foreign { by: status.by.clone(), source: source.clone() })
                }
                Some(_) | None if status.state == StatusState::Success => {
                    let earned = status.base.clone().filter(|earned| earned != base)?;
                    Some(Unmet::OtherBase { earned, base: base.clone() })
                }
                Some(_) | None => Some(Unmet::State(status.state)),
            }
        };
        let unmet = |required: &RequiredStatus| {
            let (context, head) = (required.context.clone(), head.clone());
            why(required).map(|why| UnmetStatus { context, head, why })
        };
        self.required_statuses.iter().filter_map(unmet).collect()
    }
}

/// A required status that does not let a head in, and in its [`Display`](fmt::Display) why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnmetStatus {
    context: String,
    head: CommitId,
    why: Unmet,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Unmet {
    Missing,
    State(StatusState),
    Foreign { by: UserName, source: UserName },
    OtherBase { earned: CommitId, base: CommitId },
}

impl UnmetStatus {
    /// Such as `orchestrator/lock`.
    pub fn context(&self) -> &str {
        &self.context
    }

    /// Whether the head has a good status in this context, which does not count.
    pub fn is_ineffective(&self) -> bool {
        match self.why {
            Unmet::Missing | Unmet::State(_) => false,
            Unmet::Foreign { .. } | Unmet::OtherBase { .. } => true,
        }
    }
}

impl fmt::Display for UnmetStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (context, head) = (&self.context, self.head.short(12));
        match &self.why {
            Unmet::Missing => write!(f, "required status `{context}` is missing on `{head}`"),
            Unmet::State(state) => write!(f, "required status `{context}` is {state} on `{head}`"),
            Unmet::Foreign { by, source } => {
                write!(f, "required status `{context}` on `{head}` comes from `{by}`; only `{source}` counts")
            }
            Unmet::OtherBase { earned, base } => write!(
                f,
                "required status `{context}` on `{head}` was earned against base `{}`, which is now `{}`",
                earned.short(12),
                base.short(12)
            ),
        }
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
