//! What a forge answers: pull requests, reviews, statuses, comments, releases.

use lock_model::{BranchName, CommitId, Digest, ReleaseTag, Timestamp, TreeId, UserName};

/// What somebody may do on the forge now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Nothing: not a user, or not one any more.
    None,
    /// May look, comment and review.
    Read,
    /// May push to branches without protection, open and merge pull requests, set statuses.
    Write,
    /// May also merge against the rules, which is recorded.
    Admin,
}

/// A person or a program that acts on the forge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The login.
    pub name: UserName,
    /// What they may do.
    pub role: Role,
    /// Whether it is a program.
    pub bot: bool,
}

/// A status context that must be green before a pull request to a branch can be merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequiredStatus {
    /// The context, such as `orchestrator/lock`.
    pub context: String,
    /// The only user whose status counts; without one, anybody's.
    pub source: Option<UserName>,
}

/// The rules of one protected branch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BranchRules {
    /// Statuses that a pull request's head needs.
    pub required_statuses: Vec<RequiredStatus>,
    /// Users who may push directly; force pushes and deletions stay refused for them too.
    pub bypass: Vec<UserName>,
}

/// Where a pull request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PullRequestState {
    /// Waiting for its merge.
    Open,
    /// Merged.
    Merged,
    /// Closed without a merge.
    Closed,
}

/// Whether a pull request is ready to be merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Not ready: it cannot be merged.
    Draft,
    /// Ready.
    Ready,
}

/// How a pull request was merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeInfo {
    /// The merge commit.
    pub commit: CommitId,
    /// Who merged.
    pub by: UserName,
    /// When.
    pub at: Timestamp,
    /// The rules that were overridden, in words; empty for an ordinary merge.
    pub bypassed: Vec<String>,
}

/// A pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRequest {
    /// Its number, given once.
    pub number: u64,
    /// Title.
    pub title: String,
    /// Text, Markdown.
    pub body: String,
    /// Who opened it.
    pub author: UserName,
    /// Where it stands.
    pub state: PullRequestState,
    /// Whether it is a draft.
    pub draft: bool,
    /// The branch that is to be merged.
    pub head_branch: BranchName,
    /// The branch that it goes into.
    pub base_branch: BranchName,
    /// Tip of the head branch now, or when the pull request was merged or closed.
    pub head: CommitId,
    /// Tip of the base branch now, or before the merge, or when the pull request was closed.
    pub base: CommitId,
    /// How it was merged; present exactly when it is.
    pub merge: Option<MergeInfo>,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When its own data last changed; pushes do not count.
    pub updated_at: Timestamp,
}

/// What is needed to open a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPullRequest {
    /// Title.
    pub title: String,
    /// Text, Markdown.
    pub body: String,
    /// The branch that is to be merged.
    pub head: BranchName,
    /// The branch that it goes into.
    pub base: BranchName,
    /// Draft or ready.
    pub readiness: Readiness,
}

/// Answer to the wish for a pull request between two branches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// There was none: this is the new one.
    Created(PullRequest),
    /// One is open already; it was not touched.
    Exists(PullRequest),
}

/// What to change in a pull request; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullRequestEdit {
    /// New title.
    pub title: Option<String>,
    /// New text.
    pub body: Option<String>,
    /// Draft or ready.
    pub readiness: Option<Readiness>,
}

/// What a write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It was not there.
    Created,
    /// It was there with other content.
    Updated,
    /// It was there already, just so; nothing was written.
    Unchanged,
}

/// The merge that a pull request would make now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MergeRef {
    /// It merges; `refs/pull/N/merge` is this commit.
    Clean {
        /// The test merge, with exactly `base` and `head` as parents.
        commit: CommitId,
        /// Its tree: what the lock is made from.
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

/// Whether an admin insists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bypass {
    /// The rules hold.
    No,
    /// Merge although required statuses are missing; recorded.
    Yes,
}

/// Answer to a merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MergeOutcome {
    /// Merged.
    Merged(MergeInfo),
    /// The same head was merged before; nothing was done.
    AlreadyMerged(MergeInfo),
    /// Not merged, for all of these reasons.
    Refused {
        /// Every reason, not the first.
        reasons: Vec<String>,
    },
}

/// What a reviewer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stance {
    /// Yes.
    Approved,
    /// No, not so.
    ChangesRequested,
    /// Neither.
    Commented,
    /// Taken back, by the reviewer or by somebody with write access.
    Dismissed,
}

