//! Those files of the `forge/` folder that are not a type of the model as it is.
//!
//! Every file is one JSON object, indented by two spaces, with `"version": 1` and then its keys in the order of the
//! fields. Unknown keys and other versions are refused.

use std::collections::BTreeMap;

use lock_model::{BranchName, CommitId, Timestamp, TreeId, UserName};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::{BranchRules, Comment, MergeInfo, PullRequest, RefPattern, ReviewState, Role};

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
    /// Addresses by which commits name the user.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) mail: Vec<String>,
}

/// `branches.json`: the protected branches, and the refs that only bots move.
///
/// ```json
/// {"version": 1, "protected": {"staging": {
///   "required_statuses": [{"context": "orchestrator/lock", "source": "robot"}],
///   "bypass": ["robot"]}},
///  "reserved": ["deploy/**", "tag:release-*"]}
/// ```
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BranchesFile {
    pub(crate) protected: BTreeMap<BranchName, BranchRules>,
    #[serde(default)]
    pub(crate) reserved: Vec<RefPattern>,
}

/// `pulls/N.json`: a pull request, its tips as last seen while it is open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub(crate) struct PullFile {
    #[serde(flatten)]
    pub(crate) pull: PullRequest,
    /// A merge whose branch update may or may not have happened before a crash: the next reader finds out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) merging: Option<MergeInfo>,
}

/// With `flatten`, a reader would accept unknown keys.
impl TryFrom<Map<String, Value>> for PullFile {
    type Error = serde_json::Error;

    fn try_from(mut file: Map<String, Value>) -> Result<Self, Self::Error> {
        let merging = file.remove("merging").map(serde_json::from_value).transpose()?;
        Ok(Self { pull: serde_json::from_value(Value::Object(file))?, merging })
    }
}

/// `pulls/N/comments/MARKER.json`: the comments with one marker, one for each author.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CommentsFile {
    pub(crate) marker: String,
    pub(crate) comments: Vec<Comment>,
}

/// `pulls/N/reviews/SEQ.json`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReviewFile {
    pub(crate) seq: u64,
    pub(crate) user: UserName,
    pub(crate) stance: ReviewState,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) body: String,
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
