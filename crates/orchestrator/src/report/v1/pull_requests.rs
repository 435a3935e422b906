use forge::{Comment, PullRequest, PullRequestState, Review, ReviewState, UnmetStatus};
use lock_model::{CommitId, Timestamp, TreeId};
use schemars::JsonSchema;
use serde::Serialize;

use super::verdict::{Report, Verdict};

/// A pull request in short.
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
    /// When it was opened, UTC.
    pub created_at: Timestamp,
    /// When its title, text or state last changed, UTC.
    pub updated_at: Timestamp,
}

impl From<&PullRequest> for PullRequestSummary {
    fn from(pull_request: &PullRequest) -> Self {
        let state = match (pull_request.state, pull_request.draft) {
            (PullRequestState::Open, true) => "draft",
            (PullRequestState::Open, false) => "open",
            (PullRequestState::Merged, _) => "merged",
            (PullRequestState::Closed, _) => "closed",
        };
        Self {
            number: pull_request.number,
            title: pull_request.title.clone(),
            author: pull_request.author.to_string(),
            state: state.to_owned(),
            head_branch: pull_request.head_branch.to_string(),
            base_branch: pull_request.base_branch.to_string(),
            head: pull_request.head.clone(),
            base: pull_request.base.clone(),
            merge_commit: pull_request.merge.as_ref().map(|merge| merge.commit.clone()),
            merged_by: pull_request.merge.as_ref().map(|merge| merge.by.to_string()),
            created_at: pull_request.created_at,
            updated_at: pull_request.updated_at,
        }
    }
}

/// `forge pr create`, `forge pr ready`, `forge pr close`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct PullRequestReport {
    /// The pull request as it is now.
    pub pull_request: PullRequestSummary,
    /// What was done, in one line.
    pub summary: String,
}

impl Report for PullRequestReport {}

/// `forge pr view`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct PullRequestView {
    /// The pull request in short.
    pub pull_request: PullRequestSummary,
    /// Its text, in Markdown.
    pub body: String,
    /// Rules that its merge bypassed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bypassed: Vec<String>,
    /// The command by which the acting user approves this head; absent where that approval could not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approve: Option<String>,
    /// Files that were changed on both sides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<String>,
    /// The statuses of its head, and those that its base branch requires and that are missing, by context.
    pub statuses: Vec<ShownStatus>,
    /// Its reviews, in order of arrival.
    pub reviews: Vec<ShownReview>,
    /// Its comments, oldest first.
    pub comments: Vec<ShownComment>,
}

impl Report for PullRequestView {}

/// `forge pr checks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct PullRequestChecks {
    /// Number of the pull request.
    pub pull_request: u64,
    /// The commit that has the statuses.
    pub head: CommitId,
    /// The branch that the pull request goes to.
    pub base_branch: String,
    /// The statuses, by context.
    pub checks: Vec<ShownStatus>,
    /// The answer in one line.
    pub summary: String,
    /// Whether there is one at least, and all of them are successful and count.
    pub passed: bool,
}

impl Report for PullRequestChecks {
    fn verdict(&self) -> Verdict {
        Verdict::of(self.passed)
    }
}

/// A status of a pull request's head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ShownStatus {
    /// Its context, such as `orchestrator/lock`.
    pub context: String,
    /// `pending`, `success` or `failure`; `missing` where it is required and not set.
    pub state: String,
    /// Its text, one line.
    pub description: String,
    /// Whether a merge needs it.
    pub required: bool,
    /// Whether it is successful, and counts for a merge where it is required.
    pub counts: bool,
    /// Why it does not count although it is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The user who set it; absent where it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When it was set, UTC; absent where it is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

impl ShownStatus {
    pub(crate) fn missing(unmet: &UnmetStatus) -> Self {
        Self {
            context: unmet.context().to_owned(),
            state: "missing".to_owned(),
            description: String::new(),
            required: true,
            counts: false,
            problem: None,
            by: None,
            at: None,
        }
    }
}

/// A review.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ShownReview {
    /// The user who wrote it.
    pub user: String,
    /// `approved`, `changes_requested`, `commented` or `dismissed`.
    pub state: String,
    /// Its text, in Markdown; may be empty.
    pub body: String,
    /// The commit that it is about.
    pub commit: CommitId,
    /// When it was given, UTC.
    pub at: Timestamp,
}

impl From<Review> for ShownReview {
    fn from(review: Review) -> Self {
        Self {
            user: review.user.to_string(),
            state: review_word(review.state).to_owned(),
            body: review.body,
            commit: review.commit,
            at: review.at,
        }
    }
}

pub(crate) fn review_word(state: ReviewState) -> &'static str {
    match state {
        ReviewState::Approved => "approved",
        ReviewState::ChangesRequested => "changes_requested",
        ReviewState::Commented => "commented",
        ReviewState::Dismissed => "dismissed",
    }
}

/// A comment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ShownComment {
    /// The user who wrote it.
    pub user: String,
    /// Its text, in Markdown.
    pub body: String,
    /// When it was first written, UTC.
    pub created_at: Timestamp,
    /// When it last changed, UTC.
    pub updated_at: Timestamp,
}

impl From<Comment> for ShownComment {
    fn from(comment: Comment) -> Self {
        Self {
            user: comment.user.to_string(),
            body: comment.body,
            created_at: comment.created_at,
            updated_at: comment.updated_at,
        }
    }
}

/// `forge pr list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct PullRequestList {
    /// The pull requests that the filter leaves, by number.
    pub pull_requests: Vec<PullRequestSummary>,
}

impl Report for PullRequestList {}

/// `forge pr review`.
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
    /// Why an approval does not count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Report for ForgeReviewReport {
    fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// `forge pr merge`.
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