/// A review, of exactly one commit and its tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// Order of arrival within the pull request, from 1.
    pub seq: u64,
    /// Who.
    pub user: UserName,
    /// What they may do *now*, not when they reviewed.
    pub role: Role,
    /// Whether it is a program.
    pub bot: bool,
    /// What was said.
    pub stance: Stance,
    /// The head that was looked at.
    pub commit: CommitId,
    /// The tree of that head.
    pub tree: TreeId,
    /// When it was given.
    pub at: Timestamp,
}

/// State of a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StatusState {
    /// No answer yet.
    Pending,
    /// Green.
    Success,
    /// Red.
    Failure,
}

/// What somebody says about one commit in one context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The context, such as `orchestrator/lock`.
    pub context: String,
    /// The answer.
    pub state: StatusState,
    /// One line for people.
    pub description: String,
    /// Who set it.
    pub by: UserName,
    /// When.
    pub at: Timestamp,
}

/// A comment on a pull request, found again by its marker and its author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// What makes it *this* comment of its author.
    pub marker: String,
    /// Who wrote it.
    pub user: UserName,
    /// Text, Markdown.
    pub body: String,
    /// When it was first written.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A change of one file in a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileChange {
    /// The file has these bytes afterwards.
    Write {
        /// Where.
        path: lock_model::TreePath,
        /// What.
        bytes: Vec<u8>,
    },
    /// The file is gone afterwards.
    Remove {
        /// Where.
        path: lock_model::TreePath,
    },
}

/// Answer to a commit on a branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// The branch is at this new commit.
    Committed(CommitId),
    /// The tip has exactly this content already: ours, from an attempt whose answer was lost, or nothing to change.
    AlreadyThere(CommitId),
    /// The branch is elsewhere; nothing was written.
    Moved {
        /// Its tip; absent when there is no such branch.
        actual: Option<CommitId>,
    },
    /// The rules forbid it, for all of these reasons.
    Refused {
        /// Every reason, not the first.
        reasons: Vec<String>,
    },
}

/// A branch as it was read at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchSnapshot {
    /// Its tip.
    pub head: CommitId,
    /// Every regular file, by path.
    pub files: Vec<(String, Vec<u8>)>,
}

/// A file to attach to a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAsset {
    /// File name.
    pub name: String,
    /// Content.
    pub bytes: Vec<u8>,
}

/// A file that a release carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    /// File name.
    pub name: String,
    /// Hash of its bytes.
    pub digest: Digest,
    /// Length in bytes.
    pub size: u64,
}

/// What is needed for a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRelease {
    /// The tag to make.
    pub tag: ReleaseTag,
    /// The commit that it names.
    pub commit: CommitId,
    /// The tag's message.
    pub message: String,
    /// Files.
    pub assets: Vec<NewAsset>,
}

/// A release: an annotated tag and its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The tag.
    pub tag: ReleaseTag,
    /// The commit that the tag names.
    pub commit: CommitId,
    /// The tag's message.
    pub message: String,
    /// The files, by name.
    pub assets: Vec<Asset>,
    /// Who made it.
    pub by: UserName,
    /// When.
    pub at: Timestamp,
}

/// Answer to the wish for a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReleaseOutcome {
    /// There was none: this is the new one.
    Created(Release),
    /// The same tag, commit and files are there already; nothing was written.
    Exists(Release),
    /// Not made, for all of these reasons, such as a tag of that name on another commit.
    Refused {
        /// Every reason, not the first.
        reasons: Vec<String>,
    },
}

/// Answer to a push, before it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may happen.
    Allowed,
    /// It may happen only because the pusher is on the branch's bypass list; recorded.
    Bypassed {
        /// The rules that would have refused it.
        rules: Vec<String>,
    },
    /// It may not.
    Refused {
        /// Every reason, not the first.
        reasons: Vec<String>,
    },
}

/// A push or a merge that went past a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BypassRecord {
    /// Order of arrival, from 1.
    pub seq: u64,
    /// The branch.
    pub branch: BranchName,
    /// Its tip before; absent when the branch was made.
    pub before: Option<CommitId>,
    /// Its tip after.
    pub after: CommitId,
    /// The pull request, when it was a merge.
    pub pull_request: Option<u64>,
    /// Who.
    pub by: UserName,
    /// When.
    pub at: Timestamp,
    /// The rules that were overridden, in words.
    pub rules: Vec<String>,
}

/// Who holds an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The environment.
    pub environment: String,
    /// What the holder says of itself, such as the run's id.
    pub holder: String,
    /// Since when.
    pub since: Timestamp,
}
