//! Those files of the `forge/` folder that are not a type of the model as it is.
//!
//! Every file is one JSON object, indented by two spaces, with `"version": 1` and then its keys in the order of the
//! fields. Unknown keys and other versions are refused.

use std::collections::BTreeMap;

use lock_model::{BranchName, CommitId, Timestamp, TreeId, UserName};
use serde::{Deserialize, Serialize};

use crate::model::{BranchRules, MergeInfo, PullRequest, PullRequestState, ReviewState, Role};

/// `users.json`: `{"version": 1, "users": {"ana": {"role": "write", "bot": false}}}`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UsersFile {
    pub(crate) users: BTreeMap<UserName, UserEntry>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserEntry {
    pub(crate) role: Role,
    #[serde(default)]
    pub(crate) bot: bool,
}

/// `branches.json`: the protected branches.
///
/// ```json
/// {"version": 1, "protected": {"staging": {
///   "required_statuses": [{"context": "orchestrator/lock", "source": "robot"}],
///   "bypass": ["robot"]}}}
/// ```
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BranchesFile {
    pub(crate) protected: BTreeMap<BranchName, BranchRules>,
}

/// `pulls/N.json`: `merge` is there exactly when `state` is `merged`, `merging` only after a crash.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PullFile {
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) author: UserName,
    pub(crate) state: PullRequestState,
    pub(crate) draft: bool,
    pub(crate) head_branch: BranchName,
    pub(crate) base_branch: BranchName,
    /// As last seen while it is open.
    pub(crate) head: CommitId,
    pub(crate) base: CommitId,
    /// A merge whose branch update may or may not have happened: the next reader finds out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) merging: Option<MergeInfo>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) merge: Option<MergeInfo>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

impl From<PullFile> for PullRequest {
    fn from(file: PullFile) -> Self {
        Self {
            number: file.number,
            title: file.title,
            body: file.body,
            author: file.author,
            state: file.state,
            draft: file.draft,
            head_branch: file.head_branch,
            base_branch: file.base_branch,
            head: file.head,
            base: file.base,
            merge: file.merge,
            created_at: file.created_at,
            updated_at: file.updated_at,
        }
    }
}

/// `pulls/N/comments/MARKER.json`: the comments with one marker, one for each author.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CommentsFile {
    pub(crate) marker: String,
    pub(crate) comments: Vec<CommentEntry>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CommentEntry {
    pub(crate) user: UserName,
    pub(crate) body: String,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

/// `pulls/N/reviews/SEQ.json`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReviewFile {
    pub(crate) seq: u64,
    pub(crate) user: UserName,
    pub(crate) stance: ReviewState,
    pub(crate) commit: CommitId,
    pub(crate) tree: TreeId,
    pub(crate) at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dismissed: Option<DismissalEntry>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DismissalEntry {
    pub(crate) by: UserName,
    pub(crate) reason: String,
    pub(crate) at: Timestamp,
}
