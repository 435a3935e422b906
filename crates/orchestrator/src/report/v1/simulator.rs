use lock_model::{CommitId, TreeId};
use schemars::JsonSchema;
use serde::Serialize;

use super::verdict::{Report, Verdict};
use crate::error::ErrorKind;

/// `forge init`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct ForgeInitReport {
    /// Path of the folder with the forge's files.
    pub forge: String,
    /// Whether it was made now.
    pub created: bool,
    /// What was changed of a forge that was there, a line each: `+`, `-` or `~`, then a user, branch or pattern.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
}

impl Report for ForgeInitReport {}

/// `forge hook`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct UpdateVerdictReport {
    /// The ref that a push moves.
    #[serde(rename = "ref")]
    pub reference: String,
    /// What the forge says about it.
    pub verdict: String,
    /// Whether the push may go on.
    pub allowed: bool,
    /// Whether it passes a rule that was bypassed.
    pub bypassed: bool,
}

impl Report for UpdateVerdictReport {
    fn verdict(&self) -> Verdict {
        if self.allowed { Verdict::Positive } else { Verdict::Negative(ErrorKind::Denied) }
    }
}

/// A pull request of the local forge, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PullRequestSummary {
    /// Its number on the forge, from 1.
    pub number: u64,
    /// Its title, as its author wrote it.
    pub title: String,
    /// The user who opened it.
    pub author: String,
    /// `open`, `draft`, `merged` or `closed`.
    pub state: String,
    /// The branch that it brings.
    pub head_branch: String,
    /// The branch that it goes to.
    pub base_branch: String,
    /// The newest commit that it brings.
    pub head: CommitId,
    /// The commit of the branch that it goes to.
    pub base: CommitId,
    /// The merge; absent where it is not merged.
    pub merge_commit: Option<CommitId>,
    /// The user who merged it; absent while it is not merged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged_by: Option<String>,
}

/// `forge open`, `forge pr show`, `forge pr ready`, `forge pr close`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct PullRequestReport {
    /// Number of the pull request.
    pub pull_request: PullRequestSummary,
    /// What was done, or how it stands, in one line.
    pub summary: String,
    /// The command by which the acting user approves this head; absent where that approval could not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approve: Option<String>,
    /// Files that were changed on both sides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<String>,
    /// The statuses of its head.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub statuses: Vec<ShownStatus>,
    /// Its reviews, in order of arrival.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reviews: Vec<ShownReview>,
    /// Its comments, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub comments: Vec<ShownComment>,
}

impl Report for PullRequestReport {}

/// A status of a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ShownStatus {
    /// Its context, such as `orchestrator/lock`.
    pub context: String,
    /// `pending`, `success` or `failure`.
    pub state: String,
    /// Its text, one line.
    pub description: String,
}

/// A review.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ShownReview {
    /// The user who wrote it.
    pub user: String,
    /// What it says, such as `approved`.
    pub state: String,
    /// The commit that it is about.
    pub commit: CommitId,
}

/// A comment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ShownComment {
    /// The user who wrote it.
    pub user: String,
    /// Its text, in Markdown.
    pub body: String,
}

/// `forge pr list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct PullRequestList {
    /// All pull requests, by number.
    pub pull_requests: Vec<PullRequestSummary>,
}

impl Report for PullRequestList {}

/// `forge review`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct ForgeReviewReport {
    /// Number of the pull request.
    pub pull_request: u64,
    /// The user who reviewed.
    pub user: String,
    /// `approved`, `changes_requested`, `commented`, or `dismissed` where the review was taken back.
    pub state: String,
    /// The commit that was reviewed.
    pub commit: CommitId,
    /// The tree of that commit.
    pub tree: TreeId,
}

impl Report for ForgeReviewReport {}

/// `forge merge`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct MergeReport {
    /// Number of the pull request.
    pub pull_request: u64,
    /// The merge commit.
    pub commit: CommitId,
    /// The user who merged.
    pub by: String,
    /// Rules that were bypassed, and recorded.
    pub bypassed: Vec<String>,
}

impl Report for MergeReport {}
