//! The files of the `forge/` folder, version 1, as they are written.
//!
//! Every file is one JSON object, indented by two spaces, with its keys in the order of the fields here. Unknown keys
//! and other versions are refused.

use std::collections::BTreeMap;

use lock_model::{BranchName, CommitId, Digest, ReleaseTag, Timestamp, TreeId, UserName};
use serde::{Deserialize, Serialize};

use crate::model::{
    Asset, BranchRules, BypassRecord, Comment, Holder, MergeInfo, PullRequest, PullRequestState, Release,
    RequiredStatus, Role, Stance, Status, StatusState,
};

/// The version of every file here.
pub(super) const FORMAT_VERSION: u64 = 1;

/// `users.json`: `{"version": 1, "users": {"ana": {"role": "write", "bot": false}}}`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UsersFile {
    pub(super) version: u64,
    pub(super) users: BTreeMap<UserName, UserEntry>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserEntry {
    pub(super) role: Role,
    #[serde(default)]
    pub(super) bot: bool,
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
pub(super) struct BranchesFile {
    pub(super) version: u64,
    pub(super) protected: BTreeMap<BranchName, BranchEntry>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BranchEntry {
    #[serde(default)]
    pub(super) required_statuses: Vec<RequiredStatusEntry>,
    #[serde(default)]
    pub(super) bypass: Vec<UserName>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RequiredStatusEntry {
    pub(super) context: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<UserName>,
}

impl From<BranchEntry> for BranchRules {
    fn from(entry: BranchEntry) -> Self {
        let required = |status: RequiredStatusEntry| RequiredStatus { context: status.context, source: status.source };
        Self { required_statuses: entry.required_statuses.into_iter().map(required).collect(), bypass: entry.bypass }
    }
}

impl From<&BranchRules> for BranchEntry {
    fn from(rules: &BranchRules) -> Self {
        let required = |status: &RequiredStatus| RequiredStatusEntry {
            context: status.context.clone(),
            source: status.source.clone(),
        };
        Self { required_statuses: rules.required_statuses.iter().map(required).collect(), bypass: rules.bypass.clone() }
    }
}

/// `pulls/N.json`: `merge` is there exactly when `state` is `merged`, `merging` only after a crash.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PullFile {
    pub(super) version: u64,
    pub(super) number: u64,
    pub(super) title: String,
    pub(super) body: String,
    pub(super) author: UserName,
    pub(super) state: PullState,
    pub(super) draft: bool,
    pub(super) head_branch: BranchName,
    pub(super) base_branch: BranchName,
    /// As last seen while it is open.
    pub(super) head: CommitId,
    pub(super) base: CommitId,
    /// A merge whose branch update may or may not have happened: the next reader finds out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) merging: Option<MergeEntry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) merge: Option<MergeEntry>,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum PullState {
    Open,
    Merged,
    Closed,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MergeEntry {
    pub(super) commit: CommitId,
    pub(super) by: UserName,
    pub(super) at: Timestamp,
    /// The rules that were overridden.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) bypassed: Vec<String>,
}

impl From<MergeEntry> for MergeInfo {
    fn from(entry: MergeEntry) -> Self {
        Self { commit: entry.commit, by: entry.by, at: entry.at, bypassed: entry.bypassed }
    }
}

impl From<PullFile> for PullRequest {
    fn from(file: PullFile) -> Self {
        Self {
            number: file.number,
            title: file.title,
            body: file.body,
            author: file.author,
            state: match file.state {
                PullState::Open => PullRequestState::Open,
                PullState::Merged => PullRequestState::Merged,
                PullState::Closed => PullRequestState::Closed,
            },
            draft: file.draft,
            head_branch: file.head_branch,
            base_branch: file.base_branch,
            head: file.head,
            base: file.base,
            merge: file.merge.map(MergeInfo::from),
            created_at: file.created_at,
            updated_at: file.updated_at,
        }
    }
}

/// `pulls/N/comments/MARKER.json`: what each author wrote under this marker.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CommentsFile {
    pub(super) version: u64,
    pub(super) marker: String,
    pub(super) comments: Vec<CommentEntry>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CommentEntry {
    pub(super) user: UserName,
    pub(super) body: String,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
}

impl CommentsFile {
    pub(super) fn into_comments(self) -> Vec<Comment> {
        let marker = self.marker;
        self.comments
            .into_iter()
            .map(|entry| Comment {
                marker: marker.clone(),
                user: entry.user,
                body: entry.body,
                created_at: entry.created_at,
                updated_at: entry.updated_at,
            })
            .collect()
    }
}

/// `pulls/N/reviews/SEQ.json`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReviewFile {
    pub(super) version: u64,
    pub(super) seq: u64,
    pub(super) user: UserName,
    pub(super) stance: Stance,
    pub(super) commit: CommitId,
    pub(super) tree: TreeId,
    pub(super) at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) dismissed: Option<DismissalEntry>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DismissalEntry {
    pub(super) by: UserName,
    pub(super) reason: String,
    pub(super) at: Timestamp,
}

/// `statuses/SHA/CONTEXT.json`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StatusFile {
    pub(super) version: u64,
    pub(super) context: String,
    pub(super) state: StatusState,
    pub(super) description: String,
    pub(super) by: UserName,
    pub(super) at: Timestamp,
}

impl From<StatusFile> for Status {
    fn from(file: StatusFile) -> Self {
        Self { context: file.context, state: file.state, description: file.description, by: file.by, at: file.at }
    }
}

/// `releases/TAG/release.json`; the files lie in `releases/TAG/assets/`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReleaseFile {
    pub(super) version: u64,
    pub(super) tag: ReleaseTag,
    pub(super) commit: CommitId,
    pub(super) message: String,
    pub(super) assets: Vec<AssetEntry>,
    pub(super) by: UserName,
    pub(super) at: Timestamp,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AssetEntry {
    pub(super) name: String,
    pub(super) digest: Digest,
    pub(super) size: u64,
}

impl From<ReleaseFile> for Release {
    fn from(file: ReleaseFile) -> Self {
        let asset = |entry: AssetEntry| Asset { name: entry.name, digest: entry.digest, size: entry.size };
        Self {
            tag: file.tag,
            commit: file.commit,
            message: file.message,
            assets: file.assets.into_iter().map(asset).collect(),
            by: file.by,
            at: file.at,
        }
    }
}

/// `bypasses/SEQ.json`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BypassFile {
    pub(super) version: u64,
    pub(super) seq: u64,
    pub(super) branch: BranchName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) before: Option<CommitId>,
    pub(super) after: CommitId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pull_request: Option<u64>,
    pub(super) by: UserName,
    pub(super) at: Timestamp,
    pub(super) rules: Vec<String>,
}

impl From<BypassFile> for BypassRecord {
    fn from(file: BypassFile) -> Self {
        Self {
            seq: file.seq,
            branch: file.branch,
            before: file.before,
            after: file.after,
            pull_request: file.pull_request,
            by: file.by,
            at: file.at,
            rules: file.rules,
        }
    }
}

/// `leases/ENVIRONMENT.json`, beside the locked `leases/ENVIRONMENT.lock`.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HolderFile {
    pub(super) version: u64,
    pub(super) environment: String,
    pub(super) holder: String,
    pub(super) since: Timestamp,
}

impl From<HolderFile> for Holder {
    fn from(file: HolderFile) -> Self {
        Self { environment: file.environment, holder: file.holder, since: file.since }
    }
}
