use lock_model::{CommitId, Timestamp, TreeId, UserName};
use serde::{Deserialize, Serialize};

use super::Role;

/// What a review says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReviewState {
    /// The reviewer approves.
    Approved,
    /// The reviewer asks for changes.
    ChangesRequested,
    /// The reviewer neither approves nor asks for changes.
    Commented,
    /// Dismissed, by the reviewer or by a user with write access.
    Dismissed,
}

/// A review of exactly one commit and its tree.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Review {
    /// Order of arrival within the pull request, from 1.
    pub seq: u64,
    /// The reviewer.
    pub user: UserName,
    /// What the reviewer may do *now*, not when the review was given.
    pub role: Role,
    /// Whether the reviewer is a program.
    pub bot: bool,
    /// Approved, changes requested, commented or dismissed.
    pub state: ReviewState,
    /// Markdown; may be empty.
    pub body: String,
    /// The head that was reviewed.
    pub commit: CommitId,
    /// The tree of that head.
    pub tree: TreeId,
    /// When it was given.
    pub at: Timestamp,
    /// When it was dismissed; absent while it is in force.
    pub dismissed_at: Option<Timestamp>,
}
