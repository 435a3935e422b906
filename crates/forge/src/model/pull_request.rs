use lock_model::{BranchName, CommitId, Timestamp, TreeId, UserName};
use serde::{Deserialize, Serialize};

/// A pull request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PullRequest {
    /// Its number, never given twice.
    pub number: u64,
    /// One line.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// The user who opened it.
    pub author: UserName,
    /// Open, merged or closed.
    pub state: PullRequestState,
    /// Whether it is a draft, which cannot be merged.
    pub draft: bool,
    /// The branch that is to be merged.
    pub head_branch: BranchName,
    /// The branch that it goes into.
    pub base_branch: BranchName,
    /// Tip of the head branch now, or when the pull request was merged or closed.
    pub head: CommitId,
    /// Tip of the base branch now, or before the merge, or when the pull request was closed.
    pub base: CommitId,
    /// Present exactly when the state is merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge: Option<MergeInfo>,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When its own data last changed; pushes do not count.
    pub updated_at: Timestamp,
}

/// Where a pull request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PullRequestState {
    /// Not merged yet.
    Open,
    /// Merged.
    Merged,
    /// Closed without a merge.
    Closed,
}

impl std::fmt::Display for PullRequestState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The word in the files.
        serde::Serialize::serialize(self, f)
    }
}

/// Whether a pull request can be merged as far as its author is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Readiness {
    /// It cannot be merged.
    Draft,
    /// Ready for review and merge.
    Ready,
}

/// How a pull request was merged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct MergeInfo {
    /// The merge commit.
    pub commit: CommitId,
    /// The user who merged.
    pub by: UserName,
    /// When it was merged.
    pub at: Timestamp,
    /// The rules that were bypassed, in words; empty for an ordinary merge.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bypassed: Vec<String>,
}

/// A pull request to open.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewPullRequest {
    /// The branch that is to be merged.
    pub head: BranchName,
    /// The branch that it goes into.
    pub base: BranchName,
    /// One line of at most 256 characters.
    pub title: String,
    /// Markdown of at most 65,536 characters.
    pub body: String,
    /// Draft or ready.
    pub readiness: Readiness,
}

impl NewPullRequest {
    /// A pull request from `head` into `base` that is ready and has no text.
    pub fn new(head: BranchName, base: BranchName, title: impl Into<String>) -> Self {
        Self { head, base, title: title.into(), body: String::new(), readiness: Readiness::Ready }
    }

    /// Sets the text, Markdown.
    #[must_use]
    pub fn body(self, body: impl Into<String>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// Opens it as a draft, or ready.
    #[must_use]
    pub fn readiness(self, readiness: Readiness) -> Self {
        Self { readiness, ..self }
    }
}

/// Answer to a pull request that was to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenOutcome {
    /// The new one.
    Created(PullRequest),
    /// One between the two branches is open already; it was not changed.
    Exists(PullRequest),
}

/// What to change in a pull request; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PullRequestEdit {
    /// One line of at most 256 characters.
    pub title: Option<String>,
    /// Markdown of at most 65,536 characters.
    pub body: Option<String>,
    /// Draft or ready.
    pub readiness: Option<Readiness>,
}

impl PullRequestEdit {
    /// Changes the title.
    #[must_use]
    pub fn title(self, title: impl Into<String>) -> Self {
        Self { title: Some(title.into()), ..self }
    }

    /// Changes the text, Markdown.
    #[must_use]
    pub fn body(self, body: impl Into<String>) -> Self {
        Self { body: Some(body.into()), ..self }
    }

    /// Makes it a draft, or ready.
    #[must_use]
    pub fn readiness(self, readiness: Readiness) -> Self {
        Self { readiness: Some(readiness), ..self }
    }
}

/// The merge that an open pull request would make now, or that a merged one made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MergeRef {
    /// It merges; `refs/pull/N/merge` is this commit.
    Clean {
        /// The test merge, with exactly `base` and `head` as parents.
        commit: CommitId,
        /// The merge's tree.
        tree: TreeId,
        /// Tip of the base branch.
        base: CommitId,
        /// Tip of the head branch.
        head: CommitId,
    },
    /// It does not merge; there is no `refs/pull/N/merge`.
    Conflict {
        /// Tip of the base branch.
        base: CommitId,
        /// Tip of the head branch.
        head: CommitId,
        /// The paths in conflict, as git names them.
        paths: Vec<String>,
    },
}
